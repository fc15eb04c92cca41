"""Moments as users write them: `2026-11-28T10:00`, `10:00`, `2h` (ago), `boot`, `start`, `@SECONDS`; and as the history does.

Pure: the caller gives the clocks, and what turns local time into seconds. Never loaded by an idle daemon.
"""

from __future__ import annotations

from taskmaster_common.text.units import parse_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Local = Callable[[tuple[int, int, int, int, int, int]], float]

DAY_S = 86_400
BOOT, START = "boot", "start"
"""The words: since the system, since the daemon was started."""


def parse_moment(text: str, now: float, today: tuple[int, int, int], local: Local) -> float | str:
    """Return a moment in seconds since 1970, or one of the words.

    `today` is the local date; `local((year, month, day, hour, minute, second))` returns seconds. A time of day is the last one
    that has been. Raises ValueError for anything else.
    """
    if text in (BOOT, START):
        return text
    if text.startswith("@"):
        return since_1970(text)
    date, _, clock = text.partition("T")
    if date.count("-") == 2:
        year, month, day = (int(_digits(part, text)) for part in date.split("-"))
        if not (1970 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= 31):
            raise _no_moment(text)
        return _of_day((year, month, day), clock or "00:00", text, local)
    if ":" in text:
        found = _of_day(today, text, text, local)
        return found - DAY_S if found > now else found
    try:
        return now - parse_seconds(text)
    except ValueError:
        raise _no_moment(text) from None


def since_1970(text: str) -> float:
    """Return the seconds of "@SECONDS". Raises ValueError, also for `@inf` and `@nan`, which are numbers to Python."""
    return _number(text[1:], text)


def seconds_of(stamp: str) -> float:
    """Return the seconds since 1970 of a time in UTC as the history writes it. Raises ValueError."""
    date, _, clock = stamp.removesuffix("Z").partition("T")
    year, month, day = map(int, date.split("-"))
    hour, minute, second = clock.split(":")
    return days_of(year, month, day) * DAY_S + int(hour) * 3600 + int(minute) * 60 + float(second)


def days_of(year: int, month: int, day: int) -> int:
    """Return the days since 1970-01-01. Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468


def _of_day(day: tuple[int, int, int], clock: str, text: str, local: Local) -> float:
    clock, zone = _without_zone(clock, text)
    parts = clock.split(":")
    if len(parts) not in (2, 3):
        raise _no_moment(text)
    hour, minute = (int(_digits(part, text)) for part in parts[:2])
    second = _number(parts[2], text) if len(parts) == 3 else 0.0
    if hour > 23 or minute > 59 or second >= 60:
        raise _no_moment(text)
    if zone is not None:
        return days_of(*day) * DAY_S + hour * 3600 + minute * 60 + second - zone
    return local((*day, hour, minute, int(second))) + second % 1


def _without_zone(clock: str, text: str) -> tuple[str, float | None]:
    """Return the time of day, and how far its zone is ahead of UTC, in seconds; None for the local one."""
    if clock.endswith("Z"):
        return clock[:-1], 0.0
    for sign, factor in (("+", 1), ("-", -1)):
        before, found, zone = clock.partition(sign)
        if found:
            hours, _, minutes = zone.partition(":")
            ahead = int(_digits(hours, text)) * 3600 + int(_digits(minutes or "0", text)) * 60
            return before, float(factor * ahead)
    return clock, None


def _digits(part: str, text: str) -> str:
    if not (part.isascii() and part.isdecimal() and len(part) <= 4):
        raise _no_moment(text)
    return part


def _number(part: str, text: str) -> float:
    whole, _, rest = part.partition(".")
    if not (whole.isascii() and whole.isdecimal() and len(whole) <= 12 and (rest == "" or rest.isdecimal())):
        raise _no_moment(text)
    return float(part)


def _no_moment(text: str) -> ValueError:
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    return ValueError(f'"{shown}" is not a moment such as 2026-11-28T10:00, 10:00, 2h (ago), boot or start')
