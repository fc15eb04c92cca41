"""When how much was written to a log: what `logs --since` knows, because the bytes themselves carry no time.

Writing is remembered as periods, at most MOST_PERIODS for each log; where there are more, neighbours are joined, those first
whose length matters least at their age. No timer, no descriptor: a chunk that is written costs a comparison.
"""

from __future__ import annotations

from array import array

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

PERIOD_S = 1.0
"""What is written within so many seconds is one period from the start."""
MOST_PERIODS = 48


NO_TIMES = array("d")
NO_AMOUNTS = array("q")
"""Shared by all logs that nobody has written yet."""


class LogMarks:
    """The periods in which a log was written, oldest first. All times are monotonic seconds."""

    __slots__ = ("_amounts", "_began", "_ended")

    def __init__(self) -> None:
        self._began = NO_TIMES
        self._ended = NO_TIMES
        self._amounts = NO_AMOUNTS

    def add(self, amount: int, now: float) -> None:
        """Say that `amount` bytes were written just now."""
        if self._began and now - self._began[-1] < PERIOD_S:
            self._ended[-1] = now
            self._amounts[-1] += amount
            return
        if self._began is NO_TIMES:
            self._began, self._ended, self._amounts = array("d"), array("d"), array("q")
        self._began.append(now)
        self._ended.append(now)
        self._amounts.append(amount)
        if len(self._began) > MOST_PERIODS:
            self._join(now)

    def to_data(self) -> list[tuple[float, float, int]]:
        """Return the periods as (began, ended, amount)."""
        return list(zip(self._began, self._ended, self._amounts))

    def inherit(self, periods: Sequence[tuple[float, float, int]]) -> None:
        """Remember what `to_data` returned."""
        if periods:
            began, ended, amounts = zip(*periods)
            self._began, self._ended, self._amounts = array("d", began), array("d", ended), array("q", amounts)

    def since(self, moment: float) -> int:
        """Return how many of the last bytes were written since then: all of these, and what shares a period with them."""
        return sum(amount for amount, ended in zip(self._amounts, self._ended) if ended >= moment)

    def _join(self, now: float) -> None:
        """Make one of two neighbours: the pair whose length is the smallest part of its age."""
        at = min(range(len(self._began) - 2), key=lambda n: self._length(n) / (now - self._ended[n + 1] + PERIOD_S))
        self._ended[at] = self._ended[at + 1]
        self._amounts[at] += self._amounts[at + 1]
        for column in (self._began, self._ended, self._amounts):
            del column[at + 1]

    def _length(self, first: int) -> float:
        return self._ended[first + 1] - self._began[first]
