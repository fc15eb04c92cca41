"""Reading back what was written: the last lines, over rotated files, and what is added from now on.

Everything is read from the files, so that nothing of it needs memory in the daemon.
"""

from __future__ import annotations

import os
import stat

from taskmaster_common.errors import SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

BLOCK = 64 * 1024
LAST_WORDS_BYTES = 4096
LAST_WORDS = 5
READ_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC | os.O_NOFOLLOW


def size_of(path: str) -> int:
    """Return the size of a file, 0 where there is none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def tail_since(path: str, began: int) -> list[str]:
    """Return the last lines that were written behind `began` bytes, as text for people; a rotated file counts whole."""
    try:
        fd = _open(path)
    except SystemFailure:
        return []
    if fd < 0:
        return []
    try:
        size = os.fstat(fd).st_size
        start = max(began if began <= size else 0, size - LAST_WORDS_BYTES)
        block = os.pread(fd, size - start, start)
    finally:
        os.close(fd)
    return block.decode("utf-8", "replace").splitlines()[-LAST_WORDS:]


def last_lines(path: str, count: int, most: int) -> bytes:
    """Return the last `count` lines, at most `most` bytes; an unfinished line counts as one.

    Where the file has fewer, the rotated ones before it are read too. Raises SystemFailure where it cannot be read back.
    """
    pieces: list[bytes] = []
    number = 0
    while count > 0 and most > 0:
        fd = _open(path if not number else f"{path}.{number}")
        if fd < 0:
            if number:
                break
            number += 1
            continue
        try:
            block = _last_of(fd, count, most)
        finally:
            os.close(fd)
        pieces.append(block)
        count -= block.count(b"\n") + (block[-1:] not in (b"", b"\n"))
        most -= len(block)
        number += 1
    return b"".join(reversed(pieces))


def _last_of(fd: int, count: int, most: int) -> bytes:
    """Return the last lines of one file, reading backwards."""
    at = os.fstat(fd).st_size
    found = b""
    while at > 0 and len(found) < most:
        step = min(BLOCK, at, most - len(found))
        at -= step
        found = os.pread(fd, step, at) + found
        if found.count(b"\n") > count:
            break
    cut = len(found) - found.endswith(b"\n")
    for _ in range(count):
        cut = found.rfind(b"\n", 0, cut)
        if cut < 0:
            return found
    return found[cut + 1 :]


class Follower:
    """Reads what is added to the file at `path`, over rotation, deletion and truncation; waits for one that is missing.

    It keeps the file that it reads open, so nothing of that one is lost when it is rotated away; files that came and went
    while the reader lagged are counted as missed. `on_grown` is called when there is something new.
    """

    def __init__(self, path: str, on_grown: Callable[[], None]) -> None:
        """Begin at the present end. Raises SystemFailure where the path is no regular file."""
        self.path = path
        self._on_grown = on_grown
        self._fd = _open(path)
        self._at = os.fstat(self._fd).st_size if self._fd >= 0 else 0
        self._missed = 0

    def read(self, most: int) -> tuple[bytes, int]:
        """Return (new bytes, how many bytes before them were missed); (b"", 0) where there is nothing new."""
        while True:
            block = self._here(most)
            if block:
                return block, 0
            if not self._next_file():
                return b"", 0
            missed, self._missed = self._missed, 0
            if missed:
                return b"", missed

    def grown(self) -> None:
        """Told by the sink."""
        self._on_grown()

    def rotated(self, inode: int, size: int) -> None:
        """Told by the sink: another file is complete and has been moved away."""
        if self._fd < 0 or os.fstat(self._fd).st_ino != inode:
            self._missed += size

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _here(self, most: int) -> bytes:
        if self._fd < 0:
            return b""
        block = os.pread(self._fd, most, self._at)
        if not block and os.fstat(self._fd).st_size < self._at:
            self._at = 0  # truncated in place
            block = os.pread(self._fd, most, 0)
        self._at += len(block)
        return block

    def _next_file(self) -> bool:
        """Go on with the file that is at the path now, if it is another one."""
        try:
            fd = _open(self.path)
        except SystemFailure:
            return False
        if fd < 0:
            return False
        if self._fd >= 0 and os.path.sameopenfile(fd, self._fd):
            os.close(fd)
            return False
        self.close()
        self._fd, self._at = fd, 0
        return True


def _open(path: str) -> int:
    """Return a descriptor for reading, -1 where there is no file. Raises SystemFailure where it is no regular file."""
    try:
        fd = os.open(path, READ_FLAGS)
    except FileNotFoundError:
        return -1
    except OSError as error:
        raise SystemFailure("read log", path, (error.strerror or str(error)).lower(), error.errno or 0) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise SystemFailure("read log", path, "it is no regular file, what went into it cannot be read back")
    return fd
