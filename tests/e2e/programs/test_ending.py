"""The daemon ends with its programs: `essential` and `exit_when`, the exit code, and what the stop itself cannot change."""

from __future__ import annotations

import json
import os
import signal
from typing import Any

import pytest

from tests.support.daemon import Daemon, marked, process_exists
from tests.support.guarded import copy_code, kill_daemon, stopped
from tests.support.talk import Talk
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until
from tests.support.wire import resident

pytestmark = pytest.mark.slow
SLEEPER = "exec sleep 300"


def ends(how: str, when: str = "go") -> str:
    """Return a shell program that ends once a file exists."""
    return f"until [ -e {when} ]; do sleep 0.02; done; {how}"


def slow_stop(seconds: float) -> str:
    """Return a shell program that takes so long to stop; the file `stopping` says that it has begun to."""
    return on_stop(f"sleep {seconds}")


def held_stop() -> str:
    """Return one that stops once the file `on` exists."""
    return on_stop("until [ -e on ]; do sleep 0.02; done")


def on_stop(waits: str) -> str:
    """Return a shell program that does this when it is stopped."""
    return f"trap 'touch stopping; {waits}; touch stopped; exit 9' TERM; touch up; while :; do sleep 0.02; done"


def entry(cmd: str, **keys: object) -> dict[str, object]:
    """Return a program that a shell runs, that counts as started at once, and that is not restarted."""
    return {"cmd": cmd, "shell": True, "starttime": 0, "autorestart": "never", **keys}


def write(daemon: Daemon, programs: dict[str, Any], **section: object) -> None:
    """Write a configuration."""
    daemon.write(json.dumps({"taskmasterd": section, "programs": programs}))


def go(daemon: Daemon, name: str = "go") -> None:
    """Let programs that wait for this file end."""
    (daemon.home / name).touch()


def code(daemon: Daemon, within_s: float = 20) -> int:
    """Return the exit code of a daemon in the foreground, which leaves nothing of its programs."""
    assert daemon.foreground
    found = daemon.foreground.wait(within_s)
    assert marked(daemon.socket) == []
    return found


def last_line(daemon: Daemon) -> str:
    """Return the last line of the event log, without its time and level."""
    return daemon.events().splitlines()[-1].split(" ", 2)[2]


# -- essential


@pytest.mark.parametrize(
    ("options", "how", "expected", "text"),
    [
        ((), "exit 3", 3, "exited 3"),
        *in_the_sweep(
            (("--guard",), "kill -SEGV $$", 139, "was killed by SIGSEGV"),
            ((), "exit 0", 0, "exited 0"),
            ((), "kill -SEGV $$", 139, "was killed by SIGSEGV"),
            (("--guard",), "exit 3", 3, "exited 3"),
            (("--guard",), "exit 0", 0, "exited 0"),
        ),
    ],
)
def test_the_daemon_stops_everything_and_exits_with_the_code_of_an_essential_program(
    daemon: Daemon, options: tuple[str, ...], how: str, expected: int, text: str
) -> None:
    write(daemon, {"worker": entry(ends(how), essential=True), "slow": entry(slow_stop(0.3))})
    daemon.start_foreground(*options)
    wait_until((daemon.home / "up").exists)
    go(daemon)
    assert code(daemon) == expected
    assert (daemon.home / "stopped").exists(), "the others are stopped in order"
    assert "slow ended: exit 9" in daemon.events(), "and what they exit with does not matter"
    assert last_line(daemon).startswith(f"exiting {expected}: worker (essential) {text}")
    assert daemon.events().count(" started (pid ") == 3, "no second daemon, no second start"
    assert not daemon.socket.exists()


def test_on_failure_a_good_end_changes_nothing_and_a_bad_one_ends_the_daemon(daemon: Daemon) -> None:
    init, worker = entry("exit 0", essential="on-failure"), entry(ends("exit 6"), essential="on-failure")
    write(daemon, {"init": init, "worker": worker})
    daemon.start_foreground()
    daemon.wait_for("init", "EXITED")
    daemon.wait_for("worker", "RUNNING")
    go(daemon)
    assert code(daemon) == 6


