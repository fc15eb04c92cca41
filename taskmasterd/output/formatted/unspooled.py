"""Stands in for a spool where none can be made: what is not in the log yet is in memory alone."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.output.formatted.tail import Place


class Unspooled:
    """As `Spool`, without a file. A pipe that was taken over is read in any case: its program must not wait for ever."""

    name = ""

    def __init__(self) -> None:
        self._bytes = b""
        self.place: Place = (0, 0, 0)
        self.begun = 0
        self.pid = 0

    @property
    def left(self) -> int:
        """The number of bytes that are not done."""
        return len(self._bytes)

    def set_pid(self, pid: int) -> None:
        """Remember the pid of the program."""
        self.pid = pid

    def take(self, pipe: int, most: int) -> int:
        """Read what is in a pipe; return how many bytes, 0 at its end. Raises BlockingIOError, OSError."""
        block = os.read(pipe, most)
        self._bytes += block
        return len(block)

    def peek(self, most: int) -> bytes:
        """Return the first bytes that are not done."""
        return self._bytes[:most]

    def done(self, amount: int, place: Place, begun: int) -> None:
        """Say that so many more bytes are in the log, which now ends at `place`."""
        self._bytes = self._bytes[amount:]
        self.place, self.begun = place, begun

    def close(self, *, keep: bool) -> None:
        """Do nothing: there is no file."""
