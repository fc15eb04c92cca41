"""Restarts that go instance by instance, and reloads that leave instances as they are, with a real daemon and real programs."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.support.daemon import Daemon
from tests.support.talk import Talk
from tests.support.wait import wait_until
from tests.support.wire import ask, resident


def configure(daemon: Daemon, **programs: object) -> Daemon:
    """Write a configuration with these programs."""
    daemon.write(json.dumps({"programs": programs}))
    return daemon


def commands(daemon: Daemon) -> list[str]:
    """Return the command lines of all instances, as the kernel knows them once their exec is over."""
    wait_until(lambda: all(_commands(daemon)))
    return _commands(daemon)


def _commands(daemon: Daemon) -> list[str]:
    paths = [Path(f"/proc/{each['pid']}/cmdline") for each in daemon.status().values() if each["pid"]]
    lines = [path.read_text() if path.exists() else "" for path in paths]
    return [line.replace("\0", " ").strip() for line in lines]


@pytest.mark.sweep
def test_after_a_reload_without_restarts_only_what_is_restarted_by_hand_has_the_new_command(daemon: Daemon) -> None:
    web = {"cmd": "sleep 98", "numprocs": 2, "starttime": 0}
    configure(daemon, web=web).start()
    wait_until(lambda: commands(daemon) == ["sleep 98", "sleep 98"])
    configure(daemon, web={**web, "cmd": "sleep 99"}, more={"cmd": "sleep 97", "starttime": 0})
    assert daemon.ctl("reload", "--no-restart").returncode == 0
    assert commands(daemon) == ["sleep 98", "sleep 98", "sleep 97"], "what is new is started all the same"
    assert daemon.status()["web:0"]["detail"] == "outdated (cmd)"
    daemon.ctl("restart", "web:0")
    assert commands(daemon)[:2] == ["sleep 99", "sleep 98"]
    assert [each["outdated"] for each in daemon.status().values()] == [False, True, False]
    pid = daemon.status()["web:1"]["pid"]
    configure(daemon, web=web)
    assert daemon.ctl("reload").returncode == 0
    assert commands(daemon) == ["sleep 98", "sleep 98"]
    assert daemon.status()["web:1"]["pid"] == pid
    assert "web restarted: cmd cannot change" in daemon.events()


def settings(daemon: Daemon, name: str) -> dict[str, object]:
    """Return the settings of a program."""
    shown = next(each for each in ask(daemon, f"show {name}".encode()) if each["type"] == "program")
    found = shown["settings"]
    assert isinstance(found, dict)
    return found


QUICK = {"monitor": 0.1}
WEB = {"cmd": "sleep 98", "numprocs": 4, "starttime": 0.1, "startretries": 0, "update": QUICK}
NEW = {**WEB, "cmd": "sleep 99"}
BROKEN = {**WEB, "cmd": "false", "starttime": 9}
"""A program that fails to start, however late its end is seen."""


def running(daemon: Daemon, **web: object) -> Daemon:
    """Start a daemon with this program, and wait until it runs."""
    configure(daemon, web=web).start()
    wait_until(lambda: all(each["state"] == "RUNNING" for each in daemon.status().values()))
    return daemon


def pids(daemon: Daemon) -> list[int]:
    """Return the pids of all instances."""
    return [each["pid"] for each in daemon.status().values()]


def test_a_rolling_restart_never_has_more_than_one_instance_away(daemon: Daemon) -> None:
    before = pids(running(daemon, **{**WEB, "update": {"monitor": 0}}))
    with Talk(daemon, "subscribe web") as news, Talk(daemon) as waiting:
        states = {each["name"]: each["state"] for each in news.until("processes")[-1]["processes"]}
        assert [*states.values()] == ["RUNNING"] * 4
        waiting.say("restart --rolling web")
        least, last = 4, ("", "")
        while last != ("web:3", "RUNNING"):
            change = news.next()
            last = change["name"], change["state"]
            states[last[0]] = last[1]
            least = min(least, [*states.values()].count("RUNNING"))
        said = waiting.until("end")
    assert least == 3
    assert said[-1]["exit"] == 0
    assert [each["outcome"] for each in said if each["type"] == "result"] == ["restarted"] * 4
    assert "2 of 4 updated, web:2 starting" in [each["text"] for each in said if each["type"] == "progress"]
    assert not set(before) & set(pids(daemon))


def test_an_update_to_a_broken_version_stops_at_the_first_instance_and_names_the_others(daemon: Daemon) -> None:
    before = pids(running(daemon, **WEB))
    configure(daemon, web=BROKEN)
    done = daemon.ctl("reload")
    assert done.returncode == 1
    assert "update of web stopped at web:0: exit 1 after" in done.stderr
    assert "not touched web:1 web:2 web:3" in done.stderr
    assert pids(daemon) == [None, *before[1:]]
    assert [each["detail"] for each in daemon.status().values()][1:] == ["outdated (cmd)"] * 3
    os.kill(before[3], signal.SIGKILL)
    wait_until(lambda: pids(daemon)[3] not in (None, before[3]))
    wait_until(lambda: commands(daemon) == ["sleep 98"] * 3)
    configure(daemon, web={**NEW, "numprocs": 2, "update": {**QUICK, "max_unavailable": 2}})
    assert daemon.ctl("reload").returncode == 0
    assert commands(daemon) == ["sleep 99", "sleep 99"], "one that works goes on from there"


@pytest.mark.sweep
def test_an_update_that_is_rolled_back_leaves_everybody_with_the_old_command(daemon: Daemon) -> None:
    running(daemon, **WEB)
    configure(daemon, web={**BROKEN, "update": {**QUICK, "on_failure": "rollback"}})
    done = daemon.ctl("reload")
    assert done.returncode == 1
    assert "rolled back web:0; not touched web:1 web:2 web:3" in done.stderr
    assert commands(daemon) == ["sleep 98"] * 4
    (daemon.home / "gone").mkdir()
    both = {"numprocs": 2, "workingdir": str(daemon.home / "gone"), "update": {**QUICK, "on_failure": "rollback"}}
    configure(daemon, web={**WEB, **both})
    assert daemon.ctl("reload").returncode == 0
    (daemon.home / "gone").rmdir()
    done = daemon.ctl("restart", "web")
    assert done.returncode == 1
    assert "the rollback stopped at web:0" in done.stderr, "the old version is broken as well: it ends there"
    assert [each["state"] for each in daemon.status().values()] == ["FATAL", "RUNNING"]


@pytest.mark.sweep
def test_an_update_goes_on_after_an_upgrade_and_begins_anew_after_a_kill(daemon: Daemon) -> None:
    web = {"cmd": "sleep 98", "numprocs": 4, "update": {"monitor": 0}}
    before = pids(running(daemon, **web, starttime=0))
    ready = {"exec": ["test", "-e", f"{daemon.home}/${{TASKMASTER_INSTANCE}}"], "interval": 0.1}
    configure(daemon, web={**web, "cmd": "sleep 99", "ready": ready})
    with Talk(daemon, "reload") as waiting:
        (daemon.home / "0").touch()
        wait_until(lambda: "1 of 4 updated, web:1 starting" in daemon.events())
        assert daemon.ctl("upgrade").returncode == 0
        assert pids(daemon)[2:] == before[2:]
        (daemon.home / "1").touch()
        wait_until(lambda: "2 of 4 updated, web:2 starting" in daemon.events())
        assert [waiting.until("result")[-1]["name"] for _ in range(2)] == ["web:0", "web:1"]
        wait_until(lambda: pids(daemon)[2] not in (None, before[2]))
        updated = pids(daemon)[:3]
    daemon.kill()
    daemon.start()
    assert "update of web interrupted" in daemon.events()
    assert pids(daemon) == [*updated, before[3]], "web:3 waits for web:2, which an earlier daemon has restarted"
    (daemon.home / "2").touch()
    (daemon.home / "3").touch()
    wait_until(lambda: "update of web done" in daemon.events())
    assert commands(daemon) == ["sleep 99"] * 4
    assert pids(daemon)[:3] == updated


def test_a_stop_ends_an_update_and_who_waits_for_it_gets_1(daemon: Daemon) -> None:
    running(daemon, **{**WEB, "update": {"monitor": 60}})
    with Talk(daemon, "restart --rolling web") as waiting:
        waiting.until("progress")
        assert daemon.ctl("stop", "web:3").returncode == 0
        assert waiting.until("end")[-1]["exit"] == 1
    assert "update of web overtaken by uid" in daemon.events()
    assert [each["state"] for each in daemon.status().values()][1:] == ["RUNNING", "RUNNING", "STOPPED"]


OLD = {"cmd": "sleep 98", "starttime": 0, "startretries": 0, "stoptime": 5}
GONE = {"cmd": "sleep 96", "starttime": 0}
ADDED = {"cmd": "sleep 95", "starttime": 0}
TRIED = {**OLD, "cmd": "sleep 97", "ready": {"exec": "test -e go", "interval": 0.1}}
"""A program that is on trial until the file `go` exists, and some time after that."""


def test_a_reload_on_trial_is_taken_back_as_a_whole_if_something_fails(daemon: Daemon) -> None:
    configure(daemon, web=OLD, gone=GONE).start()
    wait_until(lambda: [each["state"] for each in daemon.status().values()] == ["RUNNING", "RUNNING"])
    gone = daemon.status()["gone"]["pid"]
    broken = {**OLD, "cmd": "sleep 0.2; exit 7", "shell": True, "starttime": 15, "stoptime": 6}
    configure(daemon, web=broken, added=ADDED)
    done = daemon.ctl("reload", "--rollback")
    assert done.returncode == 1
    assert "rolled back: web FATAL: exit 7" in done.stderr
    assert commands(daemon) == ["sleep 98", "sleep 96"], "the added one is gone"
    assert daemon.status()["gone"]["pid"] == gone
    assert settings(daemon, "web")["stoptime"] == 5
    said = daemon.ctl("status").stderr
    assert "the last reload was rolled back" in said
    assert "the file was tried at" in said
    daemon.kill()
    configure(daemon, web=OLD, gone=GONE)
    daemon.start()
    assert "rolled back" not in daemon.ctl("status").stderr
    assert daemon.status()["gone"]["pid"] == gone


@pytest.mark.sweep
def test_a_reload_on_trial_whose_programs_stay_up_removes_others_at_its_end(daemon: Daemon) -> None:
    configure(daemon, web=OLD, gone=GONE).start()
    wait_until(lambda: [each["state"] for each in daemon.status().values()] == ["RUNNING", "RUNNING"])
    configure(daemon, web=TRIED, added=ADDED)
    with Talk(daemon, "reload --rollback") as waiting:
        wait_until(lambda: [*daemon.status()] == ["web", "added", "gone"])
        wait_until(lambda: commands(daemon) == ["sleep 97", "sleep 95", "sleep 96"])
        assert daemon.ctl("upgrade").returncode == 0
        assert [*daemon.status()] == ["web", "added", "gone"], "nothing is final yet"
        (daemon.home / "go").touch()
        said = waiting.until("end")
    assert said[-1]["exit"] == 0
    assert [each["name"] for each in said if each["type"] == "result"] == ["web", "added"]
    wait_until(lambda: [*daemon.status()] == ["web", "added"])


@pytest.mark.sweep
def test_a_death_of_the_daemon_ends_a_trial_and_the_new_file_holds(daemon: Daemon) -> None:
    configure(daemon, web=OLD, gone=GONE).start("--guard")
    wait_until(lambda: [each["state"] for each in daemon.status().values()] == ["RUNNING", "RUNNING"])
    configure(daemon, web=TRIED)
    with Talk(daemon, "reload --rollback"):
        wait_until(lambda: commands(daemon) == ["sleep 97", "sleep 96"])
        os.kill(resident(daemon), signal.SIGKILL)
    wait_until(lambda: "reload with --rollback interrupted" in daemon.events())
    wait_until(lambda: [*daemon.status()] == ["web"])
    assert commands(daemon) == ["sleep 97"]


@pytest.mark.sweep
def test_a_newer_reload_ends_one_on_trial(daemon: Daemon) -> None:
    configure(daemon, web=OLD).start()
    configure(daemon, web=TRIED)
    with Talk(daemon, "reload --rollback") as waiting:
        waiting.until("plan")
        wait_until(lambda: commands(daemon) == ["sleep 97"])
        configure(daemon, web={**OLD, "cmd": "sleep 95"})
        assert daemon.ctl("reload").returncode == 0
        assert waiting.until("end")[-1]["exit"] == 1
    assert commands(daemon) == ["sleep 95"]


@pytest.mark.sweep
def test_pre_restart_that_refuses_an_instance_stops_the_update_before_it(daemon: Daemon) -> None:
    check = {"cmd": 'test "$TASKMASTER_INSTANCE" != 2 || { echo bad line; exit 1; }', "shell": True}
    web = {**WEB, "pre_restart": check}
    before = pids(running(daemon, **web))
    configure(daemon, web={**web, "cmd": "sleep 99"})
    done = daemon.ctl("reload")
    assert done.returncode == 1
    assert (
        "update of web stopped at web:2: pre_restart: exit 1: bad line; updated web:0 web:1; not touched web:2 web:3\n"
        in done.stderr
    )
    assert pids(daemon)[2:] == before[2:], "what runs is left as it is"
    assert commands(daemon) == ["sleep 99", "sleep 99", "sleep 98", "sleep 98"]


@pytest.mark.sweep
def test_an_instance_that_stays_unhealthy_ends_the_update_instead_of_holding_it_up(daemon: Daemon) -> None:
    check = {
        "exec": {"cmd": 'test ! -e ill."$TASKMASTER_INSTANCE"', "shell": True},
        "interval": 0.1,
        "retries": 1,
        "successes": 1,
        "action": "none",
    }
    web = {**WEB, "health": check}
    before = pids(running(daemon, **web))
    wait_until(lambda: all(each["health"]["verdict"] == "healthy" for each in daemon.status().values()))
    (daemon.home / "ill.0").touch()
    wait_until(lambda: daemon.status()["web:0"]["health"]["verdict"] == "unhealthy")
    with Talk(daemon, "restart --rolling web:1 web:2 web:3") as waiting:
        said = waiting.until("end")
    assert said[-1]["exit"] == 1
    assert pids(daemon)[0] == before[0]
    assert "update of web stopped at web:0: unhealthy: exec: exit 1" in daemon.events()