@pytest.mark.parametrize(
    ("cmd", "expected", "reason"),
    [
        ("sh -c 'exit 5'", 5, "exit 5"),
        *in_the_sweep(
            ("no-such-word", 127, "not found in PATH"),
            ("true", 1, "before starttime"),
            ("./not-there", 127, "no such file or directory"),
            ("./plain", 126, "permission denied"),
        ),
    ],
)
def test_a_program_that_gives_up_ends_the_daemon_with_its_code_or_that_of_a_shell_or_1(
    daemon: Daemon, cmd: str, expected: int, reason: str
) -> None:
    (daemon.home / "plain").write_text("#!/bin/sh\n")
    worker = {"cmd": cmd, "essential": True, "startretries": 1, "restart_delay": 0.1, "starttime": 5}
    write(daemon, {"slow": entry(slow_stop(0.2)), "worker": {**worker, "autostart": False}})
    daemon.start_foreground()
    wait_until((daemon.home / "up").exists)
    assert daemon.ctl("start", "worker").returncode == 1
    assert code(daemon) == expected
    assert (daemon.home / "stopped").exists()
    assert last_line(daemon).startswith(f"exiting {expected}: worker (essential) gave up: ")
    assert reason in last_line(daemon)
    assert "(try 2 of 2)" in last_line(daemon)


@pytest.mark.sweep
def test_an_unknown_user_at_the_start_is_an_end_like_any_other(daemon: Daemon) -> None:
    write(daemon, {"worker": entry(SLEEPER, user="nobody-of-that-name", essential=True), "other": entry(SLEEPER)})
    assert daemon.launch("-n").returncode == 1
    assert 'exiting 1: worker (essential) gave up: there is no user "nobody-of-that-name"' in last_line(daemon)


@pytest.mark.sweep
def test_a_stop_a_restart_and_a_reload_of_an_essential_program_are_no_end(daemon: Daemon) -> None:
    write(daemon, {"worker": entry(ends("exit 3"), essential=True)})
    daemon.start_foreground()
    for verb in ("restart", "stop", "start"):
        assert daemon.ctl(verb, "worker").returncode == 0
    write(daemon, {"worker": entry(ends("exit 4"), essential=True)})
    assert daemon.ctl("reload").returncode == 0
    write(daemon, {"other": entry(ends("exit 5"), essential=True)})
    assert daemon.ctl("reload").returncode == 0
    assert daemon.status()["other"]["state"] == "RUNNING"
    go(daemon)
    assert code(daemon) == 5


def test_a_restart_by_itself_is_no_end(daemon: Daemon) -> None:
    text = "until [ -e die ]; do sleep 0.02; done; rm die; exit $(cat how)"
    write(daemon, {"worker": entry(text, essential=True, autorestart="unexpected")})
    (daemon.home / "how").write_text("3")
    daemon.start_foreground()
    go(daemon, "die")
    wait_until(lambda: daemon.status()["worker"]["restarts"] == 1)
    (daemon.home / "how").write_text("0")
    go(daemon, "die")
    assert code(daemon) == 0
    assert last_line(daemon) == "exiting 0: worker (essential) exited 0"


@pytest.mark.sweep
def test_of_several_that_end_at_once_one_decides_and_every_other_code_is_forgotten(daemon: Daemon) -> None:
    several = {f"worker{number}": entry(ends(f"exit {number}"), essential=True) for number in (11, 12, 13)}
    several["many"] = entry(ends("exit 14"), essential=True, numprocs=3)
    write(daemon, several)
    daemon.start_foreground()
    wait_until(lambda: all(each["state"] == "RUNNING" for each in daemon.status().values()))
    go(daemon)
    found = code(daemon)
    assert found in (11, 12, 13, 14)
    ended = [line for line in daemon.events().splitlines() if " exited: exit " in line]
    assert f" exited: exit {found} " in ended[0], "the first"
    assert last_line(daemon).startswith(f"exiting {found}: ")
    assert daemon.events().count("stopping all programs") == 1


