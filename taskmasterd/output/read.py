"""Reads logs back from their files: the last lines, what one process wrote, and what is being added.

Read-only, by descriptors and positions of its own. Only regular files can be read back.
"""

from __future__ import annotations

import os
import stat

from taskmaster_common.devices import is_system_name
from taskmaster_common.errors import SystemFailure
from taskmaster_common.records import Record
from taskmasterd.output.safe.open import NOT_REGULAR, Spot, reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping
    from typing import Any

BLOCK = 65_536
MOST_WORDS = 5
MOST_WORD_BYTES = 8192
"""Lines and bytes that are quoted of a failed start, at most."""
MOST_FILES = 10_001
"""A log and the most rotated files that can be configured."""
MOST_MISSING = 1
"""Numbers in a row that may be missing: an unfinished rotation leaves a gap."""
FILES_AT_ONCE = 256
"""Files that a search opens in one turn."""


def check_readable(path: str) -> None:
    """Raise SystemFailure if the log cannot be read back (FIFO, device) or may not be read. A missing file is fine."""
    try:
        with _spot(path) as spot:
            os.close(spot.open_for_reading())
    except FileNotFoundError:
        return


def _spot(path: str) -> Spot:
    """Return the place of a log. Raises FileNotFoundError, SystemFailure."""
    if is_system_name(path):
        raise SystemFailure("read log", path, NOT_REGULAR)
    try:
        return Spot(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SystemFailure("read log", path, reason_of(error), error.errno or 0) from None


class Past(Record):
    """A stretch of a log up to its present end: `length` bytes from `position` in `file`, which is `path` or a rotated file."""

    path: str
    file: str
    position: int
    length: int


def find_lines(path: str, count: int, most_bytes: int, files: int = MOST_FILES) -> Past:
    """Return what `search_lines` finds, in one go."""
    search = search_lines(path, count, most_bytes, files)
    while True:
        try:
            next(search)
        except StopIteration as found:
            past: Past = found.value
            return past


def search_lines(path: str, count: int, most_bytes: int, files: int = MOST_FILES) -> Generator[None, None, Past]:
    """Return where the last `count` lines are, at most `most_bytes`, going back into rotated files if necessary.

    What follows the last newline counts as a line. The stretch begins at the start of a line, unless not even one line fits.
    Holds one block at a time: a client may ask for all logs at once, and read slowly. Yields after a bounded amount of work.
    Looks at `files` files at most; for no lines it returns the end. Raises SystemFailure for what cannot be read back (FIFO, device)
    or may not be read.
    """
    depth = seen = 0
    wanted = count
    line = None
    past = Past(path, path, 0, 0)
    if count <= 0:
        try:
            with _spot(path) as spot:
                return past.replace(position=_size(spot, ""))
        except FileNotFoundError:
            return past
    for found in _backwards(path, files):
        if found is None:
            yield
            continue
        file, start, block = found
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


def tail_since(path: str, start: int) -> list[str]:
    """Return the last lines that were written to `path` since it was `start` bytes long; [] where that is unknown."""
    try:
        with _spot(path) as spot:
            size = _size(spot, "")
            fresh = size - start if size >= start else size + max(0, _size(spot, ".1") - start)
        if not fresh:
            return []
        text = _bytes_of(find_lines(path, MOST_WORDS, min(fresh, MOST_WORD_BYTES), files=2))
    except (SystemFailure, OSError):
        return []
    return text.removesuffix(b"\n").decode("utf-8", "surrogateescape").split("\n") if text else []


def last_lines(path: str, count: int, most_bytes: int) -> bytes:
    """Return the last `count` lines as `find_lines` finds them; only for a few, since all are held at once."""
    return _bytes_of(find_lines(path, count, most_bytes))


def _bytes_of(past: Past) -> bytes:
    reader = Follower(past.path, past)
    try:
        pieces: list[bytes] = []
        left = past.length
        while left and (piece := reader.read(left)[0]):
            pieces.append(piece)
            left -= len(piece)
    finally:
        reader.close()
    return b"".join(pieces)


def _size(spot: Spot, suffix: str) -> int:
    """Return the size of a regular file of a log; 0 without such a file."""
    try:
        found = spot.look(suffix)
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0


def _backwards(path: str, files: int) -> Iterator[tuple[str, int, bytes] | None]:
    """Yield (file, position, block) from the end of `path` to the beginning of its oldest rotated file.

    None means that others may have a turn.
    """
    try:
        spot = _spot(path)
    except FileNotFoundError:
        return
    missing = 0
    with spot:
        for number in range(files):
            suffix = _suffix(number)
            if number % FILES_AT_ONCE == FILES_AT_ONCE - 1:
                yield None
            try:
                fd = spot.open_for_reading(suffix)
            except FileNotFoundError:
                missing += 1
                if missing > MOST_MISSING:
                    return
                continue
            except SystemFailure:
                if not number:
                    raise
                continue  # not a file of this log
            missing = 0
            try:
                end = os.fstat(fd).st_size
                while end > 0:
                    start = max(0, end - BLOCK)
                    yield path + suffix, start, os.pread(fd, end - start, start)
                    end = start
            finally:
                os.close(fd)


def _suffix(number: int) -> str:
    return f".{number}" if number else ""


class Generation(Record):
    """One file of a log at the time of the look: the present one (number 0) or a rotated one."""

    number: int
    inode: tuple[int, int]
    size: int


def _generations(spot: Spot, own: tuple[int, int] | None) -> list[Generation]:
    """Return the files of a log up to the one with the inode `own`, newest first; [] without a present one."""
    generations: list[Generation] = []
    missing = 0
    for number in range(MOST_FILES):
        try:
            found = spot.look(_suffix(number))
        except OSError:
            missing += 1
            if not number or missing > MOST_MISSING:
                break
            continue
        missing = 0
        if not stat.S_ISREG(found.st_mode):
            continue
        generations.append(Generation(number, (found.st_dev, found.st_ino), found.st_size))
        if generations[-1].inode == own:
            break
    return generations


class Follower:
    """Reads `path` from its end or from `past` on, over rotations and re-creation; waits for a file that is not there.

    `retired()` returns how many bytes have left `path` (`Sinks.retired`): with it, bytes that were rotated out of existence
    before they could be read are counted exactly; without it, they are not counted.
    """

    def __init__(self, path: str, past: Past | None = None, retired: Callable[[], int] | None = None) -> None:
        """Open it. Raises SystemFailure for what cannot be read back or may not be read."""
        self._path = path
        self._retired = retired
        self._fd = -1
        self._closed = False
        self._position = 0
        self._depth = 0
        self._base = retired() if retired else 0
        try:
            with _spot(path) as spot:
                self._fd = spot.open_for_reading(past.file[len(path) :] if past else "")
                generations = _generations(spot, self._inode()) if past else []
        except FileNotFoundError:
            return
        if past is None:
            self._position = os.fstat(self._fd).st_size
            return
        self._position = past.position
        self._base -= sum(generation.size for generation in generations[1:])

    @property
    def place(self) -> str:
        """Where the next byte is: the inode of the file and the position in it."""
        own = self._inode()
        return f"{own[1]}:{self._position}" if own else ""

    def behind(self) -> int:
        """Return how many bytes are not read yet, 0 where that is unknown."""
        try:
            present = os.stat(self._path).st_size + (self._retired() if self._retired else self._base)
        except OSError:
            return 0
        return max(0, present - self._base - self._position)

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade to read on; the descriptor, if any, has to be inherited."""
        return {"path": self._path, "fd": self._fd, "position": self._position, "base": self._base}

    def go_on(self, row: Mapping[str, Any]) -> None:
        """Read on where `to_data` was called before the upgrade."""
        self._leave()
        self._depth = 0
        self._fd, self._position, self._base = row["fd"], row["position"], row["base"]
        if self._fd >= 0:
            os.set_inheritable(self._fd, False)

    def read(self, most: int) -> tuple[bytes, int]:
        """Return (at most `most` bytes, how many were missed before them); (b"", 0) without news."""
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
        """Close the file for good. A second call does nothing."""
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
            self._base = self._retired() if self._retired else self._base
            block = os.pread(self._fd, most, 0)
        self._position += len(block)
        return block

    def _go_on(self) -> int | None:
        """Open the file that follows the one that has been read to its end; return how many bytes lie between them.

        None as long as nothing follows.
        """
        if self._is_present():
            return None
        try:
            with _spot(self._path) as spot:
                return self._go_on_in(spot)
        except (OSError, SystemFailure):
            return None

    def _is_present(self) -> bool:
        """Return whether the open file has the log's name; only a hint, which saves the walk at each poke."""
        try:
            return self._fd >= 0 and os.path.samestat(os.lstat(self._path), os.fstat(self._fd))
        except OSError:
            return False

    def _go_on_in(self, spot: Spot) -> int | None:
        own = self._inode()
        depth = self._find(spot, own) if own else None
        if depth == 0:
            return None
        if depth:
            number, starts, missed = depth - 1, self._base + self._position, 0
            while number and not _is_regular(spot, number):
                number -= 1
        else:
            generations = _generations(spot, own)
            if not generations:
                return None
            present = self._retired() if self._retired else self._base + self._position
            follows = self._first_unread(generations, present)
            starts = present - sum(generation.size for generation in generations[1 : follows + 1])
            number, missed = generations[follows].number, max(0, starts - self._base - self._position)
        fd = spot.open_for_reading(_suffix(number))
        self._leave()
        self._fd, self._position, self._base, self._depth = fd, 0, starts, number
        return missed

    def _find(self, spot: Spot, own: tuple[int, int]) -> int | None:
        """Return the number of the open file, or None. Files only move up: the search begins where it was last."""
        missing = 0
        for number in range(self._depth, MOST_FILES):
            try:
                found = spot.look(_suffix(number))
            except OSError:
                missing += 1
                if missing > MOST_MISSING:
                    return None
                continue
            missing = 0
            if (found.st_dev, found.st_ino) == own:
                self._depth = number
                return number
        return None

    def _first_unread(self, generations: list[Generation], present: int) -> int:
        """Return the index of the oldest file that begins at the reader's position or later, 0 where that is unknown."""
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


def _is_regular(spot: Spot, number: int) -> bool:
    try:
        return stat.S_ISREG(spot.look(_suffix(number)).st_mode)
    except OSError:
        return False
