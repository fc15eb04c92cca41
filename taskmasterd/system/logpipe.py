"""One stream of a child: the reading end of its pipe, emptied into a sink in bounded steps.

Many small writes are gathered: a stream that wakes the loop often with little is left alone for some milliseconds, so
that its lines merge in the pipe; one that is found full gets a larger pipe. A quiet stream costs no timer and no wake-up.
"""

from __future__ import annotations

import fcntl
import os
import struct
import termios

from taskmasterd.system.reactor import READ, Reactor, Timer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.system.logsink import LogSink

F_SETPIPE_SZ = getattr(fcntl, "F_SETPIPE_SZ", 1031)
USUAL_CAPACITY = 65_536
LARGEST_CAPACITY = 1024 * 1024
LARGEST_OF_A_USER = 256 * 1024
"""A user's pipes beyond 64 MB together shrink to two pages (pipe(7), pipe-user-pages-soft): 256 may grow to this."""
PAUSE_S = 0.004
OFTEN_S = 0.005
"""A stream that wakes us again within this time, with little to move, is paused for `PAUSE_S`."""


class LogPipe:
    """Moves what comes out of `fd` into `sink` until its end; owns the descriptor. `on_end` is called once."""

    def __init__(self, reactor: Reactor, fd: int, sink: LogSink, on_end: Callable[[], None]) -> None:
        self._reactor = reactor
        self._fd = fd
        self._sink = sink
        self._on_end = on_end
        self._capacity = USUAL_CAPACITY
        self._woke_at = 0.0
        self._pause: Timer | None = None
        reactor.watch(fd, READ, self._ready)

    @property
    def closed(self) -> bool:
        """Whether the stream has ended."""
        return self._fd < 0

    def drain(self) -> None:
        """Move what is in the pipe now: its writer is dead. Others may hold it open, so its end is not waited for."""
        if self._fd < 0:
            return
        (left,) = struct.unpack("i", fcntl.ioctl(self._fd, termios.FIONREAD, b"\0\0\0\0"))
        while left > 0 and self._fd >= 0:
            moved = self._move()
            if moved <= 0:
                return
            left -= moved

    def close(self) -> None:
        """Stop, and close the pipe; what is in it is lost."""
        if self._fd < 0:
            return
        self._reactor.cancel(self._pause)
        self._reactor.remove(self._fd)
        os.close(self._fd)
        self._fd = -1
        self._on_end()

    def _ready(self, _events: int) -> None:
        """One bounded step a turn: a flood costs the others nothing."""
        moved = self._move()
        if moved <= 0:
            return
        now = self._reactor.now()
        if moved * 4 >= self._capacity * 3:
            self._grow()
        elif moved * 4 < self._capacity and now - self._woke_at < OFTEN_S:
            self._reactor.remove(self._fd)
            self._pause = self._reactor.call_later(PAUSE_S, self._resume)
            now += PAUSE_S
        self._woke_at = now

    def _resume(self) -> None:
        self._pause = None
        self._reactor.watch(self._fd, READ, self._ready)

    def _move(self) -> int:
        """Move one piece; returns its size, 0 after the end, -1 where there is nothing."""
        try:
            moved = self._sink.move(self._fd, self._capacity)
        except BlockingIOError:
            return -1
        if moved == 0:
            self.close()
        return moved

    def _grow(self) -> None:
        largest = LARGEST_CAPACITY if os.geteuid() == 0 else LARGEST_OF_A_USER
        if self._capacity >= largest:
            return
        try:
            self._capacity = fcntl.fcntl(self._fd, F_SETPIPE_SZ, largest)
        except OSError:
            self._capacity = largest  # not allowed, or no Linux: do not ask again
