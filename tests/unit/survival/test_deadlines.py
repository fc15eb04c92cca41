"""Deadlines: each slot has one timer at most, which fires once."""

from __future__ import annotations

from typing import Any

from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.table import Entry
from taskmasterd.processes.deadlines import Deadlines
from tests.support.model import program


class Clock:
    """A reactor's timers; `pass_by` lets one of them fire."""

    def __init__(self) -> None:
        self.timers: list[tuple[float, Any]] = []

    def call_at(self, when: float, callback: Any) -> tuple[float, Any]:
        self.timers.append((when, callback))
        return self.timers[-1]

    def cancel(self, timer: tuple[float, Any] | None) -> None:
        if timer in self.timers:
            self.timers.remove(timer)

    def pass_by(self, when: float) -> None:
        """Let all timers fire that are due by then."""
        for timer in [each for each in self.timers if each[0] <= when]:
            self.timers.remove(timer)
            timer[1]()


def test_a_new_deadline_replaces_the_old_one_and_none_cancels_it() -> None:
    clock: Any = Clock()
    reached: list[str] = []
    deadlines = Deadlines(clock, lambda entry: reached.append(entry.canonical))
    web, db = (Entry(program(name), 0, Process(since=0.0)) for name in ("web", "db"))
    deadlines.arm(web, 5.0)
    deadlines.arm(db, 6.0)
    deadlines.arm(web, 9.0)
    clock.pass_by(8.0)
    assert reached == ["db:0"]
    deadlines.arm(web, None)
    clock.pass_by(99.0)
    assert reached == ["db:0"]


def test_a_deadline_that_was_reached_can_be_armed_again() -> None:
    clock: Any = Clock()
    reached: list[float] = []
    web = Entry(program("web"), 0, Process(since=0.0))

    def again(entry: Entry) -> None:
        reached.append(5.0)
        deadlines.arm(entry, 7.0)

    deadlines = Deadlines(clock, again)
    deadlines.arm(web, 5.0)
    clock.pass_by(5.0)
    assert [when for when, _ in clock.timers] == [7.0]
    assert reached == [5.0]
