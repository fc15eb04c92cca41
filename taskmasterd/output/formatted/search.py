"""Where a time begins in a log whose lines have times: over rotated files, by bisection. Read-only, as `output.read`."""

from __future__ import annotations

import os

from taskmaster_common.errors import SystemFailure
from taskmaster_common.text.lineformat import NEWLINE, STAMP_LENGTH, STAMP_WITHIN, seconds_of, stamp_at
from taskmasterd.output.read import BLOCK, MOST_FILES, MOST_MISSING, Past
from taskmasterd.output.safe.open import Spot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Sequence


def search_times(path: str, moments: Sequence[float]) -> Generator[None, None, list[int]]:
    """Return for each moment (seconds since the epoch) how many of the last bytes of a log are lines of then or later.

    Lines without a time belong to the one before. Yields after each file. Raises SystemFailure, as `search_lines`.
    """
    depth = missing = 0
    found: dict[int, int] = {}
    for number in range(MOST_FILES):
        yield
        try:
            with Spot(path) as spot:
                fd = spot.open_for_reading(f".{number}" if number else "")
        except FileNotFoundError:
            missing += 1
            if missing > MOST_MISSING:
                break
            continue
        except OSError as error:
            raise SystemFailure("read log", path, os.strerror(error.errno or 0), error.errno or 0) from None
        except SystemFailure:
            if not number:
                raise
            continue
        missing = 0
        try:
            size = os.fstat(fd).st_size
            first = _first_from(fd, 0, size)[1]
            for at, moment in enumerate(moments):
                if at not in found and first is not None and first < moment:
                    found[at] = depth + size - _bisect(fd, size, moment)
        finally:
            os.close(fd)
        depth += size
        if len(found) == len(moments):
            break
    return [found.get(at, depth) for at in range(len(moments))]


def stretch(path: str, begin: int, end: int) -> Past:
    """Return what lies between the last `begin` and the last `end` bytes of a log, from the start of a line on.

    Less where the files have fewer bytes. Raises FileNotFoundError, SystemFailure.
    """
    depth = 0
    past = Past(path, path, 0, 0)
    with Spot(path) as spot:
        for number in range(MOST_FILES):
            suffix = f".{number}" if number else ""
            try:
                fd = spot.open_for_reading(suffix)
            except (FileNotFoundError, SystemFailure):
                if number > MOST_MISSING:
                    break
                continue
            try:
                size = os.fstat(fd).st_size
                position = max(0, depth + size - begin)
                position = _line_start(fd, position, size) if position else 0
            finally:
                os.close(fd)
            past = Past(path, path + suffix, position, max(0, depth + size - position - end))
            depth += size
            if depth >= begin:
                break
    return past


def _bisect(fd: int, size: int, moment: float) -> int:
    """Return where the first line of `moment` or later begins."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        position, found = _first_from(fd, middle, size)
        if found is None or found >= moment:
            high = middle
        else:
            low = position + 1
    return _first_from(fd, low, size)[0]


def _first_from(fd: int, position: int, size: int) -> tuple[int, float | None]:
    """Return where the first line with a time begins at `position` or later, and its time; (size, None) without one."""
    position = _line_start(fd, position, size)
    while position < size:
        line = os.pread(fd, STAMP_WITHIN + STAMP_LENGTH, position).partition(NEWLINE)[0]
        at = stamp_at(line)
        if at >= 0:
            return position, seconds_of(line[at : at + STAMP_LENGTH])
        position = _line_start(fd, position + 1, size)
    return size, None


def _line_start(fd: int, position: int, size: int) -> int:
    """Return where the first line begins at `position` or later."""
    at = position - 1
    while 0 <= at < size:
        block = os.pread(fd, BLOCK, at)
        newline = block.find(NEWLINE)
        if newline >= 0:
            return at + newline + 1
        if not block:
            break
        at += len(block)
    return 0 if position <= 0 else size
