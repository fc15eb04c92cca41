"""A log that is a regular file: bytes go to its end, and it rotates at a size.

The kernel moves the bytes where it can (splice): they are in the pipe or in the file, never only in the daemon. The file
is not opened with O_APPEND, which splice refuses; its end is looked up before each move. Rotation happens between two
moves by rename alone: no byte is copied, so none is lost or doubled, whenever the daemon dies.

A rotation that cannot be finished at once (thousands of rotated files, many logs that rotate all the time) is `pending`: ask
`busy` before each move, and wait where it says so. Where rotation fails the file holds at most what it and its rotated files
may hold together; then it is emptied.
"""

from __future__ import annotations

import errno
import os
import stat

from taskmaster_common.errors import SystemFailure
from taskmasterd.output.rotation import Room
from taskmasterd.output.safe_open import Spot, reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from taskmasterd.output.rotation import Allowance

    class Told(Protocol):
        """Whom the file belongs to."""

        def lost(self, error: OSError, amount: int, /) -> None:
            """So many bytes were dropped; the file may be closed here."""

        def warn(self, text: str, /) -> None:
            """Something else went wrong."""

        def discarded(self, problem: str, amount: int, /) -> None:
            """So many bytes that had been written were dropped."""

        def retire(self, size: int, /, *, ours: bool) -> None:
            """A file of that size is not at the path any more."""


NEVER = 1 << 62
SLACK = 1024 * 1024
"""A file that does not come to the end of a line is rotated so many bytes above its limit."""
STEPPED = 4096
"""So many bytes above the limit are moved one by one, each time looking for the end of the line."""
PIECES_AT_ONCE = 16
"""So many rotations of a file with a tiny limit are made in one turn."""
OF_THE_TARGET = frozenset(
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
"""Errors of splice(2) that read and write would meet as well. With any other one it is splice itself that is refused:
EINVAL by a file system, ENOSYS, EPERM, EACCES or whatever else by a filter of system calls."""


class GoneError(Exception):
    """The file has no name any more: somebody deleted it."""


class LogFile:
    """An open regular file. `told` hears what could not be written, and why a rotation failed."""

    __slots__ = (
        "_allowance",
        "_backups",
        "_can_splice",
        "_max_bytes",
        "_owner",
        "_path",
        "_room",
        "_rotate_at",
        "_told",
        "fd",
    )

    def __init__(
        self,
        fd: int,
        path: str,
        owner: tuple[int, int] | None,
        told: Told,
        allowance: Allowance | None = None,
    ) -> None:
        self.fd = fd
        self._path = path
        self._owner = owner
        self._told = told
        self._allowance = allowance
        self._can_splice = hasattr(os, "splice")
        self.set_limits(0, 0)

    def set_limits(self, max_bytes: int, backups: int) -> None:
        """Rotate at `max_bytes` (0: never) and keep `backups` files, from now on."""
        self._max_bytes = max_bytes
        self._backups = backups
        self._rotate_at = max_bytes or NEVER
        self._room: Room | None = None

    def size(self) -> int:
        """Return the number of bytes in the file."""
        return os.fstat(self.fd).st_size

    def busy(self) -> bool:
        """Return whether a rotation is pending after another piece of it was done."""
        return self.pending and not self._make_room()

    @property
    def pending(self) -> bool:
        """Whether a rotation has begun and has no room yet."""
        return self._room is not None and self._room.free is None

    def move(self, pipe: int, most: int) -> int:
        """Move what is in a pipe, up to `most` bytes from one rotation to the next; returns how many left it, 0 at its end.

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
            if not cut or self.pending:
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
        if self.pending:
            return self._transfer(pipe, size, most), False
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
        """Have the kernel move bytes where it can, and read and write them where it refuses."""
        if self._can_splice:
            try:
                return os.splice(pipe, self.fd, count, offset_dst=offset, flags=os.SPLICE_F_NONBLOCK)
            except OSError as error:
                if error.errno in OF_THE_TARGET:
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
        if self.fd < 0:  # closed by `lost`
            raise GoneError
        found = os.fstat(self.fd)
        if not found.st_nlink:
            raise GoneError
        return found.st_size

    def _at_line_end(self, size: int) -> bool:
        return os.pread(self.fd, 1, size - 1) == b"\n"

    # -- rotation

    def _rotate(self, size: int) -> None:
        """Start a new file, once there is room for the old one; see `pending`."""
        if self._room is None:
            self._room = Room(self._backups)
        if self.pending and not self._make_room():
            return
        began = self._allowance.now() if self._allowance else 0.0
        room, self._room = self._room, None
        if room:  # otherwise it was given up
            self._finish(room, size)
        if self._allowance:
            self._allowance.charge(began)

    def _make_room(self) -> bool:
        """Do a piece of what a rotation needs, if we may now; returns whether it can be finished or was given up."""
        if self._room is None or (self._allowance and not self._allowance.permits()):
            return False
        began = self._allowance.now() if self._allowance else 0.0
        at_path = False
        try:
            with Spot(self._path, self._owner, make=True) as spot:
                at_path = self._is_at(spot)
                return self._room.make(spot, needed=at_path)
        except (OSError, SystemFailure) as error:
            self._room = None
            self._not_rotated(error, at_path)
            return True
        finally:
            if self._allowance:
                self._allowance.charge(began)

    def _finish(self, room: Room, size: int) -> None:
        at_path = False
        try:
            with Spot(self._path, self._owner, make=True) as spot:
                at_path = self._is_at(spot)
                if at_path and not self._backups:
                    spot.unlink()
                elif at_path and room.holds(spot):
                    spot.rename("", f".{room.free}")
                elif at_path:
                    return  # somebody was quicker; the next move tries again
                self._swap(spot.open(), size, ours=at_path)
        except (OSError, SystemFailure) as error:
            self._not_rotated(error, at_path)

    def _not_rotated(self, error: OSError | SystemFailure, at_path: bool) -> None:
        """Use the old file on and try again 1 MiB later, until it holds as much as all rotated files would.

        Then it is emptied; where it is not at its path any more it is somebody else's, and left: what follows is dropped until
        the path can be opened.
        """
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        problem = f"cannot rotate {self._path}: {reason}"
        size = self.size()
        self._rotate_at = size + SLACK
        if size < max(self._max_bytes * (self._backups + 1), self._max_bytes + SLACK):
            self._told.warn(problem)
        elif at_path:
            os.ftruncate(self.fd, 0)
            self._rotate_at = self._max_bytes or NEVER
            self._told.retire(size, ours=True)
            self._told.discarded(problem, size)
        else:
            self._told.lost(OSError(errno.EEXIST, reason), 0)

    def _swap(self, fd: int, size: int, *, ours: bool) -> None:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EEXIST, "something else has taken its place")
        os.close(self.fd)
        self.fd = fd
        self._told.retire(size, ours=ours)
        self._rotate_at = self._max_bytes or NEVER

    def _is_at(self, spot: Spot) -> bool:
        try:
            return os.path.samestat(spot.look(), os.fstat(self.fd))
        except FileNotFoundError:
            return False  # renamed by somebody else, who is spared a second renaming
