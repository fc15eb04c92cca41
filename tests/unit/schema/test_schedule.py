"""`schedule` in the file: its forms, its errors, its doubts, and what it makes of the program."""

from __future__ import annotations

from typing import Any

import pytest

from taskmaster_common.paths import default_places
from taskmaster_common.schema import Here, effective_text
from tests.support.host import NOON, SIGNALS, load, program, program_problems, upcoming_at

LIMIT = "start_timeout: 60"


def doubts(text: str) -> list[str]:
    """Return the warnings about a program with a limit, each without its place."""
    loaded = load(f"programs:\n  web: {{cmd: run, {LIMIT}, schedule: {text}}}\n")
    return [line.splitlines()[0].partition("schedule: ")[2] for line in loaded.warnings]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("'0 3 * * *'", {"cron": ["0 3 * * *"]}),
        ("'@daily'", {"cron": ["@daily"]}),
        ("['0 3 * * 1-5', '0  9 * * 6,0']", {"cron": ["0 3 * * 1-5", "0 9 * * 6,0"]}),
        (
            "{cron: '0 3 * * *', timezone: Europe/Berlin, jitter: 5m, catch_up: 12h, overlap: queue}",
            {
                "cron": ["0 3 * * *"],
                "timezone": "Europe/Berlin",
                "jitter": 300.0,
                "catch_up": 43_200.0,
                "overlap": "queue",
            },
        ),
        ("{every: 10m, at_start: true, history: 0}", {"every": 600.0, "at_start": True, "history": 0}),
        ("none", {}),
        ("{at: 2026-12-24T18:00}", {"at": ["2026-12-24T18:00"]}),
        ("{at: [2026-12-24 18:00, '2027-01-01T00:00Z']}", {"at": ["2026-12-24T18:00", "2027-01-01T00:00Z"]}),
    ],
)
def test_each_form_is_decoded(text: str, value: dict[str, Any]) -> None:
    found = program(f"schedule: {text}")
    assert found.schedule == value
    assert list(found.schedule)[:1] == list(value)[:1], "the way comes first"


def test_what_has_a_schedule_is_a_oneshot_with_the_defaults_of_one() -> None:
    found = program("schedule: '@daily'")
    policy = found.policy
    assert (policy.type, policy.starttime, policy.startretries, policy.start_timeout) == ("oneshot", 0.0, 0, 0.0)
    assert program("type: oneshot\nschedule: '@daily'").policy.type == "oneshot"
    assert program("").policy.type == "service"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("schedule: 10m", "is a period; write every: 10m"),
        ("schedule: {every: 10m, cron: '@daily'}", "has cron and every; write exactly one"),
        ("schedule: {timezone: UTC}", "says nothing about when"),
        ("schedule: {every: 0.5}", "is not between 1s and 31d"),
        ("schedule: {every: 32d}", "is not between 1s and 31d"),
        ("schedule: {every: 5, overlap: wait}", '"wait" is not one of skip, queue, replace'),
        ("schedule: {every: 5, history: 1001}", "is not a number of runs"),
        ("schedule: daily", '"daily" has 1 field; did you mean @daily?'),
        ("schedule: soon", '"soon" has 1 field; cron has five: minute'),
        ("schedule: {interval: 5}", "did you mean every?"),
        ("schedule: {cron: []}", "expected 1 to 100"),
        ("schedule: {at: tomorrow}", "is not a moment"),
        ("schedule: {at: 2026-02-30T00:00}", "is no day of the calendar"),
        ("schedule: '0 0 31 2 *'", "never happens"),
        ("schedule: '5/15 * * * *'", "write 5-59/15"),
        ("schedule: {cron: '@daily', timezone: Nowhere/Land}", "is no such time zone"),
        ("schedule: '@daily'\ntype: service", "what has a schedule is a oneshot; remove type"),
        ("schedule: '@daily'\nhealth: {tcp: '127.0.0.1:80'}", "remove health"),
        ("schedule: '@daily'\nautorestart: always", "remove autorestart"),
        ("schedule:", "has no value"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_write_instead(text: str, problem: str) -> None:
    found = program_problems(text)
    assert len(found) == 1, found
    assert problem in found[0]


def test_a_schedule_cannot_be_a_default_of_all_programs() -> None:
    with pytest.raises(Exception, match="cannot be a default of all programs"):
        load("defaults: {schedule: '@daily'}\nprograms: {web: {cmd: run}}\n")


@pytest.mark.parametrize(
    ("text", "doubt"),
    [
        ("'0 0 13 * 5'", "a day on which either fits; next: 2026-12-04, 2026-12-11, 2026-12-13"),
        ("'0 0 */2 * 1'", "a day on which both fit; next: 2026-12-07, 2026-12-21, 2027-01-11"),
        ("{at: [2020-01-01T00:00, 2027-01-01T00:00]}", "1 of its moments are in the past"),
        ("{at: 2020-01-01T00:00}", "it will not run"),
        ("{every: 10m, timezone: UTC}", "timezone has no effect with every"),
        ("{every: 10m, catch_up: 11m}", "catch_up is longer than two runs are apart (10m)"),
        ("{cron: '*/5 * * * *', jitter: 6m}", "jitter is longer than two runs are apart (5m)"),
    ],
)
def test_what_may_surprise_is_a_warning(text: str, doubt: str) -> None:
    found = doubts(text)
    assert len(found) == 1, found
    assert doubt in found[0]


def test_what_is_usual_gives_no_warning() -> None:
    assert doubts("'0 3 * * *'") == []
    assert doubts("{every: 10m}") == []
    assert doubts("{cron: '@daily', timezone: UTC, jitter: 5m, catch_up: 12h}") == []


def test_retries_that_take_longer_than_the_next_run_is_away_are_a_warning() -> None:
    text = "{cmd: run, start_timeout: 5, startretries: 4, restart_delay: 5, schedule: {every: 30}}"
    loaded = load(f"programs:\n  web: {text}\n")
    assert "the retries of a failed run take longer" in loaded.warnings[0]


def test_a_run_without_a_limit_is_a_warning_unless_the_next_one_replaces_it() -> None:
    hangs = load("programs:\n  web: {cmd: run, schedule: '@daily'}\n").warnings
    assert "a run that hangs skips all later ones" in hangs[0]
    assert load("programs:\n  web: {cmd: run, schedule: {cron: '@daily', overlap: replace}}\n").warnings == ()


def test_the_effective_configuration_names_the_next_three_runs() -> None:
    loaded = load("programs:\n  web: {cmd: run, schedule: {cron: '0 3 * * *', catch_up: 12h}}\n")

    text = effective_text(
        loaded.config, SIGNALS, default_places(0, {}), here=Here(upcoming_at(NOON), lambda _program: "posix_spawn")
    )
    assert text.endswith("    # which is started by posix_spawn\n")
    assert '    schedule: {cron: ["0 3 * * *"], "catch_up": 43200}\n' in text
    runs = "2026-11-29 03:00:00+00:00, 2026-11-30 03:00:00+00:00, 2026-12-01 03:00:00+00:00"
    assert f"    # whose next runs are: {runs}\n" in text
    again = load(text).config.program("web")
    assert again is not None
    assert again.schedule == {"cron": ["0 3 * * *"], "catch_up": 43_200.0}
