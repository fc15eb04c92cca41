"""Lines of cron as systemd's calendar events, with systemd's own reader of them as judge."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from taskmaster_common.text.calendar.cron import parse_cron
from taskmasterctl.convert.export.targets.systemd.timer import calendar

LINES = {
    "0 3 * * *": ["*-*-* 03:00:00"],
    "*/15 * * * *": ["*-*-* *:00,15,30,45:00"],
    "0 0 13 * 5": ["*-*-13 00:00:00", "Fri *-*-* 00:00:00"],
    "0 0 */2 * 1": ["Mon *-*-01,03,05,07,09,11,13,15,17,19,21,23,25,27,29,31 00:00:00"],
    "5-59/15 8-18 * jan-mar mon-fri": ["Mon,Tue,Wed,Thu,Fri *-01..03-* 08..18:05,20,35,50:00"],
    "0 0 29 2 *": ["*-02-29 00:00:00"],
    "@weekly": ["Sun *-*-* 00:00:00"],
    "30 4 1,15 * 7": ["*-*-01,15 04:30:00", "Sun *-*-* 04:30:00"],
}
NEXT = {
    "0 3 * * *": ["2026-11-30 03:00", "2026-12-01 03:00"],
    "0 0 13 * 5": ["2026-12-04 00:00", "2026-12-11 00:00", "2026-12-13 00:00"],
    "0 0 */2 * 1": ["2026-12-07 00:00", "2026-12-21 00:00"],
    "0 0 29 2 *": ["2028-02-29 00:00", "2032-02-29 00:00"],
    "30 4 1,15 * 7": ["2026-12-01 04:30", "2026-12-06 04:30", "2026-12-13 04:30", "2026-12-15 04:30"],
}
"""The first moments after 29 Nov 2026 10:00 UTC, a Sunday, by POSIX: day of the month or of the week where both are named."""


@pytest.mark.parametrize("line", LINES)
def test_a_line_of_cron_is_one_or_two_events(line: str) -> None:
    assert calendar(parse_cron(line)) == LINES[line]


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_finds_the_same_moments() -> None:
    for line, moments in NEXT.items():
        found = sorted(moment for event in calendar(parse_cron(line)) for moment in _moments(event))
        assert found[: len(moments)] == moments, line


def _moments(event: str) -> list[str]:
    words = ["systemd-analyze", "calendar", "--iterations=4", "--base-time=2026-11-29 10:00:00 UTC", f"{event} UTC"]
    lines = subprocess.run(
        words, capture_output=True, text=True, check=True, env={"TZ": "UTC", "PATH": "/usr/bin"}
    ).stdout
    shown = [line.split(": ", 1)[1] for line in lines.splitlines() if "Next elapse: " in line or "#" in line]
    return [text.split(" ", 1)[1][:16] for text in shown]
