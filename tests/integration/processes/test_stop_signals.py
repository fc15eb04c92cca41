"""Stop signals of many instances at once, and of a stop that an earlier life has begun; real processes."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

from taskmaster_common.config import ProgramConfig
from taskmaster_common.states import STOPPED, STOPPING
from taskmasterd.core.process.events import Signalled
from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.table import Entry
from taskmasterd.processes.instance import Instance
from taskmasterd.processes.members.group import Group
from taskmasterd.processes.stop_signals import ASK_FOR_S, StopSignals
from taskmasterd.system.procfs import listing, look
from tests.support.guarded import state_of
from tests.support.wait import wait_until

# the first look at /proc opens the descriptor that is kept in reserve for all later ones
pytestmark = pytest.mark.skipif(not listing("/proc/self"), reason="needs /proc")


class Turns:
    """A loop whose turns come when a test says so; each look at the clock finds it `step_s` later."""

    def __init__(self, step_s: float = 0.0) -> None:
        self.step_s = step_s
        self.clock = 100.0
        self.soon: list[Callable[[], object]] = []
        self.later: list[Callable[[], object]] = []

    def now(self) -> float:
        """Return the time."""
        self.clock += self.step_s
        return self.clock

    def call_soon(self, call: Callable[[], object]) -> None:
        """Call in the next turn."""
        self.soon.append(call)

    def call_at(self, _moment: float, call: Callable[[], object]) -> None:
        """Call when the test lets the time pass."""
        self.later.append(call)

    def turn(self) -> None:
        """Make a turn."""
        soon, self.soon = self.soon, []
        for call in soon:
            call()


@pytest.fixture
def sleepers() -> Iterator[list[subprocess.Popen[bytes]]]:
    started = [subprocess.Popen(["sleep", "300"], start_new_session=True) for _ in range(3)]
    wait_until(lambda: all(os.getpgid(one.pid) == one.pid for one in started))
    yield started
    for one in started:
        one.kill()
        one.wait()


def _instance(pid: int) -> Instance:
    process = Process(state=STOPPING, then=STOPPED, pid=pid, executed=True, deadline=1e9)
    return Instance(
        Entry(ProgramConfig("p", ("sleep", "300")), 0, process), Group(pid, ("p", 0), stop_group=True), (), (0.0, 0.0)
    )


def _asked(sleepers: list[subprocess.Popen[bytes]]) -> int:
    """Return how many have ended."""
    return sum(state_of(one.pid) == "Z" for one in sleepers)


def test_a_turn_asks_for_a_bounded_time_and_the_next_ones_go_on(sleepers: list[subprocess.Popen[bytes]]) -> None:
    turns, answers = Turns(ASK_FOR_S * 0.6), []
    asking = StopSignals(turns, lambda instance, answer: answers.append((instance, answer)))  # type: ignore[arg-type]
    for one in sleepers:
        assert asking.ask(_instance(one.pid)) == Signalled()
    wait_until(lambda: _asked(sleepers) == 2)
    turns.turn()
    wait_until(lambda: _asked(sleepers) == 3)
    assert [answer for _, answer in answers] == [Signalled()]


def test_what_was_to_be_asked_in_a_later_turn_is_left_alone_where_the_stop_is_over(
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    turns = Turns(ASK_FOR_S)
    asking = StopSignals(turns, lambda _instance, _answer: None)  # type: ignore[arg-type]
    instances = [_instance(one.pid) for one in sleepers]
    for instance in instances:
        asking.ask(instance)
    instances[-1].entry.process = Process()
    turns.step_s = 0.0
    turns.turn()
    wait_until(lambda: _asked(sleepers) == 2)
    assert state_of(sleepers[-1].pid) != "Z"


def test_without_a_descriptor_to_look_with_everybody_is_asked_at_once(
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    asking = StopSignals(Turns(), lambda _instance, _answer: None)  # type: ignore[arg-type]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            look(sleepers[0].pid)
        asking.ask(_instance(sleepers[0].pid))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        look(sleepers[0].pid)  # opens the descriptor that is kept in reserve
    wait_until(lambda: _asked(sleepers) == 1)


def test_a_stop_of_an_earlier_life_asks_those_who_were_not_asked_yet_and_nobody_twice(
    sleepers: list[subprocess.Popen[bytes]],
) -> None:
    turns = Turns()
    asking = StopSignals(turns, lambda _instance, _answer: None)  # type: ignore[arg-type]
    untold, told, read_on = (_instance(one.pid) for one in sleepers)
    told.group.signalled = frozenset({(0, signal.SIGTERM)})
    read_on.group.signalled = frozenset({(read_on.group.pid, signal.SIGTERM)})
    for instance in (untold, told, read_on):
        asking.resume(instance)
    turns.turn()
    wait_until(lambda: _asked(sleepers) == 1)
    assert state_of(untold.group.pid) == "Z"


@pytest.mark.parametrize(("stop_group", "leader_first"), [(True, False), (True, True), (False, False)])
def test_a_leader_that_was_asked_is_not_asked_again_by_the_next_life(*, stop_group: bool, leader_first: bool) -> None:
    counts = "trap 'echo asked' TERM; echo ready; while :; do read -r line && exit; done"
    with subprocess.Popen(
        ["sh", "-c", counts], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0
    ) as shell:
        assert shell.stdout
        assert shell.stdin
        assert shell.stdout.read(6) == b"ready\n"
        turns = Turns()
        asking = StopSignals(turns, lambda _instance, _answer: None)  # type: ignore[arg-type]
        instance = _instance(shell.pid)
        instance.group.follow(stop_group=stop_group, leader_first=leader_first)
        asking.ask(instance)
        assert shell.stdout.read(6) == b"asked\n"
        asking.resume(instance)
        turns.turn()
        turns.turn()
        shell.stdin.write(b"end\n")
        assert shell.stdout.read() == b""