@pytest.mark.sweep
def test_the_end_of_an_essential_program_during_a_stop_by_signal_does_not_count(daemon: Daemon) -> None:
    worker = entry("trap 'exit 3' TERM; touch ready; while :; do sleep 0.02; done", essential=True)
    write(daemon, {"worker": worker, "other": entry(ends("exit 4", "stopping"), essential=True, stopsignal="CONT"),
                   "slow": entry(slow_stop(0.3))})  # fmt: skip
    daemon.start_foreground()
    wait_until(lambda: (daemon.home / "ready").exists() and (daemon.home / "up").exists())
    daemon.signal(signal.SIGTERM)
    assert code(daemon) == 0
    assert last_line(daemon) == "taskmasterd stopped (exit 0)"


@pytest.mark.sweep
def test_shutdown_timeout_ends_the_others_and_not_the_code(daemon: Daemon) -> None:
    deaf = entry("trap '' TERM; touch up; while :; do sleep 0.02; done", stoptime=60)
    write(daemon, {"worker": entry(ends("exit 3"), essential=True), "deaf": deaf}, shutdown_timeout=0.5)
    daemon.start_foreground()
    wait_until((daemon.home / "up").exists)
    go(daemon)
    assert code(daemon) == 3
    assert "killing all programs, asked by shutdown_timeout" in daemon.events()


@pytest.mark.sweep
def test_a_client_that_asks_for_the_shutdown_meanwhile_is_told_that_all_is_gone(daemon: Daemon) -> None:
    write(daemon, {"worker": entry(ends("exit 3"), essential=True), "slow": entry(held_stop(), stoptime=60)})
    daemon.start_foreground()
    wait_until((daemon.home / "up").exists)
    go(daemon)
    wait_until((daemon.home / "stopping").exists)
    with Talk(daemon, "shutdown") as client:
        client.until("ack")
        go(daemon, "on")
        answer = client.until("end")
    assert (answer[-1]["exit"], answer[-2]["type"], answer[-2]["by"]) == (0, "shutdown", "worker (essential)"), answer
    assert code(daemon) == 3


@pytest.mark.sweep
def test_essential_is_live(daemon: Daemon) -> None:
    write(daemon, {"worker": entry(ends("exit 3")), "other": entry(ends("exit 4", "now"), essential=True)})
    daemon.start_foreground()
    pids = {name: daemon.wait_for(name, "RUNNING")["pid"] for name in ("worker", "other")}
    write(daemon, {"worker": entry(ends("exit 3"), essential=True), "other": entry(ends("exit 4", "now"))})
    done = daemon.ctl("reload")
    assert "essential applied without a restart" in done.stdout
    assert {name: each["pid"] for name, each in daemon.status().items()} == pids
    go(daemon, "now")
    daemon.wait_for("other", "EXITED")
    assert daemon.state("worker") == "RUNNING"
    go(daemon)
    assert code(daemon) == 3


@pytest.mark.sweep
def test_show_says_what_the_daemon_does_at_the_end(daemon: Daemon) -> None:
    write(daemon, {"worker": entry(SLEEPER, essential="on-failure")})
    daemon.start()
    settings = json.loads(daemon.ctl("--json", "show", "worker").stdout)["programs"][0]["settings"]
    assert settings["essential"] == "on-failure"
    assert any(line.split() == ["essential", "on-failure"] for line in daemon.ctl("show", "worker").stdout.splitlines())


# -- exit_when


def test_all_done_exits_with_0_if_every_end_was_expected(daemon: Daemon) -> None:
    jobs = {"a": entry("exit 0"), "b": entry(ends("exit 3"), exitcodes=[0, 3]), "spare": entry("x", autostart=False)}
    write(daemon, jobs, exit_when="all-done")
    daemon.start_foreground()
    daemon.wait_for("a", "EXITED")
    go(daemon)
    assert code(daemon) == 0
    assert last_line(daemon) == "exiting 0: all programs are done (exit_when: all-done)"


def test_all_done_exits_with_the_code_of_the_first_that_failed(daemon: Daemon) -> None:
    jobs = {"a": entry("exit 0"), "c": entry("exit 4"), "d": entry(ends("exit 5"))}
    write(daemon, jobs, exit_when="all-done")
    daemon.start_foreground()
    daemon.wait_for("c", "EXITED")
    go(daemon)
    assert code(daemon) == 4
    reason = "all programs are done (exit_when: all-done); the first that failed: c exited 4"
    assert last_line(daemon) == f"exiting 4: {reason}"


