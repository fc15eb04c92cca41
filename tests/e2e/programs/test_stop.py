"""Stopped means that nothing is left, and the whole takes the longest stop and not their sum."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from taskmasterd.system.procfs import look
from tests.support.daemon import PROGRAMS, Daemon, marked, names_of_marked, process_exists
from tests.support.talk import Talk
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until
from tests.support.wire import ask, prompt_s

pytestmark = pytest.mark.slow
PY = f"{sys.executable} -S"


def _pid_in_log(daemon: Daemon, name: str, word: str) -> int:
    return _pid_in(lambda: daemon.log(name), word)


def _pid_in(read: Callable[[], bytes], word: str) -> int:
    """Wait until what is read holds `word` and a pid; returns the pid."""
    pattern = re.compile(rf"{word} (\d+)\n".encode())
    wait_until(lambda: pattern.search(read()) is not None)
    found = pattern.search(read())
    assert found
    return int(found.group(1))


def test_a_program_that_ignores_term_is_killed_at_stoptime_and_not_before(daemon: Daemon) -> None:
    daemon.write(f"programs: {{p: {{cmd: {PY} {PROGRAMS}/ignores_term.py, starttime: 0, stoptime: 1}}}}")
    daemon.start()
    wait_until(lambda: b"ready" in daemon.log("p"))
    began = time.monotonic()
    stopped = daemon.ctl("stop", "p")
    assert stopped.returncode == 0
    assert 1 <= time.monotonic() - began < 9, "the default is 10"
    assert "SIGKILL was needed" in daemon.events()


def test_a_stopped_process_is_continued_so_that_it_can_hear_its_stop_signal(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, starttime: 0, stoptime: 30}}")
    daemon.start()
    os.kill(daemon.wait_for("p", "RUNNING")["pid"], signal.SIGSTOP)
    began = time.monotonic()
    assert daemon.ctl("stop", "p").returncode == 0
    assert time.monotonic() - began < 25


def test_the_whole_group_is_stopped(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: 'sleep 300 & sleep 300 & wait', shell: true, starttime: 0}}")
    daemon.start()
    daemon.wait_for("p", "RUNNING")
    wait_until(lambda: len(marked(daemon.socket)) == 3)
    assert daemon.ctl("stop", "p").returncode == 0
    assert marked(daemon.socket) == []


def test_a_descendant_that_left_the_session_is_found_and_ended(daemon: Daemon) -> None:
    daemon.write(f"programs: {{p: {{cmd: {PY} {PROGRAMS}/escapes_session.py, starttime: 0, stoptime: 2}}}}")
    daemon.start()
    escaped = _pid_in_log(daemon, "p", "escaped")
    assert daemon.ctl("stop", "p").returncode == 0
    assert not process_exists(escaped)


def test_what_a_crashed_leader_leaves_behind_is_ended_before_the_next_instance_starts(daemon: Daemon) -> None:
    daemon.write(
        f"programs: {{p: {{cmd: {PY} {PROGRAMS}/leaves_children.py 7 0.5, starttime: 0, startretries: 0, stoptime: 2, "
        "restart_burst: 1}}"
    )
    daemon.start()
    first = _pid_in_log(daemon, "p", "child")
    daemon.wait_for("p", "BACKOFF")
    assert not process_exists(first)
    assert "ending what it left behind: python" in daemon.events()
    assert daemon.events().index("ending what it left behind") < daemon.events().index("p restarting")


def test_left_behind_processes_that_ignore_term_keep_it_stopping_and_are_killed(daemon: Daemon) -> None:
    daemon.write(
        f"programs: {{p: {{cmd: '{PY} {PROGRAMS}/ignores_term.py & while ! grep -q ready {daemon.home}/log/p.log; do "
        "sleep 0.05; done; exit 1', shell: true, starttime: 0, stoptime: 1.5, autorestart: never, autostart: false}}"
    )
    daemon.start()
    with Talk(daemon, "subscribe p") as watching:
        assert daemon.ctl("start", "--no-wait", "p").returncode == 0
        while (change := watching.until("change")[-1])["state"] != "STOPPING":
            pass
    assert "exit 1" in change["process"]["detail"]
    assert "ending 1 left-behind process" in change["process"]["detail"]
    assert daemon.wait_for("p", "EXITED")["exit"]["code"] == 1
    assert marked(daemon.socket) == []


def test_without_stopasgroup_only_the_leader_is_ended_and_the_rest_lives_on_over_shutdown(daemon: Daemon) -> None:
    daemon.write(
        f"programs: {{p: {{cmd: {PY} {PROGRAMS}/leaves_children.py 0 300, starttime: 0, stopasgroup: false}}}}"
    )
    daemon.start()
    child = _pid_in_log(daemon, "p", "child")
    assert daemon.ctl("stop", "p").returncode == 0
    assert process_exists(child)
    assert daemon.ctl("shutdown").returncode == 0
    assert process_exists(child)


@pytest.mark.sweep
def test_a_leader_that_dies_after_a_reload_took_stopasgroup_away_leaves_behind_what_lives_on(daemon: Daemon) -> None:
    config = f"programs: {{p: {{cmd: {PY} {PROGRAMS}/leaves_children.py 7 300, starttime: 0, autorestart: never, %s}}}}"
    daemon.write(config % "stopasgroup: true")
    daemon.start()
    child = _pid_in_log(daemon, "p", "child")
    daemon.write(config % "stopasgroup: false")
    assert daemon.ctl("reload").returncode == 0
    os.kill(daemon.status()["p"]["pid"], signal.SIGKILL)
    daemon.wait_for("p", "EXITED")
    assert process_exists(child)
    assert "left-behind" not in daemon.events()


def _prefork(daemon: Daemon, words: str, **keys: object) -> None:
    """Start a parent whose children are hurt by a stop signal."""
    rules = {"cmd": f"{PY} {PROGRAMS}/prefork.py {words}", "starttime": 0, "autorestart": "never", **keys}
    daemon.write(json.dumps({"programs": {"p": rules}}))
    daemon.start()
    wait_until(lambda: daemon.log("p").count(b"child") == 2 and b"ready" in daemon.log("p"))


def test_with_stopasgroup_leader_the_leader_alone_is_asked_and_ends_its_children_in_its_own_way(daemon: Daemon) -> None:
    _prefork(daemon, "", stopasgroup="leader")
    assert daemon.ctl("stop", "p").returncode == 0
    said = daemon.log("p")
    assert (said.count(b"hurt"), said.count(b"\nfinished"), said.count(b"all finished")) == (0, 2, 1)
    assert "p stopping: TERM to its leader, asked by" in daemon.events()
    assert "left-behind" not in daemon.events()


def test_with_stopasgroup_leader_what_the_leader_leaves_gets_the_stop_signal_when_it_has_ended(daemon: Daemon) -> None:
    _prefork(daemon, "leaves", stopasgroup="leader", stoptime=30)
    assert daemon.ctl("stop", "p").returncode == 0
    assert daemon.log("p").count(b"hurt") == 2
    assert marked(daemon.socket) == []
    assert "SIGKILL" not in daemon.events()


@pytest.mark.sweep
def test_with_stopasgroup_leader_everything_that_is_left_at_stoptime_is_killed(daemon: Daemon) -> None:
    script = f"trap : TERM; {PY} {PROGRAMS}/prefork.py & while :; do sleep 0.05; done"
    daemon.write(
        json.dumps(
            {
                "programs": {
                    "p": {"cmd": script, "shell": True, "starttime": 0, "stoptime": 0.7, "stopasgroup": "leader"}
                }
            }
        )
    )
    daemon.start()
    wait_until(lambda: b"ready" in daemon.log("p"))
    began = time.monotonic()
    assert daemon.ctl("stop", "p").returncode == 0
    assert 0.7 <= time.monotonic() - began < 9
    assert b"hurt" not in daemon.log("p")
    assert marked(daemon.socket) == []
    assert "SIGKILL was needed" in daemon.events()


@pytest.mark.sweep
def test_a_running_program_takes_stopasgroup_leader_from_a_reload_and_keeps_it_over_takeover_and_upgrade(
    daemon: Daemon,
) -> None:
    _prefork(daemon, "")
    pid = daemon.status()["p"]["pid"]
    daemon.write(daemon.config.read_text().replace('"starttime": 0', '"starttime": 0, "stopasgroup": "leader"'))
    assert daemon.ctl("reload").returncode == 0
    assert "p updated: stopasgroup applied without a restart" in daemon.events()
    daemon.kill()
    daemon.start()
    assert daemon.ctl("upgrade").returncode == 0
    assert daemon.status()["p"]["pid"] == pid
    assert "stopasgroup        leader" in daemon.ctl("show", "p").stdout.replace("stopasgroup:", "stopasgroup")
    assert daemon.ctl("stop", "p").returncode == 0
    assert b"hurt" not in daemon.log("p")
    assert b"all finished" in daemon.log("p")


@pytest.fixture
def powerless(daemon: Daemon) -> Callable[[dict[str, object]], None]:
    """Return how to start a daemon with one program `p` that may signal nobody but processes of its own user."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root and setpriv: only root can start what it then may not signal")

    def start(keys: dict[str, object]) -> None:
        daemon.write(json.dumps({"programs": {"p": {"starttime": 0, "autorestart": "never", **keys}}}))
        command = ["setpriv", "--bounding-set=-kill", sys.executable, "-m", "taskmasterd", "-c", str(daemon.config)]
        done = subprocess.run(
            command, env=daemon.environment, cwd=daemon.home, check=False, timeout=20, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        daemon.wait_for("p", "RUNNING")

    return start


def test_a_leader_that_may_not_be_signalled_is_said_so_with_its_owner_and_never_that_it_was_killed(
    daemon: Daemon, powerless: Callable[[dict[str, object]], None]
) -> None:
    powerless({"cmd": "sleep 300", "user": "nobody", "stoptime": 0.3})
    pid = daemon.status()["p"]["pid"]
    reason = f"sleep ({pid}) of nobody may not be signalled: operation not permitted"
    signalled = daemon.ctl("signal", "USR1", "p")
    assert (signalled.returncode, "operation not permitted" in signalled.stderr) == (1, True)
    stopped = daemon.ctl("stop", "p")
    assert stopped.returncode == 1
    assert reason in stopped.stderr
    assert daemon.status()["p"]["detail"] == reason
    assert f"p {reason}" in daemon.events()
    again = daemon.ctl("stop", "p")
    assert (again.returncode, reason in again.stderr) == (1, True)
    shut = daemon.ctl("shutdown")
    assert (shut.returncode, reason in shut.stderr) == (1, True)
    assert f"p could not be ended: {reason}" in daemon.events()
    assert "SIGKILL" not in daemon.events()
    os.kill(pid, signal.SIGKILL)


@pytest.mark.sweep
def test_what_may_not_be_signalled_keeps_it_stopping_until_somebody_else_ends_it(
    daemon: Daemon, powerless: Callable[[dict[str, object]], None]
) -> None:
    other = "setpriv --reuid nobody --clear-groups sleep 300 & echo other $!; exec sleep 300"
    powerless({"cmd": other, "shell": True, "stoptime": 0.3})
    left = _pid_in_log(daemon, "p", "other")
    wait_until(lambda: names_of_marked(daemon.socket) == ["sleep", "sleep"])  # and not setpriv any more
    stopped = daemon.ctl("stop", "p")
    reason = f"sleep ({left}) of nobody may not be signalled: operation not permitted"
    assert stopped.returncode == 1
    assert reason in stopped.stderr
    assert daemon.state("p") == "STOPPING"
    assert "SIGKILL sent" not in daemon.events()
    os.kill(left, signal.SIGKILL)
    daemon.wait_for("p", "STOPPED")
    assert "SIGKILL was needed" not in daemon.events()


def test_a_start_during_a_slow_stop_waits_for_the_end_of_the_old_instance(daemon: Daemon) -> None:
    daemon.write(f"programs: {{p: {{cmd: {PY} {PROGRAMS}/ignores_term.py, starttime: 0, stoptime: 1}}}}")
    daemon.start()
    wait_until(lambda: b"ready" in daemon.log("p"))
    old = daemon.status()["p"]["pid"]
    answer = ask(daemon, b"stop --no-wait p\nstatus p\nstart p")  # one after the other, without a pause
    states = [process["state"] for message in answer for process in message.get("processes", ())]
    assert (states, answer[-1]["exit"]) == (["STOPPING"], 0)
    assert daemon.status()["p"]["pid"] != old
    assert not process_exists(old)


@pytest.mark.sweep
def test_a_stop_that_overtakes_a_start_fails_the_start_and_says_by_whom(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, starttime: 20, autostart: false}}")
    daemon.start()
    starting = subprocess.Popen(
        [sys.executable, "-m", "taskmasterctl", "start", "p"],
        env=daemon.environment,
        cwd=daemon.home,
        stderr=subprocess.PIPE,
        text=True,
    )
    daemon.wait_for("p", "STARTING")
    assert daemon.ctl("stop", "p").returncode == 0
    _, said = starting.communicate(timeout=20)
    assert starting.returncode == 1
    assert f"uid {os.geteuid()}" in said
    assert "while starting" in said


