"""Where output ends: one target, shared by the pipes of one program that lead to the same path (`sinks`).

A target that is wrong cannot be opened; one that only fails now costs output, which is counted and told, and never an
exception. It is tried again with each chunk.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from taskmaster_common.devices import is_system_name
from taskmaster_common.errors import SystemFailure
from taskmasterd.output.file import GoneError, LogFile
from taskmasterd.output.ledger import Ledger
from taskmasterd.output.lock import lock_log
from taskmasterd.output.safe_open import Spot, is_temporary, open_log, reason_of
from taskmasterd.output.stream import NOBODY_READS, LogStream

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmasterd.output.trouble import Trouble

    Owner = tuple[int, int] | None

STAYS_OPEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EAGAIN})
"""After these the descriptor is as good as before; after others the path is opened anew."""


def lone_sink(
    path: str,
    max_bytes: int,
    backups: int,
    owner: Owner,
    say: Callable[[str], None],
    now: Callable[[], float] = time.monotonic,
) -> LogSink:
    """Return a sink that shares nothing with others; `say` is told what fails for now."""
    return LogSink(path, max_bytes, backups, owner, Ledger(path, say, now))


class LogSink:
    """One target of output of the program `program`, for pipes of one owner; `ledger` is what is remembered of its path.

    `holders` is a note of `Sinks`.
    """

    __slots__ = (
        "_backups",
        "_max_bytes",
        "_target",
        "_turns",
        "holders",
        "ledger",
        "owner",
        "path",
        "program",
    )

    def __init__(
        self, path: str, max_bytes: int, backups: int, owner: Owner, ledger: Ledger, program: str = ""
    ) -> None:
        """`max_bytes` 0: never rotate. `owner` (uid, gid) gets the files."""
        self.path = path
        self.owner = owner
        self.program = program
        self.holders = 0
        self.ledger = ledger
        self._max_bytes = max_bytes
        self._backups = backups
        self._target: LogFile | LogStream | None = None
        self._turns = 0

    @property
    def regular(self) -> bool:
        """Whether it is a regular file of its own, which rotates and can be read back; False while it is not open."""
        return isinstance(self._target, LogFile)

    @property
    def trouble(self) -> Trouble:
        """What could not be written."""
        return self.ledger.trouble

    @property
    def dropped(self) -> int:
        """How many bytes could not be written, in all."""
        return self.trouble.dropped

    @property
    def retired(self) -> int:
        """How many bytes are in files that were at this path and are not any more."""
        return self.ledger.retired

    def size(self) -> int:
        """Return the number of bytes in the file that is open, 0 where none is."""
        return self._target.size() if self._target else 0

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
        try:
            self._open_anew()
        except SystemFailure as failure:
            self.trouble.warn(str(failure))

    def confirm(self) -> None:
        """Look whether the path is still as it was judged when it was opened, before one more pipe is led there.

        A file that was renamed or deleted stays in use as for the pipes that lead there already. Raises SystemFailure.
        """
        if self._target is None or is_system_name(self.path):
            self.open()
            return
        try:
            with Spot(self.path, self.owner) as spot:
                found = spot.look()
        except FileNotFoundError:
            return
        except OSError as error:
            raise SystemFailure("open log file", self.path, reason_of(error), error.errno or 0) from None
        if os.path.samestat(found, os.fstat(self._target.fd)):
            return
        try:
            self._open_anew()
        except SystemFailure as failure:
            if not is_temporary(failure.errno):
                raise
            self.trouble.warn(str(failure))

    def _open_anew(self) -> None:
        before, self._target = self._target, None
        try:
            now = self._opened()
        except SystemFailure:
            self._target = before
            raise
        if before:
            same = os.path.samestat(os.fstat(before.fd), os.fstat(now.fd))
            self._leave(before, 0 if same else before.size())
            if same and isinstance(now, LogFile):
                lock_log(now.fd)  # the lock went with the other descriptor

    @property
    def limits(self) -> tuple[int, int]:
        """The size at which it rotates, and how many rotated files are kept."""
        return self._max_bytes, self._backups

    def set_limits(self, max_bytes: int, backups: int) -> None:
        """Rotate at `max_bytes` (0: never) and keep `backups` files, from now on; a rotation that is under way starts over."""
        if self.limits == (max_bytes, backups):
            return
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
            "program": self.program,
            "owner": self.owner,
            "fd": target.fd if target else None,
            "unsent": target.unsent.decode("latin-1") if isinstance(target, LogStream) else "",
            **self.ledger.to_data(),
        }

    def inherit(self, row: Mapping[str, Any]) -> None:
        """Go on where `to_data` was taken."""
        self.ledger.inherit(row)
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
            if self.busy(hurry=True):
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

    def busy(self, *, hurry: bool = False) -> bool:
        """Return whether the target takes nothing yet; does a piece of what it waits for.

        The reader of a stream has yet to take what it was given, or a file has yet to be rotated. `hurry`: do not wait for
        the latter, the file may grow over its limit.
        """
        if isinstance(self._target, LogStream):
            return self._target.busy()
        return not hurry and self._target is not None and self._target.busy()

    # -- the target, and what is lost

    def _opened(self) -> LogFile | LogStream:
        """Return the target, opened where it is not. Raises SystemFailure."""
        if self._target and self._turns != self.ledger.turns:
            self._follow_rotation()
        if not self._target:
            self._target = self._target_of(open_log(self.path, self.owner))
            self._turns = self.ledger.turns
        return self._target

    def _follow_rotation(self) -> None:
        """Another sink with the same path has rotated the file."""
        self._turns = self.ledger.turns
        self.reopen()

    def _target_of(self, fd: int) -> LogFile | LogStream:
        target: LogFile | LogStream
        if stat.S_ISREG(os.fstat(fd).st_mode) and not is_system_name(self.path):
            target = LogFile(fd, self.path, self.owner, self, self.ledger.allowance)
        else:
            target = LogStream(fd, self.lost, self.ledger.now)
        target.set_limits(self._max_bytes, self._backups)
        return target

    def _leave(self, target: LogFile | LogStream, size: int) -> None:
        """Close what was the target; `size` bytes at this path are at it no more."""
        self.ledger.retire(size, ours=False)
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

    def discarded(self, problem: str, amount: int) -> None:
        """Count bytes that were written and are dropped now, because there is no room for them."""
        self.trouble.discarded(problem, amount)

    def retire(self, size: int, *, ours: bool) -> None:
        """Note that a file is not at this path any more."""
        self.ledger.retire(size, ours=ours)
        self._turns += ours

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
            self.ledger.marks.add(written, self.ledger.now())
        if amount:
            for watcher in self.ledger.watchers:
                watcher()
