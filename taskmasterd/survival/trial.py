"""Stand-ins for everything that belongs to the daemon, so that a check can try other code on its state without side effects.

The child that checks installed code has the daemon's rights, variables and state, but only descriptors of its own. It builds a
whole daemon and runs it for one turn. Calls that would reach other processes are refused, and writes lead nowhere.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile

from taskmaster_common.errors import SystemFailure
from taskmasterd.sockets import listeners
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.loop.sockets import socket
from taskmasterd.system.paths.rundir import RuntimeDirectory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, NoReturn

ACTS = ((os, ("kill", "killpg", "fork", "posix_spawn")), (signal, ("pidfd_send_signal",)))
"""The calls that would reach other processes."""
CONNECTS = ("bind", "connect", "connect_ex")
"""The methods of a socket by which it would reach others, or be reached."""


@contextlib.contextmanager
def acting_on_nothing() -> Generator[Callable[[dict[str, Any]], None], None, None]:
    """Refuse, for good, calls that would reach other processes; yields a function that puts stand-ins into a state.

    The process takes itself for the daemon, whose children it would have, and sends nothing to systemd.
    """
    for module, names in ACTS:
        for name in names:
            if hasattr(module, name):
                setattr(module, name, _refuse)
    setattr(socket, "socket", type("Unconnected", (socket.socket,), dict.fromkeys(CONNECTS, _refuse)))  # noqa: B010 - see below
    setattr(RuntimeDirectory, "has", _has_nothing)  # noqa: B010 - what is there is the daemon's
    setattr(RuntimeDirectory, "enter", _refuse_directory)  # noqa: B010 - see above
    setattr(listeners, "remove", _remove_nothing)  # noqa: B010 - the files are the daemon's
    daemon = os.getppid()
    setattr(os, "getpid", lambda: daemon)  # noqa: B010 - a stand-in as those above
    scratch = _directory()
    if "NOTIFY_SOCKET" in os.environ:
        os.environ["NOTIFY_SOCKET"] = f"{scratch or ''}/nobody"

    def stand_in(state: dict[str, Any]) -> None:
        state["places"]["state_dir"] = scratch
        _fill(state)

    try:
        yield stand_in
    finally:
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)


def _refuse(*_arguments: object, **_options: object) -> NoReturn:
    raise PermissionError(errno.EPERM, "this is only a trial")


def _has_nothing(_self: RuntimeDirectory, _name: str) -> bool:
    return False


def _remove_nothing(_path: str, _inode: tuple[int, int]) -> None:
    """Leave the file of a socket alone."""


def _refuse_directory(_self: RuntimeDirectory, name: str) -> NoReturn:
    raise SystemFailure("use directory", name, "this is only a trial", errno.EPERM)


def _directory() -> str | None:
    """Return a directory for a state file, None if none can be created."""
    try:
        return tempfile.mkdtemp(prefix="taskmasterd-check-")
    except OSError:
        return None


def _fill(state: dict[str, Any]) -> None:
    """Replace the descriptors in `state` by dummies that never deliver anything: a check inherits none of the daemon's."""
    null = os.open(os.devnull, os.O_RDWR)
    nobody, _other = (end.detach() for end in socket.socketpair())
    silent, _writer = os.pipe()
    os.set_blocking(silent, False)
    sockets = ("listener", "channel", "sockets")
    state["fds"] = {
        name: None if fd is None or name == "keeper" else os.dup(nobody if name in sockets else null)
        for name, fd in state["fds"].items()
    }
    life = state["life"]
    life["pipes"] = [(inode, os.dup(silent), path) for inode, _fd, path in life["pipes"]]
    life["handles"] = [(pid, os.dup(silent)) for pid, _handle in life["handles"]]
    life["sockets"] = [(address, os.dup(nobody)) for address, _fd in life.get("sockets", ())]
    for row in life["sinks"]["open"].values():
        row["fd"] = os.dup(null)
    for row in (*life["connections"], *life.get("announced", ())):
        row["fd"] = os.dup(nobody)
        for _source, reader in (row.get("operation") or {}).get("open_logs", ()):
            reader["fd"] = os.dup(null)
