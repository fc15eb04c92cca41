"""Schedules as CronJobs: one for each time, what Kubernetes means otherwise, and what no line of cron means."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.support.exporting import export_text, said
from tests.support.schemas import kubernetes_problems


def exported(schedule: str, more: str = "") -> tuple[list[dict[str, Any]], list[str]]:
    """Return the objects, and what is said of the schedule."""
    text = f"programs:\n  job: {{cmd: x, start_timeout: 30, schedule: {schedule}}}\n{more}"
    made = export_text("kubernetes", text)
    found = [*yaml.safe_load_all(made.files["kubernetes.yaml"])]
    assert [problem for each in found for problem in kubernetes_problems(each)] == []
    return found, [line.partition(": ")[2] for line in said(made) if ": schedule" in line]


AGAIN = "comes again each year; delete the CronJob then"
CLOCK = "every: at such times of the clock, not counted from the last run"
MEET = "one CronJob for each time: runs of two of them may be under way at once"
BOTH = "runs on each of these days of the month, and on each of these weekdays"


@pytest.mark.parametrize(
    ("schedule", "lines", "texts"),
    [
        ("'0 3 * * 1-5'", ["0 3 * * 1-5"], []),
        ("'@Daily'", ["@daily"], []),
        ("'0 0 13 * 5'", ["0 0 13 * 5"], []),
        ("'0 9 * * 5-7'", ["0 9 * * 0,5,6"], []),
        ("'0 0 */2 * 1'", ["0 0 */2 * 1"], [f"0 0 */2 * 1: {BOTH}"]),
        ("{cron: ['0 3 * * *', '0 9 1 * *']}", ["0 3 * * *", "0 9 1 * *"], [MEET]),
        ("{every: 60}", ["* * * * *"], [CLOCK]),
        ("{every: 10m}", ["*/10 * * * *"], [CLOCK]),
        ("{every: 1h}", ["0 * * * *"], [CLOCK]),
        ("{every: 6h}", ["0 */6 * * *"], [CLOCK]),
        ("{every: 1d}", ["0 0 * * *"], [CLOCK]),
        ("{every: 7d}", ["0 0 * * 0"], [CLOCK]),
        ("{at: 2026-12-24T18:05}", ["5 18 24 12 *"], [f"at 2026-12-24T18:05: {AGAIN}"]),
    ],
)
def test_each_time_is_a_cronjob(schedule: str, lines: list[str], texts: list[str]) -> None:
    found, reported = exported(schedule)
    assert [each["kind"] for each in found] == ["CronJob"] * len(lines)
    assert [each["spec"]["schedule"] for each in found] == lines
    assert [line.partition(": ")[2] for line in reported] == texts


@pytest.mark.parametrize("period", ["30", "7m", "90m", "5h", "2d"])
def test_a_period_that_no_line_means_is_a_suspended_job_and_dropped(period: str) -> None:
    (found,), (reported,) = exported(f"{{every: {period}}}")
    assert (found["kind"], found["spec"]["suspend"]) == ("Job", True)
    assert "no line of cron means every" in reported


def test_a_moment_with_an_offset_is_in_utc_and_zones_are_kept() -> None:
    found, reported = exported("{at: ['2026-01-01T00:30:20+02:00', '2026-01-01T00:30'], timezone: Europe/Berlin}")
    assert [(each["spec"]["schedule"], each["spec"]["timeZone"]) for each in found] == [
        ("30 22 31 12 *", "Etc/UTC"),
        ("30 0 1 1 *", "Europe/Berlin"),
    ]
    assert any("at its full minute" in line for line in reported)


def test_cronjobs_beyond_the_first_have_names_that_no_program_has() -> None:
    found, _ = exported("{cron: ['0 3 * * *', '0 4 * * *', '0 5 * * *']}", "  job-2: {cmd: x}\n")
    assert [each["metadata"]["name"] for each in found] == ["job", "job-3", "job-4", "job-2"]
    assert found[0]["spec"]["jobTemplate"] == found[1]["spec"]["jobTemplate"]