def test_while_one_program_stops_slowly_the_starts_and_stops_of_others_answer_at_once(daemon: Daemon) -> None:
    slow = f"slow: {{cmd: {PY} {PROGRAMS}/ignores_term.py, starttime: 0, stoptime: 300}}"
    daemon.write(f"programs: {{{slow}, p: {{cmd: sleep 98, numprocs: 5, starttime: 0}}}}")
    daemon.start()
    wait_until(lambda: b"ready" in daemon.log("slow"))
    with Talk(daemon, "stop slow") as waiting, Talk(daemon) as talk:
        wait_until(lambda: daemon.state("slow") == "STOPPING")
        seconds = [
            result["seconds"]
            for verb in ("stop", "start")
            for index in range(5)
            for result in talk.ask(f"{verb} p:{index}")
            if result["type"] == "result" and result["ok"]
        ]
        assert not waiting.ended
    assert len(seconds) == 10
    assert sorted(seconds)[5] < prompt_s()


@pytest.mark.sweep
def test_shutdown_takes_the_longest_stop_and_not_the_sum(daemon: Daemon) -> None:
    daemon.write(f"programs: {{p: {{cmd: {PY} {PROGRAMS}/ignores_term.py, numprocs: 4, starttime: 0, stoptime: 1.5}}}}")
    daemon.start()
    for name in ("p", "p-1", "p-2", "p-3"):
        wait_until(lambda name=name: b"ready" in daemon.log(name))  # type: ignore[misc]
    began = time.monotonic()
    assert daemon.ctl("shutdown").returncode == 0
    assert 1.5 <= time.monotonic() - began < 6
    assert marked(daemon.socket) == []
    assert not daemon.socket.exists()
    assert not daemon.pidfile.exists()


