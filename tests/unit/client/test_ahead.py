"""`runs --cron`: times without a daemon."""

from __future__ import annotations

import json
import os
import time

import pytest

from taskmaster_common.commands.table import parse
from taskmaster_common.errors import RequestError
from taskmasterctl.ahead import run_ahead
from tests.support.clocks import offset_in

TABLE = ("--cron", "30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2026-03-28T00:00", "-n", "2")


def test_it_prints_one_time_a_line_with_the_offset_of_the_zone(capfd: pytest.CaptureFixture[str]) -> None:
    offset_in("Europe/Berlin")
    assert run_ahead(parse(("runs", *TABLE)), os.environ, as_json=False) == 0
    assert capfd.readouterr().out == "2026-03-28 02:30:00+01:00\n2026-03-29 03:00:00+02:00\n"
    run_ahead(parse(("runs", *TABLE)), os.environ, as_json=True)
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert lines[0] == {"type": "time", "time": "2026-03-28 02:30:00+01:00"}


def test_the_time_from_which_it_looks_counts_and_may_have_an_offset_of_its_own(
    capfd: pytest.CaptureFixture[str],
) -> None:
    run_ahead(
        parse(("runs", "--cron", "0 12 * * *", "--timezone", "UTC", "--from", "2026-03-28T14:00+02:00", "-n", "1")),
        os.environ,
        as_json=False,
    )
    assert capfd.readouterr().out == "2026-03-28 12:00:00+00:00\n"


def test_a_zone_has_its_own_clocks_whatever_those_of_the_terminal_do(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    offset_in("Europe/London")
    monkeypatch.setenv("TZ", "Europe/London")  # its clocks are set back at 01:00 UTC
    time.tzset()
    words = ("--cron", "59 0 * * *", "--timezone", "UTC", "--from", "2022-10-30T00:50", "-n", "1")
    run_ahead(parse(("runs", *words)), os.environ, as_json=False)
    words = ("--cron", "1,30,59 1 * * *", "--timezone", "UTC", "--from", "2022-10-30T00:50", "-n", "3")
    run_ahead(parse(("runs", *words)), os.environ, as_json=False)
    monkeypatch.undo()
    time.tzset()
    found = capfd.readouterr().out.splitlines()
    assert found == [f"2022-10-30 {clock}:00+00:00" for clock in ("00:59", "01:01", "01:30", "01:59")]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--cron", "5/15 * * * *"), "write 5-59/15"),
        (("--cron", "0 3 * * *", "--timezone", "Nowhere/Land"), "no such time zone|no zone database"),
        (("--cron", "0 3 * * *", "--from", "noon"), "is not a moment"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: tuple[str, ...], why: str) -> None:
    with pytest.raises(RequestError, match=why):
        run_ahead(parse(("runs", *words)), os.environ, as_json=False)
