"""Starts that are interrupted, raced, or find something planted in their way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, marked, process_exists
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until
from tests.support.wire import ask

pytestmark = pytest.mark.slow
PY = sys.executable
SLEEPERS = "programs: {p: {cmd: sleep 300, numprocs: 20, starttime: 0}}"


def _await(condition: Callable[[], object]) -> None:
    """Return at the very moment when it is so, without a pause."""
    limit = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < limit


MOMENTS: dict[str, Callable[[Daemon], object]] = {
    "the pid file exists": lambda daemon: daemon.pidfile.exists(),
    "the pid file holds a pid": lambda daemon: daemon.pidfile.exists() and daemon.pidfile.read_text(),
    "the socket exists": lambda daemon: daemon.socket.exists(),
    "the first child exists": lambda daemon: marked(daemon.socket),
}


@pytest.mark.parametrize(
    "moment",
    ["the pid file exists", *in_the_sweep("the first child exists", "the pid file holds a pid", "the socket exists")],
)
def test_sigterm_at_every_moment_of_the_start_leaves_nothing(daemon: Daemon, moment: str) -> None:
    daemon.write(SLEEPERS)
    with subprocess.Popen(
        [PY, "-m", "taskmasterd", "-n", "-c", str(daemon.config)],
        env=daemon.environment, cwd=daemon.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as starting:  # fmt: skip
        _await(lambda: MOMENTS[moment](daemon))
        starting.terminate()
        starting.terminate()
        assert starting.wait(timeout=20) == 0
    assert marked(daemon.socket) == []
    assert not daemon.pidfile.exists()
    assert not daemon.socket.exists()


@pytest.mark.sweep
def test_a_launcher_that_is_killed_while_it_waits_leaves_a_daemon_that_can_be_stopped(daemon: Daemon) -> None:
    daemon.write(SLEEPERS)
    with subprocess.Popen(
        [PY, "-m", "taskmasterd", "-c", str(daemon.config)],
        env=daemon.environment, cwd=daemon.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as launcher:  # fmt: skip
        _await(lambda: daemon.pidfile.exists() and daemon.pidfile.read_text())
        launcher.kill()
    pid = daemon.pid
    wait_until(lambda: daemon.ctl("pid").returncode == 0)
    assert daemon.ctl("shutdown").returncode == 0
    wait_until(lambda: not process_exists(pid))
    assert marked(daemon.socket) == []


@pytest.mark.sweep
def test_two_daemons_with_one_socket_and_two_pid_files_are_one_winner_and_a_loser_that_touches_nothing(
    daemon: Daemon,
) -> None:
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(daemon.socket))
    racers = []
    for number in range(2):
        config = daemon.home / f"{number}.yaml"
        config.write_text(
            f"{{taskmasterd: {{pidfile: {daemon.home}/{number}.pid}}, programs: {{p{number}: {{cmd: sleep 300, starttime: 0}}}}}}"
        )
        racers.append(
            subprocess.Popen(
                [PY, "-m", "taskmasterd", "-c", str(config)],
                env=daemon.environment, cwd=daemon.home, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
    said = [racer.communicate(timeout=20)[1] for racer in racers]
    assert sorted(racer.returncode for racer in racers) == [0, 1]
    winner = next(number for number in range(2) if racers[number].returncode == 0)
    assert "another daemon" in said[1 - winner]
    assert not (daemon.home / f"{1 - winner}.pid").exists()
    daemon.pidfile = daemon.home / f"{winner}.pid"
    assert ask(daemon, b"status")[-1]["exit"] in (0, 3)
    wait_until(lambda: len(marked(daemon.socket)) == 1)


@pytest.mark.sweep
def test_a_daemon_that_is_stopped_is_no_stale_one(daemon: Daemon) -> None:
    daemon.write(SLEEPERS)
    daemon.start()
    daemon.signal(signal.SIGSTOP)
    second = daemon.launch()
    assert second.returncode == 1
    assert f"another daemon (pid {daemon.pid})" in second.stderr
    daemon.signal(signal.SIGCONT)
    assert len(ask(daemon, b"status")) > 1


@pytest.mark.parametrize("what", ["file", "link to a file", "link to a socket", "directory"])
def test_what_is_planted_in_the_sockets_place_is_not_touched(daemon: Daemon, what: str) -> None:
    daemon.write("programs: {}")
    victim = daemon.home / "victim"
    other = socket.socket(socket.AF_UNIX)
    match what:
        case "file":
            daemon.socket.write_text("precious")
        case "link to a file":
            victim.write_text("precious")
            daemon.socket.symlink_to(victim)
        case "link to a socket":
            other.bind(str(victim))
            daemon.socket.symlink_to(victim)
        case _:
            daemon.socket.mkdir()
    before = os.lstat(daemon.socket).st_ino
    refused = daemon.launch()
    other.close()
    assert refused.returncode == 4
    assert "something that is not a socket is there" in refused.stderr
    assert os.lstat(daemon.socket).st_ino == before
    assert not daemon.pidfile.exists()


def test_a_link_in_the_event_logs_place_is_refused_with_its_path(daemon: Daemon) -> None:
    victim = daemon.home / "victim"
    victim.write_text("precious")
    log: Path = daemon.home / "event.log"
    log.symlink_to(victim)
    daemon.write(f"{{taskmasterd: {{logfile: {log}}}, programs: {{}}}}")
    refused = daemon.launch()
    assert refused.returncode == 4
    assert f"cannot open log file {log}: it is a symbolic link" in refused.stderr
    assert victim.read_text() == "precious"
    assert not daemon.socket.exists()


@pytest.mark.sweep
def test_with_too_few_descriptors_even_for_itself_it_says_so_and_leaves_nothing(daemon: Daemon) -> None:
    daemon.write(SLEEPERS)
    reasons = []
    for most in (12, 16):
        done = subprocess.run(
            ["sh", "-c", f'ulimit -n {most}; exec "{PY}" -m taskmasterd -c "{daemon.config}"'],
            env=daemon.environment, cwd=daemon.home, check=False, timeout=20, capture_output=True, text=True,
        )  # fmt: skip
        reasons.append((done.stderr.splitlines() or [""])[-1])
        if done.returncode == 0:
            assert daemon.ctl("shutdown").returncode == 0
        else:
            assert "too many open files" in reasons[-1].lower()
        assert not daemon.socket.exists()
        assert not daemon.pidfile.exists()
    assert any("cannot" in reason for reason in reasons)


@pytest.mark.sweep
@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="hides /proc in a mount namespace")
def test_without_proc_it_starts_stops_groups_and_leaves_nothing(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: 'sleep 300 & sleep 300 & wait', shell: true, starttime: 0, stoptime: 2}}")
    hidden = f'mount -t tmpfs none /proc && exec "{PY}" -m taskmasterd -n -c "{daemon.config}"'
    with subprocess.Popen(
        ["unshare", "-m", "sh", "-c", hidden],
        env=daemon.environment, cwd=daemon.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as running:  # fmt: skip
        wait_until(lambda: running.poll() is not None or len(marked(daemon.socket)) == 3)
        assert running.poll() is None
        assert ask(daemon, b"stop p")[-1]["exit"] == 0
        assert marked(daemon.socket) == []
        assert ask(daemon, b"shutdown")[-1]["exit"] == 0
        assert running.wait(timeout=10) == 0
