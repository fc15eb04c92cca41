"""Signals become calls of the loop; the reaper finds every child; systemd is told."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from taskmasterd.system.loop.reactor import Reactor
from taskmasterd.system.loop.signals import Signals, signal_numbers
from taskmasterd.system.reaper import reap
from taskmasterd.telling.notify_socket import Notifier
from tests.support.wait import wait_until


def _fail(error: BaseException) -> None:
    raise error


@pytest.fixture
def heard() -> Iterator[tuple[Reactor, list[str]]]:
    """A loop that writes down TERM, HUP and CHLD; dispositions and mask are as before afterwards."""
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    reactor, said = Reactor(_fail), list[str]()
    names = {signal.SIGTERM: "TERM", signal.SIGHUP: "HUP", signal.SIGCHLD: "CHLD"}
    signals = Signals(reactor, {number: lambda name=name: said.append(name) for number, name in names.items()})  # type: ignore[misc]
    yield reactor, said
    signals.close()
    reactor.close()
    for number, handler in before.items():
        if handler is not None and number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, handler)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def test_a_signal_wakes_the_loop_and_equal_ones_are_merged(heard: tuple[Reactor, list[str]]) -> None:
    reactor, said = heard
    for _ in range(3):
        os.kill(os.getpid(), signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGTERM)
    reactor.turn(1)
    assert said == ["HUP", "TERM"]
    reactor.turn(0)
    assert said == ["HUP", "TERM"]


def test_a_full_wake_up_pipe_loses_no_signal(heard: tuple[Reactor, list[str]]) -> None:
    reactor, said = heard
    for _ in range(70_000):
        signal.raise_signal(signal.SIGHUP)
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(5):
        reactor.turn(0)
    assert set(said) == {"HUP", "TERM"}


def test_writing_to_a_closed_pipe_does_not_end_the_daemon(heard: tuple[Reactor, list[str]]) -> None:
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(BrokenPipeError):
        os.write(write, b"x")
    os.close(write)


def test_what_the_caller_ignored_or_blocked_is_undone() -> None:
    pid = os.fork()
    if pid == 0:
        try:
            signal.signal(signal.SIGUSR2, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            reactor, said = Reactor(_fail), list[str]()
            os.kill(os.getpid(), signal.SIGTERM)
            Signals(reactor, {signal.SIGTERM: lambda: said.append("TERM")})
            reactor.turn(1)
            undone = signal.getsignal(signal.SIGUSR2) is signal.SIG_DFL
            os._exit(0 if said == ["TERM"] and undone and not signal.pthread_sigmask(signal.SIG_BLOCK, ()) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_the_reaper_finds_every_dead_child_with_its_status_and_no_living_one() -> None:
    expected = {}
    for code in range(20):
        pid = os.fork()
        if pid == 0:
            os._exit(code)
        expected[pid] = code
    living = os.fork()
    if living == 0:
        signal.pause()
        os._exit(0)
    found: dict[int, int] = {}

    def all_found() -> bool:
        found.update((pid, os.waitstatus_to_exitcode(status)) for pid, status in reap())
        return len(found) == len(expected)

    wait_until(all_found)
    assert found == expected
    os.kill(living, signal.SIGKILL)
    wait_until(lambda: [pid for pid, _ in reap()] == [living])
    assert list(reap()) == []


def test_names_and_numbers_of_signals_are_this_systems() -> None:
    numbers = signal_numbers()
    assert numbers["TERM"] == signal.SIGTERM
    assert numbers["USR1"] == signal.SIGUSR1
    assert not any(name.startswith("SIG") for name in numbers)


def test_systemd_is_told_in_its_own_words(short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(short_dir / "n"))
        systemd.settimeout(1)
        notifier = Notifier({"NOTIFY_SOCKET": str(short_dir / "n"), "WATCHDOG_USEC": "3000000"})
        assert notifier.watchdog_s == 1.5
        notifier.ready()
        notifier.status("3/4 running")
        notifier.reloading()
        notifier.stopping(2)
        notifier.extend(1.5)
        notifier.alive()
        notifier.close()
        notifier.alive()
        said = [systemd.recv(1000).decode() for _ in range(6)]
    assert said[:2] == ["READY=1", "STATUS=3/4 running"]
    assert said[2].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert said[3:] == ["STOPPING=1\nEXTEND_TIMEOUT_USEC=2000000", "EXTEND_TIMEOUT_USEC=1500000", "WATCHDOG=1"]


def test_without_systemd_or_with_one_that_has_gone_nothing_happens(short_dir: Path) -> None:
    Notifier({}).ready()
    with closing(Notifier({"NOTIFY_SOCKET": str(short_dir / "gone")})) as notifier:
        notifier.ready()
    assert not Notifier({"WATCHDOG_USEC": "1000"}).watchdog_s
