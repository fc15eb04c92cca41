"""One stream of one process: moves its output from the pipe into a sink, a bounded amount per turn.

It ends with the end of the pipe, which a grandchild may delay without limit; when the child ends, only what is in the pipe
now is drained. A stream that often wakes the loop pauses for some milliseconds, so that small writes gather in the pipe; a
quiet one costs neither a timer nor a wake-up.
"""

from __future__ import annotations

import fcntl
import os
import time

from taskmasterd.system.loop.reactor import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from taskmasterd.output.sink import LogSink
    from taskmasterd.system.loop.reactor import Reactor, Timer

    class Loser(Protocol):
        """Whose output it is, which counts what of it is lost."""

        def lost(self, amount: int, /) -> None:
            """Count bytes that could not be written."""


CAPACITY = 65_536
"""Bytes that a pipe holds where the system does not say. Source: pipe(7)."""
LARGE, LARGE_FOR_USERS = 1024 * 1024, 256 * 1024
"""Bytes of an enlarged pipe. A user other than root may hold 16384 pages in pipes; beyond that new ones get two. Source: pipe(7)."""
FULL_TURNS = 4
"""Turns in a row at which a half full pipe is enlarged; one that is an eighth full after the shortest pause is, too."""
CLOSE_S = 0.005
CLOSE_TURNS = 8
"""Wake-ups in a row, and the longest time between two of them in seconds, after which a stream is chatty and pauses."""
WORTH_A_TURN = 32_768
"""Bytes that would not be moved more cheaply after a pause."""
UNPAUSED_TURNS = 16
"""Turns without a pause for a stream whose full pipe would hold up the program."""
PAUSE_FIRST_S, PAUSE_MOST_S = 0.001, 0.016
STALLED_S = 0.005
"""Pause before a slow reader, or a log that is busy, is tried again, in seconds."""


class LogPipe:
    """Owns the read end `fd` of a pipe (non-blocking). Calls `on_end(pipe)` once, after closing it.

    `wrote`: the pipe has delivered something since this object exists. `owner` counts what of its output is lost.
    """

    __slots__ = (
        "_capacity",
        "_close_turns",
        "_fd",
        "_full_turns",
        "_last",
        "_listening",
        "_may_grow",
        "_on_end",
        "_pause_s",
        "_reactor",
        "_timer",
        "inode",
        "owner",
        "sink",
        "wrote",
    )

    def __init__(
        self,
        reactor: Reactor,
        fd: int,
        sink: LogSink,
        on_end: Callable[[LogPipe], object],
        owner: Loser | None = None,
    ) -> None:
        self._reactor = reactor
        self._fd = fd
        self.sink = sink
        self._on_end = on_end
        self.owner = owner
        self.inode = os.fstat(fd).st_ino
        self._capacity = _capacity_of(fd)
        self._may_grow = hasattr(fcntl, "F_SETPIPE_SZ")
        self._timer: Timer | None = None
        self._last = 0.0
        self._close_turns = 0
        self._full_turns = 0
        self._pause_s = PAUSE_FIRST_S
        self._listening = False
        self.wrote = False
        if sink.busy():  # with what was unsent before an upgrade: a silent program would leave it there
            self._pause(STALLED_S)
        else:
            self._listen()

    @property
    def path(self) -> str:
        """The path of its log."""
        return self.sink.path

    @property
    def fd(self) -> int:
        """The read end, -1 once it is closed."""
        return self._fd

    @property
    def closed(self) -> bool:
        """Whether the pipe has ended or was closed."""
        return self._fd < 0

    def drain(self) -> None:
        """Move what is in the pipe now: the process has ended, but others may still write.

        A file that has yet to be rotated grows over its limit, by no more than the pipe holds.
        """
        left = self._capacity
        while self._fd >= 0 and left > 0:
            moved = self._move(hurry=True)
            if not moved:
                return
            left -= moved

    def close(self) -> None:
        """Close the pipe; what is in it is lost. A second call does nothing."""
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        self._reactor.cancel(self._timer)
        self._reactor.remove(fd)
        os.close(fd)
        self._on_end(self)

    # -- turns

    def _ready(self, _events: int) -> None:
        self._turn(paused=False)

    def _paused(self) -> None:
        self._timer = None
        self._turn(paused=True)

    def _turn(self, *, paused: bool) -> None:
        moved = self._move()
        if moved and self.sink.busy():
            self._pause(STALLED_S)
        elif moved:
            self._pace(moved, paused=paused)

    def _move(self, *, hurry: bool = False) -> int:
        """Move once; return how many bytes, or 0 after arranging for what comes next: the end, more input, a reader."""
        if self.sink.busy(hurry=hurry):
            self._pause(STALLED_S)
            return 0
        trouble = self.sink.ledger.trouble
        dropped = trouble.dropped
        try:
            moved = self.sink.move(self._fd, self._capacity)
        except BlockingIOError:
            self._close_turns = 0
            self._pause_s = PAUSE_FIRST_S
            self._listen()
            return 0
        if self.owner and trouble.dropped != dropped:
            self.owner.lost(trouble.dropped - dropped)
        if not moved:
            self.close()
        else:
            self.wrote = True
        return moved

    def _pace(self, moved: int, *, paused: bool) -> None:
        """Decide when to look again: at once after much output, later after little but frequent output."""
        now = time.monotonic()
        close = paused or (now - self._last < CLOSE_S and moved < WORTH_A_TURN)
        self._close_turns = self._close_turns + 1 if close else 0
        self._last = now
        self._full_turns = self._full_turns + 1 if moved * 2 >= self._capacity else 0
        fast = paused and self._pause_s == PAUSE_FIRST_S and moved * 8 >= self._capacity
        grown = (fast or self._full_turns >= FULL_TURNS) and self._grow()
        if self._full_turns:
            self._pause_s = PAUSE_FIRST_S
            if not grown and moved * 8 >= self._capacity * 7:
                self._close_turns = -UNPAUSED_TURNS  # a pause would hold the program up
        elif paused and moved * 8 < self._capacity:
            self._pause_s = min(self._pause_s * 2, PAUSE_MOST_S)
        if self._close_turns < CLOSE_TURNS:
            self._listen()
        else:
            self._pause(self._pause_s)

    def _pause(self, seconds: float) -> None:
        if self._timer is None:
            self._reactor.remove(self._fd)
            self._listening = False
            self._timer = self._reactor.call_later(seconds, self._paused)

    def _listen(self) -> None:
        if self._timer is None and not self._listening:
            self._reactor.watch(self._fd, READ, self._ready)
            self._listening = True

    def _grow(self) -> bool:
        """Enlarge the pipe; return whether that was possible. Source: fcntl(2), F_SETPIPE_SZ."""
        wanted = LARGE if os.geteuid() == 0 else LARGE_FOR_USERS
        if not self._may_grow or self.sink.by_lines or self._capacity >= wanted:
            return False
        try:
            self._capacity = fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, wanted)
        except OSError:
            self._may_grow = False
        return self._may_grow


def _capacity_of(pipe: int) -> int:
    """Return how many bytes a pipe holds, CAPACITY where the system does not say. Source: fcntl(2), F_GETPIPE_SZ."""
    try:
        return fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) if hasattr(fcntl, "F_GETPIPE_SZ") else CAPACITY
    except OSError:
        return CAPACITY
