"""Sandboxes that refuse a system call, each in its own way: what stands in for it does the work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.support import seccomp
from tests.support.daemon import ROOT, Daemon, marked
from tests.support.wait import wait_until
from tests.support.wire import ask, resident

needs_a_filter = pytest.mark.skipif(not seccomp.available(), reason="needs seccomp and the numbers of x86-64")
pytestmark = [pytest.mark.slow, pytest.mark.sweep, needs_a_filter]
PY = sys.executable
CONFIG = (
    "programs:\n"
    "  p: {cmd: 'echo hello; (setsid sleep 300 &); exec sleep 300', shell: true, starttime: 0}\n"
    "  ends: {cmd: 'exit 3', shell: true, starttime: 0, autorestart: never}\n"
)
CALLS = [
    "memfd_create",
    "pidfd_open,pidfd_send_signal",
    "pidfd_send_signal",
    "waitid",
    "epoll_create",
    "epoll_ctl",
    "epoll_wait",
    "prctl",
    "posix_spawn",
    "close_range",
    "prlimit",
]
ERRORS = ["EPERM", "ENOSYS", "EINVAL", "EACCES"]
ALL = ",".join(CALLS)


def _refusing(daemon: Daemon, calls: str, error: str, *options: str) -> subprocess.Popen[bytes]:
    words = [str(ROOT / "tests" / "support" / "seccomp.py"), error, calls, PY, "-m", "taskmasterd"]
    with (daemon.home / "said").open("wb") as said:
        daemon.foreground = subprocess.Popen(
            [PY, *words, "-c", str(daemon.config), "-n", *options],
            env=daemon.environment, cwd=daemon.home, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip
    wait_until(lambda: daemon.socket.exists() and bool(_pid(daemon)), within_s=40)
    return daemon.foreground


def _pid(daemon: Daemon) -> int:
    try:
        return resident(daemon)
    except (OSError, ValueError):
        return 0


def _works(daemon: Daemon, calls: str) -> None:
    """Look whether everything does that a daemon has to do: starts, ends, logs, stops, escapees, reload, upgrade."""
    daemon.wait_for("p", "RUNNING")
    assert daemon.wait_for("ends", "EXITED")["exit"]["code"] == 3
    wait_until(lambda: daemon.log("p") == b"hello\n")
    pid = daemon.status()["p"]["pid"]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: daemon.status()["p"]["restarts"] == 1)
    daemon.write(CONFIG.replace("starttime: 0}", "starttime: 0, stoptime: 5}"))
    assert ask(daemon, b"reload")[-1]["exit"] == 0
    assert ask(daemon, b"restart p")[-1]["exit"] == 0
    assert ask(daemon, b"upgrade")[-1]["exit"] == 0
    daemon.wait_for("p", "RUNNING")
    assert ask(daemon, b"stop p")[-1]["exit"] == 0
    assert ("processes that leave their session outlive a stop" in daemon.events()) == ("prctl" in calls)
    assert "internal error" not in daemon.events()
    assert "Traceback" not in (daemon.home / "said").read_text()


@pytest.mark.parametrize(
    ("calls", "error"),
    [*((ALL, error) for error in ERRORS), *((call, ERRORS[at % 4]) for at, call in enumerate(CALLS))],
)
def test_a_daemon_works_where_a_call_is_refused(daemon: Daemon, calls: str, error: str) -> None:
    daemon.write(CONFIG)
    running = _refusing(daemon, calls, error)
    _works(daemon, calls)
    assert ask(daemon, b"shutdown")[-1]["exit"] == 0
    assert running.wait(timeout=10) == 0


@pytest.mark.parametrize(
    ("calls", "options"),
    [(ALL, ()), (ALL, ("--guard",)), ("pidfd_send_signal", ()), ("memfd_create,waitid", ("--guard",))],
)
def test_there_are_never_two_instances_where_calls_are_refused(
    daemon: Daemon, calls: str, options: tuple[str, ...]
) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, starttime: 0}}")
    _refusing(daemon, calls, "EPERM", *options)
    pid = daemon.wait_for("p", "RUNNING")["pid"]
    old = resident(daemon)
    os.kill(old, signal.SIGKILL)
    if not options:
        assert daemon.foreground
        daemon.foreground.wait()
        _refusing(daemon, calls, "EPERM")
    wait_until(lambda: _pid(daemon) not in (0, old), within_s=40)
    if "pidfd_open" in calls:
        refused = ask(daemon, b"start p")[-1]
        assert refused["exit"] == 1
        assert marked(daemon.socket) == [pid]
        assert f"the system refuses to watch sleep ({pid}) of an earlier daemon" in daemon.events()
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: marked(daemon.socket) == [])
        assert ask(daemon, b"start p")[-1]["exit"] == 0
    assert (daemon.status()["p"]["pid"] == pid) == ("pidfd_open" not in calls)
    assert marked(daemon.socket) == [daemon.status()["p"]["pid"]]
    assert ask(daemon, b"restart p")[-1]["exit"] == 0
    assert marked(daemon.socket) == [daemon.status()["p"]["pid"]]
    assert ask(daemon, b"shutdown")[-1]["exit"] == 0
    assert marked(daemon.socket) == []


@pytest.mark.parametrize("error", ["EACCES", "ENOSYS"])
def test_what_a_security_module_forbids_to_signal_is_said_so_however_it_refuses(daemon: Daemon, error: str) -> None:
    daemon.write("programs: {p: {cmd: sleep 300, starttime: 0, stoptime: 0.2}}")
    running = _refusing(daemon, "kill,pidfd_send_signal", error)
    pid = daemon.wait_for("p", "RUNNING")["pid"]
    refused = ask(daemon, b"signal HUP p")[-2]
    assert "may not be signalled" in json.dumps(refused)
    stopped = ask(daemon, b"stop p")
    assert stopped[-1]["exit"] == 1
    assert "may not be signalled: operation not permitted" in json.dumps(stopped)
    assert "SIGKILL" not in daemon.events()
    os.kill(pid, signal.SIGKILL)
    daemon.wait_for("p", "STOPPED")
    assert ask(daemon, b"shutdown")[-1]["exit"] == 0
    assert running.wait(timeout=10) == 0


@pytest.mark.parametrize(
    ("call", "words"), [("poll", "cannot start: function not implemented"), ("flock", "cannot lock pid file")]
)
def test_a_start_that_is_refused_what_nothing_stands_in_for_says_so(daemon: Daemon, call: str, words: str) -> None:
    daemon.write("programs: {p: {cmd: sleep 300}}")
    filtered = [str(ROOT / "tests" / "support" / "seccomp.py"), "ENOSYS", call, PY, "-m", "taskmasterd"]
    done = subprocess.run(
        [PY, *filtered, "-c", str(daemon.config), "-n"],
        env=daemon.environment, cwd=daemon.home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
        check=False,
    )  # fmt: skip
    assert done.returncode in (1, 4)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
