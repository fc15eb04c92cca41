"""The five fields of cron -> sets of minutes, hours, days, months and weekdays, as masks; and a hint where a text is another tool's.

Source: POSIX, crontab; names, steps and `@daily` are those of Vixie cron.
"""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmaster_common.text.nearest import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MACROS: Mapping[str, str] = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""Most days of each month."""
MOST = 1000
"""Longest text, characters."""
SUNDAY = 7
"""The other number of Sunday."""


class Field(Record):
    """One field: its name, its numbers, and the names of some of them, the first one's first."""

    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()


FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("weekday", 0, SUNDAY, WEEKDAYS),
)


class Cron(Record):
    """When: bit N of a mask stands for the number N, Sunday is 0.

    `both`: day and weekday must both be as the masks say, else one of them. `flowing`: it runs in real minutes, at each of which
    the wall clock shows what the masks say; else at fixed times of the wall clock, none of which is left out or comes twice.
    """

    text: str
    minutes: int
    hours: int
    days: int
    months: int
    weekdays: int
    both: bool
    flowing: bool

    def on(self, month: int, day: int, weekday: int) -> bool:
        """Return whether a date is one of its days."""
        by_day, by_weekday = bool(self.days >> day & 1), bool(self.weekdays >> weekday & 1)
        return bool(self.months >> month & 1) and (by_day and by_weekday if self.both else by_day or by_weekday)

    @property
    def two_days(self) -> bool:
        """Whether it names days of the month and days of the week, so that readers may take it for something else."""
        return self.days != _all(FIELDS[2]) and self.weekdays != _all(FIELDS[4]) & ~(1 << SUNDAY)


def parse_cron(text: str) -> Cron:
    """Return what five fields or a word such as `@daily` say. Raises ValueError, with what to write instead where that is known."""
    if len(text) > MOST:
        raise ValueError(f"has {len(text)} characters; at most {MOST} are allowed")
    given = text.split()
    written = MACROS.get(text.strip().lower(), "").split() or given
    problem = _no_fields(given, written)
    if problem:
        raise ValueError(f'"{_cut(text)}" {problem}')
    minutes, hours, days, months, weekdays = (_mask(*each) for each in zip(FIELDS, written))
    weekdays = (weekdays | weekdays >> SUNDAY) & ~(1 << SUNDAY)
    day, weekday = written[2], written[4]
    both = day.startswith("*") or weekday.startswith("*")
    flowing = written[0].startswith("*") or written[1].startswith("*")
    found = Cron(" ".join(given), minutes, hours, days, months, weekdays, both, flowing)
    if not _happens(found):
        raise ValueError(f'"{_cut(text)}" never happens: none of these months has such a day')
    return found


def _no_fields(given: list[str], written: list[str]) -> str:
    """Return why these words are no five fields, or ""."""
    first = given[0] if given else ""
    if first.lower() == "@reboot":
        return "is not a time; write at_start: true, with a cron, every or at"
    if len(given) == 1 and written is given and (near := nearest(f"@{first.lower()}", MACROS)):
        return f"has 1 field; did you mean {near}?"
    if first.startswith("@") and written is given:
        return f"is not one of {', '.join(MACROS)}"
    if first.partition("=")[0] in ("CRON_TZ", "TZ"):
        return "has a zone in it; write that as timezone: beside cron"
    if len(given) in (6, 7) and written is given:
        return f"has {len(given)} fields; cron has five, minute hour day month weekday, and no seconds: use every: 10s"
    if len(written) != len(FIELDS):
        return f"has {len(given)} field{'' if len(given) == 1 else 's'}; cron has five: minute hour day month weekday, such as 0 3 * * *"
    return ""


def _happens(cron: Cron) -> bool:
    """Return whether there is such a day. With either of day and weekday there is one each week."""
    if not cron.both and cron.weekdays:
        return True
    return any(cron.months >> month & 1 and _low(cron.days) <= LENGTHS[month - 1] for month in range(1, 13))


def _low(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def _all(field: Field) -> int:
    return (1 << field.last + 1) - (1 << field.first)


def _mask(field: Field, text: str) -> int:
    mask = 0
    for item in text.split(","):
        span, slash, step = item.partition("/")
        first, last = _span(field, span, item)
        if slash and span != "*" and "-" not in span:
            raise _wrong(field, item, f"a step needs a range; write {span}-{_end(field)}/{step}")
        for number in range(first, last + 1, _step(field, step, item) if slash else 1):
            mask |= 1 << number
    return mask


def _step(field: Field, text: str, item: str) -> int:
    step = _digits(text)
    if not step:
        raise _wrong(field, item, f'"{_cut(text)}" is not a step, 1 or more')
    return step


def _span(field: Field, text: str, item: str) -> tuple[int, int]:
    """Return the first and the last number of a range, of one number, or of all."""
    if text == "*":
        return field.first, _end(field)
    low, dash, high = text.partition("-")
    first = _number(field, low, item)
    if not dash:
        return first, first
    last = _number(field, high, item)
    if last == 0 and first > 0 and field.name == "weekday":
        last = SUNDAY
    if last < first:
        instead = f"{low}-{_name(field, _end(field), low)},{_name(field, field.first, low)}-{high}"
        raise _wrong(field, item, f"goes backwards; write {instead}")
    return first, last


def _end(field: Field) -> int:
    return SUNDAY - 1 if field.last == SUNDAY else field.last


def _name(field: Field, number: int, like: str) -> str:
    """Return a number of a field as another one is written."""
    return str(number) if like.isdecimal() or not field.names else field.names[number - field.first]


def _number(field: Field, text: str, item: str) -> int:
    named = text.lower()
    if named in field.names:
        return field.names.index(named) + field.first
    number = _digits(text)
    if number is None:
        raise _wrong(field, item, _not_a_number(field, text))
    if not field.first <= number <= field.last:
        raise _wrong(field, item, f"{number} is not between {field.first} and {field.last}")
    return number


def _not_a_number(field: Field, text: str) -> str:
    if text.upper().rstrip("W") in ("L", "") and text:
        return f'"{_cut(text)}" is not known here; let the program itself look at the date'
    if "#" in text:
        return f'"{_cut(text)}" is not known here; write days 1-7 for the first week, and let the program look at the weekday'
    if text == "?":
        return '"?" is not known here; write *'
    if text.upper().startswith("H") and field.name != "month":
        return f'"{_cut(text)}" is not known here; write a number, and jitter: to spread runs'
    names = f", or {field.names[0]} to {field.names[-1]}" if field.names else ""
    return f'"{_cut(text)}" is not a number from {field.first} to {field.last}{names}'


def _digits(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 3 else None


def _wrong(field: Field, item: str, why: str) -> ValueError:
    return ValueError(f'{field.name} "{_cut(item)}": {why}')


def _cut(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:40]}..."
