"""Zones by libc, and moments as people write them."""

from __future__ import annotations

import os
import time

import pytest

from taskmaster_common.text.calendar.times import At
from taskmaster_common.text.calendar.zone import in_zone, parse_at, stamp, zone_problem
from tests.support.clocks import offset_in, seconds

SUMMER, WINTER = seconds("2026-07-01T00:00"), seconds("2026-12-01T00:00")


@pytest.mark.parametrize("name", ["Europe/Berlin", "America/New_York", "Asia/Kathmandu"])
def test_the_clocks_of_a_zone_are_those_of_the_database(name: str) -> None:
    known = offset_in(name)
    found = in_zone(name, os.environ, time, lambda offset: (offset(SUMMER), offset(WINTER)))
    assert found == (known(SUMMER), known(WINTER))


def test_afterwards_the_daemon_has_its_own_zone_again(monkeypatch: pytest.MonkeyPatch) -> None:
    offset_in("Asia/Tokyo")
    before = time.localtime(SUMMER).tm_gmtoff
    for own in (None, "Asia/Tokyo"):
        if own:
            monkeypatch.setenv("TZ", own)
            time.tzset()
        with pytest.raises(ZeroDivisionError):
            in_zone("Europe/Berlin", os.environ, time, lambda offset: offset(SUMMER) // 0)
        assert os.environ.get("TZ") == own
        assert time.localtime(SUMMER).tm_gmtoff == (9 * 3600 if own else before)
    monkeypatch.undo()
    time.tzset()


def test_utc_needs_no_database_and_no_environment() -> None:
    assert in_zone("UTC", {}, time, lambda offset: offset(SUMMER)) == 0


def test_a_zone_that_the_host_does_not_know_is_refused() -> None:
    files = {
        "/usr/share/zoneinfo/Europe/Berlin": b"TZif2",
        "/usr/share/zoneinfo/UTC": b"TZif2",
        "/zones/Here": b"TZif2",
    }

    def head(path: str) -> bytes | None:
        return files.get(path)

    assert zone_problem("Europe/Berlin", head) == ""
    assert zone_problem("Here", head, "/zones") == ""
    assert zone_problem("UTC", lambda _path: None) == ""
    assert "is no such time zone" in zone_problem("Nowhere/Land", head)
    assert "no zone database" in zone_problem("Europe/Berlin", lambda _path: None)
    for wrong in ("", "/etc/passwd", "../../etc/passwd", "Europe//Berlin", "a\0b"):
        assert "is not the name" in zone_problem(wrong, head)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-12-24T18:00", At(seconds("2026-12-24T18:00"))),
        ("2026-12-24 18:00:30", At(seconds("2026-12-24T18:00:30"))),
        ("2026-12-24T18:00Z", At(seconds("2026-12-24T18:00"), 0)),
        ("2026-12-24T18:00+05:45", At(seconds("2026-12-24T18:00"), 20_700)),
        ("2026-12-24T18:00-0330", At(seconds("2026-12-24T18:00"), -12_600)),
        ("2026-12-24T18:00-08", At(seconds("2026-12-24T18:00"), -28_800)),
    ],
)
def test_a_moment_is_a_date_and_a_time_with_or_without_an_offset(text: str, at: At) -> None:
    assert parse_at(text) == at


@pytest.mark.parametrize(
    "text",
    [
        *("", "18:00", "2026-12-24", "2026-02-30T00:00", "2026-13-01T00:00", "2026-12-24T24:00", "2026-12-24T18:60"),
        *(
            "tomorrow",
            "2026-12-24T18:00+x",
            "1969-12-24T18:00",
            "2026-12-24T18",
            "2026-12-00T18:00",
            "2026-00-10T18:00",
        ),
    ],
)
def test_anything_else_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a moment|is no day"):
        parse_at(text)


def test_a_moment_is_shown_with_the_offset_of_its_zone() -> None:
    assert stamp(seconds("2026-03-29T01:00"), 7200) == "2026-03-29 03:00:00+02:00"
    assert stamp(seconds("2026-03-29T01:00"), -12_600) == "2026-03-28 21:30:00-03:30"
