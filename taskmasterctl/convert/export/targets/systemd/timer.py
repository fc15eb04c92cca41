"""`schedule` as a timer. Pure. Source: systemd.timer(5), systemd.time(7)."""

from __future__ import annotations

from taskmaster_common.text.calendar.cron import FIELDS, WEEKDAYS, parse_cron
from taskmasterctl.convert.export.targets.draft import wanted
from taskmasterctl.convert.export.targets.systemd.units import UnitFile, seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from taskmaster_common.text.calendar.cron import Cron
    from taskmasterctl.convert.export.targets.systemd.draft import UnitDraft

MINUTE, HOUR, DAY, MONTH, _ = FIELDS
EVERY_WEEKDAY = (1 << len(WEEKDAYS)) - 1


def schedule(unit: UnitDraft) -> None:
    """Write the timer of a program that has a schedule."""
    value: Mapping[str, Any] = unit.source.value("schedule")
    if not value:
        return
    if unit.template:
        unit.dropped("schedule", "several instances cannot have one timer", "write a NAME@.timer")
        return
    name = unit.context.names[unit.source.name]
    made = UnitFile()
    made.set("Unit", "Description", f"when {name} runs")
    for setting, text in _times(value):
        made.set("Timer", setting, text)
    made.set("Timer", "AccuracySec", "1s")
    if value.get("jitter"):
        made.set("Timer", "RandomizedDelaySec", seconds(value["jitter"]))
        made.set("Timer", "FixedRandomDelay", "yes")
    if value.get("catch_up", 1) and "cron" in value:
        made.set("Timer", "Persistent", "yes")
    if wanted(unit.source):
        made.set("Install", "WantedBy", "timers.target")
    unit.files[f"{name}.timer"] = made
    _say(unit, value)


def _times(value: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    zone = f" {value['timezone']}" if value.get("timezone") else ""
    for line in value.get("cron", ()):
        yield from (("OnCalendar", text + zone) for text in calendar(parse_cron(line)))
    for moment in value.get("at", ()):
        yield "OnCalendar", moment.replace("T", " ") + zone
    if value.get("at_start"):
        yield "OnActiveSec", "0"
    if "every" in value:
        if not value.get("at_start"):
            yield "OnActiveSec", seconds(value["every"])
        yield "OnUnitActiveSec", seconds(value["every"])


def calendar(cron: Cron) -> list[str]:
    """Return a line of cron as calendar events: two where it means a day of the month or a day of the week."""
    days, weekdays = _numbers(cron.days, DAY.first, DAY.last), _weekdays(cron.weekdays)
    pairs = [(weekdays, days)] if cron.both else [("", days), (weekdays, "*")]
    months = _numbers(cron.months, MONTH.first, MONTH.last)
    clock = f"{_numbers(cron.hours, HOUR.first, HOUR.last)}:{_numbers(cron.minutes, MINUTE.first, MINUTE.last)}:00"
    return [f"{weekday}*-{months}-{day} {clock}" for weekday, day in pairs]


def _numbers(mask: int, first: int, last: int) -> str:
    """Return the numbers of a mask as a list of runs, `*` for all."""
    runs: list[list[int]] = []
    for number in (each for each in range(first, last + 1) if mask >> each & 1):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    if runs == [[first, last]]:
        return "*"
    return ",".join(f"{low:02}..{high:02}" if high > low else f"{low:02}" for low, high in runs)


def _weekdays(mask: int) -> str:
    if mask & EVERY_WEEKDAY == EVERY_WEEKDAY:
        return ""
    return ",".join(name.capitalize() for number, name in enumerate(WEEKDAYS) if mask >> number & 1) + " "


def _say(unit: UnitDraft, value: Mapping[str, Any]) -> None:
    if value.get("catch_up"):
        unit.changed("schedule", "catch_up: a missed run is made up however late it is")
    if value.get("overlap", "skip") != "skip":
        unit.changed("schedule", f"overlap: {value['overlap']}: what is due while it runs is left out")
    if "every" in value:
        unit.changed("schedule", "every: counts from the start of the run before")
    if any(parse_cron(line).flowing for line in value.get("cron", ())):
        unit.changed(
            "schedule", "when clocks are put back, the hour that comes twice counts once or twice as systemd has it"
        )
