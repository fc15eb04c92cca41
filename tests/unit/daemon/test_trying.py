"""A reload on trial: what makes it fail, what does not, and how it ends."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from taskmaster_common.config import Config, ProgramConfig
from taskmasterd.configuration.requests import Requester
from taskmasterd.configuration.trying import MONITOR_S, Trial, TrialEffects, Tried
from taskmasterd.core.programs.applying import apply
from taskmasterd.core.programs.plan import diff, without_removals
from taskmasterd.core.steps import run
from tests.support.model import DAEMON, World, code, config, program

OLD = program(starttime=0.0, startretries=0)
NEW = OLD.with_keys(cmd=("sleep", "10"))
GONE = program(starttime=0.0).replace(name="gone")


class Trying:
    """A world in which `NEW` and the removal of `gone` are on trial. `applied` are the configurations that were applied at its end."""

    def __init__(self, new: ProgramConfig = NEW) -> None:
        self.world = World().load(OLD, GONE).cooperate()
        self.timers: list[tuple[float, Callable[[], None]]] = []
        self.applied: list[Config] = []
        self.concluded: list[str] = []
        reactor: Any = SimpleNamespace(
            now=lambda: self.world.now,
            call_soon=self.world.due.append,
            call_at=lambda at, callback: self.timers.append((at, callback)),
        )
        self.effects = TrialEffects(
            reactor, self.world.supervisor, self._apply, lambda _tried, failure: self.concluded.append(failure)
        )
        old = config(OLD, GONE)
        self.trial = Trial(self.effects, Tried(old, config(new), "uid 0", "12:03"))
        plan = without_removals(diff(self.world.table, DAEMON, config(new)), old)
        run(apply(self.world.supervisor, plan, "a reload", self.trial.ticket))
        self.trial.begin(plan, self.world.ticket())

    def _apply(self, found: Config, requester: Requester) -> None:
        self.applied.append(found)
        plan = diff(self.world.table, DAEMON, found)
        ticket = self.world.ticket()
        ticket._on_result = requester.result
        ticket._on_done = lambda: requester.settled(ticket)
        run(apply(self.world.supervisor, plan, "a reload", ticket))

    def pass_time(self) -> None:
        """Let the time pass for which all have to stay up."""
        at, callback = self.timers.pop(0)
        self.world.now = at
        callback()
        self.world.cooperate()


def test_what_stays_up_is_final_and_removals_follow() -> None:
    trying = Trying()
    trying.world.cooperate()
    assert [*trying.world.states()] == ["gone:0", "web:0"] or [*trying.world.states()] == ["web:0", "gone:0"]
    assert trying.timers[0][0] == trying.world.now + MONITOR_S
    trying.pass_time()
    assert [*trying.world.states()] == ["web:0"]
    assert (trying.concluded, trying.world.results) == ([""], [("web:0", "restarted", True)])


def test_what_falls_meanwhile_takes_all_back() -> None:
    trying = Trying()
    web = trying.world.cooperate().entry("web")
    trying.world.end(web, code(7))
    trying.world.cooperate()
    assert trying.concluded == ["the file was tried at 12:03 and rolled back: web: exit 7 after 0.0s"]
    assert (web.wanted, web.present) == (OLD, OLD)
    assert trying.world.results == [("web:0", "rolled-back", False)]
    assert "gone:0" in trying.world.states()


def test_a_restart_that_the_programs_own_check_refuses_takes_all_back() -> None:
    trying = Trying(NEW.with_keys(pre_restart={"cmd": ("false",)}))
    world = trying.world.settle()
    pid = world.entry("web").process.pid
    world.checks["web:0"].answer("pre_restart: exit 1")
    world.cooperate()
    assert trying.concluded == ["the file was tried at 12:03 and rolled back: web: pre_restart: exit 1"]
    assert (world.entry("web").process.pid, world.entry("web").wanted) == (pid, OLD)


def test_while_it_goes_back_the_end_of_its_time_changes_nothing() -> None:
    trying = Trying()
    world = trying.world.cooperate()
    world.end(world.entry("web"), code(7))
    world.settle()
    trying.pass_time()
    assert [each.programs for each in trying.applied] == [(OLD, GONE)]


@pytest.mark.parametrize("up", [True, False])
def test_what_an_operator_stops_is_no_failure_and_stays_stopped(up: bool) -> None:
    trying = Trying()
    if up:
        trying.world.cooperate()
    trying.world.stop("web")
    trying.world.cooperate()
    trying.pass_time()
    assert trying.concluded == [""]
    assert trying.world.states() == {"web:0": "STOPPED"}


def test_a_rolling_restart_that_fails_takes_all_back_for_its_reason() -> None:
    update = {"max_unavailable": 1, "pause": 0.0, "monitor": 1.0, "on_failure": "stop"}
    trying = Trying(NEW.with_keys(update=update))
    world = trying.world.settle()
    world.end(world.entry("web"))
    world.settle().fail_set_up(world.entry("web"), permanent=True)
    world.cooperate()
    assert "rolled back: update of web stopped at web: cannot execute /x" in trying.concluded[0]
    assert len(trying.applied) == 1, "its end and that of each instance are one failure"
    assert world.entry("web").present == OLD


@pytest.mark.parametrize("up", [True, False])
def test_it_goes_on_after_an_upgrade(up: bool) -> None:
    trying = Trying()
    world = trying.world.cooperate() if up else trying.world.settle()
    row = json.loads(json.dumps(trying.trial.to_data()))
    for entry in world.table:
        entry.tickets = [each for each in entry.tickets if each not in (trying.trial, trying.trial.ticket)]
    trying.timers.clear()
    trial = Trial(trying.effects, Tried.from_data(row["tried"]))
    trial.resume(row)
    assert json.loads(json.dumps(trial.to_data())) == row
    world.cooperate()
    trying.pass_time()
    assert trying.concluded == [""]
    assert world.results == [("web:0", "restarted", True)]


def test_a_shutdown_ends_it_without_a_verdict() -> None:
    trying = Trying()
    trying.world.cooperate().supervisor.refuse_starts()
    trying.pass_time()
    assert (trying.concluded, trying.world.results) == ([], [("web:0", "overtaken", False)])
