"""When how much was written to a log: what `logs --since` knows, because the bytes themselves carry no time.

Writing is remembered as periods, at most MOST_PERIODS for each log; where there are more, neighbours are joined, those first
whose length matters least at their age. No timer, no descriptor: a chunk that is written costs a comparison.
"""

from __future__ import annotations

from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PERIOD_S = 1.0
"""What is written within so many seconds is one period from the start."""
MOST_PERIODS = 48

PERIOD = Struct("=ddq")
"""A period as it is kept, packed: 24 bytes; as a tuple of three numbers it has 150. When it began, when it ended, how many bytes."""
NO_PERIODS = bytearray()
"""Shared by all logs that nobody has written yet."""


class LogMarks:
    """The periods in which a log was written, oldest first. All times are monotonic seconds."""

    __slots__ = ("_periods",)

    def __init__(self) -> None:
        self._periods = NO_PERIODS

    def add(self, amount: int, now: float) -> None:
        """Say that `amount` bytes were written just now."""
        last = len(self._periods) - PERIOD.size
        if last >= 0:
            began, _ended, before = PERIOD.unpack_from(self._periods, last)
            if now - began < PERIOD_S:
                PERIOD.pack_into(self._periods, last, began, now, before + amount)
                return
        periods = [*self.to_data(), (now, now, amount)]
        if len(periods) > MOST_PERIODS:
            _join(periods, now)
        self.inherit(periods)

    def to_data(self) -> list[tuple[float, float, int]]:
        """Return the periods as (began, ended, amount)."""
        return list(PERIOD.iter_unpack(self._periods))

    def inherit(self, periods: Iterable[tuple[float, float, int]]) -> None:
        """Remember what `to_data` returned."""
        self._periods = bytearray().join(PERIOD.pack(*period) for period in periods) or NO_PERIODS

    def since(self, moment: float) -> int:
        """Return how many of the last bytes were written since then: all of these, and what shares a period with them."""
        return sum(amount for _began, ended, amount in PERIOD.iter_unpack(self._periods) if ended >= moment)


def _join(periods: list[tuple[float, float, int]], now: float) -> None:
    """Make one of two neighbours: the pair whose length is the smallest part of its age."""

    def weight(first: int) -> float:
        ended = periods[first + 1][1]
        return (ended - periods[first][0]) / (now - ended + PERIOD_S)

    at = min(range(len(periods) - 2), key=weight)
    (began, _, amount), (_, ended, more) = periods[at : at + 2]
    periods[at : at + 2] = [(began, ended, amount + more)]
