"""What systemd is told by a real daemon, and what its children are not."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.support.daemon import PROGRAMS, Daemon
from tests.support.forkserver import Forked
from tests.support.guarded import state_of
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
FOR_THE_DAEMON = {
    "WATCHDOG_USEC": "1000000",
    "LISTEN_FDS": "1",
    "LISTEN_PID": "1",
    "LISTEN_FDNAMES": "x",
}


class Systemd:
    """Starts a daemon as a unit of Type=notify does, and reads what it says."""

    def __init__(self, daemon: Daemon, channel: socket.socket) -> None:
        self.daemon = daemon
        self.channel = channel
        self.said: list[str] = []

    @contextmanager
    def running(self, **environment: str) -> Iterator[subprocess.Popen[bytes] | Forked]:
        """Start it; the caller ends it."""
        daemon = self.daemon
        daemon.environment.update(NOTIFY_SOCKET=str(daemon.home / "notify"), **environment)
        with open(os.devnull, "wb") as null, daemon.begin(stdout=null.fileno(), stderr=null.fileno()) as running:
            try:
                yield running
            finally:
                daemon.destroy()

    def until(self, wanted: str) -> str:
        """Return the next message that begins so."""
        while True:
            self.said.append(self.channel.recv(4096).decode())
            if self.said[-1].startswith(wanted):
                return self.said[-1]

    def silent(self) -> bool:
        """Return whether nothing is waiting to be read."""
        return not select.select([self.channel], [], [], 0)[0]

    def drop(self) -> None:
        """Read all that is there."""
        while not self.silent():
            self.channel.recv(4096)


@pytest.fixture
def systemd(daemon: Daemon) -> Iterator[Systemd]:
    """A socket at which the daemon's notifications arrive."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(daemon.home / "notify"))
        channel.settimeout(20)
        yield Systemd(daemon, channel)


def test_systemd_is_told_of_the_start_a_reload_the_stop_and_that_the_loop_lives(
    daemon: Daemon, systemd: Systemd
) -> None:
    daemon.write(
        f"programs: {{p: {{cmd: [{sys.executable}, {PROGRAMS}/dumps_itself.py, stay], starttime: 0}}, "
        "bad: {cmd: /nonexistent, startretries: 0}}"
    )
    with systemd.running(**FOR_THE_DAEMON) as running:
        assert systemd.until("READY=1")
        assert daemon.pid == running.pid, "with NOTIFY_SOCKET it stays in the foreground by itself"
        assert systemd.until("STATUS=1/2 running, 1 fatal")
        assert systemd.until("WATCHDOG=1")
        running.send_signal(signal.SIGHUP)
        sent = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", systemd.until("RELOADING=1"))
        assert sent
        assert abs(int(sent[1]) / 1e6 - time.monotonic()) < 10
        assert systemd.until("READY=1")
        wait_until(lambda: daemon.log("p").endswith(b"}\n"))
        for name in ("NOTIFY_SOCKET", *FOR_THE_DAEMON):
            assert name.encode() not in daemon.log("p")
        running.terminate()
        assert "EXTEND_TIMEOUT_USEC=" in systemd.until("STOPPING=1")
        assert running.wait(timeout=10) == 0


@pytest.mark.sweep
def test_a_reload_that_fails_is_over_too(daemon: Daemon, systemd: Systemd) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, starttime: 0}}")
    with systemd.running() as running:
        systemd.until("READY=1")
        daemon.write("programs: {p: {cmd: sleep 300, colour: blue}}")
        running.send_signal(signal.SIGHUP)
        systemd.until("RELOADING=1")
        systemd.until("READY=1")
        assert "nothing was changed" in daemon.events()


@pytest.mark.sweep
def test_the_counts_follow_what_happens_and_what_a_reload_adds_and_removes(daemon: Daemon, systemd: Systemd) -> None:
    idle = "{cmd: sleep 300, starttime: 0, autostart: false}"
    daemon.write(f"programs: {{p: {{cmd: sleep 300, starttime: 0}}, q: {idle}}}")
    with systemd.running():
        systemd.until("STATUS=1/2 running")
        assert daemon.ctl("stop", "p").returncode == 0
        systemd.until("STATUS=0/2 running")
        for count in (3, 1):  # nothing is started or stopped by this
            daemon.write(f"programs: {{{', '.join(f'q{number}: {idle}' for number in range(count))}}}")
            assert daemon.ctl("reload").returncode == 0
            systemd.until(f"STATUS=0/{count} running")