def test_shutdown_timeout_caps_it(daemon: Daemon) -> None:
    daemon.write(
        f"{{taskmasterd: {{shutdown_timeout: 1}}, programs: {{p: {{cmd: {PY} {PROGRAMS}/ignores_term.py, starttime: 0, stoptime: 60}}}}}}"
    )
    daemon.start()
    wait_until(lambda: b"ready" in daemon.log("p"))
    began = time.monotonic()
    assert daemon.ctl("shutdown").returncode == 0
    assert time.monotonic() - began < 25


def _hidden(daemon: Daemon, name: str) -> int:
    """Return the pid that `hides_itself.py` has written to a file in the daemon's directory."""
    path = daemon.home / name
    wait_until(path.exists)
    return _pid_in(path.read_bytes, "hidden")


def test_what_hides_its_variables_session_and_memory_is_ended_with_its_program_and_no_other(daemon: Daemon) -> None:
    hides = f"{PY} {PROGRAMS}/hides_itself.py {daemon.home}"
    daemon.write(
        f"programs: {{p: {{cmd: {hides}/of-p, starttime: 0, stoptime: 1}}, q: {{cmd: {hides}/of-q, starttime: 0}}}}"
    )
    daemon.start()
    of_p, of_q = _hidden(daemon, "of-p"), _hidden(daemon, "of-q")
    assert daemon.ctl("stop", "p").returncode == 0
    assert not process_exists(of_p)
    assert process_exists(of_q)
    assert daemon.ctl("restart", "q").returncode == 0
    assert not process_exists(of_q), "there are never two instances of what it starts either"
    wait_until(lambda: _hidden(daemon, "of-q") != of_q)
    assert daemon.ctl("shutdown").returncode == 0
    assert not process_exists(_hidden(daemon, "of-q"))


