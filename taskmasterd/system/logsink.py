"""Where output ends: one target, shared by all pipes that lead to the same path (`sinks`).

A target that is wrong cannot be opened; one that only fails now costs output, which is counted and told, and never an
exception. It is tried again with each chunk.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from taskmaster_common.errors import SystemFailure
from taskmasterd.system.logfile import GoneError, LogFile
from taskmasterd.system.logmarks import LogMarks
from taskmasterd.system.logstream import NOBODY_READS, LogStream
from taskmasterd.system.logtrouble import Trouble
from taskmasterd.system.safeopen import is_system_name, is_temporary, open_log, reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Owner = tuple[int, int] | None

STAYS_OPEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EAGAIN})
"""After these the descriptor is as good as before; after others the path is opened anew."""


class LogSink:
    """One target of output. `watchers` are called when something was written or dropped; `trouble` counts what was lost.

    `key` and `holders` are the notes of `Sinks`.
    """

    __slots__ = (
        "_backups",
        "_max_bytes",
        "_now",
        "_retired",
        "_target",
        "holders",
        "key",
        "marks",
        "owner",
        "path",
        "trouble",
        "watchers",
    )

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
        self.key = path
        self.holders = 0
        self.watchers: Sequence[Callable[[], None]] = ()
        self.marks = LogMarks()
        self._max_bytes = max_bytes
        self._backups = backups
        self._now = now
        self.trouble = Trouble(path, on_trouble, now)
        self._target: LogFile | LogStream | None = None
        self._retired = 0

    @property
    def regular(self) -> bool:
        """Whether it is a regular file of its own, which rotates and can be read back; False while it is not open."""
        return isinstance(self._target, LogFile)

    @property
    def dropped(self) -> int:
        """How many bytes could not be written, in all."""
        return self.trouble.dropped

    @property
    def retired(self) -> int:
        """How many bytes are in files that were at this path and are not any more."""
        return self._retired + (self._target.retired if self._target else 0)

    # -- life

    def open(self) -> None:
        """Open the target, if it is not open. Raises SystemFailure if it is wrong, not if it only fails now."""
        if self._target:
            return
        try:
            self._opened()
        except SystemFailure as failure:
            if not is_temporary(failure.errno):
                raise
            self.trouble.lost(str(failure), 0)

    def check(self) -> None:
        """Open the target once, without creating directories. Raises SystemFailure if it is wrong."""
        try:
            os.close(open_log(self.path, self.owner, directories=False))
        except SystemFailure as failure:
            if not is_temporary(failure.errno):
                raise

    def reopen(self) -> None:
        """Open the path anew: somebody has renamed the file. What is open stays in use where that fails."""
        before, self._target = self._target, None
        try:
            now = self._opened()
        except SystemFailure as failure:
            self._target = before
            self.trouble.warn(str(failure))
            return
        if before:
            same = os.path.samestat(os.fstat(before.fd), os.fstat(now.fd))
            self._leave(before, 0 if same else before.size())

    @property
    def limits(self) -> tuple[int, int]:
        """The size at which it rotates, and how many rotated files are kept."""
        return self._max_bytes, self._backups

    def set_limits(self, max_bytes: int, backups: int) -> None:
        """Rotate at `max_bytes` (0: never) and keep `backups` files, from now on."""
        self._max_bytes = max_bytes
        self._backups = backups
        if self._target:
            self._target.set_limits(max_bytes, backups)

    def close(self) -> None:
        """Close the target; the next byte would open it again."""
        if self._target:
            before, self._target = self._target, None
            before.close()

    # -- another life

    def to_data(self) -> dict[str, Any]:
        """Return what another life of this process needs to write on; the descriptor, if any, has to be inherited."""
        target = self._target
        return {
            "path": self.path,
            "fd": target.fd if target else None,
            "unsent": target.unsent.decode("latin-1") if isinstance(target, LogStream) else "",
            "retired": self.retired,
            "marks": self.marks.to_data(),
            "trouble": self.trouble.to_data(),
        }

    def inherit(self, row: Mapping[str, Any]) -> None:
        """Go on where `to_data` was taken."""
        self._retired = row["retired"]
        self.marks.inherit(row["marks"])
        self.trouble.inherit(row["trouble"])
        if row["fd"] is not None:
            os.set_inheritable(row["fd"], False)
            self._target = self._target_of(row["fd"])
            if isinstance(self._target, LogStream):
                self._target.inherit(row["unsent"].encode("latin-1"))

    # -- bytes

    def move(self, pipe: int, most: int) -> int:
        """Move what is in a pipe to the target, about `most` bytes; returns how many left the pipe, 0 at its end.

        With `most` not below the pipe's capacity, what was written at once (≤ 4096 bytes) stays together in a target that
        others write too. Ask `busy` first. Raises BlockingIOError when the pipe is empty, nothing else.
        """
        dropped = self.trouble.dropped
        try:
            moved = self._opened().move(pipe, most)
        except BlockingIOError:
            raise
        except GoneError:
            self._left_behind()
            return self.move(pipe, most)
        except OSError as error:
            moved = self._drop(pipe, most)
            self.lost(error, moved)
        except SystemFailure as failure:
            moved = self._drop(pipe, most)
            self.trouble.lost(str(failure), moved)
        self._look_back(dropped, moved)
        return moved

    def append(self, block: bytes) -> None:
        """Write a block of the daemon's own; never raises. What cannot be written is counted."""
        dropped = self.trouble.dropped
        try:
            if self.busy():
                self.lost(NOBODY_READS, len(block))
            else:
                self._opened().append(block)
        except GoneError:
            self._left_behind()
            self.append(block)
        except OSError as error:
            self.lost(error, len(block))
        except SystemFailure as failure:
            self.trouble.lost(str(failure), len(block))
        self._look_back(dropped, len(block))

    def busy(self) -> bool:
        """Return whether the reader of a stream has yet to take what it was given; offers it again."""
        return isinstance(self._target, LogStream) and self._target.busy()

    # -- the target, and what is lost

    def _opened(self) -> LogFile | LogStream:
        """Return the target, opened where it is not. Raises SystemFailure."""
        if self._target:
            return self._target
        self._target = self._target_of(open_log(self.path, self.owner))
        return self._target

    def _target_of(self, fd: int) -> LogFile | LogStream:
        target: LogFile | LogStream
        if stat.S_ISREG(os.fstat(fd).st_mode) and not is_system_name(self.path):
            target = LogFile(fd, self.path, self.owner, self)
        else:
            target = LogStream(fd, self.lost, self._now)
        target.set_limits(self._max_bytes, self._backups)
        return target

    def _leave(self, target: LogFile | LogStream, size: int) -> None:
        """Close what was the target; `size` bytes at this path are at it no more."""
        self._retired += target.retired + size
        target.close()

    def _left_behind(self) -> None:
        """The file was deleted."""
        if self._target:
            before, self._target = self._target, None
            self._leave(before, before.size())

    def lost(self, error: OSError, amount: int) -> None:
        """Count what an error cost, and open the path anew next time unless the descriptor itself is sound."""
        if amount:
            self.trouble.lost(f"cannot write {self.path}: {reason_of(error)}", amount)
        if error.errno not in STAYS_OPEN and self._target:
            before, self._target = self._target, None
            self._leave(before, 0)

    def warn(self, text: str) -> None:
        """Tell something, unless something was told within the last minute."""
        self.trouble.warn(text)

    @staticmethod
    def _drop(pipe: int, most: int) -> int:
        """Empty the pipe for a target that cannot be written: the child never waits for it. Returns how many bytes."""
        return len(os.read(pipe, most))

    def _look_back(self, dropped: int, amount: int) -> None:
        """After each chunk: see whether the trouble is over, and tell who follows."""
        if self.trouble.present and amount and dropped == self.trouble.dropped:
            self.trouble.over()
        written = amount - (self.trouble.dropped - dropped)
        if written > 0:
            self.marks.add(written, self._now())
        if self.watchers and amount:
            for watcher in tuple(self.watchers):
                watcher()
