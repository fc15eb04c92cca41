"""Where output ends: one target each (`LogSink`), shared by all pipes that lead to the same path (`Sinks`).

To a regular file the kernel moves the bytes (splice), so that they are in the pipe or in the file and never only in the
daemon. Elsewhere they are read and written. A target that fails for now costs output, which is counted, and never an
exception. Files rotate between two moves; no byte is copied, so none is lost or doubled.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import time

from taskmaster_common.errors import SystemFailure
from taskmasterd.system.safeopen import is_system_name, is_temporary, open_log, reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Owner = tuple[int, int] | None

NEVER = 1 << 62
SLACK = 1024 * 1024
"""A file that does not come to the end of a line is rotated so many bytes above its limit."""
STEPPED = 8192
"""So many bytes above the limit are moved one by one, each time looking for the end of the line."""
STEPS_PER_PIECE = 1024
SAY_EVERY_S = 60.0
PATIENCE_S = 0.25
"""So long a reader that does not read may hold up the programs; then output is dropped until it reads again."""
SURELY_TAKEN = 4096
"""What a stream that polls as writable takes without blocking. Source: pipe(7), PIPE_BUF."""
OPEN_STAYS_USABLE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Trouble:
    """Counts what was lost and tells it: at once, then at most once a minute, and when it is over."""

    def __init__(self, path: str, say: Callable[[str], None], now: Callable[[], float]) -> None:
        self.dropped = 0
        self.present = False
        self._path = path
        self._say = say
        self._now = now
        self._quiet_until = -NEVER
        self._said = False
        self._untold = 0

    def lost(self, problem: str, amount: int) -> None:
        """`amount` bytes were dropped because of `problem`."""
        self.present = True
        self.dropped += amount
        self._untold += amount
        self.warn(f"{problem}; {self._untold} bytes dropped")

    def warn(self, text: str) -> None:
        """Tell something, unless something was told within the last minute."""
        if self._now() < self._quiet_until:
            return
        self._quiet_until = self._now() + SAY_EVERY_S  # first: telling may come back here by way of the event log
        self._said = self.present
        self._untold = 0
        self._say(text)

    def over(self) -> None:
        """The target works again."""
        self.present = False
        if self._said:
            self._said = False
            self._say(f"{self._path} is written again; {self.dropped} bytes dropped in all")
            self._untold = 0


class LogSink:
    """One target of output.

    `regular`: a file of its own, which rotates and can be read back. `watchers` are called when it has grown or was
    rotated. `retired` counts the bytes of files that were left behind under this path.
    """

    def __init__(
        self,
        path: str,
        max_bytes: int,
        backups: int,
        owner: Owner,
        on_trouble: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`max_bytes` 0: never rotate. `owner` (uid, gid) gets the files. `on_trouble` is told what fails for now."""
        self.path = path
        self.owner = owner
        self.regular = False
        self.retired = 0
        self.watchers: list[Callable[[], None]] = []
        self.users = 0
        self._fd = -1
        self._now = now
        self._trouble = Trouble(path, on_trouble, now)
        self._transfer = self._splice if hasattr(os, "splice") else self._copy
        self._unsent = b""
        self._stalled_since = 0.0
        self._patient = True
        self._polite = False
        self.set_limits(max_bytes, backups)

    @property
    def dropped(self) -> int:
        """How many bytes could not be written, in all."""
        return self._trouble.dropped

    # -- life

    def open(self) -> None:
        """Open the target, if it is not open. Raises SystemFailure if it is wrong, not if it only fails now."""
        if self._fd >= 0:
            return
        try:
            self._take(open_log(self.path, self.owner))
        except SystemFailure as failure:
            if not is_temporary(failure.errno):
                raise
            self._trouble.warn(str(failure))

    def check(self) -> None:
        """Open the target once, without creating directories. Raises SystemFailure if it is wrong."""
        try:
            os.close(open_log(self.path, self.owner, directories=False))
        except SystemFailure as failure:
            if not is_temporary(failure.errno):
                raise

    def reopen(self) -> None:
        """Open the path anew: somebody has renamed the file. What is open stays in use where that fails."""
        try:
            self._replace()
        except SystemFailure as failure:
            self._trouble.warn(str(failure))

    def set_limits(self, max_bytes: int, backups: int) -> None:
        """Rotate at `max_bytes` (0: never) and keep `backups` files, from now on."""
        self._max_bytes = max_bytes
        self._backups = backups
        self._rotate_at = max_bytes or NEVER

    def close(self) -> None:
        """Close the target; what a stalled reader has not taken is lost."""
        if self._unsent:
            self._trouble.dropped += len(self._unsent)
            self._unsent = b""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    # -- bytes

    def move(self, fd: int, most: int) -> int:
        """Move at most `most` bytes from the pipe `fd` to the target; returns how many left the pipe, 0 at its end.

        With `most` not below the pipe's capacity all is moved that is there, and what was written at once (≤ 4096
        bytes) stays together. Ask `busy` first. Raises BlockingIOError when the pipe is empty, nothing else.
        """
        try:
            if self._fd < 0:
                self._take(open_log(self.path, self.owner))
            moved = self._move_to_file(fd, most) if self.regular else self._move_to_stream(fd, most)
        except BlockingIOError:
            raise
        except OSError as error:
            moved = self._drop(fd, most, error)
        except SystemFailure as failure:
            moved = self._drop(fd, most, failure)
        else:
            if self._trouble.present and self.regular and moved:
                self._trouble.over()
        if self.watchers and moved:
            self._tell_watchers()
        return moved

    def append(self, block: bytes) -> None:
        """Write a block of the daemon's own; never raises. What cannot be written is counted."""
        try:
            if self._fd < 0:
                self._take(open_log(self.path, self.owner))
            if self.regular:
                self._append_to_file(block)
            elif self.busy():
                self._trouble.lost(f"cannot write {self.path}: nobody reads it", len(block))
            else:
                self._write(block)
        except OSError as error:
            self._failed(error, len(block))
        except SystemFailure as failure:
            self._trouble.lost(str(failure), len(block))
        if self.watchers:
            self._tell_watchers()

    def busy(self) -> bool:
        """Return whether a stream has yet to take what it was given; asks it again. Never for a file."""
        if not self._unsent:
            return False
        rest = self._send(self._unsent)
        if len(rest) < len(self._unsent):
            self._stalled_since = self._now()
        self._unsent = rest
        if rest and self._now() - self._stalled_since >= PATIENCE_S:
            self._patient = False
            self._unsent = b""
            self._trouble.lost(f"cannot write {self.path}: nobody reads it", len(rest))
        return bool(self._unsent)

    # -- regular files

    def _move_to_file(self, fd: int, most: int) -> int:
        moved = 0
        while True:
            try:
                wanted, piece = self._move_piece(fd, most - moved)
            except OSError:
                if moved:
                    return moved  # the next move meets it again
                raise
            moved += piece
            if not piece or moved + wanted - piece >= most:
                return moved

    def _move_piece(self, fd: int, most: int) -> tuple[int, int]:
        """Move up to the next point where the file may have to be rotated; returns (bytes tried, bytes moved)."""
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
        moved = self._transfer(fd, size, wanted)
        if moved and size + moved >= limit:
            stepped = self._finish_line(fd)
            return wanted + stepped, moved + stepped
        return wanted, moved

    def _finish_line(self, fd: int) -> int:
        """Move byte by byte until the line ends, and rotate there, or at the limit + 1 MiB; returns how many."""
        size = self._end()
        for stepped in range(STEPS_PER_PIECE):
            if size >= self._rotate_at + SLACK or self._at_line_end(size):
                self._rotate(size)
                return stepped
            if size >= self._rotate_at + STEPPED:
                return stepped
            try:
                if not self._transfer(fd, size, 1):
                    return stepped
            except OSError:
                return stepped
            size += 1
        return STEPS_PER_PIECE

    def _splice(self, fd: int, offset: int, count: int) -> int:
        """Have the kernel move bytes. Source: splice(2): EINVAL where this file system cannot do it."""
        try:
            return os.splice(fd, self._fd, count, offset_dst=offset, flags=os.SPLICE_F_NONBLOCK)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        self._transfer = self._copy
        return self._copy(fd, offset, count)

    def _copy(self, fd: int, offset: int, count: int) -> int:
        block = os.read(fd, count)
        done = self._write_at(block, offset)
        if done < len(block):
            self._trouble.present = True
        return len(block)

    def _write_at(self, block: bytes, offset: int) -> int:
        """Write to the file; returns how many bytes. What is missing was counted."""
        view = memoryview(block)
        while view:
            try:
                written = os.pwrite(self._fd, view, offset)
            except OSError as error:
                self._failed(error, len(view))
                break
            offset += written
            view = view[written:]
        return len(block) - len(view)

    def _append_to_file(self, block: bytes) -> None:
        size = self._end()
        if self._write_at(block, size) < len(block):
            return
        if self._trouble.present:
            self._trouble.over()
        if size + len(block) >= self._rotate_at and block.endswith(b"\n"):
            self._rotate(size + len(block))

    def _end(self) -> int:
        """Return the size of the file; one that was deleted is created anew first."""
        found = os.fstat(self._fd)
        if found.st_nlink:
            return found.st_size
        self._replace()
        return os.fstat(self._fd).st_size

    def _at_line_end(self, size: int) -> bool:
        return os.pread(self._fd, 1, size - 1) == b"\n"

    def _rotate(self, size: int) -> None:
        """Start a new file. Where that fails the old one is used on, and it is tried again 1 MiB later."""
        try:
            if _is_at(self._fd, self.path):
                _shift(self.path, self._backups)
            self._replace()
        except OSError as error:
            problem = f"cannot rotate {self.path}: {reason_of(error)}"
        except SystemFailure as failure:
            problem = str(failure)
        else:
            return
        self._rotate_at = size + SLACK
        self._trouble.warn(problem)

    # -- everything else

    def _move_to_stream(self, fd: int, most: int) -> int:
        block = os.read(fd, most)
        if block:
            self._write(block)
        return len(block)

    def _write(self, block: bytes) -> None:
        """Give a block to the stream; what it does not take at once is kept for `busy`, or dropped."""
        rest = self._send(self._unsent + block)
        if not rest:
            self._unsent = b""
            return
        if self._patient:
            self._unsent = rest
            self._stalled_since = self._now()
        else:
            self._trouble.lost(f"cannot write {self.path}: nobody reads it", len(rest))

    def _send(self, block: bytes) -> bytes:
        """Write as much as the stream takes now; returns the rest. What can never be written is counted."""
        view = memoryview(block)
        while view:
            if self._polite and not _takes_more(self._fd):
                return bytes(view)
            try:
                written = os.write(self._fd, view[:SURELY_TAKEN] if self._polite else view)
            except BlockingIOError:
                return bytes(view)
            except OSError as error:
                self._failed(error, len(view))
                return b""
            view = view[written:]
        self._patient = True
        if self._trouble.present:
            self._trouble.over()
        return b""

    # -- the descriptor, and what is lost

    def _take(self, fd: int) -> None:
        found = os.fstat(fd)
        self._fd = fd
        self.regular = stat.S_ISREG(found.st_mode) and not is_system_name(self.path)
        # a shared descriptor (/dev/stdout) must stay blocking for the others that hold it
        self._polite = not stat.S_ISREG(found.st_mode) and os.get_blocking(fd)

    def _replace(self) -> None:
        """Open the path and leave what was open. Raises SystemFailure; then a file that still has a name stays."""
        try:
            fd = open_log(self.path, self.owner)
        except SystemFailure:
            if self._fd >= 0 and self.regular and not os.fstat(self._fd).st_nlink:
                self._leave()
            raise
        if self._fd >= 0:
            if self.regular and not os.path.samestat(os.fstat(self._fd), os.fstat(fd)):
                self.retired += os.fstat(self._fd).st_size
            os.close(self._fd)
        self._rotate_at = self._max_bytes or NEVER
        self._take(fd)

    def _leave(self) -> None:
        if self.regular:
            self.retired += os.fstat(self._fd).st_size
        os.close(self._fd)
        self._fd = -1

    def _failed(self, error: OSError, amount: int) -> None:
        """Count what a write error cost; the path is opened anew next time unless the file itself is sound."""
        self._trouble.lost(f"cannot write {self.path}: {reason_of(error)}", amount)
        if error.errno not in OPEN_STAYS_USABLE and self._fd >= 0:
            self._leave()

    def _drop(self, fd: int, most: int, why: OSError | SystemFailure) -> int:
        """Empty the pipe for a target that cannot be written, so that the child never waits for it."""
        amount = len(os.read(fd, most))
        if isinstance(why, OSError):
            self._failed(why, amount)
        else:
            self._trouble.lost(str(why), amount)
        return amount

    def _tell_watchers(self) -> None:
        for watcher in tuple(self.watchers):
            watcher()
