"""The change bus: its members get each piece of news in the order of their phases, and it hides no error of theirs."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest

from taskmasterd.core.programs.plan import ReloadPlan, diff
from taskmasterd.core.programs.table import Table
from taskmasterd.core.steps import run
from taskmasterd.telling.bus import REACT, REMEMBER, TELL, Bus, BusMember
from tests.support.model import DAEMON, World, config, program


class Listener:
    """A member that writes down its name with each piece of news."""

    def __init__(self, name: str, happened: list[str]) -> None:
        self.name = name
        self.happened = happened

    def changed(self, *_change: object) -> None:
        self.happened.append(f"{self.name} changed")

    def added(self, _entry: object) -> None:
        self.happened.append(f"{self.name} added")

    def gone(self, _entry: object) -> None:
        self.happened.append(f"{self.name} gone")

    def applying(self, _plan: ReloadPlan) -> Generator[None, None, None]:
        self.happened.append(f"{self.name} applying")
        yield

    def applied(self, _plan: ReloadPlan) -> Generator[None, None, None]:
        self.happened.append(f"{self.name} applied")
        yield

    def refused(self) -> None:
        self.happened.append(f"{self.name} refused")

    def member(self, phase: int) -> BusMember:
        """Return this listener as a member for all news."""
        return BusMember(phase, self.changed, self.added, self.gone, self.applying, self.applied, self.refused)


def some(*phases: tuple[str, int]) -> tuple[Bus, list[str]]:
    """Return a bus with a listener for each name and phase, and where they write."""
    happened: list[str] = []
    return Bus(*(Listener(name, happened).member(phase) for name, phase in phases)), happened


ANYTHING: Any = None


def test_members_are_called_by_phase_and_within_a_phase_as_they_joined() -> None:
    bus, happened = some(("systemd", REACT), ("log", TELL), ("state", REMEMBER), ("subscribers", TELL))
    order = ["state", "log", "subscribers", "systemd"]
    bus.changed(ANYTHING, ANYTHING, ANYTHING, ANYTHING)
    bus.added(ANYTHING)
    bus.gone(ANYTHING)
    plan = diff(Table(), DAEMON, config())
    run(bus.applying(plan))
    run(bus.applied(plan))
    bus.refused()
    news = ["changed", "added", "gone", "applying", "applied", "refused"]
    assert happened == [f"{name} {each}" for each in news for name in order]


def test_a_member_that_has_left_is_called_no_more() -> None:
    happened: list[str] = []
    stays, leaves = Listener("log", happened).member(TELL), Listener("limits", happened).member(REACT)
    bus = Bus(stays, leaves)
    bus.leave(leaves)
    bus.gone(ANYTHING)
    assert happened == ["log gone"]


def test_a_member_gets_only_the_news_that_it_wants() -> None:
    happened: list[str] = []
    bus = Bus(BusMember(REACT, gone=Listener("outputs", happened).gone))
    bus.changed(ANYTHING, ANYTHING, ANYTHING, ANYTHING)
    bus.added(ANYTHING)
    bus.gone(ANYTHING)
    assert happened == ["outputs gone"]


def test_a_change_that_could_not_be_remembered_is_not_told() -> None:
    def fails(*_change: object) -> None:
        raise RuntimeError("no memory")

    bus, happened = some(("log", TELL))
    bus.join(BusMember(REMEMBER, fails))
    with pytest.raises(RuntimeError, match="no memory"):
        bus.changed(ANYTHING, ANYTHING, ANYTHING, ANYTHING)
    assert happened == []


def test_an_error_of_a_later_phase_costs_no_earlier_one_its_news() -> None:
    def fails(*_change: object) -> None:
        raise RuntimeError("no systemd")

    world = World()
    happened: list[str] = []
    world.bus.join(Listener("state", happened).member(REMEMBER))
    world.bus.join(BusMember(REACT, fails))
    with pytest.raises(RuntimeError, match="no systemd"):
        world.load(program())
    assert happened == ["state added", "state changed"]
    assert world.announced == [("web:0", "Start")]
