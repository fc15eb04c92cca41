"""When a log rotates, and how: by rename alone, a bounded number of steps at a time.

No byte is copied, so none is lost or doubled, whenever the daemon dies. Files are renamed upwards from the first free number,
the highest first: only the last one is overwritten, and a daemon that dies in between leaves a gap, which the next rotation
finds and uses. What is not a file of this log (a directory, a link, somebody else's file where the sticky bit protects it)
keeps its number and is passed over.

A rotation that cannot finish at once (thousands of rotated files, many logs that rotate all the time) is `pending`. Where
rotation fails, the file grows to what it and its rotated files may hold together, and is then emptied.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from taskmaster_common.errors import SystemFailure
from taskmasterd.ondemand import on_demand
from taskmasterd.output.safe.open import Spot, reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from taskmasterd.output.ledger import Ledger
    from taskmasterd.output.log import room
    from taskmasterd.output.log.parking import LogDescriptor

    class LossListener(Protocol):
        """Hears what happens to a file besides writing; `ledger` counts it."""

        ledger: Ledger

        def lost(self, error: OSError, amount: int, /) -> None:
            """Handle the loss of `amount` bytes that could not be written; the file may be closed here."""

        def retire(self, size: int, /, *, ours: bool) -> None:
            """Note that a file of `size` bytes has left the path; `ours`: because it was rotated or emptied here."""
else:
    room = on_demand("taskmasterd.output.log.room")


NEVER = 1 << 62
"""The size at which a log without a limit rotates."""
SLACK = 1024 * 1024
"""Bytes above its limit at which a file rotates in the middle of a line."""
BURST_S, SHARE = 0.02, 0.5
"""Seconds that all rotations may take at once, and their share of the time in the long run."""


class Allowance:
    """The time that all rotations together may take: a burst, then a share of the time that passes."""

    __slots__ = ("_at", "_left", "now")

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._left = BURST_S
        self._at = now()

    def permits(self) -> bool:
        """Return whether something may be done now."""
        now = self.now()
        self._left = min(BURST_S, self._left + (now - self._at) * SHARE)
        self._at = now
        return self._left > 0

    def charge(self, began: float) -> None:
        """Take off the time that has passed since the moment `began`."""
        self._left -= self.now() - began


class Rotation:
    """When and how one open file rotates: at `at` bytes."""

    __slots__ = ("_allowance", "_backups", "_descriptor", "_listener", "_max_bytes", "_owner", "_path", "_room", "at")

    def __init__(
        self,
        descriptor: LogDescriptor,
        path: str,
        owner: tuple[int, int] | None,
        listener: LossListener,
        allowance: Allowance | None,
    ) -> None:
        self._descriptor = descriptor
        self._path = path
        self._owner = owner
        self._listener = listener
        self._allowance = allowance
        self.set_limits(0, 0)

    def set_limits(self, max_bytes: int, backups: int) -> None:
        """Rotate at `max_bytes` (0: never) and keep `backups` files; a rotation that is under way starts over."""
        self._max_bytes = max_bytes
        self._backups = backups
        self.at = max_bytes or NEVER
        self._room: room.Room | None = None

    @property
    def pending(self) -> bool:
        """Whether a rotation has begun and has no room yet."""
        return self._room is not None and self._room.free is None

    def rotate(self, size: int) -> None:
        """Start a new file once there is room for the old one; see `pending`."""
        if self._room is None:
            self._room = room.Room(self._backups)
        if self.pending and not self.make_room():
            return
        begun = self._allowance.now() if self._allowance else 0.0
        made, self._room = self._room, None
        if made:  # otherwise it was given up
            self._finish(made, size)
        if self._allowance:
            self._allowance.charge(begun)

    def make_room(self) -> bool:
        """Do a piece of what a rotation needs, if there is time for it now; return whether it can be finished or was given up."""
        if self._room is None or (self._allowance and not self._allowance.permits()):
            return False
        begun = self._allowance.now() if self._allowance else 0.0
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
                self._allowance.charge(begun)

    def _finish(self, made: room.Room, size: int) -> None:
        at_path = False
        try:
            with Spot(self._path, self._owner, make=True) as spot:
                at_path = self._is_at(spot)
                if at_path and not self._backups:
                    spot.unlink()
                elif at_path and made.holds(spot):
                    spot.rename("", f".{made.free}")
                elif at_path:
                    return  # somebody else took the number; the next move tries again
                self._swap(spot.open(), size, ours=at_path)
        except (OSError, SystemFailure) as error:
            self._not_rotated(error, at_path)

    def _not_rotated(self, error: OSError | SystemFailure, at_path: bool) -> None:
        """Go on with the old file and try again 1 MiB later, until it holds as much as all rotated files would.

        Then empty it. A file that has left its path belongs to somebody else and is left alone: what follows is dropped until
        the path can be opened.
        """
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        problem = f"cannot rotate {self._path}: {reason}"
        size = os.fstat(self._descriptor.fd).st_size
        self.at = size + SLACK
        if size < max(self._max_bytes * (self._backups + 1), self._max_bytes + SLACK):
            self._listener.ledger.trouble.warn(problem)
        elif at_path:
            os.ftruncate(self._descriptor.fd, 0)
            self.at = self._max_bytes or NEVER
            self._listener.retire(size, ours=True)
            self._listener.ledger.trouble.discarded(problem, size)
        else:
            self._listener.lost(OSError(errno.EEXIST, reason), 0)

    def _swap(self, fd: int, size: int, *, ours: bool) -> None:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise OSError(errno.EEXIST, "something else has taken its place")
        self._descriptor.replace(fd)
        self._listener.retire(size, ours=ours)
        self.at = self._max_bytes or NEVER

    def _is_at(self, spot: Spot) -> bool:
        try:
            return os.path.samestat(spot.look(), os.fstat(self._descriptor.fd))
        except FileNotFoundError:
            return False  # somebody else renamed it; it is not renamed again
