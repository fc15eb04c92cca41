"""What an operator sees of starts, ends, restarts and stops, with real processes."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.daemon import PROGRAMS, Daemon, marked
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
PY = sys.executable


def test_a_killed_process_is_back_at_once_and_only_it(daemon: Daemon) -> None:
    daemon.write("programs: {web: {cmd: sleep 300, numprocs: 3, starttime: 0}}")
    daemon.start()
    wait_until(lambda: all(process["pid"] for process in daemon.status().values()))
    before = daemon.status()
    os.kill(before["web:1"]["pid"], signal.SIGKILL)
    wait_until(lambda: daemon.status()["web:1"]["pid"] not in (None, before["web:1"]["pid"]))
    after = daemon.status()
    assert after["web:1"]["restarts"] == 1
    assert {name: after[name]["pid"] for name in ("web:0", "web:2")} == {
        name: before[name]["pid"] for name in ("web:0", "web:2")
    }
    assert "web:1 exited: killed by SIGKILL" in daemon.events()


def test_a_program_that_never_stays_up_is_started_four_times_and_then_given_up(daemon: Daemon) -> None:
    tally = daemon.home / "tally"
    daemon.write(
        f"programs: {{bad: {{cmd: [{PROGRAMS}/counts_starts.sh, {tally}, sh, -c, 'echo oops >&2; exit 3'], "
        "restart_delay: 0.05}, good: {cmd: sleep 300}}"
    )
    daemon.start()
    wait_until(lambda: daemon.status()["good"]["pid"])
    good = daemon.status()["good"]["pid"]
    bad = daemon.wait_for("bad", "FATAL")
    assert len(tally.read_text().split()) == 4
    assert "exit 3" in bad["detail"]
    assert "try 4 of 4" in bad["detail"]
    assert daemon.status()["good"]["pid"] == good
    failed = daemon.ctl("start", "bad")
    assert failed.returncode == 1
    assert "oops" in failed.stderr
    assert len(tally.read_text().split()) == 8


def test_an_exit_before_starttime_is_a_failed_start_even_with_an_expected_code(daemon: Daemon) -> None:
    daemon.write("programs: {quick: {cmd: 'true', exitcodes: 0, startretries: 0, starttime: 2}}")
    daemon.start()
    quick = daemon.wait_for("quick", "FATAL")
    assert "exit 0" in quick["detail"]
    assert "before starttime" in quick["detail"]


@pytest.mark.sweep
def test_a_program_that_ends_silently_at_once_is_reminded_of_its_stdin_and_one_that_has_spoken_is_not(
    daemon: Daemon,
) -> None:
    daemon.write("programs: {filter: {cmd: cat, startretries: 0}, talks: {cmd: echo done, startretries: 0}}")
    daemon.start()
    hint = "stdin is /dev/null here"
    ended = daemon.wait_for("filter", "FATAL")
    assert (hint in ended["detail"]) == (ended["exit"]["after_s"] < 1)
    assert hint not in daemon.wait_for("talks", "FATAL")["detail"]


def test_autorestart_decides_what_follows_an_exit(daemon: Daemon) -> None:
    table = {
        ("never", 1): "EXITED",
        ("unexpected", 2): "EXITED",
        ("unexpected", 1): "RUNNING",
        ("always", 2): "RUNNING",
    }
    lines = [
        f"  {autorestart}-{code}: {{cmd: 'if [ -e {daemon.home}/$0 ]; then sleep 300; fi; touch {daemon.home}/$0; "
        f"sleep 0.3; exit {code}', shell: true, autorestart: {autorestart}}}\n".replace("$0", f"{autorestart}-{code}")
        for autorestart, code in table
    ]
    daemon.write(f"defaults: {{starttime: 0, exitcodes: [0, 2]}}\nprograms:\n{''.join(lines)}")
    daemon.start()
    for (autorestart, code), state in table.items():
        name = f"{autorestart}-{code}"
        wait_until(lambda name=name: f"{name} exited" in daemon.events())  # type: ignore[misc]
        process = daemon.wait_for(name, state)
        assert process["exit"]["code"] == code, name
        assert process["restarts"] == (1 if state == "RUNNING" else 0), name


def test_a_program_without_retries_left_recovers_when_its_cause_is_gone(daemon: Daemon) -> None:
    tool = daemon.home / "tool"
    daemon.write(f"programs: {{p: {{cmd: {tool}, startretries: 0, starttime: 0}}}}")
    daemon.start()
    assert f"cannot execute {tool}: no such file" in daemon.wait_for("p", "FATAL")["detail"]
    tool.write_text("#!/bin/sh\nexec sleep 300\n")
    tool.chmod(0o755)
    assert daemon.ctl("start", "p").returncode == 0
    assert daemon.state("p") == "RUNNING"


def test_a_start_that_cannot_work_names_the_step_and_the_reason(daemon: Daemon) -> None:
    reasons = {
        "cmd: no-such-command-here": "cannot execute no-such-command-here: not found in PATH=",
        "cmd: ./plain": "permission denied (is it executable?)",
        "cmd: /tmp": "it is a directory",
        "cmd: sleep 1, workingdir: /nowhere/at/all": "cannot enter workingdir /nowhere/at/all: no such file",
        "cmd: sleep 1, stdout: /proc/nothing/log": "cannot",
        "cmd: sleep 1, stdout: /tmp": "cannot open log file /tmp: ",
    }
    (daemon.home / "plain").write_text("no program")
    lines = [f"  p{number}: {{{keys}, startretries: 0}}\n" for number, keys in enumerate(reasons)]
    daemon.write(f"programs:\n  ok: {{cmd: sleep 300, starttime: 0}}\n{''.join(lines)}")
    daemon.start()
    for number, (keys, reason) in enumerate(reasons.items()):
        assert reason in daemon.wait_for(f"p{number}", "FATAL")["detail"], keys
    assert daemon.state("ok") == "RUNNING"


@pytest.mark.sweep
def test_a_script_whose_interpreter_is_missing_says_so(daemon: Daemon) -> None:
    script = daemon.home / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    daemon.write(f"programs: {{p: {{cmd: {script}, startretries: 0}}}}")
    daemon.start()
    assert f"interpreter of {script} not found (#!/no/such/interpreter)" in daemon.wait_for("p", "FATAL")["detail"]


@pytest.mark.sweep
def test_a_program_that_puts_itself_in_the_background_is_told_so_by_name(daemon: Daemon) -> None:
    daemon.write(f"programs: {{d: {{cmd: {PY} {PROGRAMS}/daemonizes.py, startretries: 0, stoptime: 1}}}}")
    daemon.start()
    detail = daemon.wait_for("d", "FATAL")["detail"]
    assert "put itself in the background" in detail
    assert "python" in detail
    wait_until(lambda: not _running("daemonizes.py", daemon))


def test_what_was_stopped_stays_stopped_over_reload_and_a_new_start_gives_a_new_budget(daemon: Daemon) -> None:
    config = "programs: {bad: {cmd: 'false', restart_delay: 30, startretries: 5}, other: {cmd: sleep 300}}"
    daemon.write(config)
    daemon.start()
    daemon.wait_for("bad", "BACKOFF")
    assert daemon.ctl("stop", "bad").returncode == 0
    assert daemon.state("bad") == "STOPPED"
    daemon.write(config.replace("sleep 300", "sleep 301"))
    assert daemon.ctl("reload").returncode == 0
    assert daemon.state("bad") == "STOPPED"
    daemon.ctl("start", "--no-wait", "bad")
    assert daemon.wait_for("bad", "BACKOFF")["tries"] == 1


@pytest.mark.sweep
def test_restarts_within_the_window_are_limited_by_the_burst_and_never_given_up(daemon: Daemon) -> None:
    daemon.write(
        f"programs: {{flappy: {{cmd: {PY} -S {PROGRAMS}/flaps.py 0.05, starttime: 0, restart_burst: 3, restart_window: 10}}}}"
    )
    daemon.start()
    flappy = daemon.wait_for("flappy", "BACKOFF")
    assert flappy["restarts"] == 3
    assert "3 restarts within 10s" in flappy["detail"]
    wait_until(lambda: daemon.status()["flappy"]["restarts"] > 3, within_s=40)
    assert daemon.state("flappy") != "FATAL"


def test_a_process_that_comes_up_after_failed_starts_is_running_and_its_tries_are_told(daemon: Daemon) -> None:
    daemon.write(
        f"programs: {{late: {{cmd: {PY} -S {PROGRAMS}/slow_start.py {daemon.home}/tally 3, autostart: false, "
        "restart_delay: 0.05, starttime: 1.5}}"
    )
    daemon.start()
    started = daemon.ctl("start", "late")
    assert started.returncode == 0, started.stderr
    assert "retry 2 of 3" in started.stderr
    assert daemon.state("late") == "RUNNING"


def test_numprocs_are_slots_with_numbers_and_a_lone_one_goes_by_the_programs_name(daemon: Daemon) -> None:
    daemon.write(
        f"programs: {{one: {{cmd: [{PY}, {PROGRAMS}/dumps_itself.py, stay, '${{TASKMASTER_INSTANCE}}']}}, "
        "many: {cmd: sleep 300, numprocs: 3}}"
    )
    daemon.start()
    assert set(daemon.status()) == {"one", "many:0", "many:1", "many:2"}
    wait_until(lambda: b'"argv": ["stay", "0"]' in daemon.log("one"))
    assert daemon.ctl("pid", "one:0").returncode == 0


def test_signal_reaches_the_leader_and_its_end_is_judged_by_autorestart(daemon: Daemon) -> None:
    daemon.write(
        "programs: {p: {cmd: sleep 300, starttime: 0, autorestart: never}, off: {cmd: 'true', autostart: false}}"
    )
    daemon.start()
    daemon.wait_for("p", "RUNNING")
    assert daemon.ctl("signal", "SIGUSR1", "p").returncode == 0
    process = daemon.wait_for("p", "EXITED")
    assert process["exit"]["signal"] == "USR1"
    assert daemon.ctl("signal", "HUP", "off").returncode == 1
    assert daemon.ctl("signal", "FROB", "p").returncode == 2


def _running(word: str, daemon: Daemon) -> bool:
    """Return whether a process of this daemon has `word` in its command line."""
    words = b""
    for pid in marked(daemon.socket):
        with suppress(OSError):  # it has just ended
            words += Path(f"/proc/{pid}/cmdline").read_bytes()
    return word.encode() in words