@pytest.mark.sweep
def test_jobs_that_are_done_before_anybody_looks_end_the_daemon_all_the_same(daemon: Daemon) -> None:
    write(daemon, {"a": entry("true", numprocs=5), "b": {"cmd": "/not/there", "startretries": 0}}, exit_when="all-done")
    assert daemon.launch("-n").returncode == 127


def test_what_an_operator_has_stopped_keeps_the_daemon(daemon: Daemon) -> None:
    write(daemon, {"a": entry(ends("exit 0")), "b": entry(ends("exit 0"))}, exit_when="all-done")
    daemon.start_foreground()
    assert daemon.ctl("stop", "b").returncode == 0
    go(daemon)
    daemon.wait_for("a", "EXITED")
    assert daemon.ctl("status").returncode == 0
    assert daemon.ctl("start", "--no-wait", "b").returncode == 0
    assert code(daemon) == 0


@pytest.mark.sweep
def test_exit_when_is_live(daemon: Daemon) -> None:
    write(daemon, {"a": entry("exit 7")})
    daemon.start_foreground()
    daemon.wait_for("a", "EXITED")
    write(daemon, {"a": entry("exit 7"), "b": entry(ends("exit 0"))}, exit_when="all-done")
    assert daemon.ctl("reload").returncode == 0
    assert daemon.state("b") == "RUNNING"
    write(daemon, {"a": entry("exit 7"), "b": entry(ends("exit 0"))})
    assert daemon.ctl("reload").returncode == 0
    go(daemon)
    daemon.wait_for("b", "EXITED")
    write(daemon, {"a": entry("exit 7"), "b": entry(ends("exit 0"))}, exit_when="all-done")
    assert "exit_when" in daemon.ctl("reload", "--dry-run", "--json").stdout
    daemon.signal(signal.SIGHUP)
    assert code(daemon) == 7


# -- a daemon that does not live to the end of it


@pytest.mark.sweep
def test_a_daemon_that_is_killed_during_the_stop_is_followed_by_one_that_exits_with_the_first_cause(
    daemon: Daemon,
) -> None:
    worker, second = entry(ends("exit 3"), essential=True), entry(ends("exit 4", "later"), essential=True, stoptime=30)
    second["stopsignal"] = "CONT"
    write(daemon, {"worker": worker, "second": second, "slow": entry(slow_stop(2), stoptime=30)})
    daemon.start_foreground("--guard")
    wait_until((daemon.home / "up").exists)
    go(daemon)
    wait_until((daemon.home / "stopping").exists)
    for _ in range(2):
        kill_daemon(daemon)
        resident(daemon)
    go(daemon, "later")
    assert code(daemon) == 3
    assert (daemon.home / "stopped").exists()
    assert last_line(daemon) == "exiting 3: worker (essential) exited 3"
    assert daemon.events().count("stopping all programs, asked by worker (essential)") == 3


@pytest.mark.sweep
def test_with_a_guardian_an_end_that_no_daemon_saw_ends_the_next_one_with_its_code(daemon: Daemon) -> None:
    write(daemon, {"worker": entry(ends("exit 3"), essential=True), "other": entry(SLEEPER)})
    daemon.start_foreground("--guard")
    worker, pid = daemon.wait_for("worker", "RUNNING")["pid"], resident(daemon)
    with stopped(pid):
        go(daemon)
        wait_until(lambda: not process_exists(worker))
        os.kill(pid, signal.SIGKILL)
    assert code(daemon) == 3


@pytest.mark.sweep
def test_without_a_guardian_an_end_that_nobody_saw_ends_the_next_daemon_with_1(daemon: Daemon) -> None:
    write(daemon, {"worker": entry(ends("exit 3"), essential=True), "other": entry(SLEEPER)})
    daemon.start()
    worker = daemon.wait_for("worker", "RUNNING")["pid"]
    daemon.kill()
    go(daemon)
    wait_until(lambda: not process_exists(worker))
    assert daemon.launch("-n").returncode in (1, 3), "3 where the kernel still knows it"
    assert marked(daemon.socket) == []


