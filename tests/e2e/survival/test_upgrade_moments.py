"""The live upgrade at bad moments and with bad code: refused with the reason, or everything goes on; nothing in between."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from taskmaster_common import __version__
from tests.support.daemon import PROGRAMS, Daemon, marked, process_exists
from tests.support.guarded import COUNTER, SLEEPER, ageless, config, copy_code, is_counted
from tests.support.talk import Talk, upgrade
from tests.support.wait import wait_until
from tests.support.wire import ask, resident

pytestmark = [pytest.mark.slow, pytest.mark.sweep]
EXECUTING = "executing the installed code"


def executing(daemon: Daemon, count: int = 1) -> Callable[[], bool]:
    """Return whether the daemon has come to its exec so often; the interpreter's start follows."""
    return lambda: daemon.events().count(EXECUTING) == count


@pytest.fixture
def checked_until_go(daemon: Daemon) -> Path:
    """Make the check of an upgrade last until this file exists."""
    go = daemon.home / "go"
    waits = f"    while trial and not __import__('os').path.exists({str(go)!r}): __import__('time').sleep(0.02)\n"
    replaced(copy_code(daemon) / "resident.py", "    return daemon.run(", f"{waits}    return daemon.run(")
    return go


# -- moments


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_stop_that_comes_while_the_code_is_exchanged_is_carried_out(daemon: Daemon, number: signal.Signals) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    pid, child = daemon.pid, daemon.status()["p"]["pid"]
    with Talk(daemon, "upgrade") as talk:
        wait_until(executing(daemon))
        os.kill(pid, number)
        assert talk.until("upgraded")[-1]["pid"] == pid
        wait_until(lambda: not process_exists(pid))
    assert not process_exists(child)
    assert f"asked by {number.name}" in daemon.events()
    assert not daemon.pidfile.exists()


def test_a_reload_and_a_reopen_by_signal_and_an_end_in_the_gap_are_not_lost(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: sh -c 'trap \"exit 7\" USR1; echo ready; while :; do sleep 0.01; done', starttime: 0, "
        "autorestart: never}, q: {cmd: sleep 300, starttime: 0}}")  # fmt: skip
    daemon.start()
    wait_until(lambda: daemon.log("p") == b"ready\n")
    child = daemon.status()["p"]["pid"]
    with Talk(daemon, "upgrade") as talk:
        wait_until(executing(daemon))
        os.kill(child, signal.SIGUSR1)
        wait_until(lambda: not process_exists(child))
        (daemon.home / "log" / "taskmasterd.log").rename(daemon.home / "log" / "before")
        daemon.write("programs: {p: {cmd: sleep 1, autostart: false}, q: {cmd: sleep 301, starttime: 0}}")
        os.kill(daemon.pid, signal.SIGHUP)
        os.kill(daemon.pid, signal.SIGUSR1)
        talk.until("end")
    before = daemon.home / "log" / "before"
    wait_until(lambda: re.search("[01] programs? untouched", before.read_text() + daemon.events()))
    wait_until(daemon.events)
    daemon.wait_for("q", "RUNNING")
    assert daemon.status()["p"]["exit"]["code"] == 7
    assert f"pid {child}" in before.read_text()


