"""What the guardian itself costs, and what a daemon does whose guardian is slow, stopped or dead."""

from __future__ import annotations

import os
import py_compile
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.daemon import PROGRAMS, Daemon, marked, own_kb, process_exists
from tests.support.guarded import (
    COUNTER,
    SLEEPER,
    all_new,
    config,
    copy_code,
    is_counted,
    kill_daemon,
    pids_of,
    state_of,
    stopped,
)
from tests.support.talk import Talk, upgrade
from tests.support.wait import wait_until
from tests.support.wire import resident

pytestmark = pytest.mark.slow


OWN_PIPE_ENDS = 2
"""Ends of the pipe by which signals wake a guardian."""


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _has_pipes(guardian: int, count: int) -> None:
    """Wait until the guardian holds this many pipes of programs: the daemon does not wait for it."""

    def arrived() -> bool:
        found = []
        for fd in os.listdir(f"/proc/{guardian}/fd"):
            with suppress(FileNotFoundError):  # closed since
                found.append(os.readlink(f"/proc/{guardian}/fd/{fd}"))
        return sum(name.startswith("pipe:") for name in found) == OWN_PIPE_ENDS + count

    wait_until(arrived)


def _sleeps(pid: int) -> int:
    """Return how often a process has gone to sleep by itself, which is once for each wake-up."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


# -- what it costs


@pytest.mark.sweep
def test_it_is_little_more_than_a_bare_interpreter(daemon: Daemon) -> None:
    # compiled before, as an installed one is: compiling costs more than all that it holds
    for file in copy_code(daemon).glob("*.py"):
        py_compile.compile(str(file), doraise=True)
    daemon.write(config(p={"cmd": "sleep 300", "starttime": 0, "numprocs": 50}))
    daemon.start("--guard")
    wait_until(lambda: all(process["pid"] for process in daemon.status().values()))
    bare = [sys.executable, "-I", "-S", "-X", "utf8", "-c", "{}input()"]
    figures: list[int] = []
    for extra in ("", "import re, socket; "):
        with subprocess.Popen([*bare[:-1], bare[-1].format(extra)], stdin=subprocess.PIPE) as other:
            wait_until(lambda pid=other.pid: state_of(pid) == "S")  # type: ignore[misc]
            figures.append(own_kb(other.pid))
            assert other.stdin
            other.stdin.close()
    least, with_modules = figures
    assert own_kb(daemon.pid) < least + 0.7 * (with_modules - least), "it imports as little as it says"


@pytest.mark.sweep
def test_it_sleeps_while_programs_write_and_clients_ask(daemon: Daemon) -> None:
    daemon.write(config(p=COUNTER))
    daemon.start("--guard")
    _has_pipes(daemon.pid, 1)
    wait_until(lambda: state_of(daemon.pid) == "S")
    with Talk(daemon) as talk:
        talk.ask("pid")
        before = _sleeps(daemon.pid)
        wrote = len(daemon.log("p"))
        for _ in range(50):
            talk.ask("status")
        wait_until(lambda: len(daemon.log("p")) > wrote + 100_000)
        assert _sleeps(daemon.pid) < before + 5, "a page that is not there may cost one, too"


# -- a guardian that does not listen


@pytest.mark.sweep
def test_a_guardian_that_is_stopped_holds_nobody_up_and_knows_all_in_the_end(daemon: Daemon) -> None:
    daemon.write(config(p={"cmd": "sleep 300", "starttime": 0, "stderr": "e.log", "numprocs": 30, "restart_burst": 0}))
    daemon.start_foreground("--guard")
    guardian = daemon.pid
    with Talk(daemon) as talk:
        wait_until(lambda: None not in pids_of(talk))
        _has_pipes(guardian, 60)  # two of each instance
        before = _descriptors(guardian)
        with stopped(guardian):
            for _ in range(12):  # more packets than the channel holds
                pids = {pid for pid in pids_of(talk) if pid}
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
                wait_until(lambda pids=pids: all_new(talk, pids))  # type: ignore[misc]
        wait_until(lambda: _descriptors(guardian) == before)
        last = pids_of(talk)
    kill_daemon(daemon)
    with Talk(daemon) as talk:
        assert pids_of(talk) == last
    with stopped(guardian):
        pid = resident(daemon)
        with Talk(daemon, "shutdown") as stop:
            assert stop.until("end")[-1]["exit"] == 0
        wait_until(lambda: state_of(pid) == "Z")
    assert daemon.foreground
    assert daemon.foreground.wait(30) == 0, "it does not start again what has ended as it was told to"


@pytest.mark.sweep
def test_a_guardian_whose_last_words_nobody_reads_starts_the_next_daemon_all_the_same(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    read, write = os.pipe()
    os.set_blocking(write, False)
    with suppress(BlockingIOError):
        while os.write(write, b"x" * 65_536):
            pass
    os.set_blocking(write, True)
    command = [sys.executable, "-m", "taskmasterd", "-c", str(daemon.config), "-n", "--guard"]
    with subprocess.Popen(command, env=daemon.environment, cwd=daemon.home, stderr=write) as guardian:
        os.close(write)
        wait_until(lambda: daemon.ctl("pid").returncode == 0)
        pid = kill_daemon(daemon)
        try:
            wait_until(lambda: resident(daemon) != pid)
            assert daemon.ctl("shutdown").returncode == 0
            assert guardian.wait(20) == 0
        finally:
            os.close(read)  # it goes on then, where it had to wait


# -- a guardian that is dead


def test_a_daemon_whose_guardian_was_killed_says_so_and_goes_on(daemon: Daemon) -> None:
    # their parents end at once, so the guardian inherits them, and init after it
    leaves = "(sleep 300 & sleep 301 &); trap 'exit 3' USR1; echo ready; while :; do sleep 0.01; done"
    daemon.write(config(count=COUNTER, leaves={"cmd": leaves, "shell": True, "starttime": 0, "stoptime": 1}))
    daemon.start("--guard")
    wait_until(lambda: daemon.log("leaves") == b"ready\n")
    pid, before = resident(daemon), daemon.status()
    stranger = _orphan()
    try:
        os.kill(daemon.pid, signal.SIGKILL)
        wait_until(lambda: "the guardian has died; going on without" in daemon.events())
        upgrade(daemon)
        assert resident(daemon) == daemon.pid == pid, "whom the pid file names can be told to stop"
        os.kill(before["leaves"]["pid"], signal.SIGUSR1)
        wait_until(lambda: daemon.status()["leaves"]["pid"] not in (None, before["leaves"]["pid"]))
        assert "leaves ending what it left behind: sleep" in daemon.events()
        wait_until(lambda: daemon.log("leaves").count(b"ready\n") == 2)
        assert len([each for each in marked(daemon.socket) if _is_sleep(each)]) <= 3
        assert daemon.ctl("shutdown").returncode == 0
        assert is_counted(daemon.log("count"))
        assert not marked(daemon.socket)
        assert process_exists(stranger), "what is init's was nobody's of ours, whoever our parent is now"
    finally:
        os.kill(stranger, signal.SIGKILL)


def _is_sleep(pid: int) -> bool:
    """Say whether it is one of the two that the program leaves; others of it come and go."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"300" in words or b"301" in words