@pytest.mark.sweep
def test_an_operators_new_daemon_after_a_kill_during_the_stop_begins_anew(daemon: Daemon) -> None:
    write(daemon, {"worker": entry(ends("exit 3"), essential=True), "slow": entry(held_stop(), stoptime=60)})
    daemon.start()
    wait_until((daemon.home / "up").exists)
    go(daemon)
    wait_until((daemon.home / "stopping").exists)
    daemon.kill()
    go(daemon, "on")
    (daemon.home / "go").unlink()
    daemon.start_foreground()
    assert daemon.wait_for("worker", "RUNNING")["pid"]
    go(daemon)
    assert code(daemon) == 3


@pytest.mark.sweep
def test_an_upgrade_takes_the_keys_along_and_during_the_stop_it_is_refused(daemon: Daemon) -> None:
    write(daemon, {"worker": entry(ends("exit 3"), essential=True), "slow": entry(held_stop(), stoptime=60)})
    daemon.start_foreground()
    wait_until((daemon.home / "up").exists)
    assert daemon.ctl("upgrade").returncode == 0
    go(daemon)
    wait_until((daemon.home / "stopping").exists)
    refused = daemon.ctl("upgrade")
    assert (refused.returncode, "the daemon is being shut down" in refused.stderr) == (1, True)
    go(daemon, "on")
    assert code(daemon) == 3


@pytest.mark.sweep
def test_an_upgrade_that_was_under_way_when_the_stop_began_takes_the_first_cause_along(daemon: Daemon) -> None:
    tree = copy_code(daemon)
    upgrade = tree / "survival" / "upgrade.py"
    check = "if self._context.supervisor.stopping:"
    assert upgrade.read_text().count(check) == 2
    upgrade.write_text(upgrade.read_text().replace(check, "if False:"))  # as if both had passed a moment before
    write(daemon, {"worker": entry(ends("exit 3"), essential=True), "slow": entry(slow_stop(1.5), stoptime=30),
                   "second": entry(ends("exit 4", "later"), essential=True, stopsignal="CONT")})  # fmt: skip
    daemon.start_foreground()
    wait_until((daemon.home / "up").exists)
    go(daemon)
    wait_until((daemon.home / "stopping").exists)
    assert daemon.ctl("upgrade").returncode == 0
    assert "goes on after an upgrade" in daemon.events()
    go(daemon, "later")
    assert code(daemon) == 3
    assert (daemon.home / "stopped").exists()
    assert last_line(daemon) == "exiting 3: worker (essential) exited 3"


@pytest.mark.sweep
def test_all_done_survives_an_upgrade_and_a_kill(daemon: Daemon) -> None:
    jobs = {"a": entry("exit 4"), "b": entry(ends("exit 0"))}
    write(daemon, jobs, exit_when="all-done")
    daemon.start_foreground("--guard")
    daemon.wait_for("a", "EXITED")
    assert daemon.ctl("upgrade").returncode == 0
    kill_daemon(daemon)
    assert daemon.wait_for("b", "RUNNING")["restarts"] == 0
    go(daemon)
    assert code(daemon) == 4


# -- dependencies


def test_what_is_blocked_by_a_failed_program_is_done_and_the_code_is_that_of_the_failed_one(daemon: Daemon) -> None:
    failing = {"cmd": "sh -c 'sleep 0.3; exit 4'", "startretries": 0, "starttime": 5}
    blocked = entry("touch ran", depends_on=["a"])
    write(daemon, {"a": failing, "b": blocked, "c": entry("exit 0")}, exit_when="all-done")
    assert daemon.launch("-n").returncode == 4
    assert not (daemon.home / "ran").exists()
    assert "the first that failed: a gave up: exit 4" in last_line(daemon)


@pytest.mark.sweep
def test_what_waits_for_a_program_keeps_the_daemon_and_ends_it_in_its_turn(daemon: Daemon) -> None:
    jobs = {"a": entry(ends("exit 0", "late"), starttime=0.5), "b": entry("touch ran late; exit 5", depends_on=["a"])}
    write(daemon, jobs, exit_when="all-done")
    assert daemon.launch("-n").returncode == 5
    assert (daemon.home / "ran").exists()