def test_a_socket_and_a_pid_file_that_are_somebody_elses_by_now_are_left_to_them(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    pid = daemon.pid
    with Talk(daemon) as talk, socket.socket(socket.AF_UNIX) as other:
        daemon.socket.unlink()
        other.bind(str(daemon.socket))
        other.listen()
        daemon.pidfile.unlink()
        daemon.pidfile.write_text("1\n")
        assert talk.ask("upgrade")[-1]["exit"] == 0
        assert talk.ask("shutdown")[-1]["exit"] == 0
        wait_until(lambda: not process_exists(pid))
        assert daemon.socket.exists()
        assert daemon.pidfile.exists()


def test_two_upgrades_at_once_are_one_and_a_refusal(daemon: Daemon, checked_until_go: Path) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    with Talk(daemon, "upgrade") as first, Talk(daemon, "upgrade") as second:
        assert second.until("end")[-1]["error"]["code"] == "busy"
        checked_until_go.touch()
        assert first.until("end")[-1]["exit"] == 0
    assert daemon.events().count(EXECUTING) == 1


def test_a_client_that_goes_away_does_not_end_the_upgrade_that_it_asked_for(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    with Talk(daemon, "upgrade") as talk:
        talk.until("ack")
    wait_until(lambda: "goes on after an upgrade" in daemon.events())
    assert daemon.state("p") == "RUNNING"


def test_an_upgrade_waits_for_a_reload_that_is_being_read(daemon: Daemon) -> None:
    daemon.write("programs:\n" + "".join(f"  p{n}: {{cmd: sleep 1, autostart: false}}\n" for n in range(1000)))
    daemon.start()
    with Talk(daemon, "reload") as reload, Talk(daemon, "upgrade") as exchange:
        reload.until("ack")
        assert exchange.until("end")[-1]["exit"] == 0
        assert reload.until("end")[-1]["exit"] == 0
    assert daemon.events().index("1000 programs untouched") < daemon.events().index(EXECUTING)


def test_programs_that_are_being_started_by_the_hundred_are_each_started_once(daemon: Daemon) -> None:
    home, count = daemon.home, 150
    daemon.write(
        f"programs: {{p: {{cmd: sh {PROGRAMS}/counts_starts.sh {home}/starts sleep 300, starttime: 0, numprocs: {count}}}}}"
    )
    daemon.start()
    upgrade(daemon)
    wait_until(lambda: {process["state"] for process in daemon.status().values()} == {"RUNNING"}, within_s=20)
    wait_until(lambda: len((home / "starts").read_text().split()) == count)
    assert sorted(int(pid) for pid in (home / "starts").read_text().split()) == sorted(
        process["pid"] for process in daemon.status().values()
    )


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs to start programs as another user")
def test_programs_of_another_user_that_crash_all_the_time_hold_up_no_upgrade(daemon: Daemon) -> None:
    crash = {"cmd": "true", "user": "nobody", "starttime": 0, "autorestart": "always", "restart_burst": 0}
    daemon.write(config(crash={**crash, "numprocs": 10, "stdout": "null", "stderr": "null"}))
    daemon.start()
    assert upgrade(daemon)["pid"] == daemon.pid
    restarts = daemon.status()["crash:9"]["restarts"]
    wait_until(lambda: daemon.status()["crash:9"]["restarts"] > restarts)


def test_a_daemon_that_is_being_stopped_is_not_upgraded(daemon: Daemon) -> None:
    daemon.write(
        "programs: {p: {cmd: sh -c 'trap \"\" TERM; echo ready; until test -e go; do sleep 0.05; done', starttime: 0, stoptime: 60}}"
    )
    daemon.start()
    wait_until(lambda: daemon.log("p") == b"ready\n")
    with Talk(daemon, "shutdown") as stop:
        stop.until("ack")
        end = ask(daemon, b"upgrade")[-1]
        assert (end["exit"], end["error"]["code"]) == (1, "stopping")
        (daemon.home / "go").touch()
        assert stop.until("end")[-1]["exit"] == 0


def test_a_shutdown_during_the_check_wins(daemon: Daemon, checked_until_go: Path) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    with Talk(daemon, "upgrade") as exchange, Talk(daemon, "shutdown") as stop:
        assert exchange.until("end")[-1]["error"]["code"] == "stopping"
        checked_until_go.touch()
        assert stop.until("end")[-1]["exit"] == 0


def test_clients_that_come_all_the_time_see_no_failure(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    over, answers = threading.Event(), [0, 0]

    def work(number: int) -> None:
        while not over.is_set():
            assert ask(daemon, b"restart p" if number else b"status")[-1]["type"] == "end"
            answers[number] += 1

    threads = [threading.Thread(target=work, args=(number,)) for number in (0, 1)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        upgrade(daemon)
    wait_until(lambda: min(answers) > 3)
    over.set()
    for thread in threads:
        thread.join(20)
    assert daemon.events().count("p started") == answers[1] + 1


# -- earlier daemons and guardians


def test_a_program_that_was_adopted_goes_through_an_upgrade_and_its_end_is_seen(daemon: Daemon) -> None:
    daemon.write(
        "programs: {p: {cmd: sh -c 'trap \"exit 7\" USR1; echo ready; while :; do sleep 0.01; done', starttime: 0, autorestart: never}}"
    )
    daemon.start()
    wait_until(lambda: daemon.log("p") == b"ready\n")
    before = daemon.status()["p"]
    os.kill(daemon.pid, signal.SIGKILL)
    wait_until(lambda: not daemon.alive)
    daemon.start()
    upgrade(daemon)
    assert daemon.status()["p"]["pid"] == before["pid"]
    with Talk(daemon, "upgrade") as talk:
        wait_until(executing(daemon, 2))
        os.kill(
            before["pid"], signal.SIGUSR1
        )  # in the gap, and nobody's child of ours: a pidfd that is held all the time tells
        talk.until("end")
    after = daemon.wait_for("p", "EXITED")
    assert after["exit"]["code"] == 7 or "nobody knows" in after["detail"]


def test_a_daemon_with_a_guardian_is_upgraded_and_then_killed(daemon: Daemon) -> None:
    daemon.write(config(p=COUNTER))
    daemon.start("--guard")
    pid, guardian, program = resident(daemon), daemon.pid, daemon.status()["p"]["pid"]
    for _ in range(2):
        assert upgrade(daemon)["pid"] == pid
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: not process_exists(pid))  # type: ignore[misc]
        assert resident(daemon) not in (pid, guardian)
        pid = resident(daemon)
    assert daemon.status()["p"]["pid"] == program
    assert daemon.ctl("shutdown").returncode == 0
    assert is_counted(daemon.log("p"))
    wait_until(lambda: not process_exists(guardian))


def test_a_slot_that_may_be_occupied_stays_so_over_an_upgrade_and_a_death(daemon: Daemon) -> None:
    # two of them lead a session, so nobody knows which is the instance; while both live there must be no other one
    both = "setsid sleep 300 & exec sleep 301"
    daemon.write(config(p=both))
    daemon.start()
    wait_until(lambda: len([pid for pid in marked(daemon.socket) if os.getsid(pid) == pid]) == 2)
    before = sorted(marked(daemon.socket))

    def restarted(*, without_state: bool) -> None:
        os.kill(daemon.pid, signal.SIGKILL)
        wait_until(lambda: not daemon.alive)
        for state in daemon.home.glob("*.state") if without_state else ():
            state.unlink()
        daemon.start()

    restarted(without_state=True)
    for again in (lambda: None, lambda: upgrade(daemon), lambda: restarted(without_state=False)):
        again()
        (end,) = [message for message in ask(daemon, b"start p") if message["type"] == "result"]
        assert (end["outcome"], end["state"]) == ("failed", "FATAL")
        assert "may be a copy of it" in end["reason"]
        assert sorted(marked(daemon.socket)) == before
    *_, warning, _result, end = ask(daemon, b"stop p")
    assert end["exit"] == 1, "nobody may believe that nothing is left"
    assert all(str(pid) in warning["text"] for pid in before)
    assert ask(daemon, b"version")[-2]["warnings"] == [f"p:0: {warning['text'].removeprefix('p: ')}"]
    os.kill(before[0], signal.SIGKILL)
    os.kill(before[1], signal.SIGKILL)
    wait_until(lambda: not any(map(process_exists, before)))
    assert ask(daemon, b"start p")[-1]["exit"] == 0


# -- code that cannot go on


@pytest.fixture
def copied(daemon: Daemon) -> Path:
    """Have the daemon run from a copy of the code; returns its directory."""
    return copy_code(daemon).parent


def replaced(path: Path, before: str, after: str) -> Callable[[], None]:
    """Replace a text in a file; returns what undoes it."""
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))

    def undo() -> None:
        path.write_text(text)

    return undo


def test_code_that_cannot_go_on_is_refused_with_the_reason_and_nothing_is_different(
    daemon: Daemon, copied: Path
) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    entry, code = copied / "taskmasterd" / "resident.py", copied / "taskmasterd"
    wrong = {
        "SyntaxError": (code / "shutdown.py", "import signal", "import signal signal"),
        "ModuleNotFoundError": (code / "daemon.py", "import os", "import os\nimport nonesuch"),
        "it has version 1, this is 2": (code / "survival" / "state.py", "STATE_VERSION = 1", "STATE_VERSION = 1 + 1"),
        "KeyError: 'elsewhere'": (code / "output" / "sinks.py", 'data["open"]', 'data["elsewhere"]'),
        "KeyError: 'lost'": (code / "output" / "ledger" / "__init__.py", 'row["trouble"]', 'row["lost"]'),
        "KeyError: 'number'": (code / "control" / "listener.py", 'row["fd"]', 'row["number"]'),
        "it says nothing": (entry, '        print(f"ok', '        return 0\n        print(f"ok'),
    }  # fmt: skip
    before, fds = daemon.status(), os.listdir(f"/proc/{daemon.pid}/fd")
    with ExitStack() as stack:
        idle = stack.enter_context(Talk(daemon))
        for reason, (path, text, other) in wrong.items():
            undo = replaced(path, text, other)
            answer = idle.ask("upgrade")
            assert answer[-1]["exit"] == 1
            assert reason in answer[-1]["error"]["message"], answer
            assert answer[-1]["error"]["message"].endswith("; nothing was changed")
            assert reason in daemon.events()
            undo()
        shutil.move(code, copied / "gone")
        assert idle.ask("upgrade")[-1]["exit"] == 1
        shutil.move(copied / "gone", code)
        assert idle.ask("version")[1]["pid"] == daemon.pid
    wait_until(lambda: len(os.listdir(f"/proc/{daemon.pid}/fd")) <= len(fds))
    assert ageless(before["p"]) == ageless(daemon.status()["p"])
    assert EXECUTING not in daemon.events()
    replaced(copied / "taskmaster_common" / "__init__.py", '__version__ = "', '__version__ = "9.')
    told = upgrade(daemon)
    assert (told["before"], told["version"]) == (__version__, f"9.{__version__}")
    assert ask(daemon, b"version")[0]["version"] == f"9.{__version__}"
    assert ageless(before["p"]) == ageless(daemon.status()["p"])


def test_the_client_says_what_came_of_it(daemon: Daemon, copied: Path) -> None:
    daemon.write(SLEEPER)
    daemon.start()
    done = daemon.ctl("upgrade")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"taskmasterd {__version__} is now {__version__} (pid {daemon.pid}, away for ")
    (copied / "taskmasterd" / "control" / "access.py").write_text("{")
    done = daemon.ctl("upgrade")
    assert done.returncode == 1
    assert "the installed code cannot go on with this daemon: SyntaxError" in done.stderr
    assert sys.executable not in done.stderr
