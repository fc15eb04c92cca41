"""A log that is a regular file: bytes go to its end.

The kernel moves the bytes where it can (splice): they are in the pipe or in the file, never only in the daemon. The file
is not opened with O_APPEND, which splice refuses; its end is looked up before each move. It rotates between two moves
(`rotation`). While a rotation is pending, or the descriptor cannot leave the parking lot, the file is `busy`: ask before
each move, and wait where it says so.
"""

from __future__ import annotations

import errno
import os

from taskmasterd.output.log.parking import LogDescriptor
from taskmasterd.output.log.rotation import SLACK, Rotation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.output.log.parking import Parking
    from taskmasterd.output.log.rotation import Allowance, LossListener

STEPPED = 4096
"""Bytes above the limit that are moved one by one, with a look for the end of the line after each."""
PIECES_AT_ONCE = 16
"""Most rotations of a file with a tiny limit in one turn."""
ERRORS_OF_THE_FILE = frozenset(
    {
        errno.EAGAIN,
        errno.EINTR,
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EIO,
        errno.EROFS,
        errno.ENOMEM,
        errno.ESTALE,
    }
)
"""Errors of splice(2) that read and write would meet as well. Any other one means that splice itself is refused:
EINVAL by a file system; ENOSYS, EPERM, EACCES or any other by a filter of system calls."""


class GoneError(Exception):
    """The file has no name any more: somebody deleted it."""


class LogFile:
    """An open regular file. `listener` hears what could not be written, and why a rotation failed."""

    __slots__ = ("_can_splice", "_descriptor", "_listener", "_rotation")

    def __init__(
        self,
        fd: int,
        path: str,
        owner: tuple[int, int] | None,
        listener: LossListener,
        allowance: Allowance | None = None,
        parking: Parking | None = None,
    ) -> None:
        self._descriptor = LogDescriptor(fd, parking)
        self._listener = listener
        self._rotation = Rotation(self._descriptor, path, owner, listener, allowance)
        self._can_splice = hasattr(os, "splice")

    def set_limits(self, max_bytes: int, backups: int) -> None:
        """Rotate at `max_bytes` (0: never) and keep `backups` files, from now on."""
        self._rotation.set_limits(max_bytes, backups)

    @property
    def fd(self) -> int:
        """The descriptor, -1 once it is closed. Raises OSError where it is parked and the table is full."""
        return self._descriptor.fd

    @property
    def parked(self) -> bool:
        """Whether the descriptor is out of the table."""
        return self._descriptor.lot is not None

    def size(self) -> int:
        """Return the number of bytes in the file."""
        return os.fstat(self.fd).st_size

    def busy(self) -> bool:
        """Return whether nothing can be written yet, after another piece was done of what has to come first."""
        if self._descriptor.lot is not None:
            try:
                self.fd  # noqa: B018 - brings it back
            except OSError:
                return True
        return self._rotation.pending and not self._rotation.make_room()

    def move(self, pipe: int, most: int) -> int:
        """Move what is in a pipe, up to `most` bytes from one rotation to the next; return how many left it, 0 at its end.

        It stops at the end of a line, or of what was written at once (≤ 4096 bytes) if the pipe holds no more than `most`.
        While a rotation is pending the file grows over its limit.
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
            if not cut or self._rotation.pending:
                break
        return moved

    def append(self, block: bytes, *, turn: bool = True) -> None:
        """Write a block at the end, and let the file rotate if that is due and `turn` is true.

        Raises GoneError; the listener hears what cannot be written.
        """
        size = self._end()
        if self._write(block, size) and turn and size + len(block) >= self._rotation.at and block.endswith(b"\n"):
            self._rotation.rotate(size + len(block))

    def turn(self) -> None:
        """Rotate if that is due: between two blocks that are written without it. Raises GoneError, OSError."""
        size = self._end()
        if size >= self._rotation.at and (size >= self._rotation.at + SLACK or self._at_line_end(size)):
            self._rotation.rotate(size)

    def place(self) -> tuple[int, int, int]:
        """Return device, inode and length of the file. Raises GoneError, OSError."""
        found = os.fstat(self.fd)
        if not found.st_nlink:
            raise GoneError
        return found.st_dev, found.st_ino, found.st_size

    def cut(self, size: int) -> None:
        """Remove what is behind the first `size` bytes. Raises OSError."""
        os.ftruncate(self.fd, size)

    def ends_line(self) -> bool:
        """Return whether the file is empty or ends with a line break. Raises GoneError, OSError."""
        size = self._end()
        return not size or self._at_line_end(size)

    def close(self) -> None:
        """Close the file."""
        self._descriptor.close()

    # -- moving

    def _move_piece(self, pipe: int, most: int) -> tuple[int, bool]:
        """Move up to the next point where the file may have to rotate; return (bytes, whether there may be more)."""
        size = self._end()
        if size >= self._rotation.at and self._at_line_end(size):
            self._rotation.rotate(size)
            size = self._end()
        if self._rotation.pending:
            return self._transfer(pipe, size, most), False
        limit = self._rotation.at
        if size < limit:
            wanted = min(most, limit - size)
        elif size < limit + STEPPED:
            wanted = 1
        else:
            wanted = max(1, min(most, limit + SLACK - size))
        moved = self._transfer(pipe, size, wanted)
        if not moved or size + moved < limit or self._descriptor.fd < 0:  # the listener has closed it
            return moved, False
        return moved + self._finish_line(pipe), wanted < most

    def _finish_line(self, pipe: int) -> int:
        """Move byte by byte to the end of the line, and rotate there or at the limit + 1 MiB; return how many bytes."""
        size = first = self._end()
        while size < self._rotation.at + SLACK and not self._at_line_end(size):
            if size >= self._rotation.at + STEPPED:
                return size - first
            try:
                if not self._transfer(pipe, size, 1):
                    return size - first
            except OSError:
                return size - first  # an empty pipe, or what the next move meets again
            size += 1
        self._rotation.rotate(size)
        return size - first

    def _transfer(self, pipe: int, offset: int, count: int) -> int:
        """Let the kernel move bytes where it can; read and write them where it refuses."""
        if self._can_splice:
            try:
                return os.splice(pipe, self._descriptor.fd, count, offset_dst=offset, flags=os.SPLICE_F_NONBLOCK)
            except OSError as error:
                if error.errno in ERRORS_OF_THE_FILE:
                    raise
            self._can_splice = False
        block = os.read(pipe, count)
        self._write(block, offset)
        return len(block)

    def _write(self, block: bytes, offset: int) -> bool:
        """Write all of a block; return whether that was possible. The listener hears how much is missing."""
        view = memoryview(block)
        while view:
            try:
                written = os.pwrite(self._descriptor.fd, view, offset)
            except OSError as error:
                self._listener.lost(error, len(view))
                return False
            offset += written
            view = view[written:]
        return True

    def _end(self) -> int:
        fd = self._descriptor.fd
        if fd < 0:  # the listener has closed it
            raise GoneError
        found = os.fstat(fd)
        if not found.st_nlink:
            raise GoneError
        return found.st_size

    def _at_line_end(self, size: int) -> bool:
        return os.pread(self._descriptor.fd, 1, size - 1) == b"\n"