@pytest.mark.sweep
def test_a_loop_that_is_stuck_feeds_no_watchdog(daemon: Daemon, systemd: Systemd) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, starttime: 0}}")
    with systemd.running(WATCHDOG_USEC="200000") as running:
        systemd.until("WATCHDOG=1")
        running.send_signal(signal.SIGSTOP)
        wait_until(lambda: state_of(running.pid) == "T")
        systemd.drop()
        with pytest.raises(AssertionError):
            wait_until(lambda: not systemd.silent(), within_s=1)
        running.send_signal(signal.SIGCONT)
        systemd.until("WATCHDOG=1")


@pytest.mark.sweep
def test_the_watchdog_is_fed_while_clients_hold_every_descriptor(daemon: Daemon, systemd: Systemd) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, starttime: 0}}")
    with systemd.running(WATCHDOG_USEC="200000") as running, ExitStack() as clients:
        systemd.until("READY=1")
        subprocess.run(["prlimit", f"--pid={running.pid}", "--nofile=40"], check=True)
        for _ in range(60):
            clients.enter_context(socket.socket(socket.AF_UNIX)).connect(str(daemon.socket))
        wait_until(lambda: len(os.listdir(f"/proc/{running.pid}/fd")) >= 39)
        systemd.drop()
        systemd.until("WATCHDOG=1")


@pytest.mark.sweep
def test_a_watchdog_that_is_meant_for_another_process_is_not_fed(daemon: Daemon, systemd: Systemd) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, starttime: 1}}")
    with systemd.running(WATCHDOG_USEC="100000", WATCHDOG_PID="1"):
        systemd.until("READY=1")
        assert daemon.ctl("restart", "p").returncode == 0
        systemd.until(
            "STATUS=0/1 running"
        )  # half a second after the restart, which takes a second: five times its pause
        assert "WATCHDOG=1" not in systemd.said


@pytest.mark.sweep
def test_a_long_stop_asks_for_more_time_again_and_again(daemon: Daemon, systemd: Systemd) -> None:
    deaf = f"[{sys.executable}, -S, {PROGRAMS}/ignores_term.py]"
    daemon.write(f"programs: {{p: {{cmd: {deaf}, starttime: 0, stoptime: 300}}}}")
    with systemd.running() as running:
        systemd.until("READY=1")
        wait_until(lambda: daemon.log("p") == b"ready\n")
        running.terminate()
        first = systemd.until("STOPPING=1")
        assert int(first.partition("EXTEND_TIMEOUT_USEC=")[2]) >= 60_000_000, "not less than shutdown_timeout"
        for _ in range(2):
            assert systemd.until("EXTEND_TIMEOUT_USEC=") == "EXTEND_TIMEOUT_USEC=10000000"
        os.kill(daemon.status()["p"]["pid"], signal.SIGKILL)
        assert running.wait(timeout=10) == 0


@pytest.mark.parametrize("matching", [True, *in_the_sweep(False)])
def test_lines_have_priorities_where_stderr_is_the_journal(make_daemon: Callable[..., Daemon], matching: bool) -> None:
    daemon = make_daemon("programs: {p: {cmd: /nonexistent, startretries: 0}}")
    ours, journal = socket.socketpair()  # the journal's end is a stream socket
    with ours, journal:
        found = os.fstat(journal.fileno())
        daemon.environment["JOURNAL_STREAM"] = f"{found.st_dev}:{found.st_ino + (0 if matching else 1)}"
        with subprocess.Popen(
            [sys.executable, "-m", "taskmasterd", "-n", "-c", str(daemon.config)],
            env=daemon.environment, cwd=daemon.home, stdout=subprocess.DEVNULL, stderr=journal.fileno(),
        ) as running:  # fmt: skip
            wait_until(lambda: daemon.ctl("status", "--failed").stdout)
            running.terminate()
            assert running.wait(timeout=10) == 0
        journal.close()
        with ours.makefile() as reader:
            lines = [line for line in reader if "p " in line or "taskmasterd" in line]
    found_levels = {tuple(re.findall(r"^(<\d>)?\S+ (info|warning|error) ", line)) for line in lines}
    wanted = {"info": "<6>", "warning": "<4>", "error": "<3>"}
    assert {level for ((_, level),) in filter(None, found_levels)} == set(wanted)
    for ((priority, level),) in filter(None, found_levels):
        assert priority == (wanted[level] if matching else "")
    assert "<" not in daemon.events(), "priorities are for the journal alone"
