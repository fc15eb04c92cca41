"""The number that a rotated log gets: found, and made free by renaming, a bounded number of steps at a time."""

from __future__ import annotations

import errno
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.output.safe.open import Spot

STEPS, AT_LEAST = 256, 64
SLICE_S = 0.002
"""Numbers that one call looks at or renames: at most, and at least where it takes longer than SLICE_S seconds."""


class Room:
    """The number that a log will be renamed to: `free` is None until it is known, 0 where the log stays unnamed."""

    __slots__ = ("_at", "_backups", "_gap", "_last", "free")

    def __init__(self, backups: int) -> None:
        """`backups`: how many rotated files are kept."""
        self._backups = backups
        self._begin()

    def _begin(self) -> None:
        self.free: int | None = None
        self._at = 1
        self._last = 0
        self._gap = 0

    def make(self, spot: Spot, *, needed: bool) -> bool:
        """Go on with at most STEPS steps; return whether `free` is known. Raises OSError.

        `needed` false: the log is not at its path, so nothing has to be renamed.
        """
        if not needed or not self._backups:
            self.free = 0
            return True
        if self._gap and not self._is_gap(spot, self._gap):
            self._begin()
        until = time.monotonic() + SLICE_S
        for step in range(STEPS):
            if self.free is not None:
                return True
            if step >= AT_LEAST and time.monotonic() > until:
                break
            if self._gap:
                self._move_up(spot)
            else:
                self._look_for_gap(spot)
        return self.free is not None

    def holds(self, spot: Spot) -> bool:
        """Return whether `free` is still free: others may have renamed files meanwhile."""
        return bool(self.free) and self._is_gap(spot, self.free or 0)

    def _is_gap(self, spot: Spot, number: int) -> bool:
        return number in (self._backups, self._last) or _kind(spot, number) is None

    def _look_for_gap(self, spot: Spot) -> None:
        ours = _kind(spot, self._at)
        if ours is None:
            self._last = 0
            self._begin_moving(self._at)
            return
        if ours:
            self._last = self._at
        if self._at < self._backups:
            self._at += 1
        elif self._last:
            self._begin_moving(self._last)
        else:
            raise OSError(errno.EEXIST, "something else has the names of all rotated files")

    def _begin_moving(self, gap: int) -> None:
        self._gap = gap
        self._at = gap - 1
        if not self._at:
            self.free = gap

    def _move_up(self, spot: Spot) -> None:
        ours = _kind(spot, self._at)
        if ours:
            spot.rename(f".{self._at}", f".{self._gap}")
        if ours is not False:
            self._gap = self._at
            self._last = 0
        self._at -= 1
        if not self._at:
            self.free = self._gap


def _kind(spot: Spot, number: int) -> bool | None:
    """Return whether a rotated file belongs to this log; None where no such file exists."""
    try:
        return spot.is_ours(spot.look(f".{number}"))
    except FileNotFoundError:
        return None
