"""Processes that die in storms, crash in loops, cannot be forked, or leave somebody who holds their pipe."""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import PROGRAMS, Daemon, marked
from tests.support.wait import wait_until
from tests.support.wire import ask, connect, crowding, descriptors, prompt_s, seconds_of_status

pytestmark = pytest.mark.slow
PY = f"{sys.executable} -S"
CGROUPS = Path("/sys/fs/cgroup/pids")


def _processes(daemon: Daemon) -> dict[str, dict[str, object]]:
    return {p["name"]: p for message in ask(daemon, b"status") for p in message.get("processes", ())}


def _pids(daemon: Daemon) -> dict[str, int]:
    return {name: int(str(process["pid"])) for name, process in _processes(daemon).items() if process["pid"]}


def _zombies(daemon: Daemon) -> list[int]:
    children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
    return [int(pid) for pid in children if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"]


@pytest.mark.sweep
def test_a_hundred_kills_are_a_hundred_restarts_within_a_fifth_of_a_second_each(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, starttime: 0, restart_burst: 0}, other: {cmd: sleep 300}}")
    daemon.start()
    wait_until(lambda: len(_pids(daemon)) == 2)
    other, held = _pids(daemon)["other"], descriptors(daemon)
    took = []
    for _ in range(100):
        pid = _pids(daemon)["p"]
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda pid=pid: _pids(daemon).get("p", pid) != pid)  # type: ignore[misc]
        took.append(time.monotonic() - began)
    assert sorted(took)[90] < 0.2 * crowding()
    assert _processes(daemon)["p"]["restarts"] == 100
    assert _pids(daemon)["other"] == other
    assert _zombies(daemon) == []
    wait_until(lambda: descriptors(daemon) == held)


@pytest.mark.sweep
def test_two_hundred_that_are_killed_at_once_are_all_back_within_three_seconds(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, numprocs: 200, starttime: 0}}")
    daemon.start()
    wait_until(lambda: len(_pids(daemon)) == 200)
    assert ask(daemon, b"stop p:0 p:77")[-1]["exit"] == 0
    before, held = set(_pids(daemon).values()), descriptors(daemon)
    began = time.monotonic()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(set(_pids(daemon).values()) - before) == 198, within_s=20)
    assert time.monotonic() - began < 3 * crowding()
    stopped = {name for name, process in _processes(daemon).items() if process["restarts"] != 1}
    assert stopped == {"p:0", "p:77"}, "what somebody stopped stays stopped"
    wait_until(lambda: len(marked(daemon.socket)) == 198)
    assert _zombies(daemon) == []
    wait_until(lambda: descriptors(daemon) == held)


@pytest.mark.sweep
def test_crash_loops_use_exactly_their_tries_and_cost_the_others_nothing(daemon: Daemon) -> None:
    tally = daemon.home / "tally"
    daemon.write(
        f"programs: {{bad: {{cmd: [{PROGRAMS}/counts_starts.sh, '{tally}-${{TASKMASTER_INSTANCE}}', 'false'], numprocs: 30, "
        "startretries: 2, restart_delay: 0.05}, good: {cmd: sleep 300, starttime: 0}}"
    )
    daemon.start()
    wait_until(lambda: "good" in _pids(daemon))
    good = _pids(daemon)["good"]
    worst = 0.0
    while any(process["state"] != "FATAL" for name, process in _processes(daemon).items() if name != "good"):
        worst = max(worst, seconds_of_status(daemon))
    assert {len(Path(f"{tally}-{number}").read_text().split()) for number in range(30)} == {3}
    assert _pids(daemon) == {"good": good}
    assert worst < prompt_s()


@pytest.mark.sweep
def test_starts_stops_and_restarts_of_many_clients_at_once_never_make_two_instances(daemon: Daemon) -> None:
    only_one = f"{PY} {PROGRAMS}/only_one.py"
    config = (
        f"programs: {{p: {{cmd: [{only_one.replace(' ', ', ')}, lock, twice], starttime: 0, stoptime: 1, "
        "restart_burst: 0, env: {EDITION: '%d'}}}"
    )
    daemon.write(config % 0)
    daemon.start()
    dice = random.Random(1)
    clients = [connect(daemon) for _ in range(10)]
    for edition in range(1, 5):
        for client in clients:
            client.sendall(
                dice.choice((b"start p\n", b"restart p\n", b"restart p\nstop p\nstart p\n", b"stop p\nstart p\n"))
            )
        daemon.write(config % edition)
        daemon.signal(signal.SIGHUP)
        ask(daemon, b"reload")
    assert ask(daemon, b"start p")[-1]["exit"] == 0
    for client in clients:
        client.close()
    assert not (daemon.home / "twice").exists()
    assert len(marked(daemon.socket)) == 1


