"""A log that is a regular file: bytes go to its end, and it rotates at a size.

The kernel moves the bytes where it can (splice): they are in the pipe or in the file, never only in the daemon. The file
is not opened with O_APPEND, which splice refuses; its end is looked up before each move. Rotation happens between two
moves by rename alone: no byte is copied, so none is lost or doubled, whenever the daemon dies.
"""

from __future__ import annotations

import errno
import os
import stat

from taskmaster_common.errors import SystemFailure
from taskmasterd.system.safeopen import open_log, reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Told(Protocol):
        """Whom the file belongs to."""

        def lost(self, error: OSError, amount: int, /) -> None:
            """So many bytes were dropped; the file may be closed here."""

        def warn(self, text: str, /) -> None:
            """Something else went wrong."""


NEVER = 1 << 62
SLACK = 1024 * 1024
"""A file that does not come to the end of a line is rotated so many bytes above its limit."""
STEPPED = 4096
"""So many bytes above the limit are moved one by one, each time looking for the end of the line."""
PIECES_AT_ONCE = 16
"""So many rotations of a file with a tiny limit are made in one turn."""


class GoneError(Exception):
    """The file has no name any more: somebody deleted it."""


class LogFile:
    """An open regular file. `retired` counts the bytes in files that were rotated away.

    `told` hears what could not be written, and why a rotation failed.
    """

    __slots__ = (
        "_backups",
        "_can_splice",
        "_max_bytes",
        "_owner",
        "_path",
        "_rotate_at",
        "_told",
        "fd",
        "retired",
    )

    def __init__(
        self,
        fd: int,
        path: str,
        owner: tuple[int, int] | None,
        told: Told,
    ) -> None:
        self.fd = fd
        self.retired = 0
        self._path = path
        self._owner = owner
        self._told = told
        self._can_splice = hasattr(os, "splice")
        self.set_limits(0, 0)

    def set_limits(self, max_bytes: int, backups: int) -> None:
        """Rotate at `max_bytes` (0: never) and keep `backups` files, from now on."""
        self._max_bytes = max_bytes
        self._backups = backups
        self._rotate_at = max_bytes or NEVER

    def size(self) -> int:
        """Return the number of bytes in the file."""
        return os.fstat(self.fd).st_size

    def move(self, pipe: int, most: int) -> int:
        """Move what is in a pipe, up to `most` bytes from one rotation to the next; returns how many left it, 0 at its end.

        It stops at the end of a line, or of what was written at once (≤ 4096 bytes) if the pipe holds no more than `most`.
        Raises GoneError, BlockingIOError when the pipe is empty, OSError when the file cannot be written.
        """
        moved = 0
        for _ in range(PIECES_AT_ONCE):
            try:
                piece, cut = self._move_piece(pipe, most)
            except OSError:
                if moved:
                    return moved  # the next move meets it again
                raise
            moved += piece
            if not cut:
                break
        return moved

    def append(self, block: bytes) -> None:
        """Write a block at the end. Raises GoneError; what cannot be written was told to `lost`."""
        size = self._end()
        if self._write(block, size) and size + len(block) >= self._rotate_at and block.endswith(b"\n"):
            self._rotate(size + len(block))

    def close(self) -> None:
        """Close the file."""
        os.close(self.fd)
        self.fd = -1

    # -- moving

    def _move_piece(self, pipe: int, most: int) -> tuple[int, bool]:
        """Move up to the next point where the file may have to be rotated; returns (bytes, whether there may be more)."""
        size = self._end()
        if size >= self._rotate_at and self._at_line_end(size):
            self._rotate(size)
            size = self._end()
        limit = self._rotate_at
        if size < limit:
            wanted = min(most, limit - size)
        elif size < limit + STEPPED:
            wanted = 1
        else:
            wanted = max(1, min(most, limit + SLACK - size))
        moved = self._transfer(pipe, size, wanted)
        if not moved or size + moved < limit or self.fd < 0:  # closed by `lost` in the meantime
            return moved, False
        return moved + self._finish_line(pipe), wanted < most

    def _finish_line(self, pipe: int) -> int:
        """Move byte by byte until the line ends, and rotate there or at the limit + 1 MiB; returns how many bytes."""
        size = began = self._end()
        while size < self._rotate_at + SLACK and not self._at_line_end(size):
            if size >= self._rotate_at + STEPPED:
                return size - began
            try:
                if not self._transfer(pipe, size, 1):
                    return size - began
            except OSError:
                return size - began  # an empty pipe, or what the next move meets again
            size += 1
        self._rotate(size)
        return size - began

    def _transfer(self, pipe: int, offset: int, count: int) -> int:
        """Have the kernel move bytes where it can. Source: splice(2): EINVAL where this file system cannot do it."""
        if self._can_splice:
            try:
                return os.splice(pipe, self.fd, count, offset_dst=offset, flags=os.SPLICE_F_NONBLOCK)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
            self._can_splice = False
        block = os.read(pipe, count)
        self._write(block, offset)
        return len(block)

    def _write(self, block: bytes, offset: int) -> bool:
        """Write all of a block; returns whether that was possible. What is missing was told to `lost`."""
        view = memoryview(block)
        while view:
            try:
                written = os.pwrite(self.fd, view, offset)
            except OSError as error:
                self._told.lost(error, len(view))
                return False
            offset += written
            view = view[written:]
        return True

    def _end(self) -> int:
        found = os.fstat(self.fd)
        if not found.st_nlink:
            raise GoneError
        return found.st_size

    def _at_line_end(self, size: int) -> bool:
        return os.pread(self.fd, 1, size - 1) == b"\n"

    # -- rotation

    def _rotate(self, size: int) -> None:
        """Start a new file. Where that fails the old one is used on, and it is tried again 1 MiB later."""
        try:
            if self._is_at_its_path():
                shift(self._path, self._backups)
            self._swap(open_log(self._path, self._owner), size)
        except (OSError, SystemFailure) as error:
            self._rotate_at = size + SLACK
            reason = reason_of(error) if isinstance(error, OSError) else str(error)
            self._told.warn(f"cannot rotate {self._path}: {reason}")

    def _swap(self, fd: int, size: int) -> None:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EEXIST, "something else has taken its place")
        os.close(self.fd)
        self.fd = fd
        self.retired += size
        self._rotate_at = self._max_bytes or NEVER

    def _is_at_its_path(self) -> bool:
        try:
            return os.path.samestat(os.lstat(self._path), os.fstat(self.fd))
        except FileNotFoundError:
            return False  # renamed by somebody else, who is spared a second renaming


def shift(path: str, backups: int) -> None:
    """Rename `path` to `path`.1, what is in the way to .2 and so on; the last of `backups` goes. Raises OSError.

    A daemon that dies in between leaves a gap in the numbers; the next rotation fills it before anything is overwritten.
    """
    if not backups:
        os.unlink(path)
        return
    free = next((n for n in range(1, backups) if not os.path.lexists(f"{path}.{n}")), backups)
    for n in range(free, 1, -1):
        os.rename(f"{path}.{n - 1}", f"{path}.{n}")
    os.rename(path, f"{path}.1")
