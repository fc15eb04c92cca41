"""The next time after a moment: days, changes of clocks, and an independent library as the judge."""

from __future__ import annotations

import random
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given
from hypothesis import strategies as st

from taskmaster_common.text.calendar.cron import FIELDS, parse_cron
from taskmaster_common.text.calendar.times import At, Times, date_of, first_moment, latest_time, next_time, some_times
from taskmaster_common.text.calendar.zone import parse_at, stamp
from taskmaster_common.text.moments import days_of
from tests.support.clocks import offset_in, runs_between, seconds, shown

BERLIN = "Europe/Berlin"
GAP = ("2026-03-29T00:00+01:00", "2026-03-29T05:00+02:00")
REPEAT = ("2026-10-25T00:00+02:00", "2026-10-25T05:00+01:00")


def utc(_moment: int) -> int:
    return 0


# -- days


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("0 0 13 * 5", ["2026-12-04", "2026-12-11", "2026-12-13", "2026-12-18", "2026-12-25"]),
        ("0 0 */2 * 1", ["2026-12-07", "2026-12-21", "2027-01-11", "2027-01-25", "2027-02-01"]),
        ("0 0 29 2 *", ["2028-02-29", "2032-02-29", "2036-02-29", "2040-02-29", "2044-02-29"]),
        ("0 0 * * 7", ["2026-11-29", "2026-12-06", "2026-12-13", "2026-12-20", "2026-12-27"]),
        ("0 0 29 2 */7", ["2032-02-29", "2060-02-29"]),
    ],
)
def test_the_next_days_are_those_of_a_calendar(text: str, days: list[str]) -> None:
    found = some_times(Times((parse_cron(text),)), seconds("2026-11-28T10:00"), utc, len(days))
    assert [stamp(moment, 0)[:10] for moment in found] == days


def test_what_comes_no_more_has_no_next_time() -> None:
    assert next_time(Times((), (At(seconds("2026-01-01T00:00"), 0),)), seconds("2026-01-01T00:00"), utc) is None


def test_the_first_of_several_is_next() -> None:
    times = Times((parse_cron("0 3 * * 1-5"), parse_cron("0 9 * * 6,0")), (parse_at("2026-11-28T08:00"),))
    found = some_times(times, seconds("2026-11-27T12:00"), utc, 4)
    assert [stamp(moment, 0)[:16] for moment in found] == [
        *("2026-11-28 08:00", "2026-11-28 09:00", "2026-11-29 09:00", "2026-11-30 03:00"),
    ]


# -- changes of the clocks


@pytest.mark.parametrize(
    ("text", "gap", "repeat"),
    [
        ("30 2 * * *", ["03:00+02"], ["02:30+02"]),
        ("0 2 * * *", ["03:00+02"], ["02:00+02"]),
        ("0 3 * * *", ["03:00+02"], ["03:00+01"]),
        ("0,30 2 * * *", ["03:00+02"], ["02:00+02", "02:30+02"]),
        ("15 2-3 * * *", ["03:00+02", "03:15+02"], ["02:15+02", "03:15+01"]),
        (
            "*/30 * * * *",
            ["00:00+01", "00:30+01", "01:00+01", "01:30+01", "03:00+02", "03:30+02", "04:00+02", "04:30+02"],
            [
                *("00:00+02", "00:30+02", "01:00+02", "01:30+02", "02:00+02", "02:30+02", "02:00+01", "02:30+01"),
                *("03:00+01", "03:30+01", "04:00+01", "04:30+01"),
            ],
        ),
        (
            "0 * * * *",
            ["00:00+01", "01:00+01", "03:00+02", "04:00+02"],
            ["00:00+02", "01:00+02", "02:00+02", "02:00+01", "03:00+01", "04:00+01"],
        ),
        ("30 */2 * * *", ["00:30+01", "04:30+02"], ["00:30+02", "02:30+02", "02:30+01", "04:30+01"]),
        ("* 2 * * *", [], [f"02:{minute:02}+{ahead}" for ahead in ("02", "01") for minute in range(60)]),
    ],
)
def test_fixed_times_run_once_and_flowing_ones_in_real_minutes(text: str, gap: list[str], repeat: list[str]) -> None:
    assert [each[6:] for each in runs_between(text, BERLIN, *GAP)] == gap
    assert [each[6:] for each in runs_between(text, BERLIN, *REPEAT)] == repeat


@pytest.mark.parametrize(
    ("text", "gap", "repeat"),
    [
        ("30 2 * * *", ["03-08 03:00-04"], ["11-01 02:30-05"]),
        ("30 1 * * *", ["03-08 01:30-05"], ["11-01 01:30-04"]),
        ("*/30 1-2 * * *", ["03-08 01:00-05", "03-08 01:30-05", "03-08 03:00-04"], []),
        ("0,30 1-2 * * *", ["03-08 01:00-05", "03-08 01:30-05", "03-08 03:00-04"], []),
    ],
)
def test_so_does_new_york(text: str, gap: list[str], repeat: list[str]) -> None:
    found = runs_between(text, "America/New_York", "2026-03-08T00:00-05:00", "2026-03-08T05:00-04:00")
    assert found == (gap[:-1] if parse_cron(text).flowing else gap)
    if repeat:
        found = runs_between(text, "America/New_York", "2026-11-01T00:00-04:00", "2026-11-01T05:00-05:00")
        assert found == repeat


