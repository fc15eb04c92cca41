"""The example of docs/programs/schedules.md runs as it stands, and its table of changes of the clocks is true."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.support.clocks import runs_between
from tests.support.daemon import ROOT, Daemon
from tests.support.wait import wait_until

PAGE = (ROOT / "docs" / "programs" / "schedules.md").read_text()
ROWS = re.findall(
    r"^\| `([^`@]+)` \| ([^|]+) \| ([^|]+) \|$", PAGE.partition("## Zones")[2].partition("## For")[0], re.MULTILINE
)
DAYS = (("2026-03-29T00:00+01:00", "2026-03-29T05:00+02:00"), ("2026-10-25T00:00+02:00", "2026-10-25T05:00+01:00"))


@pytest.fixture(scope="module")
def shared(share_daemon: Callable[[str], Daemon]) -> Daemon:
    """Return a daemon with the example of the page."""
    daemon = share_daemon(PAGE.partition("```yaml\n")[2].partition("```")[0])
    for name in ("backup", "report", "sync", "lights"):
        path = daemon.home / name
        path.write_text("#!/bin/sh\necho $0 $1 >>ran\n")
        path.chmod(0o755)
    return daemon.start()


def test_the_example_waits_for_its_times_and_what_is_to_run_at_the_start_has_run(shared: Daemon) -> None:
    wait_until(lambda: shared.status()["sync"]["detail"].startswith("done (0) in "), within_s=20)
    details = {name: process["detail"] for name, process in shared.status().items()}
    assert {name for name, text in details.items() if text.startswith("not run yet; next ")} == {
        "backup",
        "report",
        "party",
    }
    assert (shared.home / "ran").read_text() == "./sync\n"


def test_the_example_has_no_warning(shared: Daemon) -> None:
    done = shared.launch("-t")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(("cron", "gap", "repeat"), ROWS)
def test_the_table_of_changes_of_the_clocks_is_true(cron: str, gap: str, repeat: str) -> None:
    for told, (first, last) in zip((gap, repeat), DAYS):
        found = [f"{time[6:]}:00" for time in runs_between(cron, "Europe/Berlin", first, last)]
        wanted = [time for time in told.strip().split(", ") if time != "…"]
        assert found == wanted if "…" not in told else [time for time in found if time in wanted] == wanted


def test_the_table_has_rows() -> None:
    assert len(ROWS) == 4
