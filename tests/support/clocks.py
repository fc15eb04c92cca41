"""Clocks of zones for tests of times: those of the zone database, by Python's zoneinfo, and moments as people write them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest

from taskmaster_common.text.calendar.cron import parse_cron
from taskmaster_common.text.calendar.times import Times, some_times
from taskmaster_common.text.calendar.zone import stamp


def offset_in(name: str) -> Callable[[int], int]:
    """Return how far the clocks of a zone are ahead at a moment; a test is skipped where the host has no zone database."""
    try:
        zone = ZoneInfo(name)
    except ZoneInfoNotFoundError:
        pytest.skip("the host has no zone database")

    def offset(moment: int) -> int:
        ahead = datetime.fromtimestamp(moment, zone).utcoffset()
        assert ahead is not None
        return int(ahead.total_seconds())

    return offset


def seconds(text: str) -> int:
    """Return a moment with an offset, or one of UTC, as seconds since 1970."""
    found = datetime.fromisoformat(text)
    return int((found if found.tzinfo else found.replace(tzinfo=timezone.utc)).timestamp())


def shown(moment: int, offset: Callable[[int], int]) -> str:
    """Return a moment as the clock of a zone shows it: 03-29 03:00+02."""
    return stamp(moment, offset(moment))[5:].replace(":00+", "+").replace(":00-", "-").removesuffix(":00")


def runs_between(text: str, zone: str, first: str, last: str) -> list[str]:
    """Return the times of a cron from `first` on, before `last`."""
    offset = offset_in(zone)
    until = seconds(last)
    found = some_times(Times((parse_cron(text),)), seconds(first) - 1, offset, 200)
    return [shown(moment, offset) for moment in found if moment < until]
