"""Planned restarts with a real daemon: memory, age, one after the other, and a daemon that dies or is upgraded meanwhile."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable

import pytest

from tests.support.daemon import Daemon
from tests.support.wait import wait_until

TAKES = """
import os, signal, sys, time
def bye(*_):
    print("TERM", flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, bye)
at_first, in_child = (int(each) * 1_000_000 for each in sys.argv[1:])
taken = b"x" * at_first
if in_child and os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    taken = b"x" * in_child
else:
    time.sleep(0.3)
    del taken
while True:
    time.sleep(99)
"""
LIMIT = {"memory": "25MB", "interval": 1}
"""A Python takes some 5 MB for itself."""


def takes(at_first: int, in_child: int) -> list[str]:
    """Return the command of a program that takes so many megabytes at first, and so many in a child."""
    return [sys.executable, "-S", "-c", TAKES, str(at_first), str(in_child)]


PROGRAMS: dict[str, dict[str, object]] = {
    "leaks": {"cmd": takes(1, 40), "starttime": 0, "recycle": LIMIT},
    "peak": {"cmd": takes(40, 0), "starttime": 0, "recycle": {**LIMIT, "interval": 3}},
    "old": {"cmd": "sleep 98", "numprocs": 4, "starttime": 0.2, "recycle": {"age": 2}},
    "held": {"cmd": "sleep 97", "starttime": 0, "recycle": {"age": 1}, "pre_restart": "false"},
    "slow": {"cmd": "sleep 96", "numprocs": 3, "starttime": 0, "recycle": {"age": 1}, "update": {"monitor": 600}},
    "stopped": {"cmd": "sleep 95", "starttime": 0, "autostart": False, "recycle": {"age": 1}},
    "done": {"cmd": "true", "starttime": 0, "recycle": {"age": 1}},
}


@pytest.fixture(scope="module")
def shared(share_daemon: Callable[..., Daemon]) -> Daemon:
    """A daemon that has recycled several programs."""
    daemon = share_daemon(json.dumps({"programs": PROGRAMS}))
    daemon.start()
    daemon.ctl("start", "stopped")
    daemon.ctl("stop", "stopped")
    away: list[int] = []

    def restarted() -> bool:
        found = daemon.status()
        away.append(sum(found[f"old:{index}"]["state"] != "RUNNING" for index in range(4)))
        return all(found[f"old:{index}"]["restarts"] >= 1 for index in range(4))

    wait_until(lambda: all(daemon.status()[f"old:{index}"]["state"] == "RUNNING" for index in range(4)))
    wait_until(restarted)
    assert max(away) <= 1, "one instance at a time"
    wait_until(lambda: daemon.status()["leaks"]["restarts"] >= 1 and daemon.status()["leaks"]["state"] == "RUNNING")
    return daemon


@pytest.mark.sweep
def test_a_program_whose_child_takes_too_much_is_stopped_in_order_and_started_again(shared: Daemon) -> None:
    assert b"TERM\n" in shared.log("leaks")
    said = shared.ctl("why", "leaks").stdout
    assert "recycled: memory " in said
    assert "MB over 25MB, twice in 1s" in said
    assert "leaks recycled: memory" in shared.events()


def test_what_takes_much_at_its_start_only_is_left_alone(shared: Daemon) -> None:
    assert shared.status()["peak"]["restarts"] == 0
    assert shared.status()["peak"]["state"] == "RUNNING"


def test_each_old_instance_is_recycled_and_that_is_no_failure(shared: Daemon) -> None:
    events = shared.ctl("events", "old", "--json").stdout
    assert events.count('"recycled"') >= 4
    assert "recycled: age 2s" in shared.ctl("why", "old:2").stdout
    assert "backoff" not in events


def test_pre_restart_may_refuse_and_is_asked_at_the_next_moment(shared: Daemon) -> None:
    wait_until(lambda: shared.events().count("held not recycled: pre_restart: exit 1") >= 2)
    assert shared.status()["held"]["restarts"] == 0
    assert "not recycled: pre_restart: exit 1" in shared.ctl("why", "held").stdout


def test_update_says_how_long_the_others_wait(shared: Daemon) -> None:
    assert [shared.status()[f"slow:{index}"]["restarts"] for index in range(3)] == [0, 0, 0], "none is up long enough"


def test_what_does_not_run_is_never_started(shared: Daemon) -> None:
    found = shared.status()
    assert (found["stopped"]["state"], found["done"]["state"]) == ("STOPPED", "EXITED")
    assert (found["stopped"]["pid"], found["done"]["restarts"]) == (None, 0)


WEB = {"cmd": "sleep 98", "starttime": 0}


def write(daemon: Daemon, **web: object) -> Daemon:
    """Write a configuration with this program."""
    daemon.write(json.dumps({"programs": {"web": {**WEB, **web}}}))
    return daemon


@pytest.mark.sweep
def test_a_reload_of_recycle_is_live(daemon: Daemon) -> None:
    write(daemon).start()
    daemon.wait_for("web", "RUNNING")
    before = daemon.status()["web"]["pid"]
    write(daemon, recycle={"age": "1h"})
    assert "recycle" in daemon.ctl("reload", "--dry-run").stdout
    assert daemon.ctl("reload").returncode == 0
    assert daemon.status()["web"]["pid"] == before
    write(daemon, recycle={"age": 1})
    assert daemon.ctl("reload").returncode == 0
    wait_until(lambda: daemon.status()["web"]["restarts"] >= 1)
    write(daemon)
    assert daemon.ctl("reload").returncode == 0
    assert "recycled" in daemon.events()


@pytest.mark.sweep
def test_age_goes_on_under_the_daemon_after_a_kill_and_after_an_upgrade(daemon: Daemon) -> None:
    write(daemon, recycle={"age": 2}).start()
    before = daemon.wait_for("web", "RUNNING")["pid"]
    daemon.signal(signal.SIGKILL)
    wait_until(lambda: not daemon.alive)
    daemon.start()
    daemon.ctl("upgrade")  # the instance may be as old as that before it is over
    wait_until(lambda: daemon.status()["web"]["pid"] not in (None, before))
    records = [json.loads(line) for line in daemon.ctl("events", "web", "--json").stdout.splitlines()]
    first = next(each for each in records if each.get("event") == "exited")
    assert first["pid"] == before
    assert first["after"] >= 2
    assert first["reason"] == "recycled: age 2s"
