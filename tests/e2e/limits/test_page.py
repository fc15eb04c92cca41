"""The examples of docs/programs/limits.md run, and show what the page says."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from tests.support.daemon import ROOT, Daemon
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
PAGE = (ROOT / "docs" / "programs" / "limits.md").read_text()
EXAMPLES = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.sweep
@pytest.mark.skipif(0 not in os.sched_getaffinity(0), reason="not allowed to use processor 0")
def test_the_first_example_shows_what_stands_there(daemon: Daemon) -> None:
    daemon.write(EXAMPLES[0])
    daemon.start()
    for name in ("web", "batch"):  # before its last step a forked child has not all of it
        wait_until(lambda name=name: daemon.ctl("show", name).stdout.count("in force") == 5)  # type: ignore[misc]
    shown = daemon.ctl("show", "web").stdout
    (said,) = re.findall(r"^\$ taskmasterctl show web\n  limits:\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE)
    hard = re.findall(r"rlimits core +0/(\w+)", shown)[0]
    rows = [line.split() for line in said.replace("unlimited", hard).splitlines()]
    assert [line.split() for line in shown.splitlines() if line.endswith("in force")] == rows
    assert daemon.ctl("show", "batch").stdout.count("in force") == 5


def test_tools_that_execute_a_program_in_their_place_leave_it_its_pid(daemon: Daemon) -> None:
    lines = [line for line in EXAMPLES[-1].splitlines() if "cmd:" in line]
    words = [re.findall(r"cmd: (\S+)", line)[0] for line in lines]
    assert words == ["setpriv", "bwrap", "chrt", "unshare"]
    usable = [
        line for line, word in zip(lines, words) if shutil.which(word) and (os.geteuid() == 0 or word != "unshare")
    ]
    daemon.write("\n".join(["programs:", *usable]))
    daemon.start()
    wait_until(lambda: all(command(process["pid"]) == "sleep" for process in daemon.status().values()))
    for process in daemon.status().values():
        assert process["state"] in ("STARTING", "RUNNING")
    checked = daemon.launch("-t")
    assert checked.returncode == 0, checked.stderr


def command(pid: int | None) -> str:
    """Return the name of a process, "" if there is none yet or any more."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
