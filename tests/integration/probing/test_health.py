"""Health checks in a real loop, with sockets of this process in place of programs."""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from taskmaster_common.config import INSTANCE
from taskmaster_common.config.hooks import HookCommand
from taskmaster_common.states import RUNNING
from taskmasterd.core.process.events import Event
from taskmasterd.core.process.state import HEALTHY, UNHEALTHY
from taskmasterd.core.programs.table import Entry
from taskmasterd.probing.health import HealthChecks, Means
from taskmasterd.probing.text.result import Result
from taskmasterd.probing.tries.queue import Queue
from taskmasterd.probing.ways import Asking
from taskmasterd.telling.bus import REACT, BusMember
from tests.support.model import World, program
from tests.support.probing import OURS, SIGNALS, ProbingStage, carrying

QUICK = {"interval": 0.05, "timeout": 0.5, "start_period": 0.0, "retries": 2, "successes": 1}


class Checked:
    """A supervisor of one program `web`, whose instances are well while somebody listens at a socket."""

    def __init__(self, stage: ProbingStage, queue: Any = None, **keys: Any) -> None:
        self.stage = stage
        self.path = str(stage.home / "live.sock")
        self.listener: socket.socket | None = None
        self.signals: list[int] = []
        self.said: list[str] = []
        self.asked: list[Any] = []
        self.world = World()
        self.world.now = stage.reactor.now()
        self.keys = {"health": {"unix": self.path, **QUICK}, "starttime": 0, **keys}
        reactor = stage.reactor
        queue = queue or Queue(reactor, 256)
        asking = Asking(reactor, stage.outputs, stage.children, SIGNALS, queue, queue)
        self.noted: list[tuple[str, str, dict[str, Any]]] = []
        self.means = Means(
            asking,
            self.world.table,
            self._deliver,
            self._signal,
            lambda _level, text: self.said.append(text),
            lambda entry, then: self.asked.append((entry, then)),
            lambda name, event, **fields: self.noted.append((name, event, fields)),
        )
        self.world.load(program("web", **self.keys))
        self.join()

    def join(self) -> None:
        """Let checks be made, as a daemon does that begins."""
        self.checks = HealthChecks(self.means)
        member = BusMember(REACT, self.checks.changed, self.checks.added, self.checks.gone, applied=self.checks.applied)
        self.world.bus.join(member)
        self.member = member

    def up(self) -> Checked:
        """Start all instances."""
        self.world.cooperate()
        assert set(self.world.states().values()) == {RUNNING}
        return self

    def well(self, *, well: bool) -> None:
        """Listen, or do not."""
        if well:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(self.path)
            self.listener.listen(200)
        elif self.listener:
            self.listener.close()
            Path(self.path).unlink()

    def until_verdict(self, verdict: str, name: str = "web") -> None:
        """Turn until a process has this verdict."""
        self.stage.turn_until(lambda: self.world.entry(name).process.health == verdict)

    def _deliver(self, entry: Entry, event: Event) -> None:
        self.world.now = self.stage.reactor.now()
        self.world.supervisor.handle(entry, event, self.world.now)

    def _signal(self, _entry: Entry, number: int) -> bool:
        self.signals.append(number)
        return True


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[ProbingStage]:
    stage = ProbingStage(tmp_path)
    yield stage
    stage.close()


@pytest.mark.sweep
@pytest.mark.slow
def test_the_first_checks_of_many_spread_over_a_second_also_of_instances_of_an_earlier_daemon(
    stage: ProbingStage,
) -> None:
    checked = Checked(stage, numprocs=100, health={"unix": str(stage.home / "live.sock"), "interval": 60})
    checked.well(well=True)
    entries = tuple(checked.world.table)
    for _ in range(2):
        checked.up()
        stage.reactor.settle(3)
        # when they are due, not when they came: this process may wait for a processor meanwhile
        moments = sorted(when for when, _, timer in stage.reactor._timers if timer.callback)
        assert len(moments) == 100
        stage.turn_until(lambda: all(entry.checked and entry.checked.last for entry in entries))
        assert moments[-1] - moments[0] > 0.9, moments
        assert max(later - earlier for earlier, later in pairwise(moments)) < 0.3, moments
        checked.world.bus.leave(checked.member)
        for entry in entries:
            checked.checks.gone(entry)
        checked.join()
    checked.well(well=False)


def test_a_verdict_changes_with_the_answers_and_a_restart_follows(stage: ProbingStage) -> None:
    checked = Checked(stage)
    checked.well(well=True)
    checked.up().until_verdict(HEALTHY)
    checked.well(well=False)
    stage.turn_until(lambda: ("web:0", "terminate") in checked.world.actions)
    web = checked.world.entry("web")
    assert (web.process.reason, web.checked) == ("unhealthy: unix: no such file or directory (2 of 2)", None)


def test_a_signal_goes_out_once_and_says_so(stage: ProbingStage) -> None:
    checked = Checked(stage, health={"unix": str(stage.home / "live.sock"), **QUICK, "action": "signal KILL"}).up()
    checked.until_verdict(UNHEALTHY)
    stage.turn_until(lambda: checked.world.entry("web").checked.failures > 4)  # type: ignore[union-attr]
    assert (checked.signals, checked.said) == ([9], ["web is unhealthy: KILL to its leader"])
    pid = checked.world.entry("web").process.pid
    assert checked.noted == [("web", "signalled", {"pid": pid, "signal": "KILL", "reason": "unhealthy"})]


