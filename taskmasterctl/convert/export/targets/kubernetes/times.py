"""`schedule` as lines of cron, each for a CronJob of its own. Pure. Source: the API reference of Kubernetes, batch/v1; cron of robfig, v3."""

from __future__ import annotations

from taskmaster_common.text.calendar.cron import FIELDS, parse_cron
from taskmaster_common.text.calendar.times import DAY_S, date_of
from taskmaster_common.text.calendar.zone import parse_at
from taskmaster_common.text.formats import format_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

MINUTE_S, HOUR_S = 60, 3600
PERIODS = {1440: "0 0 * * *", 10_080: "0 0 * * 0"}
"""Lines for a day and a week, by minutes."""
UTC = "Etc/UTC"
SUNDAY = "7"


class CronLines:
    """The lines of a schedule, each with its zone, None for that of the cluster; what is `changed`, and why there are none (`missing`)."""

    def __init__(self, value: Mapping[str, Any]) -> None:
        self.changed: list[str] = []
        self.missing = ""
        zone = value.get("timezone") or None
        self.found: list[tuple[str, str | None]] = []
        if "every" in value:
            self.found = [(line, zone) for line in self._of_period(value["every"])]
        self.found += [(self._of_cron(line), zone) for line in value.get("cron", ())]
        self.found += [self._of_moment(text, zone) for text in value.get("at", ())]
        if len(self.found) > 1:
            self.changed.append("one CronJob for each time: runs of two of them may be under way at once")

    def _of_cron(self, line: str) -> str:
        """Return a line of cron as a CronJob reads it: it knows no weekday 7, and `*/2` is a restriction there."""
        cron, fields = parse_cron(line), line.split()
        if len(fields) != len(FIELDS):
            return line.strip().lower()
        if cron.both and cron.two_days:
            self.changed.append(f"{line}: runs on each of these days of the month, and on each of these weekdays")
        if SUNDAY in fields[4]:
            fields[4] = _numbers(cron.weekdays)
        return " ".join(fields)

    def _of_period(self, every: float) -> Iterator[str]:
        minutes, rest = divmod(every, MINUTE_S)
        hours = minutes / 60
        if rest or not minutes:
            line = ""
        elif minutes in PERIODS:
            line = PERIODS[int(minutes)]
        elif minutes < 60 and 60 % minutes == 0:
            line = f"*/{minutes:.0f} * * * *" if minutes > 1 else "* * * * *"
        elif hours == int(hours) and hours < 24 and 24 % hours == 0:
            line = f"0 */{hours:.0f} * * *" if hours > 1 else "0 * * * *"
        else:
            line = ""
        if line:
            self.changed.append("every: at such times of the clock, not counted from the last run")
            yield line
        else:
            self.missing = f"no line of cron means every {format_seconds(every)}"

    def _of_moment(self, text: str, zone: str | None) -> tuple[str, str | None]:
        moment = parse_at(text)
        wall = moment.wall - (moment.ahead or 0)
        _year, month, day = date_of(wall // DAY_S)
        minute, second = divmod(wall % DAY_S, MINUTE_S)
        self.changed.append(f"at {text}: comes again each year; delete the CronJob then")
        if second:
            self.changed.append(f"at {text}: at its full minute")
        return f"{minute % 60} {minute // 60} {day} {month} *", zone if moment.ahead is None else UTC


def _numbers(mask: int) -> str:
    return ",".join(str(number) for number in range(7) if mask >> number & 1)
