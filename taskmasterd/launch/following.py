"""`taskmasterd --follow`: the daemon in the foreground, and what all programs write beside it, until Ctrl-C.

Three processes in one foreground group, as a shell starts a pipeline: this one, the daemon, and a client that follows the logs.
The terminal sends Ctrl-C to all of them: the daemon stops everything, the client shows what is written meanwhile, and this one
passes the daemon's exit code on.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

FORWARDED = (signal.SIGTERM, signal.SIGHUP)
"""Signals that come to this process alone; those of the keyboard come to the whole group."""
IGNORED = (signal.SIGINT, signal.SIGQUIT)
LOOK_EVERY_S = 0.05
LAST_WORDS_S = 2.0
"""Longest wait for the client after the daemon's end, seconds."""


def follow(path: str) -> int:
    """Run the daemon whose control socket is `path`, and follow its programs; return its exit code."""
    words = [word for word in sys.orig_argv[1:] if word != "--follow"]
    daemon = _started([*words, "-n"])
    for number in IGNORED:  # after the daemon's start, which is not to ignore them
        signal.signal(number, signal.SIG_IGN)

    def forward(number: int, _frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            os.kill(daemon, number)

    for number in FORWARDED:
        signal.signal(number, forward)
    status = _until_it_listens(daemon, path)
    if status is not None:
        return os.waitstatus_to_exitcode(status)
    client = _started(["-m", "taskmasterctl", "-s", path, "logs", "--follow", "--since", "start", "all"])
    code = os.waitstatus_to_exitcode(os.waitpid(daemon, 0)[1])
    _end(client)
    return code if code >= 0 else 128 - code


def _started(words: Sequence[str]) -> int:
    return os.posix_spawn(sys.executable, [sys.executable, *words], os.environ)


def _until_it_listens(daemon: int, path: str) -> int | None:
    """Wait until the daemon answers; return its wait status if it ends before."""
    while True:
        pid, status = os.waitpid(daemon, os.WNOHANG)
        if pid:
            return status
        with socket.socket(socket.AF_UNIX) as client, suppress(OSError):
            client.connect(path)
            return None
        time.sleep(LOOK_EVERY_S)


def _end(client: int) -> None:
    """Give the client the time to show the last lines: its connection has ended."""
    until = time.monotonic() + LAST_WORDS_S
    while not os.waitpid(client, os.WNOHANG)[0]:
        if time.monotonic() > until:
            os.kill(client, signal.SIGKILL)
            os.waitpid(client, 0)
            return
        time.sleep(LOOK_EVERY_S)