def test_while_pre_restart_is_asked_another_one_may_go_down_and_the_instance_may_recover(stage: ProbingStage) -> None:
    hook = HookCommand(("check",)).row()
    checked = Checked(stage, numprocs=3, pre_restart=hook).up()
    stage.turn_until(lambda: len(checked.asked) == 3)
    (first, allow_first), (second, allow_second), (third, allow_third) = checked.asked
    allow_first(None)
    allow_second(None)
    assert (first.process.state, second.process.state) == ("STOPPING", RUNNING)
    assert second.checked
    assert second.checked.held_back == f"{first.canonical} is not healthy again"
    checked.world.stop(first.canonical)
    checked.well(well=True)
    stage.turn_until(lambda: third.process.health == HEALTHY)
    allow_third(None)
    assert third.process.state == RUNNING
    checked.well(well=False)


def test_an_answer_about_an_instance_or_a_health_of_before_counts_for_nobody(stage: ProbingStage) -> None:
    checked = Checked(stage, health={"unix": str(stage.home / "live.sock"), **QUICK, "retries": 3}).up()
    web = checked.world.entry("web")
    stage.turn_until(lambda: web.checked and web.checked.failures == 2)
    checked.world.restart("web")
    checked.up()
    assert web.checked
    assert web.checked.failures == 0
    stage.turn_until(lambda: web.checked and web.checked.failures == 2)
    plan = checked.world.reload(program("web", **{**checked.keys, "health": {**checked.keys["health"], "retries": 4}}))
    list(checked.world.bus.applied(plan))
    assert (web.checked.failures, web.process.health) == (0, "")


class Full:
    """Where nothing finds room."""

    def __init__(self, stage: ProbingStage) -> None:
        self._reactor = stage.reactor

    begun = True
    since = 0.0

    def begin(self, _probe: object, done: Callable[[Result], None]) -> Full:
        """Answer that nobody knows."""
        self._reactor.call_soon(lambda: done(Result(None, "too many open files")))
        return self

    def cancel(self) -> None:
        """There is nothing to cancel."""


def test_a_child_that_kill_does_not_end_is_a_failure_an_interval_and_nothing_else_is_asked(
    stage: ProbingStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from taskmasterd.probing import children, health

    monkeypatch.setattr(children, "STUCK_AFTER_S", 0.05)
    monkeypatch.setattr(health, "STUCK_AFTER_S", 0.05)
    asked = {"exec": ["sleep", f"4715.{OURS}"], **QUICK, "timeout": 0.1, "action": "none"}
    checked = Checked(stage, health=asked)
    with monkeypatch.context() as patch:
        patch.setattr(children, "send", lambda *_arguments: 0)
        checked.up().until_verdict(UNHEALTHY)
        web = checked.world.entry("web")
        (pid,) = carrying(f"sleep\x004715.{OURS}")
        assert web.process.reason == f"unhealthy: probe {pid} cannot be killed (2 of 2)"
    checked.checks.gone(web)
    os.kill(pid, signal.SIGKILL)
    stage.turn_until(lambda: not carrying(f"sleep\x004715.{OURS}"))


def test_one_more_check_changes_no_counter(stage: ProbingStage) -> None:
    checked = Checked(stage, health={"unix": str(stage.home / "live.sock"), **QUICK, "interval": 60}).up()
    web = checked.world.entry("web")
    stage.turn_until(lambda: web.checked and web.checked.last)
    before = web.checked
    checked.checks.ask(web, stage.results.append)
    assert stage.result().ok is False
    assert web.checked is before


def test_the_answer_of_a_check_that_was_under_way_at_the_end_counts_for_nobody(stage: ProbingStage) -> None:
    checked = Checked(stage, health={"http": f"unix:{stage.home}/live.sock:/", **QUICK, "timeout": 5})
    checked.well(well=True)  # it accepts, and never answers
    checked.up()
    web = checked.world.entry("web")
    assert checked.listener
    number = checked.listener.fileno()
    stage.turn_until(lambda: select.select([number], [], [], 0)[0])
    checked.checks.gone(web)
    for _ in range(5):
        stage.reactor.run(1)
    assert web.checked is None
    checked.well(well=False)


def test_checks_that_wait_longer_than_their_interval_for_their_turn_are_named(stage: ProbingStage) -> None:
    health = {"http": f"unix:{stage.home}/live.sock:/", **QUICK, "interval": 0.1, "timeout": 0.4}
    checked = Checked(stage, Queue(stage.reactor, 1), numprocs=3, health=health)
    checked.well(well=True)  # it accepts, and never answers
    checked.up()
    assert checked.checks.overdue() == []
    stage.turn_until(checked.checks.overdue)
    checked.well(well=False)


def test_what_the_system_has_no_room_for_is_no_answer(stage: ProbingStage) -> None:
    checked = Checked(stage, Full(stage)).up()
    web = checked.world.entry("web")
    stage.turn_until(lambda: web.checked and web.checked.last)
    assert web.checked
    assert (web.checked.failures, web.process.health) == (0, "")


def test_a_probe_of_what_is_no_address_says_so_each_time(stage: ProbingStage) -> None:
    checked = Checked(stage, health={"tcp": INSTANCE, **QUICK}).up()
    checked.until_verdict(UNHEALTHY)
    assert checked.world.entry("web").process.reason == 'unhealthy: tcp: "0" is no port (2 of 2)'
