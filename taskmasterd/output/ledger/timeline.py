"""When how much was written to a log, for `logs --since`: the bytes themselves carry no time.

Writing is remembered as periods, at most MOST_PERIODS for each log; beyond that, neighbours are joined, first those whose
length matters least at their age. It needs no timer and no descriptor: a chunk costs a comparison.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PERIOD_S = 1.0
"""Shortest period, in seconds: what is written within it is one period from the start."""
MOST_PERIODS = 48

NUMBERS, SIZE = 3, 8
"""A period: begin, end, number of bytes, as C doubles. 24 bytes; a tuple of three numbers has 150, the module struct 56 000."""
NO_PERIODS = bytearray(0)
"""Shared by all logs that have not been written."""


class LogMarks:
    """The periods in which a log was written, oldest first. All times are monotonic seconds."""

    __slots__ = ("_periods",)

    def __init__(self) -> None:
        self._periods = NO_PERIODS

    def add(self, amount: int, now: float) -> None:
        """Note that `amount` bytes were written at the moment `now`."""
        if self._periods:
            last = memoryview(self._periods).cast("d")[-NUMBERS:]
            if now - last[0] < PERIOD_S:
                last[1], last[2] = now, last[2] + amount
                return
        periods = [*self.to_data(), (now, now, amount)]
        if len(periods) > MOST_PERIODS:
            _join(periods, now)
        self.inherit(periods)

    def to_data(self) -> list[tuple[float, float, int]]:
        """Return the periods as (began, ended, amount)."""
        numbers = memoryview(self._periods).cast("d").tolist()
        return [(began, ended, int(amount)) for began, ended, amount in zip(*[iter(numbers)] * NUMBERS)]

    def inherit(self, periods: Iterable[tuple[float, float, int]]) -> None:
        """Replace the periods by what `to_data` returned."""
        numbers = [number for period in periods for number in period]
        self._periods = bytearray(len(numbers) * SIZE) if numbers else NO_PERIODS
        view = memoryview(self._periods).cast("d")
        for at, number in enumerate(numbers):
            view[at] = number

    def stretches(self, length: int, after: int) -> list[tuple[int, float | None]]:
        """Return when which of the last bytes were written: (number of bytes, end of their period), oldest first.

        They are the `length` bytes before the last `after` bytes. The moment is None for bytes from before the first period.
        """
        found: list[tuple[int, float | None]] = []
        skip, left = after, length
        for _began, ended, amount in reversed(self.to_data()):
            taken = min(max(0, amount - skip), left)
            skip, left = max(0, skip - amount), left - taken
            if taken:
                found.append((taken, ended))
        if left:
            found.append((left, None))
        return found[::-1]

    def since(self, moment: float) -> int:
        """Return how many of the last bytes were written since `moment`, and a few more: periods count as a whole."""
        return sum(amount for _began, ended, amount in self.to_data() if ended >= moment)


def _join(periods: list[tuple[float, float, int]], now: float) -> None:
    """Join two neighbours: the pair whose length is the smallest part of its age."""

    def weight(first: int) -> float:
        ended = periods[first + 1][1]
        return (ended - periods[first][0]) / (now - ended + PERIOD_S)

    at = min(range(len(periods) - 2), key=weight)
    (began, _, amount), (_, ended, more) = periods[at : at + 2]
    periods[at : at + 2] = [(began, ended, amount + more)]