@pytest.mark.sweep
def test_what_is_stopped_and_ignores_everything_is_killed_at_stoptime_and_half_a_second_after_it_at_most(
    daemon: Daemon,
) -> None:
    daemon.write(f"programs: {{p: {{cmd: {PY} {PROGRAMS}/ignores_term.py, starttime: 0, stoptime: 0.7}}}}")
    daemon.start()
    for life, how in enumerate((signal.SIGCONT, signal.SIGSTOP), 1):
        wait_until(lambda life=life: daemon.log("p").count(b"ready") == life)  # type: ignore[misc]
        os.kill(_pids(daemon)["p"], how)
        began = time.monotonic()
        assert ask(daemon, b"stop p")[-1]["exit"] == 0
        assert 0.7 <= time.monotonic() - began < 0.7 + prompt_s()
        assert marked(daemon.socket) == []
        assert ask(daemon, b"start p")[-1]["exit"] == 0


def test_an_end_is_noticed_though_a_grandchild_holds_the_pipe(daemon: Daemon) -> None:
    daemon.write(
        "programs: {p: {cmd: 'sleep 300 & exit 3', shell: true, starttime: 0, autorestart: never, stopasgroup: false}}"
    )
    daemon.start()
    wait_until(lambda: _processes(daemon)["p"]["state"] == "EXITED")
    assert len(marked(daemon.socket)) == 1


@pytest.fixture
def few_processes(daemon: Daemon) -> Iterator[list[int]]:
    """Limit how many processes the daemon may have, by the numbers that are put into the list; the last one holds."""
    limits: list[int] = []
    group = CGROUPS / f"taskmaster-test-{os.getpid()}"
    if os.geteuid() == 0:
        try:
            group.mkdir()
        except OSError:
            pytest.skip("the pids cgroups cannot be written here")
    yield limits
    if os.geteuid() == 0:
        daemon.destroy()
        wait_until(lambda: not (group / "cgroup.procs").read_text())
        group.rmdir()


def _limit(daemon: Daemon, most: int | None) -> None:
    """Let the daemon have `most` more processes than now, or as many as it likes."""
    if os.geteuid() != 0:
        _, hard = resource.prlimit(daemon.pid, resource.RLIMIT_NPROC)
        resource.prlimit(daemon.pid, resource.RLIMIT_NPROC, (hard if most is None else min(hard, 1), hard))
        return
    group = CGROUPS / f"taskmaster-test-{os.getpid()}"
    (group / "cgroup.procs").write_text(str(daemon.pid))
    (group / "pids.max").write_text("max" if most is None else str(1 + most))


@pytest.mark.sweep
@pytest.mark.usefixtures("few_processes")
def test_a_refused_fork_uses_up_no_try_and_the_program_starts_when_there_is_room(daemon: Daemon) -> None:
    daemon.write(
        "programs: {p: {cmd: sleep 300, starttime: 0, startretries: 0, autostart: false, restart_max_delay: 0.5}}"
    )
    daemon.start()
    _limit(daemon, 0)
    assert ask(daemon, b"start p --no-wait")[-1]["exit"] == 0
    waiting = daemon.wait_for("p", "BACKOFF")
    assert "the system refuses a new process: resource temporarily unavailable" in str(waiting["detail"])
    assert waiting["tries"] == 0
    refused = ask(daemon, b"reload")[-1]
    assert (refused["exit"], refused["error"]["code"]) == (1, "busy")
    _limit(daemon, None)
    wait_until(lambda: _processes(daemon)["p"]["state"] == "RUNNING")
    assert ask(daemon, b"reload")[-1]["exit"] == 0


