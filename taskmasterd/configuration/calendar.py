"""Answers the decoder's questions about zones and the clock. Used by the child that reads the configuration, with the first schedule."""

from __future__ import annotations

import time

from taskmaster_common.config.schedule import schedule_of
from taskmaster_common.text.calendar.times import some_times
from taskmaster_common.text.calendar.zone import MAGIC, stamp, zone_problem
from taskmasterd.system.loop.zones import within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.text.calendar.times import Offset


def zone_trouble(name: str, environment: Mapping[str, str]) -> str:
    """Return why a name is no time zone here, or ""."""
    return zone_problem(name, _head, environment.get("TZDIR", ""))


def upcoming(value: Mapping[str, Any], most: int) -> list[tuple[int, str]]:
    """Return the next times of a schedule, each with its text."""
    now, schedule = time.time(), schedule_of(value)

    def look(offset: Offset) -> list[tuple[int, str]]:
        return [(each, stamp(each, offset(each))) for each in some_times(schedule.times, now, offset, most)]

    return within(schedule.timezone, look)


def _head(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC))
    except OSError:
        return None