@pytest.mark.sweep
def test_of_what_hides_so_well_that_nobody_knows_whose_it_is_no_stop_says_that_it_is_gone(daemon: Daemon) -> None:
    hides = f"{PY} {PROGRAMS}/hides_itself.py {daemon.home}"
    q = "q: {cmd: sleep 300, starttime: 0}"
    daemon.write(f"programs: {{{q}}}")
    daemon.start()
    daemon.write(f"programs: {{{q}, p: {{cmd: {hides}/of-p LIMITS=lowered, starttime: 0, stoptime: 1}}}}")
    assert daemon.ctl("reload").returncode == 0
    hidden = _hidden(daemon, "of-p")
    done = daemon.ctl("stop", "p")
    assert (done.returncode, process_exists(hidden)) == (1, True)
    assert f"({hidden}) may be left of it, and hides whose it is; end that: kill {hidden}" in done.stderr
    assert f"({hidden}) may be left of it" in daemon.events()
    os.kill(hidden, signal.SIGKILL)
    assert daemon.ctl("start", "p").returncode == 0
    wait_until(lambda: _hidden(daemon, "of-p") != hidden)
    os.kill(_hidden(daemon, "of-p"), signal.SIGKILL)
    assert daemon.ctl("stop", "p").returncode == 0
    assert daemon.ctl("shutdown").returncode == 0


