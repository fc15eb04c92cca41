"""The next time after a moment: one pure function, which schedules, `runs --from` and a fake clock share.

Moments are whole seconds since 1970, dates are days since then. `offset(moment)` says how many seconds the clocks of a zone are
ahead of UTC at that moment; all that is to be known of a zone comes out of it.
"""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmaster_common.text.calendar.cron import LENGTHS
from taskmaster_common.text.moments import days_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskmaster_common.text.calendar.cron import Cron

    Offset = Callable[[int], int]

DAY_S, HOUR_S = 86_400, 3600
FARTHEST_S = 16 * HOUR_S
"""More than any zone is away from UTC, seconds."""
CALM_S = 12 * HOUR_S
"""Time within which a zone changes its clocks at most once, seconds."""
MOST_YEARS = 50
"""A 29 February that is a Sunday may be 40 years away."""
THURSDAY = 4
"""Weekday of 1970-01-01; Sunday is 0."""


class At(Record):
    """One moment as written: `wall` is what the clock shows, in seconds as if of UTC; `ahead` the offset where one is written."""

    wall: int
    ahead: int | None = None


class Times(Record):
    """When something is due by the calendar: at any of these."""

    crons: tuple[Cron, ...] = ()
    ats: tuple[At, ...] = ()


def next_time(times: Times, after: float, offset: Offset) -> int | None:
    """Return the first time later than `after`; None where there is none, or none within fifty years."""
    found = [_next_of_cron(cron, after, offset) for cron in times.crons]
    found += [moment for at in times.ats if (moment := moment_of(at, offset)) > after]
    return min((each for each in found if each is not None), default=None)


def moment_of(at: At, offset: Offset) -> int:
    """Return the moment of an `at`; one that the clock leaps over is the first moment after the gap."""
    return at.wall - at.ahead if at.ahead is not None else first_moment(at.wall, offset)


def latest_time(times: Times, after: float, until: float, offset: Offset) -> int | None:
    """Return the last time later than `after` and not later than `until`, in some forty looks, however many there are between."""
    low, high = int(after // 1), int(until // 1)
    found = next_time(times, after, offset)
    if found is None or found > until:
        return None
    while low < high:  # the greatest moment after which one is still due
        middle = (low + high + 1) // 2
        later = next_time(times, middle, offset)
        if later is not None and later <= until:
            low, found = middle, later
        else:
            high = middle - 1
    return found


def some_times(times: Times, after: float, offset: Offset, most: int) -> Iterator[int]:
    """Yield the next times, at most so many."""
    for _ in range(most):
        found = next_time(times, after, offset)
        if found is None:
            return
        yield found
        after = found


def first_moment(wall: int, offset: Offset) -> int:
    """Return when a clock first shows `wall`; where it leaps over that, the first moment after the gap."""
    before, behind = offset(wall - FARTHEST_S), offset(wall + FARTHEST_S)
    fitting = [wall - ahead for ahead in (before, behind) if offset(wall - ahead) == ahead]
    if fitting:
        return min(fitting)
    low, high = wall - max(before, behind), wall - min(before, behind)
    return _change(low, high, offset)


def _change(low: int, high: int, offset: Offset) -> int:
    """Return the first moment after `low`, at most `high`, at which the offset is not that of `low`."""
    ahead = offset(low)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if offset(middle) == ahead else (low, middle)
    return high


# -- cron


def _next_of_cron(cron: Cron, after: float, offset: Offset) -> int | None:
    return _real_minute(cron, int(after // 1) + 1, offset) if cron.flowing else _fixed_time(cron, after, offset)


def _fixed_time(cron: Cron, after: float, offset: Offset) -> int | None:
    """Return the first time of a wall clock that leaves nothing out and does nothing twice. Source: cron(8) of Debian."""
    moment = int(after // 1)
    wall = _shown(cron, (moment + offset(moment)) // 60 * 60)
    while wall is not None:
        found = first_moment(wall, offset)
        if found > after:
            return found
        wall = _shown(cron, wall + 60)
    return None


def _real_minute(cron: Cron, moment: int, offset: Offset) -> int | None:
    """Return the first moment from this one on at which the wall clock shows what the masks say."""
    while True:
        ahead = offset(moment)
        wall = _shown(cron, moment + ahead)
        if wall is None:
            return None
        due = wall - ahead  # if nobody changes the clock before
        moment = max(moment, due - 2 * DAY_S)
        end = min(due, moment + CALM_S)
        if offset(moment) != ahead:
            continue
        if offset(end) != ahead:
            moment = _change(moment, end, offset)
        elif end == due:
            return due
        else:
            moment = end


def _shown(cron: Cron, wall: int) -> int | None:
    """Return the first time of a wall clock, not before `wall`, that the masks have; None: not within fifty years."""
    today, second = divmod(wall, DAY_S)
    for day in _days(cron, today):
        minute = _minute(cron, -(-second // 60) if day == today else 0)
        if minute is not None:
            return day * DAY_S + minute * 60
    return None


def _minute(cron: Cron, begin: int) -> int | None:
    """Return the first minute of a day, from `begin` on."""
    first, minute = divmod(begin, 60)
    for hour in range(first, 24):
        rest = cron.minutes >> minute
        if cron.hours >> hour & 1 and rest:
            return hour * 60 + minute + (rest & -rest).bit_length() - 1
        minute = 0
    return None


def _days(cron: Cron, first: int) -> Iterator[int]:
    """Yield the days from `first` on."""
    year, month, day = date_of(first)
    last = year + MOST_YEARS
    while year <= last:
        if cron.months >> month & 1:
            begin = days_of(year, month, 1) - 1
            for each in range(day, _length(year, month) + 1):
                if cron.on(month, each, (begin + each + THURSDAY) % 7):
                    yield begin + each
        day, month = 1, month + 1
        if month > 12:
            year, month = year + 1, 1


def _length(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 28 if month == 2 and not leap else LENGTHS[month - 1]


def date_of(days: int) -> tuple[int, int, int]:
    """Return year, month and day. Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days."""
    era, of_era = divmod(days + 719_468, 146_097)
    of_era_year = (of_era - of_era // 1460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * of_era_year + of_era_year // 4 - of_era_year // 100)
    shifted = (5 * of_year + 2) // 153
    month = shifted + 3 if shifted < 10 else shifted - 9
    return of_era_year + era * 400 + (month <= 2), month, of_year - (153 * shifted + 2) // 5 + 1
