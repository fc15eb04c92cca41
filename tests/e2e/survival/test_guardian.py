"""The guardian: a daemon that dies is back at once, and nothing is lost in between."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.daemon import PROGRAMS, Daemon, lives, marked, process_exists
from tests.support.forkserver import Forked
from tests.support.guarded import (
    COUNTER,
    SLEEPER,
    ageless,
    all_new,
    config,
    copy_code,
    is_counted,
    kill_daemon,
    pids_of,
    state_of,
    stopped,
)
from tests.support.talk import Talk
from tests.support.wait import wait_until
from tests.support.wire import resident

pytestmark = pytest.mark.slow
TALKS = "trap 'echo last words; echo why >&2; exit 7' USR1; echo ready; while :; do sleep 0.01; done"
OWN_PIPE_ENDS = 2
"""Ends of the pipe by which signals wake a guardian."""
DEAF = f"{sys.executable} -S {PROGRAMS}/ignores_term.py"


# -- a daemon that dies


def test_a_daemon_that_is_killed_is_back_and_its_programs_have_not_noticed(daemon: Daemon) -> None:
    daemon.write(config(count=COUNTER, crashes="sleep 300", halted="sleep 300"))
    daemon.start("--guard")
    assert Path(f"/proc/{daemon.pid}/comm").read_text() == "taskmasterguard\n"
    wait_until(lambda: all(process["pid"] for process in daemon.status().values()))
    assert daemon.ctl("stop", "halted").returncode == 0
    os.kill(daemon.status()["crashes"]["pid"], signal.SIGKILL)
    wait_until(lambda: daemon.status()["crashes"]["restarts"] == 1)
    before, guardian = daemon.status(), daemon.pid
    for _ in range(3):
        killed = kill_daemon(daemon)
        assert resident(daemon) not in (killed, guardian)
    after = daemon.status()
    for name in before:
        assert ageless(before[name]) == ageless(after[name])
        assert (after[name]["uptime_s"] or 0) >= (before[name]["uptime_s"] or 0)
    assert daemon.pid == guardian
    wrote = len(daemon.log("count"))
    wait_until(lambda: len(daemon.log("count")) > wrote)
    assert daemon.ctl("shutdown").returncode == 0
    assert is_counted(daemon.log("count"))
    wait_until(lambda: not process_exists(guardian))
    assert not marked(daemon.socket)
    assert not daemon.socket.exists()


def test_what_ends_while_no_daemon_is_there_has_its_status_and_its_last_words(daemon: Daemon) -> None:
    quits = {"cmd": TALKS, "shell": True, "starttime": 0, "autorestart": "never"}
    daemon.write(config(quits=quits, dies=quits, again={**quits, "autorestart": "always"}))
    daemon.start("--guard")
    wait_until(lambda: all(daemon.log(name) == b"ready\n" for name in ("quits", "dies", "again")))
    before = daemon.status()
    with stopped(daemon.pid):
        kill_daemon(daemon)
        with Talk(daemon, "status", greeted=False) as early:
            for name in ("quits", "again"):
                os.kill(before[name]["pid"], signal.SIGUSR1)
            os.kill(before["dies"]["pid"], signal.SIGKILL)
            wait_until(lambda: not any(process_exists(before[name]["pid"]) for name in before))
            os.kill(daemon.pid, signal.SIGCONT)
            assert early.until("end")[0]["type"] == "hello", "who comes in the gap waits and is answered"
    after = daemon.status()
    assert after["quits"]["state"] == after["dies"]["state"] == "EXITED"
    assert after["quits"]["exit"]["code"] == 7
    assert after["dies"]["exit"]["signal"] == "KILL"
    wait_until(lambda: daemon.log("again") == b"ready\nlast words\nwhy\nready\n")
    assert daemon.status()["again"]["restarts"] == 1
    wait_until(lambda: daemon.log("quits") == b"ready\nlast words\nwhy\n")


@pytest.mark.sweep
def test_what_was_kept_for_a_daemon_is_handed_over_once(daemon: Daemon) -> None:
    daemon.write(config(p={"cmd": TALKS, "shell": True, "starttime": 0}))
    daemon.start("--guard")
    wait_until(lambda: daemon.log("p") == b"ready\n")
    wait_until(lambda: len(_pipes(daemon.pid)) == OWN_PIPE_ENDS + 1)  # the program's pipe has arrived by now
    kept = _descriptors(daemon.pid)
    for _ in range(3):
        child = daemon.status()["p"]["pid"]
        with stopped(daemon.pid):
            kill_daemon(daemon)
            os.kill(child, signal.SIGUSR1)
            wait_until(lambda child=child: not process_exists(child))  # type: ignore[misc]
        wait_until(lambda child=child: daemon.status()["p"]["pid"] not in (None, child))  # type: ignore[misc]
    assert daemon.log("p").count(b"last words\n") == 3
    wait_until(lambda: _descriptors(daemon.pid) <= kept)


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _pipes(pid: int) -> list[str]:
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):  # closed since
            found.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return [name for name in found if name.startswith("pipe:")]


@pytest.mark.sweep
def test_a_hundred_crashes_of_programs_leave_the_guardian_no_descriptor_more(daemon: Daemon) -> None:
    daemon.write(config(p={"cmd": "sleep 300", "starttime": 0, "stderr": "e.log", "numprocs": 4, "restart_burst": 0}))
    daemon.start("--guard")
    wait_until(lambda: all(process["pid"] for process in daemon.status().values()))
    wait_until(lambda: len(_pipes(daemon.pid)) == OWN_PIPE_ENDS + 8)  # two of each instance
    before = _descriptors(daemon.pid)
    with Talk(daemon) as talk:
        for _ in range(25):
            pids = {pid for pid in pids_of(talk) if pid}
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
            wait_until(lambda pids=pids: all_new(talk, pids))  # type: ignore[misc]
    wait_until(lambda: _descriptors(daemon.pid) <= before)


@pytest.mark.sweep
def test_a_stop_goes_on_after_the_daemon_has_died_in_it(daemon: Daemon) -> None:
    deaf = "trap '' TERM; echo ready; until test -e go; do sleep 0.05; done"
    daemon.write(config(p={"cmd": deaf, "shell": True, "starttime": 0, "stoptime": 60}))
    daemon.start_foreground("--guard")
    wait_until(lambda: daemon.log("p") == b"ready\n")
    guardian, child = daemon.foreground, daemon.status()["p"]["pid"]
    assert guardian
    with Talk(daemon, "shutdown") as talk:
        talk.until("ack")
        wait_until(lambda: "p stopping" in daemon.events())
        kill_daemon(daemon)
        (daemon.home / "go").touch()
    assert guardian.wait(30) == 0
    assert not process_exists(child)
    assert "asked by a request to an earlier daemon" in daemon.events()
    assert not daemon.socket.exists()


@pytest.mark.sweep
def test_a_signal_to_stop_is_carried_out_by_the_next_daemon_where_the_first_died_of_something_else(
    daemon: Daemon,
) -> None:
    daemon.write(SLEEPER)
    daemon.start_foreground("--guard")
    child = daemon.status()["p"]["pid"]
    with stopped(daemon.pid):
        kill_daemon(daemon)
        os.kill(daemon.pid, signal.SIGTERM)
    assert daemon.foreground
    assert daemon.foreground.wait(30) == 0
    assert not process_exists(child)


@pytest.mark.sweep
def test_a_signal_that_the_daemon_has_died_before_hearing_is_told_to_the_next(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    daemon.start_foreground("--guard")
    pid, child = resident(daemon), daemon.status()["p"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state_of(pid) == "T")  # TERM would be heard before STOP otherwise: lower numbers come first
    daemon.signal(signal.SIGTERM)
    wait_until(lambda: _is_pending(pid, signal.SIGTERM))
    os.kill(pid, signal.SIGKILL)
    assert daemon.foreground
    assert daemon.foreground.wait(30) == 0
    assert not process_exists(child)


def _is_pending(pid: int, number: int) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    mask = next(int(line.split()[1], 16) for line in lines if line.startswith("ShdPnd"))
    return bool(mask >> (number - 1) & 1)


# -- a daemon that keeps dying


@pytest.fixture
def copied(daemon: Daemon) -> Path:
    """Have the daemon run from a copy of the code; returns the file of its first moments."""
    return copy_code(daemon) / "survival" / "takeover.py"


def _break(beginning: Path, notes: Path) -> str:
    """Have each daemon note the time and fail; returns the text that was there."""
    text = beginning.read_text()
    first = "        for level, text in origin.notes:\n            context.log.write(level, text)\n"
    assert first in text
    note = f"        open({str(notes)!r}, 'a').write(f'{{context.reactor.now()}}\\n')\n        raise TaskmasterError('broken')\n"
    beginning.write_text(text.replace(first, note))
    return text


@pytest.mark.sweep
def test_a_daemon_that_keeps_dying_is_tried_at_longer_and_longer_intervals_and_its_clients_wait(
    daemon: Daemon, copied: Path
) -> None:
    daemon.write(SLEEPER)
    daemon.start("--guard")
    child, notes = daemon.status()["p"]["pid"], daemon.home / "notes"
    text = _break(copied, notes)
    pid = resident(daemon)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: notes.exists() and len(notes.read_text().split()) >= 5, within_s=20)
    with Talk(daemon, "pid p", greeted=False) as early:
        times = [float(word) for word in notes.read_text().split()]
        pauses = [after - before for before, after in itertools.pairwise(times)]
        assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4)))
        assert daemon.pidfile.exists()
        copied.write_text(text)
        assert early.until("end")[2]["pid"] == child


@pytest.mark.sweep
def test_a_daemon_that_dies_as_soon_as_its_launcher_was_told_that_all_is_well_is_started_again(
    daemon: Daemon, copied: Path
) -> None:
    daemon.write(SLEEPER)
    places = copied.parent / "holdings.py"
    text = places.read_text()
    closing = "    finally:\n        os.close(ready)\n"
    assert closing in text
    places.write_text(text.replace(closing, f"{closing}        os.kill(os.getpid(), 9)\n"))
    daemon.start("--guard")
    with Talk(daemon, "pid p") as talk:
        assert talk.until("end")[-1]["exit"] == 0


def _keeps_dying(daemon: Daemon, copied: Path, starts: int) -> tuple[subprocess.Popen[bytes] | Forked, int, str]:
    """Kill a guarded daemon whose next ones die at once, so many times; returns guardian, child and the whole code."""
    daemon.write(SLEEPER)
    daemon.start_foreground("--guard")
    guardian, child, notes = daemon.foreground, daemon.status()["p"]["pid"], daemon.home / "notes"
    assert guardian
    text = _break(copied, notes)
    os.kill(resident(daemon), signal.SIGKILL)
    wait_until(lambda: notes.exists() and len(notes.read_text().split()) >= starts, within_s=20)
    return guardian, child, text


@pytest.mark.sweep
def test_a_signal_during_the_pause_has_the_next_daemon_tried_at_once(daemon: Daemon, copied: Path) -> None:
    guardian, child, text = _keeps_dying(daemon, copied, 5)
    copied.write_text(text)
    guardian.send_signal(signal.SIGTERM)
    assert guardian.wait(30) == 0
    assert not process_exists(child)
    assert "asked by SIGTERM" in daemon.events()


@pytest.mark.sweep
def test_a_guardian_that_was_told_to_stop_gives_up_on_a_daemon_that_cannot(daemon: Daemon, copied: Path) -> None:
    guardian, child, text = _keeps_dying(daemon, copied, 4)
    guardian.send_signal(signal.SIGTERM)
    assert guardian.wait(30) == 1
    assert "cannot stop its programs; they run on" in (daemon.home / "stderr").read_text()
    assert process_exists(child)
    copied.write_text(text)
    daemon.start()  # what is left of the other one is no obstacle
    assert daemon.status()["p"]["pid"] == child


@pytest.mark.sweep
def test_a_start_that_the_system_refuses_is_tried_again(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    daemon.start_foreground("--guard")
    guardian, child = daemon.pid, daemon.status()["p"]["pid"]
    limit = subprocess.run(["prlimit", f"--pid={guardian}", "--nofile=3:"], check=False, capture_output=True)
    if limit.returncode:
        pytest.skip("needs prlimit")
    os.kill(resident(daemon), signal.SIGKILL)
    wait_until(lambda: "cannot start taskmasterd" in (daemon.home / "stderr").read_text())
    subprocess.run(["prlimit", f"--pid={guardian}", "--nofile=1000:"], check=True)
    with Talk(daemon, "pid p") as talk:
        assert talk.until("end")[1]["pid"] == child


# -- signals


def test_signals_to_the_guardian_reach_the_daemon_and_a_second_stop_does_no_harm(daemon: Daemon) -> None:
    polite = "trap 'sleep 0.3; echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
    daemon.write(config(p=polite))
    daemon.start_foreground("--guard")
    assert daemon.foreground
    wait_until(lambda: daemon.log("p") == b"ready\n")
    daemon.signal(signal.SIGUSR1)
    wait_until(lambda: "reopening all log files" in daemon.events())
    daemon.write(config(p=polite, q="sleep 300"))
    daemon.signal(signal.SIGHUP)
    wait_until(lambda: "q started" in daemon.events())
    for _ in range(3):
        daemon.signal(signal.SIGTERM)
    assert daemon.foreground.wait(30) == 0
    assert daemon.log("p").endswith(b"bye\n")
    assert daemon.events().count("stopping all programs, asked by SIGTERM") == 1


@pytest.mark.sweep
@pytest.mark.parametrize("options", [("--guard",), ()])
def test_signals_to_stop_until_the_very_end_change_nothing_about_the_exit_code(
    daemon: Daemon, options: tuple[str, ...]
) -> None:
    daemon.write(SLEEPER)
    daemon.start_foreground(*options)
    assert daemon.foreground
    while daemon.foreground.poll() is None:
        daemon.foreground.send_signal(signal.SIGTERM)
    assert daemon.foreground.returncode == 0, (daemon.home / "stderr").read_text()


@pytest.mark.sweep
def test_ctrl_c_reaches_both_and_ends_both_in_order(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    with (daemon.home / "stderr").open("w") as stderr, subprocess.Popen(
        [sys.executable, "-m", "taskmasterd", "-c", str(daemon.config), "-n", "--guard"],
        env=daemon.environment, cwd=daemon.home, stdout=stderr, stderr=stderr, start_new_session=True,
    ) as guardian:  # fmt: skip
        wait_until(lambda: daemon.ctl("pid").returncode == 0)
        os.killpg(guardian.pid, signal.SIGINT)  # as a terminal does
        assert guardian.wait(30) == 0
    assert "stopping all programs, asked by SIGINT" in (daemon.home / "stderr").read_text()
    assert "guardian" not in (daemon.home / "stderr").read_text()


@pytest.mark.sweep
def test_quit_while_it_stops_ends_everything_at_once(daemon: Daemon) -> None:
    daemon.write(config(p={"cmd": DEAF, "starttime": 0, "stoptime": 30}))
    daemon.start_foreground("--guard")
    assert daemon.foreground
    wait_until(lambda: daemon.log("p") == b"ready\n")
    daemon.signal(signal.SIGQUIT)
    wait_until(lambda: "asked by SIGQUIT" in daemon.events())
    assert daemon.state("p") == "STOPPING"
    daemon.signal(signal.SIGQUIT)
    assert daemon.foreground.wait(30) == 0
    assert not marked(daemon.socket)


@pytest.mark.sweep
def test_a_daemon_that_dies_during_the_stop_that_quit_has_asked_for_is_followed_by_one_that_stops_orderly(
    daemon: Daemon,
) -> None:
    until_go = "until test -e go; do sleep 0.05; done"
    saves = f"trap '{until_go}; echo saved; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    daemon.write(config(p={"cmd": saves, "shell": True, "starttime": 0, "stoptime": 60}))
    daemon.start_foreground("--guard")
    assert daemon.foreground
    wait_until(lambda: daemon.log("p") == b"ready\n")
    pid = resident(daemon)
    daemon.signal(signal.SIGQUIT)
    wait_until(lambda: "asked by SIGQUIT" in daemon.events())
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: "asked by a request to an earlier daemon" in daemon.events())
    (daemon.home / "go").touch()
    assert daemon.foreground.wait(30) == 0
    assert daemon.log("p").endswith(b"saved\n")
    assert not marked(daemon.socket)


def test_a_stop_whose_daemon_has_died_is_over_where_its_last_program_has_ended_meanwhile(daemon: Daemon) -> None:
    saves = "trap 'until test -e go; do sleep 0.05; done; exit 0' TERM; echo ready; while :; do sleep 0.05; done"
    daemon.write(config(p={"cmd": saves, "shell": True, "starttime": 0, "stoptime": 60}))
    daemon.start_foreground("--guard")
    assert daemon.foreground
    wait_until(lambda: daemon.log("p") == b"ready\n")
    child = daemon.status()["p"]["pid"]
    with Talk(daemon, "shutdown") as talk:
        talk.until("ack")
        wait_until(lambda: "p stopping" in daemon.events())
        with stopped(daemon.pid):
            kill_daemon(daemon)
            (daemon.home / "go").touch()
            wait_until(lambda: not process_exists(child))
    assert daemon.foreground.wait(30) == 0
    assert "could not be ended" not in daemon.events()


def test_abort_ends_guardian_and_daemon_and_leaves_the_programs_to_the_next(daemon: Daemon) -> None:
    # what systemd's watchdog sends to the main process of a unit whose daemon hangs
    daemon.write(SLEEPER)
    daemon.start_foreground("--guard")
    guardian, pid, child = daemon.foreground, resident(daemon), daemon.status()["p"]["pid"]
    assert guardian
    with stopped(pid):
        guardian.send_signal(signal.SIGABRT)
        assert guardian.wait(30) == -signal.SIGABRT
    wait_until(lambda: not process_exists(pid))
    daemon.start("--guard")
    assert daemon.status()["p"]["pid"] == child


# -- launches that fail


def test_a_launch_that_fails_says_why_and_leaves_no_guardian(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, colour: blue}}")
    done = daemon.launch("--guard")
    assert (done.returncode, "colour" in done.stderr) == (6, True)
    daemon.write(SLEEPER)
    daemon.start("--guard")
    done = daemon.launch("--guard")
    assert (done.returncode, str(daemon.pid) in done.stderr) == (1, True), done.stderr
    assert lives(daemon.socket, "taskmasterguard") == [daemon.pid]
    guardian, pid, child = daemon.pid, resident(daemon), daemon.status()["p"]["pid"]
    for each in (guardian, pid):
        os.kill(each, signal.SIGKILL)
    wait_until(lambda: not process_exists(pid) and not process_exists(guardian))
    for state in daemon.home.glob("*.state"):
        state.unlink()
    done = daemon.launch("--guard", "--orphans", "refuse")
    assert done.returncode == 1
    assert f"an earlier daemon left sleep ({child}) of p:0" in done.stderr
    wait_until(lambda: not lives(daemon.socket, "taskmasterguard"))
    assert not daemon.socket.exists()
    assert not daemon.pidfile.exists()
    assert process_exists(child)
