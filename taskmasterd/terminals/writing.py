"""Writes what clients send into what a program reads, as the program reads it: nothing waits but in the kernel and with a writer.

Writers take turns: what one has begun is finished before another one begins, so that the inputs of two never mix. One that has
begun, and of whom nothing more comes for SILENCE_S while others wait, is refused.
"""

from __future__ import annotations

import os

from taskmasterd.system.loop.cmodules import deque
from taskmasterd.system.loop.reactor import WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from taskmasterd.keeping.keeping import Keeping
    from taskmasterd.system.loop.reactor import Reactor, Timer

    class Writer(Protocol):
        """A client that sends something. `pending` are the bytes that the program has yet to get."""

        pending: bytearray

        @property
        def more(self) -> bool:
            """Whether more of the same follows: then nobody else has a turn before."""

        def wrote(self, count: int, /) -> None:
            """Note that the kernel has taken so many bytes, which are no longer pending."""

        def refused(self, reason: str, /) -> None:
            """Note that the program cannot be reached any more."""


PIECE = 4096
"""Bytes written at once."""
SILENCE_S = 30.0
PIECES = 16
"""Most pieces written in one turn."""


class InputWriting:
    """Owns `fd`, which does not block: the write end of a pipe, or the master of a terminal. -1 once it is closed."""

    def __init__(self, reactor: Reactor, fd: int) -> None:
        self.fd = fd
        self._reactor = reactor
        self._writers: deque[Writer] = deque()
        self._waiting = False
        self._silence: tuple[Writer, Timer] | None = None
        os.set_blocking(fd, False)

    def push(self, writer: Writer) -> None:
        """Write what is pending with this writer, once those before have done."""
        if writer.pending and writer not in self._writers:  # a turn begins with the first byte
            self._writers.append(writer)
        if self._silence and writer.pending and writer is self._silence[0]:
            self._listen_for(None)
        if not self._waiting:
            self._write()

    def leave(self, writer: Writer) -> None:
        """Forget a writer, and what is pending with it."""
        if writer in self._writers:
            self._writers.remove(writer)
            if self._silence and self._silence[0] is writer:
                self._listen_for(None)
            if not self._waiting:
                self._write()

    def close(self, reason: str) -> None:
        """Close it; writers that wait learn why. A second call does nothing."""
        if self.fd < 0:
            return
        self._stop()
        self._listen_for(None)
        os.close(self.fd)
        self.fd = -1
        self._refuse(reason)

    def _refuse(self, reason: str) -> None:
        writers = tuple(self._writers)
        self._writers.clear()
        for writer in writers:
            writer.refused(reason)

    def _ready(self, _events: int) -> None:
        self._write()

    def _write(self) -> None:
        for _ in range(PIECES):
            if not self._writers or self.fd < 0:
                break
            writer = self._writers[0]
            if not writer.pending:
                if writer.more:
                    self._listen_for(writer if len(self._writers) > 1 else None)
                    break
                self._writers.popleft()
                continue
            try:
                count = os.write(self.fd, writer.pending[:PIECE])
            except BlockingIOError:
                self._wait()
                return
            except OSError:  # EPIPE: nobody reads it any more; EIO: the terminal has hung up
                self._stop()
                self._refuse("nobody reads it any more")
                return
            del writer.pending[:count]
            writer.wrote(count)
        if self._writers and self._writers[0].pending:
            self._wait()
        else:
            self._stop()

    def _listen_for(self, writer: Writer | None) -> None:
        """Give a writer who holds the turn, and has nothing to write, SILENCE_S to go on; None: nobody holds it so."""
        if self._silence and self._silence[0] is writer:
            return
        if self._silence:
            self._reactor.cancel(self._silence[1])
        self._silence = (writer, self._reactor.call_later(SILENCE_S, self._silent)) if writer else None

    def _silent(self) -> None:
        silent, self._silence = self._silence, None
        if silent and self._writers and self._writers[0] is silent[0]:
            self._writers.popleft().refused(f"nothing more came for {SILENCE_S:g}s, and others wait")
            if not self._waiting:
                self._write()

    def _wait(self) -> None:
        if not self._waiting:
            self._waiting = True
            self._reactor.watch(self.fd, WRITE, self._ready)

    def _stop(self) -> None:
        if self._waiting:
            self._waiting = False
            self._reactor.remove(self.fd)


class HeldInput:
    """What one instance reads, whose other holder is the keeper, under `key`."""

    def __init__(self, reactor: Reactor, keeping: Keeping, key: str, fd: int) -> None:
        self.key = key
        self.writing = InputWriting(reactor, fd)
        self._keeping = keeping

    @property
    def open(self) -> bool:
        """Whether something can be written."""
        return self.writing.fd >= 0

    def release(self) -> None:
        """Let go of it: nothing is left of the instance."""
        self._close("stopped")

    def _close(self, reason: str) -> None:
        if self.open:
            self._keeping.drop(self.key)
            self.writing.close(reason)