@pytest.mark.parametrize("words", [("stop", "p"), *in_the_sweep((("shutdown",),))])
def test_who_shows_the_mark_of_a_program_whose_leftovers_are_left_alone_is_not_left_alone(
    daemon: Daemon, words: tuple[str, ...]
) -> None:
    free = {"cmd": "setsid -f sleep 301; exec sleep 302", "shell": True, "stopasgroup": False, "starttime": 0}
    daemon.write(json.dumps({"programs": {"free": free}}))
    daemon.start()
    wait_until(lambda: names_of_marked(daemon.socket) == ["sleep", "sleep"])
    leader = daemon.status()["free"]["pid"]
    (alone,) = (pid for pid in marked(daemon.socket) if pid != leader)
    with open(f"/proc/{leader}/environ", "rb") as file:
        stolen = [text.decode() for text in file.read().split(b"\0") if text.startswith(b"TASKMASTER_")]
    thief = {"cmd": [*PY.split(), f"{PROGRAMS}/hides_itself.py", f"{daemon.home}/thief", *stolen], "starttime": 0}
    daemon.write(json.dumps({"programs": {"free": free, "p": thief}}))
    assert daemon.ctl("reload").returncode == 0
    pid = _hidden(daemon, "thief")
    try:
        assert daemon.ctl(*words).returncode == 0
        assert not process_exists(pid)
        assert process_exists(alone)
    finally:
        os.kill(alone, signal.SIGKILL)


