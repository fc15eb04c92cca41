"""Which daemon is trusted, and which names it may send. Nothing is sent or shown before both are checked.

Anybody can listen at a path in /tmp, and send names that a shell then completes. So unless the user named the socket, the
kernel must confirm that root or this user listens there; and a name that no program can have ends the conversation,
no matter who listens.
"""

from __future__ import annotations

import os
import sys

from taskmaster_common.errors import ProtocolError
from taskmaster_common.text.names import is_process_name

try:
    import _socket as socket  # socket itself costs 6 ms, for enums that nobody needs here
except ImportError:
    import socket  # type: ignore[no-redef]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    Message = dict[str, Any]

UNKNOWN_UID = -1
PEER_CREDENTIALS_SIZE = 12
BSD_CREDENTIALS_SIZE = 76
MOST_SHOWN = 100
"""Longest part of a wrong name that is shown, characters."""
NAMED_LISTS = ("create", "start", "stop", "restart")
"""The fields of a plan that are lists of process names."""


def stranger(channel: socket.socket) -> int | None:
    """Return the uid of the listening process if it is neither root nor this user, else None."""
    uid = listener_of(channel)[1]
    return None if uid in (0, os.geteuid()) else uid


def listener_of(channel: socket.socket) -> tuple[int, int]:
    """Return pid and uid of the listening process, as they were at listen(2); 0 and UNKNOWN_UID if the system cannot say.

    Source: unix(7) SO_PEERCRED; unix(4) of the BSDs.
    """
    try:
        if hasattr(socket, "SO_PEERCRED"):
            raw = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER_CREDENTIALS_SIZE)
            return int.from_bytes(raw[:4], sys.byteorder), int.from_bytes(raw[4:8], sys.byteorder)
        raw = channel.getsockopt(0, 1, BSD_CREDENTIALS_SIZE)  # SOL_LOCAL, LOCAL_PEERCRED: struct xucred
    except OSError:
        return 0, UNKNOWN_UID
    return 0, int.from_bytes(raw[4:8], sys.byteorder)


def stranger_who_made(path: str) -> int | None:
    """Return the owner of a file if it is neither root nor this user, else None."""
    try:
        uid = os.lstat(path).st_uid
    except OSError:
        return None
    return None if uid in (0, os.geteuid()) else uid


def check_names(message: Message) -> Message:
    """Return the message. Raises ProtocolError if it holds a name that no program and no process can have."""
    try:
        wrong = next((name for name in _names(message) if name and not is_process_name(name)), None)
    except (AttributeError, TypeError):
        raise ProtocolError("cannot read a reply: a list or an object is missing where names have to be") from None
    if wrong is not None:
        raise ProtocolError(f"cannot trust this daemon: it calls a program {str(wrong)[:MOST_SHOWN]!a}")
    return message


def _names(message: Message) -> Iterator[object]:
    """Yield every name of a program or a process in a message."""
    kind = message.get("type")
    if kind in ("hello", "signal"):
        return
    yield message.get("name")
    processes = message.get("processes") or ()
    for process in (*processes, message["process"]) if message.get("process") else processes:
        yield process.get("name")
        yield process.get("program")
    yield from message.get("logs") or ()
    yield from message.get("ended") or ()
    for program in (message.get("programs") or ()) if kind == "plan" else ():
        yield program.get("name")
        for key in NAMED_LISTS:
            yield from program.get(key) or ()