@pytest.mark.sweep
def test_with_64_descriptors_and_100_programs_clients_are_answered_and_nothing_is_given_up(daemon: Daemon) -> None:
    daemon.write(
        "programs: {p: {cmd: sleep 300, numprocs: 100, starttime: 0, startretries: 0, restart_max_delay: 0.3}}"
    )
    done = subprocess.run(
        ["sh", "-c", f'ulimit -n 64; exec "{sys.executable}" -m taskmasterd -c "{daemon.config}"'],
        env=daemon.environment, cwd=daemon.home, check=False, timeout=20, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "the limit is 64" in done.stderr
    wait_until(lambda: 10 < len(_pids(daemon)) < 100)
    states = {process["state"] for process in _processes(daemon).values()}
    assert "FATAL" not in states
    waiting = next(process for process in _processes(daemon).values() if process["state"] == "BACKOFF")
    assert "too many open files" in str(waiting["detail"])
    running = _pids(daemon)
    clients = [connect(daemon) for _ in range(30)]
    said = [client.recv(1000) for client in clients]
    for client in clients:
        client.close()
    assert sum(b'"hello"' in text for text in said) >= 5, (
        "some are served although the programs have taken all they get"
    )
    assert sum(b'"busy"' in text for text in said) == len([text for text in said if b'"hello"' not in text])
    names = b" ".join(name.encode() for name in running)
    wait_until(lambda: ask(daemon, b"stop " + names)[-1:] == [{"type": "end", "exit": 0}])
    wait_until(lambda: len(_pids(daemon).keys() - running.keys()) > 10)
    assert "internal error" not in daemon.events()


@pytest.mark.sweep
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="makes a pid namespace")
def test_as_process_one_it_reaps_every_orphan_answers_signals_and_leaves_nothing(daemon: Daemon) -> None:
    orphan = f"{PY} {PROGRAMS}/escapes_session.py"
    daemon.write(
        f"programs: {{p: {{cmd: sleep 300, starttime: 0}}, e: {{cmd: {orphan}, starttime: 0, stoptime: 1}}, "
        f"o: {{cmd: 'for i in 1 2 3 4 5; do (sh -c \"sleep 0.1 &\" &); done; exec sleep 300', shell: true, starttime: 0}}}}"
    )
    with subprocess.Popen(
        ["unshare", "-pf", "--mount-proc", sys.executable, "-m", "taskmasterd", "-c", str(daemon.config)],
        env=daemon.environment, cwd=daemon.home, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    ) as outside:  # fmt: skip
        try:
            wait_until(lambda: daemon.ctl("pid").returncode == 0)
            wait_until(lambda: len(_pids(daemon)) == 3)
            first = int(Path(f"/proc/{outside.pid}/task/{outside.pid}/children").read_text())
            keeper = next(pid for pid in _children(first) if Path(f"/proc/{pid}/comm").read_text() == "taskmasterd\n")
            wait_until(lambda: not [pid for pid in (*_children(first), *_children(keeper)) if _state(pid) == "Z"])
            os.kill(_children(keeper)[0], signal.SIGKILL)
            wait_until(lambda: sum(int(str(p["restarts"])) for p in _processes(daemon).values()) == 1)
            os.kill(first, signal.SIGHUP)
            assert ask(daemon, b"reload")[-1]["exit"] == 0
            os.kill(first, signal.SIGTERM)
            assert outside.wait(timeout=10) == 0
        finally:
            for pid in _children(outside.pid) if outside.poll() is None else ():
                os.kill(pid, signal.SIGKILL)  # with its first process a namespace ends
            outside.kill()
    assert marked(daemon.socket) == []
    assert not daemon.socket.exists()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def test_wall_clock_jumps_disturb_no_timer(daemon: Daemon) -> None:
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        pytest.skip("libfaketime is not here")
    offset = daemon.home / "offset"
    offset.write_text("+0")
    daemon.environment.update(
        LD_PRELOAD=str(library),
        FAKETIME_TIMESTAMP_FILE=str(offset),
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
    )
    daemon.write(
        f"programs: {{stays: {{cmd: sleep 300, starttime: 1}}, retries: {{cmd: 'false', restart_delay: 1, startretries: 1}}, "
        f"ignores: {{cmd: {PY} {PROGRAMS}/ignores_term.py, starttime: 0, stoptime: 0.8, env: {{LD_PRELOAD: null}}}}}}"
    )
    daemon.start()
    wait_until(lambda: b"ready" in daemon.log("ignores"))
    for jump in ("-30d", "+400d"):
        before, lives = len(daemon.events()), daemon.log("ignores").count(b"ready")
        draft = daemon.home / "draft"
        draft.write_text(jump)
        draft.replace(offset)
        began = time.monotonic()
        assert ask(daemon, b"stop ignores")[-1]["exit"] == 0
        assert 0.7 < time.monotonic() - began < 20, jump
        assert ask(daemon, b"start ignores")[-1]["exit"] == 0
        wait_until(lambda lives=lives: daemon.log("ignores").count(b"ready") > lives)  # type: ignore[misc]
        assert time.strftime("%Y-%m-%d") not in daemon.events()[before:], "the clock did jump"
    wait_until(lambda: _processes(daemon)["retries"]["state"] == "FATAL")
    states = _processes(daemon)
    assert (states["stays"]["state"], states["stays"]["restarts"]) == ("RUNNING", 0)
