"""Asks the daemon why processes are as they are, for the text of a mail. Without an answer in time a mail has less to say."""

from __future__ import annotations

import socket
import time

from taskmaster_common.jsontext import read_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    Story = Mapping[str, Any]

WITHIN_S = 3.0
"""Longest wait for the whole answer, seconds."""
MOST_NAMES = 20
"""Most processes that are asked about."""
MOST_READ = 512 * 1024
"""Most bytes of an answer."""


def stories_of(path: str, names: Iterable[str]) -> dict[str, Story]:
    """Return the stories of processes by their names, as `why` has them (`core.words.story`); {} where nobody tells them."""
    wanted = list(dict.fromkeys(names))[:MOST_NAMES]
    if not (path and wanted):
        return {}
    try:
        return {story["name"]: story for story in _told(path, f"why -n 10 {' '.join(wanted)}\n")}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}


def _told(path: str, request: str) -> Iterator[Story]:
    until, text, read = time.monotonic() + WITHIN_S, b"", 0
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as daemon:
        daemon.settimeout(WITHIN_S)
        daemon.connect(path)
        daemon.sendall(request.encode("utf-8", "surrogateescape"))
        while read < MOST_READ and (left := until - time.monotonic()) > 0:
            daemon.settimeout(left)
            block = daemon.recv(65_536)
            *lines, text = (text + block).split(b"\n")
            read += len(block)
            for line in lines:
                message = read_json(line.decode("utf-8", "replace"))
                yield from message.get("why", ())
                if message["type"] == "end":
                    return
            if not block:
                return
