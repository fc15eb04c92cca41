"""What systemd is told by a real daemon, and what its children are not."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.support.daemon import PROGRAMS, Daemon
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def systemd(daemon: Daemon) -> Iterator[socket.socket]:
    """A socket at which the daemon's notifications arrive."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(daemon.home / "notify"))
        channel.settimeout(10)
        yield channel


def _until(systemd: socket.socket, wanted: str) -> str:
    while True:
        said = systemd.recv(4096).decode()
        if said.startswith(wanted):
            return said


def test_systemd_is_told_of_the_start_a_reload_the_stop_and_that_the_loop_lives(
    daemon: Daemon, systemd: socket.socket
) -> None:
    daemon.write(
        f"programs: {{p: {{cmd: [{sys.executable}, {PROGRAMS}/dumps_itself.py, stay], starttime: 0}}, "
        "bad: {cmd: /nonexistent, startretries: 0}}"
    )
    daemon.environment.update(NOTIFY_SOCKET=str(daemon.home / "notify"), WATCHDOG_USEC="400000")
    with subprocess.Popen(
        [sys.executable, "-m", "taskmasterd", "-c", str(daemon.config)],
        env=daemon.environment, cwd=daemon.home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as running:  # fmt: skip
        assert _until(systemd, "READY=1")
        assert daemon.pid == running.pid, "with NOTIFY_SOCKET it stays in the foreground by itself"
        assert _until(systemd, "STATUS=") == "STATUS=1/2 running, 1 fatal"
        assert _until(systemd, "WATCHDOG=1")
        running.send_signal(signal.SIGHUP)
        assert "MONOTONIC_USEC=" in _until(systemd, "RELOADING=1")
        assert _until(systemd, "READY=1")
        wait_until(lambda: daemon.log("p").endswith(b"}\n"))
        assert b"NOTIFY_SOCKET" not in daemon.log("p")
        assert b"WATCHDOG_USEC" not in daemon.log("p")
        running.terminate()
        assert "EXTEND_TIMEOUT_USEC=" in _until(systemd, "STOPPING=1")
        assert running.wait(timeout=10) == 0
