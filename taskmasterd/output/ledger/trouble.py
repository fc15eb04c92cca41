"""What a log that cannot be written costs: counted, and reported at once, then at most once a minute, and when it is over."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

SAY_EVERY_S = 60.0
"""Shortest time between two reports, in seconds."""


class Over(str):
    """The text of a report that a path can be written again."""

    __slots__ = ()


class Trouble:
    """The losses of one path: `dropped` bytes in all; `present` while it cannot be written. `say` takes the reports."""

    __slots__ = ("_now", "_path", "_quiet_until", "_reported", "_say", "_unreported", "dropped", "present")

    def __init__(self, path: str, say: Callable[[str], None], now: Callable[[], float]) -> None:
        self.dropped = 0
        self.present = False
        self._path = path
        self._say = say
        self._now = now
        self._quiet_until = 0.0
        self._reported = False
        self._unreported = 0

    def lost(self, problem: str, amount: int) -> None:
        """Count `amount` bytes that were dropped because of `problem`."""
        self.present = True
        self.dropped += amount
        self._unreported += amount
        if self.warn(f"{problem}; {self._unreported} bytes dropped" if self._unreported else problem):
            self._reported = True
            self._unreported = 0

    def discarded(self, problem: str, amount: int) -> None:
        """Count `amount` bytes that were removed from the log because of `problem`; it can be written again."""
        self.dropped += amount
        self._unreported += amount
        if self.warn(f"{problem}; {self._unreported} bytes dropped"):
            self._unreported = 0

    def warn(self, text: str) -> bool:
        """Report `text` unless something was reported within the last minute; return whether it was."""
        now = self._now()
        if now < self._quiet_until:
            return False
        self._quiet_until = now + SAY_EVERY_S  # first: the event log may come back here
        self._say(text)
        return True

    def over(self) -> None:
        """Note that the path can be written again."""
        self.present = False
        if self._reported:
            self._reported = False
            self._unreported = 0
            self._say(Over(f"{self._path} can be written again; {self.dropped} bytes dropped in all"))

    def to_data(self) -> list[Any]:
        """Return what the daemon needs after an upgrade to go on counting."""
        return [self.dropped, self.present, self._quiet_until, self._reported, self._unreported]

    def inherit(self, values: Sequence[Any]) -> None:
        """Go on where `to_data` was called."""
        self.dropped, self.present, self._quiet_until, self._reported, self._unreported = values
