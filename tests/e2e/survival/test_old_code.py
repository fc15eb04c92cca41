"""A daemon of an old version is followed by one of this code: after a crash by its state file, and by a live upgrade."""

from __future__ import annotations

import compileall
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.daemon import ROOT, Daemon, process_exists
from tests.support.guarded import COUNTER, config, is_counted
from tests.support.talk import Talk, upgrade
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
OLD = "339c245612b4b284c56bdcc1c91219744045d90f"
"""The last commit before instances got tags, and state files keys."""
KEPT = ("pid", "state", "wanted")
PACKAGES = ("taskmasterd", "taskmasterctl", "common/taskmaster_common")


@pytest.fixture
def old_daemon(daemon: Daemon) -> Daemon:
    """Return a daemon that is started from the old code, in a place where other code can be put."""
    archive = subprocess.run(["git", "archive", OLD, *PACKAGES], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip(f"this is no repository with the commit {OLD[:7]}")
    tree, code = daemon.home / "old", daemon.home / "code"
    tree.mkdir()
    subprocess.run(["tar", "-x", "-C", tree], input=archive.stdout, check=True)
    for package in PACKAGES:  # once, and not by each command
        compileall.compile_dir(tree / package, quiet=2)
    install(daemon, tree)
    daemon.environment["PYTHONPATH"] = str(code)
    return daemon


def install(daemon: Daemon, tree: Path) -> None:
    """Put the packages of a source tree into the place from which the daemon imports them."""
    code = daemon.home / "code"
    shutil.rmtree(code, ignore_errors=True)
    for package in PACKAGES:
        shutil.copytree(tree / package, code / Path(package).name, ignore=shutil.ignore_patterns("*.pyc.*"))


def start_with_programs_in_many_states(daemon: Daemon) -> None:
    """Start programs that run, have ended, have failed, wait for another try, and write without a pause."""
    daemon.write(
        config(
            count={"cmd": COUNTER, "shell": True, "starttime": 0},
            pair={"cmd": "exec sleep 300", "shell": True, "numprocs": 2, "starttime": 0},
            ends={"cmd": "exit 3", "shell": True, "starttime": 0, "autorestart": "never"},
            fails={"cmd": "exit 4", "shell": True, "startretries": 0},
            waits={"cmd": "exit 5", "shell": True, "startretries": 3, "restart_delay": 60},
            stopped={"cmd": "exec sleep 300", "shell": True},
        )
    )
    daemon.start()
    assert daemon.ctl("stop", "stopped").returncode == 0
    states = {"count": "RUNNING", "ends": "EXITED", "fails": "FATAL", "waits": "BACKOFF", "stopped": "STOPPED"}
    for name, state in states.items():
        daemon.wait_for(name, state)
    wait_until(lambda: len(daemon.log("count")) > 0)


def assert_all_is_as_before(daemon: Daemon, before: dict[str, dict[str, object]]) -> None:
    """See that each process has the pid, state and counters that it had, and that no byte of the writer is lost."""
    for name, process in daemon.status().items():
        assert {key: process[key] for key in KEPT} == {key: before[name][key] for key in KEPT}, name
    wrote = len(daemon.log("count"))
    wait_until(lambda: len(daemon.log("count")) > wrote)
    assert daemon.ctl("stop", "count").returncode == 0
    assert is_counted(daemon.log("count"))


@pytest.mark.sweep
def test_the_state_that_an_old_daemon_left_when_it_was_killed_is_adopted(old_daemon: Daemon) -> None:
    start_with_programs_in_many_states(old_daemon)
    before = old_daemon.status()
    old_daemon.kill()
    install(old_daemon, ROOT)
    old_daemon.start()
    assert "of an earlier daemon" in old_daemon.events()
    assert_all_is_as_before(old_daemon, before)


@pytest.mark.sweep
def test_a_daemon_of_old_code_goes_on_as_one_of_this_code(old_daemon: Daemon) -> None:
    start_with_programs_in_many_states(old_daemon)
    before, pid = old_daemon.status(), old_daemon.pid
    with Talk(old_daemon, "restart pair:0") as asked:
        install(old_daemon, ROOT)
        assert upgrade(old_daemon)["pid"] == pid
        assert asked.until("end")[-1]["exit"] == 0
    before["pair:0"] = old_daemon.status()["pair:0"]
    assert_all_is_as_before(old_daemon, before)
    assert old_daemon.ctl("reload").returncode == 0
    old_daemon.signal(15)
    wait_until(lambda: not process_exists(pid))
    assert not any(process_exists(process["pid"]) for process in before.values() if isinstance(process["pid"], int))
    assert os.path.exists(old_daemon.config)