def _orphan() -> int:
    """Return a process of ours whose parent has ended, so that it is a child of whoever inherits here."""
    words = ["sh", "-c", "setsid sleep 300 >/dev/null 2>&1 & echo $!"]
    return int(subprocess.run(words, capture_output=True, text=True, check=True).stdout)


@contextmanager
def _notified(daemon: Daemon, **environment: str) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """Run a guarded daemon as a unit of Type=notify and NotifyAccess=all does."""
    daemon.environment.update(NOTIFY_SOCKET=str(daemon.home / "notify"), **environment)
    words = [sys.executable, "-m", "taskmasterd", "--guard", "-c", str(daemon.config)]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(daemon.home / "notify"))
        channel.settimeout(30)
        with subprocess.Popen(
            ["sh", "-c", 'WATCHDOG_PID=$$ exec "$@"', "sh", *words],
            env=daemon.environment, cwd=daemon.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as guardian:  # fmt: skip
            try:
                yield guardian, channel
            finally:
                daemon.destroy()
                guardian.kill()


def _until(channel: socket.socket, wanted: str) -> None:
    while not channel.recv(4096).decode().startswith(wanted):
        pass


@pytest.mark.sweep
def test_the_daemon_feeds_the_watchdog_that_is_meant_for_the_guardian_and_so_does_the_next_one(daemon: Daemon) -> None:
    daemon.write(SLEEPER)
    with _notified(daemon, WATCHDOG_USEC="200000") as (guardian, channel):
        _until(channel, "READY=1")
        assert daemon.pid == guardian.pid
        for _ in range(2):
            _until(channel, "WATCHDOG=1")
            kill_daemon(daemon)
            _until(channel, "READY=1")
            _until(channel, "WATCHDOG=1")
        guardian.send_signal(signal.SIGTERM)
        _until(channel, "STOPPING=1")
        assert guardian.wait(30) == 0


@pytest.mark.sweep
def test_under_systemd_a_daemon_without_its_guardian_makes_way_for_the_next_pair(daemon: Daemon) -> None:
    daemon.write(config(count=COUNTER))
    with _notified(daemon) as (guardian, channel):
        _until(channel, "READY=1")
        pid, child = resident(daemon), daemon.status()["count"]["pid"]
        guardian.kill()
        guardian.wait(30)
        wait_until(lambda: not process_exists(pid))
        assert process_exists(child)
    # destroyed with the unit


# -- containers


@pytest.mark.root
def test_pid_1_has_a_guardian_by_itself_and_the_container_outlives_its_daemon(daemon: Daemon) -> None:
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.geteuid() != 0 or not shutil.which("unshare") or subprocess.run([*unshare, "true"], check=False).returncode:
        pytest.skip("needs a pid namespace of its own")
    daemon.write(config(p="sleep 300"))
    with (daemon.home / "stderr").open("w") as stderr:
        daemon.foreground = running = subprocess.Popen(
            [*unshare, sys.executable, "-m", "taskmasterd", "-c", str(daemon.config)],
            env=daemon.environment, cwd="/", stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr,
        )  # fmt: skip
    wait_until(lambda: daemon.ctl("pid").returncode == 0)
    before, inside = daemon.status()["p"], resident(daemon)
    assert inside != 1
    (init,) = _children(running.pid)
    (outside,) = [each for each in _children(init) if Path(f"/proc/{each}/comm").read_text() == "taskmasterd\n"]
    os.kill(outside, signal.SIGKILL)
    wait_until(lambda: not process_exists(outside))
    assert resident(daemon) not in (1, inside)
    assert daemon.status()["p"]["pid"] == before["pid"]
    subprocess.run(["nsenter", "--pid", "--target", str(init), "sh", "-c", "sleep 0.2 & sleep 0.1 &"], check=True)
    wait_until(lambda: len(_children(init)) == 2)
    assert all(process_exists(each) for each in _children(init)), "orphans of others are waited for"
    os.kill(init, signal.SIGTERM)
    assert running.wait(30) == 0
    assert "has died: killed by signal 9; starting it again" in (daemon.home / "stderr").read_text()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_programs_get_nothing_of_the_guardians(daemon: Daemon) -> None:
    dump = f"{sys.executable} -S {PROGRAMS}/dumps_itself.py stay"
    daemon.write(config(p={"cmd": dump, "starttime": 0}))
    daemon.start("--guard")
    wait_until(lambda: daemon.log("p").endswith(b"}\n"))
    kill_daemon(daemon)
    daemon.ctl("restart", "p")
    wait_until(lambda: daemon.log("p").count(b"}\n") == 2)
    for text in daemon.log("p").splitlines():
        assert b'"3": "pipe' not in text
        assert b'"4"' not in text.partition(b'"fds"')[2].partition(b"}")[0]