def test_a_job_in_utc_knows_nothing_of_other_clocks() -> None:
    times = Times((parse_cron("30 2 * * *"),))
    assert [stamp(each, 0)[:16] for each in some_times(times, seconds("2026-03-28T12:00"), utc, 2)] == [
        *("2026-03-29 02:30", "2026-03-30 02:30"),
    ]


@pytest.mark.parametrize(
    ("text", "zone", "first", "last", "found"),
    [
        # half an hour, at 02:00
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-04T00:00+10:30", "2026-10-04T05:00+11:00", ["10-04 02:30+11"]),
        ("45 1 * * *", "Australia/Lord_Howe", "2026-04-05T00:00+11:00", "2026-04-05T05:00+10:30", ["04-05 01:45+11"]),
        # the last minute of a day comes again after the first one of the next day
        (
            "30 23 * * *",
            "America/St_Johns",
            "2006-10-28T12:00-02:30",
            "2006-10-29T12:00-03:30",
            ["10-28 23:30-02:30"],
        ),
        # a whole day was left out
        ("0 12 30 * *", "Pacific/Apia", "2011-12-29T00:00-10:00", "2011-12-31T09:00+14:00", ["12-31 00:00+14"]),
        ("0 0 * * *", "America/Sao_Paulo", "2018-11-03T12:00-03:00", "2018-11-04T12:00-02:00", ["11-04 01:00-02"]),
    ],
)
def test_odd_changes_leave_nothing_out(text: str, zone: str, first: str, last: str, found: list[str]) -> None:
    assert runs_between(text, zone, first, last) == found


def test_an_at_that_the_clock_leaps_over_is_the_first_moment_after_the_gap() -> None:
    offset = offset_in(BERLIN)
    assert shown(first_moment(parse_at("2026-03-29T02:10").wall, offset), offset) == "03-29 03:00+02"
    assert shown(first_moment(parse_at("2026-10-25T02:10").wall, offset), offset) == "10-25 02:10+02"


# -- judges


def fields(choose: random.Random) -> str:
    """Return a random cron that both grammars know."""
    made: list[str] = []
    for field in FIELDS:
        last = 6 if field.name == "weekday" else 28 if field.name == "day" else field.last
        low = choose.randint(field.first, last)
        high = choose.randint(min(low + 1, last), last)
        step = choose.randint(1, 9)
        kinds = ("*", f"*/{step}", str(low), f"{low}-{high}", f"{low}-{high}/{step}", f"{low},{high}")
        spans = low < high  # the judge takes 3-3/2 for 3-6/2
        made.append(choose.choices(kinds, (6, 1, 3, spans, spans, 1))[0])
    return " ".join(made)


def judge(text: str, after: datetime, most: int) -> list[datetime]:
    simulated = CronSim(text, after)
    return [next(simulated) for _ in range(most)]


@given(st.integers(0, 2**32), st.integers(seconds("2024-01-01T00:00"), seconds("2031-01-01T00:00")))
def test_an_independent_library_finds_the_same_times_in_utc(seed: int, after: int) -> None:
    text = fields(random.Random(seed))
    found = some_times(Times((parse_cron(text),)), after, utc, 3)
    wanted = judge(text, datetime.fromtimestamp(after, timezone.utc), 3)
    assert list(found) == [int(each.timestamp()) for each in wanted], text


@pytest.mark.sweep
def test_so_it_does_for_ten_thousand_of_them() -> None:
    choose = random.Random(41)
    for _ in range(10_000):
        text, after = fields(choose), seconds("2026-01-01T00:00") + choose.randrange(5 * 366 * 86_400)
        found = next_time(Times((parse_cron(text),)), after, utc)
        wanted = judge(text, datetime.fromtimestamp(after, timezone.utc), 1)
        assert found == int(wanted[0].timestamp()), (text, after)


@given(st.integers(0, 2**32), st.integers(0, 200))
def test_so_it_does_about_changes_of_the_clocks(seed: int, hours: int) -> None:
    text, offset = fields(random.Random(seed)), offset_in(BERLIN)

    after = datetime(2026, 3, 28, tzinfo=timezone.utc) + timedelta(hours=hours % 72)
    after += timedelta(days=210) if hours % 2 else timedelta()
    found = some_times(Times((parse_cron(text),)), after.timestamp(), offset, 4)
    wanted = judge(text, after.astimezone(ZoneInfo(BERLIN)), 4)
    assert list(found) == [int(each.timestamp()) for each in wanted], text


@given(st.integers(0, 2**32), st.integers(0, 400), st.integers(1, 100_000_000))
def test_the_latest_time_is_the_last_of_all_that_come_before(seed: int, day: int, span: int) -> None:
    times = Times((parse_cron(fields(random.Random(seed))),))
    after = seconds("2026-01-01T00:00") + day * 86_400
    found = latest_time(times, after, after + span, utc)
    if found is None:
        later = next_time(times, after, utc)
        assert later is None or later > after + span
    else:
        assert after < found <= after + span
        assert next_time(times, found - 1, utc) == found
        later = next_time(times, found, utc)
        assert later is None or later > after + span


@given(st.integers(0, 3_000_000))
def test_a_day_is_the_date_that_it_was_made_from(day: int) -> None:
    assert days_of(*date_of(day)) == day
