"""What a log that cannot be written costs: counted, and told at once, then at most once a minute, and when it is over."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

SAY_EVERY_S = 60.0


class Trouble:
    """Counts what was lost and tells it: at once, then at most once a minute, and when it is over."""

    __slots__ = ("_now", "_path", "_quiet_until", "_say", "_told", "_untold", "dropped", "present")

    def __init__(self, path: str, say: Callable[[str], None], now: Callable[[], float]) -> None:
        self.dropped = 0
        self.present = False
        self._path = path
        self._say = say
        self._now = now
        self._quiet_until = 0.0
        self._told = False
        self._untold = 0

    def lost(self, problem: str, amount: int) -> None:
        """`amount` bytes were dropped because of `problem`."""
        self.present = True
        self.dropped += amount
        self._untold += amount
        if self.warn(f"{problem}; {self._untold} bytes dropped" if self._untold else problem):
            self._told = True
            self._untold = 0

    def discarded(self, problem: str, amount: int) -> None:
        """`amount` bytes that were in the log are there no more because of `problem`; it takes what follows."""
        self.dropped += amount
        self._untold += amount
        if self.warn(f"{problem}; {self._untold} bytes dropped"):
            self._untold = 0

    def warn(self, text: str) -> bool:
        """Tell something, unless something was told within the last minute; returns whether it was."""
        now = self._now()
        if now < self._quiet_until:
            return False
        self._quiet_until = now + SAY_EVERY_S  # first: telling may come back here by way of the event log
        self._say(text)
        return True

    def over(self) -> None:
        """The target works again."""
        self.present = False
        if self._told:
            self._told = False
            self._untold = 0
            self._say(f"{self._path} can be written again; {self.dropped} bytes dropped in all")

    def to_data(self) -> list[Any]:
        """Return what another life needs to go on counting."""
        return [self.dropped, self.present, self._quiet_until, self._told, self._untold]

    def inherit(self, values: Sequence[Any]) -> None:
        """Go on where `to_data` was taken."""
        self.dropped, self.present, self._quiet_until, self._told, self._untold = values