@pytest.mark.sweep
def test_what_forks_and_ends_all_the_time_is_never_taken_for_gone(daemon: Daemon) -> None:
    daemon.write(
        f"programs: {{p: {{cmd: {PY} {PROGRAMS}/hops.py 20000, starttime: 0, stoptime: 0.5, autorestart: never}}}}"
    )
    daemon.start()
    daemon.wait_for("p", "EXITED")
    assert "p SIGKILL sent" in daemon.events(), "it ignores TERM: nothing else can have ended it"
    assert marked(daemon.socket) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, *in_the_sweep(signal.SIGINT)])
def test_a_signal_stops_the_daemon_orderly_and_a_second_one_is_harmless(daemon: Daemon, number: int) -> None:
    daemon.write(f"programs: {{p: {{cmd: {PY} {PROGRAMS}/ignores_term.py, starttime: 0, stoptime: 1}}}}")
    daemon.start_foreground()
    wait_until(lambda: b"ready" in daemon.log("p"))
    assert daemon.foreground
    daemon.foreground.send_signal(number)
    daemon.foreground.send_signal(number)
    assert daemon.foreground.wait(timeout=10) == 0
    assert marked(daemon.socket) == []
    assert not daemon.pidfile.exists()


@pytest.mark.parametrize("first", [signal.SIGTERM, *in_the_sweep(signal.SIGQUIT)])
def test_quit_while_it_stops_ends_everything_at_once(daemon: Daemon, first: signal.Signals) -> None:
    daemon.write(f"programs: {{p: {{cmd: {PY} {PROGRAMS}/ignores_term.py, starttime: 0, stoptime: 60}}}}")
    daemon.start_foreground()
    wait_until(lambda: b"ready" in daemon.log("p"))
    assert daemon.foreground
    daemon.foreground.send_signal(first)
    wait_until(lambda: f"asked by {first.name}" in daemon.events())
    assert daemon.state("p") == "STOPPING"
    daemon.foreground.send_signal(signal.SIGQUIT)
    assert daemon.foreground.wait(timeout=20) == 0
    assert "killing all programs, asked by SIGQUIT" in daemon.events()
    assert marked(daemon.socket) == []


@pytest.mark.sweep
@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="needs /proc")
@pytest.mark.parametrize("words", [("stop", "p"), ("shutdown",)])
def test_a_descendant_whose_main_thread_has_ended_is_not_left_behind(daemon: Daemon, words: tuple[str, ...]) -> None:
    worker = f"{PY} {PROGRAMS}/ends_its_main_thread.py"
    daemon.write(f"programs: {{p: {{cmd: '{worker} & exec sleep 300', shell: true, starttime: 0, stoptime: 1}}}}")
    daemon.start()
    pid = _pid_in_log(daemon, "p", "worker")
    assert daemon.ctl(*words).returncode == 0
    assert look(pid) is None


@pytest.mark.sweep
@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="needs /proc")
def test_a_leader_whose_main_thread_has_ended_runs_on_and_is_taken_over(daemon: Daemon) -> None:
    daemon.write(f"programs: {{p: {{cmd: {PY} {PROGRAMS}/ends_its_main_thread.py, starttime: 0, stoptime: 1}}}}")
    daemon.start()
    pid = _pid_in_log(daemon, "p", "worker")
    assert daemon.wait_for("p", "RUNNING")["pid"] == pid
    daemon.kill()
    daemon.start()
    assert daemon.wait_for("p", "RUNNING")["pid"] == pid
    assert daemon.ctl("stop", "p").returncode == 0
    assert look(pid) is None
    assert daemon.status()["p"]["state"] == "STOPPED"
