"""What is open at the path of a log: opened, judged again, opened again, left behind, handed over.

A path that is wrong cannot be opened; one that only fails now is tried again with the next chunk. Neither costs more than
output.
"""

from __future__ import annotations

import errno
import os
import stat

from taskmaster_common.devices import is_system_name
from taskmaster_common.errors import SystemFailure
from taskmasterd.ondemand import on_demand
from taskmasterd.output.log.file import LogFile
from taskmasterd.output.safe.lock import lock_log
from taskmasterd.output.safe.open import Spot, is_temporary, open_log, reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmasterd.output.ledger import Ledger
    from taskmasterd.output.log import stream
    from taskmasterd.output.log.parking import Parking
    from taskmasterd.output.log.rotation import Allowance
    from taskmasterd.output.safe.open import Owner
else:
    stream = on_demand("taskmasterd.output.log.stream")

SOUND = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EAGAIN, errno.EMFILE, errno.ENFILE})
"""Errors that leave the descriptor as good as before; after any other the path is opened again."""


class OpenLog:
    """The file or stream of one writer at `path`; `ledger` remembers what happened there, for all writers.

    `allowance` bounds the time of rotations, `parking` the descriptors in the table; None: nothing does.
    """

    __slots__ = (
        "_allowance",
        "_backups",
        "_max_bytes",
        "_parking",
        "_target",
        "_turns",
        "ledger",
        "owner",
        "path",
    )

    def __init__(
        self,
        path: str,
        owner: Owner,
        ledger: Ledger,
        allowance: Allowance | None = None,
        parking: Parking | None = None,
    ) -> None:
        """`owner` (uid, gid) gets the files that are created."""
        self.path = path
        self.owner = owner
        self.ledger = ledger
        self._allowance = allowance
        self._parking = parking
        self._max_bytes = self._backups = 0
        self._target: LogFile | stream.LogStream | None = None
        self._turns = 0

    @property
    def regular(self) -> bool:
        """Whether it is a regular file of its own, which rotates and can be read back; False while it is not open."""
        return isinstance(self._target, LogFile)

    @property
    def regular_file(self) -> LogFile | None:
        """The regular file that is open, None for anything else."""
        return self._target if isinstance(self._target, LogFile) else None

    def size(self) -> int:
        """Return the number of bytes in the open file, 0 where none is open."""
        return self._target.size() if self._target else 0

    @property
    def limits(self) -> tuple[int, int]:
        """The size at which it rotates (0: never), and how many rotated files are kept."""
        return self._max_bytes, self._backups

    def set_limits(self, max_bytes: int, backups: int) -> None:
        """Rotate at `max_bytes` and keep `backups` files, from now on; a rotation that is under way starts over."""
        if self.limits == (max_bytes, backups):
            return
        self._max_bytes = max_bytes
        self._backups = backups
        if self._target:
            self._target.set_limits(max_bytes, backups)

    # -- opening

    def open(self) -> None:
        """Open the path unless it is open. Raises SystemFailure if it is wrong, not if it only fails now."""
        if self._target:
            return
        try:
            self.target()
        except SystemFailure as failure:
            if not is_temporary(failure.errno):
                raise
            self.ledger.trouble.lost(str(failure), 0)

    def target(self) -> LogFile | stream.LogStream:
        """Return what is open, after opening the path where nothing is. Raises SystemFailure."""
        if self._target and self._turns != self.ledger.turns:  # another writer has rotated the file
            self._turns = self.ledger.turns
            self.reopen()
        if not self._target:
            self._target = self._target_of(open_log(self.path, self.owner))
            self._turns = self.ledger.turns
        return self._target

    def reopen(self) -> None:
        """Open the path again: somebody has renamed the file. Where that fails, go on with what is open."""
        if not self.path.startswith("/"):
            return  # syslog
        try:
            self._open_anew()
        except SystemFailure as failure:
            self.ledger.trouble.warn(str(failure))

    def confirm(self) -> None:
        """Judge the path again before another pipe leads there, and open it again if another file is there now.

        A file that was renamed or deleted stays in use, as for the pipes that lead there already. Raises SystemFailure.
        """
        if self._target is None or is_system_name(self.path):
            self.open()
            return
        try:
            with Spot(self.path, self.owner) as spot:
                found = spot.look()
            same = os.path.samestat(found, os.fstat(self._target.fd))
        except FileNotFoundError:
            return
        except OSError as error:
            raise _failure(self.path, error) from None
        if same:
            return
        try:
            self._open_anew()
        except SystemFailure as failure:
            if not is_temporary(failure.errno):
                raise
            self.ledger.trouble.warn(str(failure))

    def _open_anew(self) -> None:
        before, self._target = self._target, None
        try:
            found = os.fstat(before.fd) if before else None
            now = self.target()
        except SystemFailure:
            self._target = before
            raise
        except OSError as error:
            self._target = before
            raise _failure(self.path, error) from None
        if before and found:
            same = os.path.samestat(found, os.fstat(now.fd))
            self._leave(before, 0 if same else before.size())
            if same and isinstance(now, LogFile):
                lock_log(now.fd)  # the lock went with the other descriptor

    def _target_of(self, fd: int) -> LogFile | stream.LogStream:
        target: LogFile | stream.LogStream
        if stat.S_ISREG(os.fstat(fd).st_mode) and not is_system_name(self.path):
            target = LogFile(fd, self.path, self.owner, self, self._allowance, self._parking)
        else:
            target = stream.LogStream(fd, self.lost, self.ledger.now)
        target.set_limits(self._max_bytes, self._backups)
        return target

    # -- closing

    def close(self) -> None:
        """Close what is open; the next byte would open the path again."""
        if self._target:
            before, self._target = self._target, None
            before.close()

    def busy(self, *, hurry: bool) -> bool:
        """Return whether the target takes nothing yet, after another piece was done of what it waits for.

        The reader of a stream has yet to take what it was given, or a file has yet to rotate. `hurry`: do not wait for a
        rotation, the file may grow over its limit.
        """
        if self._target is None or isinstance(self._target, LogFile):
            return not hurry and self._target is not None and self._target.busy()
        return self._target.busy()

    def leave_deleted(self) -> None:
        """Close a file that was deleted; the next byte creates it again."""
        if self._target:
            before, self._target = self._target, None
            self._leave(before, before.size())

    def _leave(self, target: LogFile | stream.LogStream, size: int) -> None:
        """Close `target`, of which `size` bytes have left the path."""
        self.ledger.retire(size, ours=False)
        target.close()

    # -- what a file reports (`LossListener`)

    def lost(self, error: OSError, amount: int) -> None:
        """Count what an error cost, and open the path again next time unless the descriptor is sound."""
        if amount:
            self.ledger.trouble.lost(f"cannot write {self.path}: {reason_of(error)}", amount)
        if error.errno not in SOUND and self._target:
            before, self._target = self._target, None
            self._leave(before, 0)

    def retire(self, size: int, *, ours: bool) -> None:
        """Note that a file has left the path."""
        self.ledger.retire(size, ours=ours)
        self._turns += ours

    # -- an upgrade

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade to write on; the descriptor, if any, has to be inherited.

        A parked log has none: its path will be opened with the next byte.
        """
        target = self._target
        return {
            "path": self.path,
            "owner": self.owner,
            "fd": target.fd if target and not target.parked else None,
            "unsent": target.unsent.decode("latin-1") if target and not isinstance(target, LogFile) else "",
            **self.ledger.to_data(),
        }

    def inherit(self, row: Mapping[str, Any]) -> None:
        """Go on where `to_data` was called."""
        self.ledger.inherit(row)
        if row["fd"] is not None:
            os.set_inheritable(row["fd"], False)
            self._target = self._target_of(row["fd"])
            if not isinstance(self._target, LogFile):
                self._target.inherit(row["unsent"].encode("latin-1"))


def _failure(path: str, error: OSError) -> SystemFailure:
    return SystemFailure("open log file", path, reason_of(error), error.errno or 0)
