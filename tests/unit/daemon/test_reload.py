"""The reloader: in which order a plan is remembered, told and applied."""

from __future__ import annotations

from collections.abc import Generator
from types import SimpleNamespace
from typing import Any

import pytest

from taskmaster_common.states import STOPPED
from taskmasterd.configuration.current import Current
from taskmasterd.configuration.loading import LoadResult
from taskmasterd.configuration.reload import Reloader
from taskmasterd.configuration.requests import Requester
from taskmasterd.core.programs.plan import ReloadPlan
from taskmasterd.core.programs.ticket import Ticket
from taskmasterd.core.steps import run
from taskmasterd.telling.eventlog import EventLog
from tests.support.model import DAEMON, World, config, program


class Order(Requester):
    """A client that asks for a reload, and the daemon around it: both write down what they are told."""

    def __init__(self) -> None:
        self.world = World().load(program(autostart=False))
        self.told: list[str] = []
        rounds = SimpleNamespace(begin=run)
        reactor: Any = SimpleNamespace(now=lambda: self.world.now, rounds=rounds)
        log = EventLog("error", journal=False)
        before = config(program(autostart=False))
        self.reloader = Reloader(
            reactor, self.world.supervisor, log, Current(before, DAEMON), self, self._nothing_is_read
        )

    @staticmethod
    def _nothing_is_read(_path: str, _done: object) -> Any:
        raise AssertionError("nothing is read")

    def refused(self) -> None:
        self.told.append("problems")

    def preparing(self, plan: ReloadPlan) -> Generator[None, None, tuple[ReloadPlan, dict[str, str]]]:
        yield
        return plan, {}

    def applying(self, _plan: ReloadPlan) -> Generator[None, None, None]:
        self.told.append(f"remembered, web is {self.world.entry('web').process.state}")
        yield

    def applied(self, _plan: ReloadPlan) -> Generator[None, None, None]:
        self.told.append("applied")
        yield

    def waiting(self, _ticket: Ticket) -> None:
        self.told.append("told")


def test_a_plan_is_remembered_before_whoever_does_not_wait_is_told_that_it_holds() -> None:
    order = Order()
    assert order.world.entry("web").process.state == STOPPED
    run(order.reloader._plan(config(program(umask=0o77)), LoadResult(), [order]))
    assert order.told == ["remembered, web is STOPPED", "told", "applied"]


@pytest.mark.parametrize("dry_run", [False, True])
def test_nothing_starts_between_the_look_at_the_table_and_the_last_step_of_the_plan(*, dry_run: bool) -> None:
    """A start in between would take what was wanted before, and nothing would ever restart it."""
    order = Order()
    order.dry_run = dry_run
    plan = order.reloader._plan(config(program(umask=0o77)), LoadResult(), [order])
    steps = order.reloader.alone(plan)
    assert {order.world.holders for _ in steps} == {1}
    assert order.world.holders == 0
    assert ("applied" in order.told) is not dry_run
