"""Makes room for one more rotated file, a bounded number of steps at a time, and bounds the time that all logs spend on it.

Files are renamed upwards from the first number that is free, the highest first: nothing is overwritten but the last one, and
a daemon that dies in between leaves a gap, which the next rotation finds and uses. What is no file of this log (a directory,
a link, somebody else's file where the sticky bit protects it) keeps its number and is passed over.
"""

from __future__ import annotations

import errno
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.output.safe_open import Spot

STEPS, AT_LEAST = 256, 64
SLICE_S = 0.002
"""Numbers that one call looks at or renames, at most and where it is slow, and the seconds that are slow."""
BURST_S, SHARE = 0.02, 0.5
"""Seconds that rotations may take at once, and their share of the time where they never end."""


class Room:
    """The number that a log will be renamed to: `free` is None until it is known, 0 where none is needed."""

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
        """Go on with at most STEPS steps; returns whether `free` is known. Raises OSError.

        Not `needed`: the log is not at its path, so there is nothing to rename.
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
        """Return whether there still is room at `free`: others may have renamed files since it was made."""
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
    """Return whether a rotated file is this log's, None where there is none."""
    try:
        return spot.is_ours(spot.look(f".{number}"))
    except FileNotFoundError:
        return None


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
        """Take off what was used since the moment `began`."""
        self._left -= self.now() - began
