"""The queue of starts: who is started when, and what is delivered of a start that fails."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest

from taskmasterd.core.process.events import Event, Exited, Failure, SpawnFailed
from taskmasterd.core.process.marks import ASKED, FORKED, SPAWNED, TAKEN_BACK
from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.orphans import Orphan
from taskmasterd.core.programs.table import Entry
from taskmasterd.processes.occupants import Occupants
from taskmasterd.processes.starts import SPAWN_FOR_S, StartQueue
from taskmasterd.system.procfs import look
from taskmasterd.system.spawner import SetupError
from tests.support.model import program


class Loop:
    """A clock that each start puts forward, and the end of a turn."""

    def __init__(self) -> None:
        self.time = 0.0
        self.soon: list[Callable[[], None]] = []

    def now(self) -> float:
        return self.time

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def turn(self) -> None:
        """End a turn."""
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()


class Stage:
    """A queue whose starts take `takes_s` each and come out as `results` says of their slot, executed otherwise."""

    def __init__(self, takes_s: float = 0.0, **results: object) -> None:
        loop: Any = Loop()
        self.loop = loop
        self.takes_s = takes_s
        self.results = results
        self.started: list[str] = []
        self.happened: list[tuple[str, str]] = []
        self.events: list[tuple[str, Event]] = []
        self.flushed: list[int] = []
        world: Any = self
        self.queue = StartQueue(self.loop, world, world, self._happen, self._deliver)
        self.entries = {name: Entry(program(name), 0, Process()) for name in "abc"}

    def bring_up(self, entry: Entry) -> tuple[Any, bool]:
        assert entry.current is entry.wanted
        self.loop.time += self.takes_s
        self.started.append(entry.program)
        result = self.results.get(entry.program, True)
        if isinstance(result, Exception):
            raise result
        return entry.program, bool(result)

    def flush(self) -> None:
        self.flushed.append(len(self.started))

    def _happen(self, instance: Any, news: str) -> None:
        self.happened.append((instance, news))

    def _deliver(self, entry: Entry, event: Event) -> None:
        self.events.append((entry.program, event))

    def ask(self, names: str = "abc") -> None:
        for name in names:
            self.queue.happen(self.entries[name], ASKED)


def test_a_turn_spawns_for_a_bounded_time_and_the_next_ones_go_on() -> None:
    stage = Stage(takes_s=SPAWN_FOR_S * 0.6)
    stage.ask()
    assert (stage.started, stage.queue.pending) == ([], True)
    stage.loop.turn()
    assert (stage.started, stage.queue.pending) == (["a", "b"], True)
    stage.loop.turn()
    assert (stage.started, stage.queue.pending) == (["a", "b", "c"], False)
    assert stage.flushed == [2, 3], "the last pid of each turn is written at its end"
    assert stage.loop.soon == []


def test_a_child_is_news_by_whether_it_was_executed_already() -> None:
    stage = Stage(b=False)
    stage.ask()
    stage.loop.turn()
    assert stage.happened == [("a", SPAWNED), ("b", FORKED), ("c", SPAWNED)]
    assert stage.events == []


def test_a_start_that_is_taken_back_does_not_happen() -> None:
    stage = Stage()
    stage.ask()
    stage.queue.happen(stage.entries["b"], TAKEN_BACK)
    stage.loop.turn()
    assert stage.started == ["a", "c"]


def test_a_start_that_is_held_waits_until_it_is_not() -> None:
    stage = Stage()
    release, release_of_another = stage.queue.hold(), stage.queue.hold()
    stage.ask()
    release()
    release()
    assert stage.loop.soon == [], "somebody else still holds it"
    release_of_another()
    stage.loop.turn()
    assert stage.started == ["a", "b", "c"]
    stage.ask("a")
    stage.queue.hold()
    stage.loop.turn()
    assert (len(stage.started), stage.queue.pending) == (3, False)


def test_a_bug_in_one_start_does_not_hold_up_the_others() -> None:
    stage = Stage(a=RuntimeError("a bug"))
    stage.ask()
    with pytest.raises(RuntimeError):
        stage.loop.turn()
    stage.loop.turn()
    assert stage.started == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("error", "event"),
    [
        (SetupError("user", "no such user"), Exited(failure=Failure("user", "no such user", permanent=True))),
        (SetupError("orphan", "occupied"), Exited(failure=Failure("orphan", "occupied", permanent=True))),
        (SetupError("exec", "cannot execute"), Exited(failure=Failure("exec", "cannot execute"))),
        (OSError(errno.EAGAIN, "No room"), SpawnFailed("the system refuses a new process: no room")),
        (
            ValueError("embedded null byte"),
            Exited(failure=Failure("exec", "cannot execute sleep: embedded null byte")),
        ),
    ],
)
def test_a_start_that_brings_up_no_child_is_delivered_as_its_failure(error: Exception, event: Event) -> None:
    stage = Stage(b=error)
    stage.ask()
    stage.loop.turn()
    assert stage.events == [("b", event)]
    assert [name for name, _news in stage.happened] == ["a", "c"]


def test_a_slot_is_occupied_for_as_long_as_a_process_of_an_earlier_daemon_is_the_same_one() -> None:
    me = look(1)
    if me is None:
        pytest.skip("needs /proc")
    occupants = Occupants()
    assert occupants.reason("web", 0) == ""
    occupants.by_slot["web", 0] = [Orphan(1, me.started, 1, 0, "init"), Orphan(1, me.started + 1, 1, 0, "other")]
    occupants.by_slot["db", 1] = [Orphan(1, me.started + 1, 1, 0, "other")]
    text = "an earlier daemon's init (1) may be a copy of it; end that (kill 1), then start it"
    assert occupants.warnings() == [f"web:0: {text}"]
    assert list(occupants.by_slot) == [("web", 0)]
    assert occupants.reason("web", 0) == text
