"""Reads logs back from their files: the last lines, what one process wrote, and what is being added.

Read-only, by descriptors and positions of its own. Only regular files can be read back.
"""

from __future__ import annotations

import os
import stat

from taskmaster_common.errors import SystemFailure
from taskmaster_common.records import Record
from taskmasterd.system.safeopen import open_for_reading

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BLOCK = 65_536
MOST_WORDS = 5
MOST_WORD_BYTES = 8192
"""Bounds of what is quoted of a failed start."""
SURE_END = 1 << 62


def size_of(path: str) -> int:
    """Return the size of the regular file at `path`, 0 where there is none."""
    try:
        found = os.lstat(path)
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def last_lines(path: str, count: int, most_bytes: int) -> bytes:
    """Return the last `count` lines, at most `most_bytes`, going back into rotated files where they are needed.

    What follows the last newline counts as a line. The result begins at the start of a line, unless not even one line
    fits. Nothing written is b"". Raises SystemFailure for what cannot be read back (FIFO, device) or may not be read.
    """
    blocks: list[bytes] = []
    held = newlines = 0
    for block, _start in _backwards(path):
        if count <= 0:
            return b""
        piece = block[max(0, len(block) - (most_bytes + 1 - held)) :]  # one more: it tells whether a line begins there
        blocks.append(piece)
        held += len(piece)
        newlines += piece.count(b"\n")
        if held > most_bytes or newlines > count:
            break
    text = b"".join(reversed(blocks))
    cut = False
    if held > most_bytes:
        cut = not text.startswith(b"\n")
        newlines -= not cut
        text = text[1:]
    surplus = newlines + (not text.endswith(b"\n") and bool(text)) - count
    if surplus <= 0 and cut and 0 <= text.find(b"\n") < len(text) - 1:
        surplus = 1  # the cut went through the first line
    first = 0
    for _ in range(surplus):
        first = text.index(b"\n", first) + 1
    return text[first:]


def tail_since(path: str, began: int) -> list[str]:
    """Return the last lines of what was written to `path` since it was `began` bytes long; [] where that is unknown."""
    size = size_of(path)
    fresh = size - began if size >= began else size + max(0, size_of(f"{path}.1") - began)
    if not fresh:
        return []
    try:
        text = last_lines(path, MOST_WORDS, min(fresh, MOST_WORD_BYTES))
    except SystemFailure:
        return []
    return text.removesuffix(b"\n").decode("utf-8", "surrogateescape").split("\n") if text else []


def _backwards(path: str) -> Iterator[tuple[bytes, int]]:
    """Yield (block, its position in its file) from the end of `path` to the beginning of its oldest rotated file."""
    for number in range(SURE_END):
        try:
            fd = open_for_reading(f"{path}.{number}" if number else path)
        except FileNotFoundError:
            if number:
                return
            continue  # the present file was deleted; what was rotated is still there
        except SystemFailure:
            if number:
                return  # not a file of ours
            raise
        try:
            end = os.fstat(fd).st_size
            while end > 0:
                start = max(0, end - BLOCK)
                yield os.pread(fd, end - start, start), start
                end = start
        finally:
            os.close(fd)


class Generation(Record):
    """One file of a log as it was seen: the present one or a rotated one."""

    path: str
    inode: tuple[int, int]
    size: int


class Follower:
    """Reads what is added to `path` from now on, over rotations and re-creation; waits for a file that is not there.

    `retired()` tells how many bytes have been at `path` and are not any more (`Sinks.retired`): with it, what was rotated
    out of existence before it could be read is counted exactly; without it, it goes uncounted.
    """

    def __init__(self, path: str, position: int | None = None, retired: Callable[[], int] | None = None) -> None:
        """`position` None: from the end. Raises SystemFailure for what cannot be read back or may not be read."""
        self._path = path
        self._retired = retired
        self._fd = -1
        self._position = 0
        self._base = retired() if retired else 0
        try:
            self._fd = open_for_reading(path)
        except FileNotFoundError:
            return
        self._position = os.fstat(self._fd).st_size if position is None else position

    def read(self, most: int) -> tuple[bytes, int]:
        """Return (at most `most` bytes, how many were missed before them); (b"", 0) when there is nothing new."""
        missed = 0
        while True:
            block = self._read_here(most)
            if block:
                return block, missed
            gap = self._go_on()
            if gap is None:
                return b"", missed
            missed += gap

    def close(self) -> None:
        """Close the file; closing twice is no error."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _read_here(self, most: int) -> bytes:
        if self._fd < 0:
            return b""
        block = os.pread(self._fd, most, self._position)
        if not block and os.fstat(self._fd).st_size < self._position:
            self._position = 0  # somebody truncated the file
            block = os.pread(self._fd, most, 0)
        self._position += len(block)
        return block

    def _go_on(self) -> int | None:
        """Open the file that follows the one which is read to its end; returns how many bytes lie between them.

        None where nothing follows yet.
        """
        generations = self._generations()
        if not generations:
            return None
        own = self._inode()
        if generations[0].inode == own:
            return None
        present = self._retired() if self._retired else self._base + self._position
        found = next((n for n, generation in enumerate(generations) if generation.inode == own), None)
        follows = found - 1 if found is not None else self._first_unread(generations, present)
        starts = present - sum(generation.size for generation in generations[1 : follows + 1])
        try:
            fd = open_for_reading(generations[follows].path)
        except (FileNotFoundError, SystemFailure):
            return None
        missed = 0 if found is not None else max(0, starts - self._base - self._position)
        self.close()
        self._fd, self._position, self._base = fd, 0, starts
        return missed

    def _first_unread(self, generations: list[Generation], present: int) -> int:
        """Return the index of the oldest file that begins where we are or later, 0 where that is not known."""
        start, oldest = present, 0
        for number, generation in enumerate(generations[1:], 1):
            start -= generation.size
            if not self._retired or start < self._base + self._position:
                break
            oldest = number
        return oldest

    def _inode(self) -> tuple[int, int] | None:
        if self._fd < 0:
            return None
        found = os.fstat(self._fd)
        return found.st_dev, found.st_ino

    def _generations(self) -> list[Generation]:
        """Return the present file and those it was rotated to, newest first; [] where there is no present one."""
        generations: list[Generation] = []
        own = self._inode()
        for number in range(SURE_END):
            path = f"{self._path}.{number}" if number else self._path
            try:
                found = os.lstat(path)
            except OSError:
                break
            generation = Generation(path, (found.st_dev, found.st_ino), found.st_size)
            generations.append(generation)
            if generation.inode == own:
                break
        return generations
