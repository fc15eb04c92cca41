"""The unit under a real systemd, which is PID 1 of a namespace: what it starts, kills, reloads and starts again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.systemd_host import CONFIG, SYSTEMD, Host
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.slow,
    pytest.mark.root,
    pytest.mark.skipif(os.geteuid() != 0 or not SYSTEMD.exists(), reason="needs root and systemd"),
]


@pytest.fixture
def host(short_dir: Path) -> Iterator[Host]:
    for tool in ("unshare", "nsenter"):
        if not shutil.which(tool):
            pytest.skip(f"needs {tool}")
    made = Host(short_dir)
    try:
        made.boot()
        yield made
    finally:
        made.process.kill()
        made.process.wait()


def test_the_unit_starts_reloads_and_stops(host: Host) -> None:
    host.install()
    assert (host.show("ActiveState"), host.show("SubState")) == ("active", "running")
    wait_until(lambda: "3/3 running" in host.show("StatusText"))
    before = host.pids()
    host.write("/etc/taskmaster/taskmaster.yaml", CONFIG.replace("numprocs: 2", "numprocs: 3"))
    host.run("systemctl", "reload", "taskmasterd")
    assert len(host.pids()) == 4
    assert set(before) < set(host.pids())
    host.write("/etc/taskmaster/taskmaster.yaml", "programs: {web: {}}\n")
    assert "failed" in host.run("sh", "-c", "systemctl reload taskmasterd 2>&1", check=False)
    assert "programs.web: cmd is missing" in host.journal()
    assert host.show("ActiveState") == "active"
    assert len(host.pids()) == 4
    host.stops()


def test_what_kills_the_daemon_touches_no_program_and_systemd_starts_the_next(host: Host) -> None:
    host.install("WatchdogSec=4")  # a daemon of a busy machine feeds it in time
    host.dies_and_is_replaced("-s", "KILL")
    host.dies_and_is_replaced("-s", "STOP")  # the watchdog is not fed any more
    assert "Watchdog timeout" in host.journal()
    host.stops()


def test_with_a_guardian_the_unit_goes_on_where_the_daemon_dies(host: Host) -> None:
    start = "ExecStart=\nExecStart=/opt/taskmaster/bin/taskmasterd --guard -c /etc/taskmaster/taskmaster.yaml"
    host.install(f"{start}\nNotifyAccess=all")
    before, daemon = host.pids(), host.ctl("pid")
    assert daemon != host.show("MainPID"), "that is the guardian"
    host.run("kill", "-KILL", daemon)
    wait_until(lambda: host.ctl("pid", check=False) not in ("", daemon))
    assert host.pids() == before
    assert host.lines_without_a_gap()
    assert (host.show("ActiveState"), host.show("NRestarts")) == ("active", "0")
    host.stops()


def test_a_configuration_that_is_wrong_is_not_tried_again_and_again(host: Host) -> None:
    host.install(config="programs: {web: {}}\n", start=False)
    host.run("systemctl", "start", "taskmasterd", check=False)
    assert "taskmaster.yaml:1:12: error: programs: cmd is missing" in host.journal(), "names may be a piece of env"
    assert (host.show("ActiveState"), host.show("ExecMainStatus"), host.show("NRestarts")) == ("failed", "6", "0")
