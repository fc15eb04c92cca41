"""Reads the history back, in pieces: forwards from a record on, and backwards from the end. Loaded with the first such request."""

from __future__ import annotations

import os

from taskmaster_common.errors import SystemFailure
from taskmasterd.telling.segments import PIECE, Directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmasterd.telling.segments import Segment

AFTER_SEQ = len(b'{"seq":')


def seq_of(line: bytes) -> int:
    """Return the number with which a line begins, 0 for a line that is none of ours."""
    digits = line[AFTER_SEQ : line.find(b",", AFTER_SEQ)]
    return int(digits) if digits.isdigit() else 0


def time_of(line: bytes) -> str:
    """Return the time of a line as it is written, "" for a line that is none of ours."""
    return line.partition(b'"time":"')[2].partition(b'"')[0].decode("ascii", "replace")


def backwards(place: str) -> Iterator[list[bytes]]:
    """Yield the lines of a history, in pieces: the newest piece first, the lines of each in their order.

    Raises OSError or SystemFailure where it cannot be read; a history that does not exist has no lines.
    """
    for segment in reversed(segments_of(place)):
        yield from _backwards(place, segment)


def _backwards(place: str, segment: Segment) -> Iterator[list[bytes]]:
    fd = _open(place, segment)
    if fd is None:
        return
    try:
        end = os.fstat(fd).st_size
        carried = b""
        while end > 0:
            start = max(0, end - PIECE)
            block = os.pread(fd, end - start, start) + carried
            end = start
            if start:
                first, newline, block = block.partition(b"\n")
                carried = first + newline
            yield block.split(b"\n")[:-1]
    finally:
        os.close(fd)


def segments_of(place: str) -> list[Segment]:
    """Return the files of a history, the oldest first; [] for one that does not exist. Raises OSError or SystemFailure."""
    try:
        with Directory(place) as directory:
            return directory.segments()
    except SystemFailure:
        if not os.path.lexists(os.path.dirname(place)):
            return []
        raise


def _open(place: str, segment: Segment) -> int | None:
    """Open a file; None if it was removed meanwhile."""
    try:
        with Directory(place) as directory:
            return directory.open(segment.name, os.O_RDONLY)
    except FileNotFoundError:
        return None


class Forwards:
    """A place in a history from which it is read on: `seq` is the number of the next record."""

    def __init__(self, place: str, seq: int) -> None:
        self.seq = seq
        self._place = place
        self._fd = -1
        self._offset = 0
        self._first = 0

    def read(self) -> list[bytes]:
        """Return the next complete lines, at most a piece of them; [] where there are none yet. Raises OSError, SystemFailure."""
        while True:
            if self._fd < 0 and not self._next():
                return []
            block = os.pread(self._fd, PIECE, self._offset)
            whole = block.rfind(b"\n") + 1
            if whole:
                self._offset += whole
                lines = [line for line in block[: whole - 1].split(b"\n") if seq_of(line) >= self.seq]
                if lines:
                    self.seq = seq_of(lines[-1]) + 1
                    return lines
            elif len(block) == PIECE:
                self._offset += PIECE  # no line of ours is as long
            elif not self._next():
                return []

    def _next(self) -> bool:
        """Open the file that the next record is in, or the one after this; returns whether there is one."""
        segments = segments_of(self._place)
        later = [each for each in segments if each.first > self._first]
        if self._fd < 0:
            before = [each for each in segments if each.first <= self.seq]
            later = [*before[-1:], *[each for each in segments if each.first > self.seq]]
        for segment in later:
            fd = _open(self._place, segment)
            if fd is not None:
                self.close()
                self._fd, self._offset, self._first = fd, 0, segment.first
                return True
        return False

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
