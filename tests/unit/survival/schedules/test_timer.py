"""The timer at a time of the day, on a real loop; with ctypes, too, and where there is none."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest

from taskmasterd.schedules.timer import CalendarTimer
from taskmasterd.system.loop import wallclock
from taskmasterd.system.loop.reactor import Reactor


def refuse(*_arguments: object) -> int:
    raise OSError(38, "function not implemented")


def use(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    """Let there be only this way."""
    if way == "none":
        monkeypatch.setattr(wallclock, "create", refuse)
    elif way == "ctypes":
        for name in ("timerfd_create", "timerfd_settime_ns"):
            monkeypatch.delattr(os, name, raising=False)


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    errors: list[BaseException] = []
    made = Reactor(errors.append)
    yield made
    made.close()
    assert errors == []


def turns_until(reactor: Reactor, condition: Callable[[], object]) -> None:
    for _ in range(200):
        if condition():
            return
        reactor.turn(0.05)
    raise AssertionError("nothing happened")


@pytest.mark.parametrize("way", ["kernel", "ctypes", "none"])
def test_it_calls_at_its_time_once_and_not_before(reactor: Reactor, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    use(monkeypatch, way)
    called: list[tuple[bool, float]] = []
    timer = CalendarTimer(reactor, lambda stepped: called.append((stepped, time.time())))
    due = time.time() + 0.1
    timer.arm(due + 60)
    timer.arm(due)
    turns_until(reactor, lambda: called)
    ((stepped, at),) = called
    assert not stepped
    assert at >= due
    reactor.turn(0.05)
    assert len(called) == 1
    timer.close()


@pytest.mark.parametrize("way", ["kernel", "none"])
def test_what_is_not_armed_wakes_nobody_and_holds_no_descriptor(
    reactor: Reactor, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    use(monkeypatch, way)
    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    called: list[bool] = []
    timer = CalendarTimer(reactor, called.append)
    timer.arm(time.time() + 0.05)
    timer.arm(None)
    reactor.turn(0.2)
    assert called == []
    if before:
        assert os.listdir("/proc/self/fd") == before


def test_a_time_that_has_passed_is_now(reactor: Reactor) -> None:
    called: list[bool] = []
    timer = CalendarTimer(reactor, called.append)
    timer.arm(time.time() - 1000)
    turns_until(reactor, lambda: called)
    assert len(called) == 1
    timer.close()
