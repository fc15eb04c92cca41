"""`top` over many processes: what it costs, and how soon it answers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest

from tests.support.daemon import Daemon
from tests.support.forkserver import ForkServer
from tests.support.guarded import all_new
from tests.support.talk import Talk
from tests.support.terminal import Terminal
from tests.support.wait import wait_until
from tests.support.wire import crowding

pytestmark = pytest.mark.sweep


def used_s(pid: int) -> float:
    """Return the processor time of a process."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def started(make_daemon: Callable[..., Daemon], count: int) -> Daemon:
    """Return a daemon with so many processes, twenty a program, all of them up."""
    line = "  p%d: {cmd: sleep 86400, numprocs: 20, starttime: 0, stdout: null, stderr: null}\n"
    daemon = make_daemon("programs:\n" + "".join(line % n for n in range(count // 20))).start()
    wait_until(lambda: all(each["state"] == "RUNNING" for each in daemon.status().values()), within_s=120)
    return daemon


def screen(daemon: Daemon, forks: ForkServer) -> Terminal:
    environment = {**daemon.environment, "LANG": "C.UTF-8", "TERM": "xterm-256color"}
    return Terminal(environment, ("top",), size=(200, 60), forks=forks)


@pytest.mark.timeout(300)
def test_two_thousand_processes_take_about_a_tenth_of_a_core_and_nothing_of_the_daemon(
    make_daemon: Callable[..., Daemon], forks: ForkServer
) -> None:
    daemon = started(make_daemon, 2000)
    with screen(daemon, forks) as terminal:
        terminal.see("2000 of 2000 run", within_s=60)
        began = time.monotonic() + 10
        wait_until(lambda: time.monotonic() > began, within_s=30)  # the first look at all memory is behind it
        before, since, daemons = used_s(terminal.child.pid), time.monotonic(), used_s(daemon.pid)
        wait_until(lambda: time.monotonic() > since + 10, within_s=30)
        passed = time.monotonic() - since
        share, daemon_share = (used_s(terminal.child.pid) - before) / passed, (used_s(daemon.pid) - daemons) / passed
        print(f"top {100 * share:.1f} % of a core, taskmasterd {100 * daemon_share:.2f} %")
        assert share < 0.2
        assert daemon_share < 0.02
        terminal.type("q")
        assert terminal.ended() == (0, None)
    assert {each["state"] for each in daemon.status().values()} == {"RUNNING"}


def test_keys_are_answered_while_two_hundred_restart(make_daemon: Callable[..., Daemon], forks: ForkServer) -> None:
    daemon = started(make_daemon, 200)
    with screen(daemon, forks) as terminal:
        terminal.see("200 of 200 run", within_s=60)
        for _ in range(10):
            terminal.type(" ")
        before = {each["pid"] for each in daemon.status().values()}
        terminal.type("r10\ry")
        slowest = 0.0
        for _ in range(6):
            for text, shown in (("h", True), ("h", False)):
                began = time.monotonic()
                terminal.type(text)
                wait_until(lambda shown=shown: ("the programs run on" in terminal.text()) is shown)  # type: ignore[misc]
                slowest = max(slowest, time.monotonic() - began)
        print(f"slowest answer {slowest:.2f} s")
        assert slowest < 2 * crowding()
        with Talk(daemon) as talk:
            wait_until(lambda: all_new(talk, before), within_s=60)
        terminal.type("\x03")
        assert terminal.ended() == (130, None)
        assert terminal.modes_now() == terminal.modes
