"""Moments, as users write them and as the history does."""

from __future__ import annotations

import calendar
import time

import pytest

from taskmaster_common.text.moments import days_of, parse_moment, seconds_of, since_1970
from taskmasterd.telling.history import stamp

NOW = 1_795_867_200.0  # 2026-11-28T12:00:00Z


def moment(text: str) -> float | str:
    """Return a moment on a host two hours ahead of UTC."""
    return parse_moment(text, NOW, (2026, 11, 28), lambda parts: calendar.timegm((*parts, 0, 0, 0)) - 7200.0)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-28T10:00", "2026-11-28T08:00:00.000000Z"),
        ("2026-11-28T10:00:01.5", "2026-11-28T08:00:01.500000Z"),
        ("2026-11-28", "2026-11-27T22:00:00.000000Z"),
        ("2026-11-28T10:00Z", "2026-11-28T10:00:00.000000Z"),
        ("2026-11-28T10:00+05:30", "2026-11-28T04:30:00.000000Z"),
        ("2026-11-28T10:00-08", "2026-11-28T18:00:00.000000Z"),
        ("10:00", "2026-11-28T08:00:00.000000Z"),
        ("23:30", "2026-11-27T21:30:00.000000Z"),
        ("2h", "2026-11-28T10:00:00.000000Z"),
        ("90", "2026-11-28T11:58:30.000000Z"),
        ("@1.25", "1970-01-01T00:00:01.250000Z"),
    ],
)
def test_a_time_is_local_unless_it_has_a_zone_and_a_time_of_day_is_past(text: str, utc: str) -> None:
    found = moment(text)
    assert isinstance(found, float)
    assert stamp(found) == utc
    assert seconds_of(utc) == pytest.approx(found)


@pytest.mark.parametrize("word", ["boot", "start"])
def test_words_stay_words(word: str) -> None:
    assert moment(word) == word


@pytest.mark.parametrize(
    "text", ["", "now", "25:00", "10:60", "2026-13-01", "2026-11-28T10", "-2h", "@", "@-1", "10:00+x", "9" * 99]
)  # fmt: skip
def test_anything_else_is_refused_with_what_it_may_be(text: str) -> None:
    with pytest.raises(ValueError, match="is not a moment such as 2026-11-28T10:00, 10:00, 2h"):
        moment(text)


def test_days_are_counted_over_leap_years() -> None:
    for seconds in range(-3_000_000_000, 8_000_000_000, 86_400 * 97):
        parts = time.gmtime(seconds)
        assert days_of(parts.tm_year, parts.tm_mon, parts.tm_mday) == seconds // 86_400


@pytest.mark.parametrize("text", ["@inf", "@nan", "@-1", "@1e300", "@", "@9999999999999"])
def test_what_is_a_number_to_python_only_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match="is not a moment"):
        since_1970(text)


def test_seconds_since_1970_have_fractions() -> None:
    assert since_1970("@1795867200.25") == NOW + 0.25
