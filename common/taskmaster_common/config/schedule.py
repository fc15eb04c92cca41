"""A value of `schedule` as a record: its times, and what is done about those that are missed or meet a run. Pure; loaded with the first one."""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmaster_common.text.calendar.cron import parse_cron
from taskmaster_common.text.calendar.times import Times
from taskmaster_common.text.calendar.zone import parse_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

CRON: Final = "cron"
EVERY: Final = "every"
AT: Final = "at"
WAYS = (CRON, EVERY, AT)
"""Exactly one of them says when."""
SKIP: Final = "skip"
QUEUE: Final = "queue"
REPLACE: Final = "replace"
OVERLAPS = (SKIP, QUEUE, REPLACE)
"""What a run that is due does while the one before is not over: it is left out, waits for its end, or ends it."""


class Schedule(Record):
    """When a program runs: `times` of the calendar, or a period `every`, seconds. `what` is another text for other times.

    `timezone` is "" for the daemon's own. `jitter` and `catch_up` are seconds, `history` a number of runs.
    """

    what: str
    times: Times = Times()
    every: float = 0.0
    timezone: str = ""
    jitter: float = 0.0
    overlap: str = SKIP
    catch_up: float = 3600.0
    at_start: bool = False
    history: int = 20


def schedule_of(value: Mapping[str, Any]) -> Schedule:
    """Return what a value of the key says. Raises ValueError for texts that the decoder does not let through."""
    way = next(name for name in WAYS if name in value)
    zone = value.get("timezone", "")
    given = {name: each for name, each in value.items() if name not in (CRON, AT)}
    times = Times(tuple(map(parse_cron, value.get(CRON, ()))), tuple(map(parse_at, value.get(AT, ()))))
    shown = value[way] if way == EVERY else ", ".join(value[way])
    return Schedule(what=f"{way} {shown}" + (f" {zone}" if zone and way != EVERY else ""), times=times, **given)


def jitter_of(schedule: Schedule, host: str, name: str) -> float:
    """Return the delay of one slot, seconds: the same at each run, and another one for another slot or host."""
    return round(schedule.jitter * _spread(f"{host} {name}"), 3)


def _spread(text: str) -> float:
    """Return a number from 0 to 1 for a text. Source: G. Fowler, L. Noll, K. Vo: FNV-1a, 32 bits; its end mixed as MurmurHash3 does."""
    found = 0x811C9DC5
    for byte in text.encode():
        found = (found ^ byte) * 0x01000193 & 0xFFFFFFFF
    found = (found ^ found >> 16) * 0x85EBCA6B & 0xFFFFFFFF
    found = (found ^ found >> 13) * 0xC2B2AE35 & 0xFFFFFFFF
    return (found ^ found >> 16) / 0xFFFFFFFF
