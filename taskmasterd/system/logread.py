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
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

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


def check_readable(path: str) -> None:
    """Raise SystemFailure for what cannot be read back (FIFO, device) or may not be read; a missing file is none."""
    try:
        os.close(open_for_reading(path))
    except FileNotFoundError:
        return


class Past(Record):
    """A stretch of a log up to its present end: `length` bytes from `position` in `file`, `path` or what it was rotated to."""

    path: str
    file: str
    position: int
    length: int


def find_lines(path: str, count: int, most_bytes: int) -> Past:
    """Return where the last `count` lines are, at most `most_bytes`, going back into rotated files where they are needed.

    What follows the last newline counts as a line. It begins at the start of a line, unless not even one line fits. Holds
    one block at a time: a client may ask for all logs at once, and read slowly. Raises SystemFailure for what cannot be
    read back (FIFO, device) or may not be read.
    """
    depth = seen = 0
    wanted = count
    line = None
    past = Past(path, path, 0, 0)
    for file, start, block in _backwards(path):
        if count <= 0:
            return past
        wanted += not depth and block.endswith(b"\n")
        bound = max(0, len(block) - (most_bytes - depth))
        low = max(0, bound - 1)  # a newline just before the bound: a line begins exactly there
        newlines = block.count(b"\n", low)
        if seen + newlines >= wanted:
            at = len(block)
            for _ in range(wanted - seen):
                at = block.rfind(b"\n", low, at)
            return Past(path, file, start + at + 1, depth + len(block) - at - 1)
        seen += newlines
        first = block.find(b"\n", low)
        if first >= 0 and depth + len(block) - first > 1:
            line = Past(path, file, start + first + 1, depth + len(block) - first - 1)
        if bound:
            return line or Past(path, file, start + bound, most_bytes)
        depth += len(block)
        past = Past(path, file, start, depth)
    return past


def last_lines(path: str, count: int, most_bytes: int) -> bytes:
    """Return the last `count` lines as `find_lines` finds them; for few, since all of it is held."""
    past = find_lines(path, count, most_bytes)
    reader = Follower(path, past)
    try:
        pieces, left = [], past.length
        while left and (piece := reader.read(left)[0]):
            pieces.append(piece)
            left -= len(piece)
    finally:
        reader.close()
    return b"".join(pieces)


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


def _backwards(path: str) -> Iterator[tuple[str, int, bytes]]:
    """Yield (file, position, block) from the end of `path` to the beginning of its oldest rotated file."""
    for number in range(SURE_END):
        file = f"{path}.{number}" if number else path
        try:
            fd = open_for_reading(file)
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
                yield file, start, os.pread(fd, end - start, start)
                end = start
        finally:
            os.close(fd)


class Generation(Record):
    """One file of a log as it was seen: the present one or a rotated one."""

    path: str
    inode: tuple[int, int]
    size: int


class Follower:
    """Reads `path` from its end or from `past` on, over rotations and re-creation; waits for a file that is not there.

    `retired()` tells how many bytes have been at `path` and are not any more (`Sinks.retired`): with it, what was rotated
    out of existence before it could be read is counted exactly; without it, it goes uncounted.
    """

    def __init__(self, path: str, past: Past | None = None, retired: Callable[[], int] | None = None) -> None:
        """Open it. Raises SystemFailure for what cannot be read back or may not be read."""
        self._path = path
        self._retired = retired
        self._fd = -1
        self._closed = False
        self._position = 0
        self._base = retired() if retired else 0
        try:
            self._fd = open_for_reading(past.file if past else path)
        except FileNotFoundError:
            return
        if past is None:
            self._position = os.fstat(self._fd).st_size
            return
        self._position = past.position
        self._base -= sum(generation.size for generation in self._generations()[1:])

    def to_data(self) -> dict[str, Any]:
        """Return what another life of this process needs to read on; the descriptor, if any, has to be inherited."""
        return {"path": self._path, "fd": self._fd, "position": self._position, "base": self._base}

    def go_on(self, row: Mapping[str, Any]) -> None:
        """Read on where `to_data` was taken in an earlier life of this process."""
        self._leave()
        self._fd, self._position, self._base = row["fd"], row["position"], row["base"]
        if self._fd >= 0:
            os.set_inheritable(self._fd, False)

    def read(self, most: int) -> tuple[bytes, int]:
        """Return (at most `most` bytes, how many were missed before them); (b"", 0) when there is nothing new."""
        missed = 0
        while not self._closed:
            block = self._read_here(most)
            if block:
                return block, missed
            gap = self._go_on()
            if gap is None:
                break
            missed += gap
        return b"", missed

    def close(self) -> None:
        """Close the file for good; closing twice is no error."""
        self._closed = True
        self._leave()

    def _leave(self) -> None:
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
        self._leave()
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
