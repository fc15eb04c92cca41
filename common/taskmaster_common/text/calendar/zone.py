"""The clocks of a zone, by libc: TZ and tzset(3) around a computation, so that nothing of a zone is kept in memory.

libc takes an unknown zone for UTC and says nothing, so `zone_problem` looks for its file. The caller brings the environment, the
clock and what reads a file. Moments as texts have the offset of the zone, as the job's own clock shows them.
"""

from __future__ import annotations

from taskmaster_common.text.calendar.times import DAY_S, At, date_of
from taskmaster_common.text.moments import days_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from typing import Protocol, TypeVar

    from taskmaster_common.text.calendar.times import Offset

    T = TypeVar("T")

    class Shown(Protocol):
        """What localtime(3) returns."""

        @property
        def tm_gmtoff(self) -> int:
            """Seconds ahead of UTC."""

    class Clock(Protocol):
        """The module time."""

        def localtime(self, seconds: float, /) -> Shown:
            """Return what the clocks of the present zone show."""

        def tzset(self) -> None:
            """Take the zone from TZ."""


UTC = "UTC"
PLACES = ("/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo")
"""Where systems have their zone database; TZDIR comes first. Source: tzset(3), tzfile(5)."""
MAGIC = b"TZif"
VARIABLE = "TZ"


def in_zone(name: str, environment: MutableMapping[str, str], clock: Clock, do: Callable[[Offset], T]) -> T:
    """Return what `do(offset)` returns, with the clocks of a zone; "" is the system's own. Nothing else may look at a clock meanwhile."""
    if name == UTC:
        return do(_none)
    before = environment.get(VARIABLE)
    if name:
        environment[VARIABLE] = name
    clock.tzset()  # sees another /etc/localtime, too
    try:
        return do(lambda moment: clock.localtime(moment).tm_gmtoff)
    finally:
        if name:
            if before is None:
                del environment[VARIABLE]
            else:
                environment[VARIABLE] = before
            clock.tzset()


def _none(_moment: int) -> int:
    return 0


def zone_problem(name: str, head: Callable[[str], bytes | None], directory: str = "") -> str:
    """Return why a name is no zone of this host, or "". `head(path)` returns the first bytes of a file, None where there is none."""
    if name == UTC:
        return ""
    parts = name.split("/")
    if not name or name.startswith("/") or "\0" in name or any(part in ("", ".", "..") for part in parts):
        return "is not the name of a time zone such as Europe/Berlin or UTC"
    places = ((directory,) if directory else ()) + PLACES
    if any((head(f"{place}/{name}") or b"").startswith(MAGIC) for place in places):
        return ""
    if not any(head(f"{place}/{known}") for place in places for known in ("UTC", "Etc/UTC", "Europe/London")):
        return "cannot be looked up: this host has no zone database; install tzdata, or write UTC"
    return "is no such time zone; they are names such as Europe/Berlin or UTC"


def stamp(moment: int, ahead: int) -> str:
    """Return a moment with its offset: 2026-03-29 03:00:00+02:00."""
    days, second = divmod(moment + ahead, DAY_S)
    year, month, day = date_of(days)
    zone = abs(ahead) // 60
    sign = "-" if ahead < 0 else "+"
    clock = f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
    return f"{year:04}-{month:02}-{day:02} {clock}{sign}{zone // 60:02}:{zone % 60:02}"


def parse_at(text: str) -> At:
    """Return a moment as written: 2026-12-24T18:00, with seconds and an offset if one likes. Raises ValueError."""
    date, found, clock = text.strip().replace(" ", "T", 1).partition("T")
    clock, ahead = _zone_of(clock)
    year_month_day, hour_minute_second = date.split("-"), clock.split(":")
    if not found or len(year_month_day) != 3 or len(hour_minute_second) not in (2, 3):
        raise _no_at(text)
    year, month, day, hour, minute, *rest = (_digits(part, text) for part in (*year_month_day, *hour_minute_second))
    second = rest[0] if rest else 0
    if not (1970 <= year <= 9999 and hour < 24 and minute < 60 and second < 60):
        raise _no_at(text)
    days = days_of(year, month, day)
    if not 1 <= month <= 12 or date_of(days) != (year, month, day):
        raise ValueError(f'"{text}" is no day of the calendar')
    return At(days * DAY_S + hour * 3600 + minute * 60 + second, ahead)


def _zone_of(clock: str) -> tuple[str, int | None]:
    if clock.endswith("Z"):
        return clock[:-1], 0
    for sign, factor in (("+", 1), ("-", -1)):
        before, found, zone = clock.partition(sign)
        if found:
            hours, _, minutes = zone.partition(":")
            if not minutes and len(hours) == 4:
                hours, minutes = hours[:2], hours[2:]
            return before, factor * (_digits(hours, clock) * 3600 + _digits(minutes or "0", clock) * 60)
    return clock, None


def _digits(part: str, text: str) -> int:
    if not (part.isascii() and part.isdecimal() and len(part) <= 4):
        raise _no_at(text)
    return int(part)


def _no_at(text: str) -> ValueError:
    shown = text if len(text) <= 40 else f"{text[:40]}..."
    return ValueError(f'"{shown}" is not a moment such as 2026-12-24T18:00 or 2026-12-24T18:00+01:00')
