"""What `wait` waits for: goals are levels, and the answer comes as soon as one cannot be reached."""

from __future__ import annotations

import pytest

from taskmaster_common.commands.table import COMMANDS
from taskmaster_common.states import BACKOFF, FATAL, RUNNING
from taskmasterd.core.programs.goals import GOALS, Watch
from taskmasterd.core.programs.schedule import Planned
from taskmasterd.core.programs.selection import select
from taskmasterd.core.programs.table import Entry
from taskmasterd.core.programs.ticket import Outcome
from taskmasterd.core.steps import run
from tests.support.model import World, code, program

DB = program("db")
WEB = program("web", depends_on=("db",))


class Waiting:
    """Somebody who waits for a goal: the failed tries, and the outcomes once they are there."""

    def __init__(self, world: World, goal: str, *targets: str) -> None:
        self.outcomes: dict[str, str] = {}
        self._answers = 0
        self.ok = True
        self.tries: list[str] = []
        self.watch = Watch(
            world.table, goal, lambda: world.now, lambda entry: self.tries.append(entry.canonical), self._end
        )
        self.entries = select(world.table, targets, 4)
        run(self.watch.begin(self.entries))

    @property
    def open(self) -> bool:
        """Whether there is no answer yet."""
        return not self._answers

    def _end(self, outcomes: list[tuple[Entry, Outcome]]) -> None:
        self._answers += 1
        assert self._answers == 1, "a second answer"
        self.outcomes = {entry.canonical: outcome.outcome for entry, outcome in outcomes}
        self.ok = all(outcome.ok for _, outcome in outcomes)
        assert not any(self.watch in entry.tickets for entry in self.entries)


def test_the_goals_are_the_words_of_the_flag() -> None:
    (flag,) = next(each for each in COMMANDS if each.name == "wait").flags
    assert flag.choices == tuple(GOALS)


def test_up_is_answered_when_the_last_one_runs() -> None:
    world = World().load(WEB, DB)
    waiting = Waiting(world, "up", "all")
    world.cooperate([world.entry("db")])
    assert waiting.open
    world.cooperate()
    assert (waiting.outcomes, waiting.ok) == ({"web:0": "up", "db:0": "up"}, True)


def test_what_runs_already_is_answered_at_once_and_acted_on_in_no_way() -> None:
    world = World().load(DB).cooperate()
    world.actions.clear()
    assert Waiting(world, "up", "db").outcomes == {"db:0": "up"}
    assert world.settle().actions == []


def test_one_that_ends_again_before_the_others_run_is_waited_for_again() -> None:
    world = World().load(DB, program("slow"))
    waiting = Waiting(world, "up", "all")
    world.cooperate([world.entry("db")])
    world.end(world.entry("db"), code(1))
    world.settle().cooperate([world.entry("slow")])
    assert waiting.open
    world.cooperate()
    assert waiting.outcomes == {"db:0": "up", "slow:0": "up"}


@pytest.mark.parametrize(("by", "outcome"), [("", "skipped"), ("bob", "failed")])
def test_what_autostart_does_not_want_is_skipped_unless_somebody_has_stopped_it(by: str, outcome: str) -> None:
    world = World().load(program("job", autostart=False))
    if by:
        world.start("job")
        world.cooperate()
        world.stop("job", by=by)
        world.cooperate()
    waiting = Waiting(world, "up", "job")
    assert (waiting.outcomes, waiting.ok) == ({"job:0": outcome}, not by)


@pytest.mark.parametrize(
    ("planned", "outcome"), [(Planned(at=3600.0), "skipped"), (Planned(off=True), "failed"), (None, "failed")]
)
def test_what_waits_for_its_next_run_is_skipped(planned: Planned | None, outcome: str) -> None:
    world = World().load(program("nightly", autorestart="never")).cooperate()
    entry = world.entry("nightly")
    world.end(entry, code(0))
    world.settle()
    entry.plan(planned)
    assert Waiting(world, "up", "nightly").outcomes == {"nightly:0": outcome}


def test_a_failed_try_is_told_and_the_last_one_ends_the_wait_at_once() -> None:
    world = World().load(program("db", startretries=1), program("slow")).settle()
    waiting = Waiting(world, "up", "all")
    db = world.entry("db")
    world.fail_set_up(db)
    assert (waiting.open, waiting.tries) == (True, ["db:0"])
    world.deadline(db)
    world.fail_set_up(db)
    assert (waiting.outcomes, waiting.ok) == ({"db:0": "failed"}, False)


def test_blocked_ends_the_wait_unless_what_it_needs_is_on_its_way_again() -> None:
    world = World().load(WEB, program("db", startretries=0)).settle()
    waiting = Waiting(world, "up", "web")
    world.fail_set_up(world.entry("db"))
    assert waiting.open
    world.settle()
    assert waiting.outcomes == {"web:0": "blocked"}
    world.start("db")
    assert world.entry("web").process.state == BACKOFF
    again = Waiting(world, "up", "web")
    assert again.open
    world.cooperate()
    assert again.outcomes == {"web:0": "up"}


@pytest.mark.parametrize(("goal", "outcome"), [("up", "failed"), ("stopped", "stopped"), ("settled", "settled")])
def test_a_stop_ends_each_wait_by_its_goal(goal: str, outcome: str) -> None:
    world = World().load(DB).settle()
    waiting = Waiting(world, goal, "db")
    assert waiting.open
    world.stop("db")
    assert waiting.outcomes == {"db:0": outcome}


@pytest.mark.parametrize(("goal", "outcome"), [("up", "removed"), ("stopped", "stopped"), ("settled", "removed")])
def test_a_reload_that_removes_it_ends_each_wait(goal: str, outcome: str) -> None:
    world = World().load(DB, program("other")).settle()
    waiting = Waiting(world, goal, "db")
    world.reload(program("other"))
    world.cooperate()
    assert waiting.outcomes == {"db:0": outcome}


def test_stopped_waits_until_nothing_is_left() -> None:
    world = World().load(DB).cooperate()
    waiting = Waiting(world, "stopped", "db")
    db = world.entry("db")
    world.stop("db")
    world.end(db, code(0), ("sleep (99)",))
    assert waiting.open
    world.cooperate()
    assert (waiting.outcomes, waiting.ok) == ({"db:0": "stopped"}, True)


def test_what_cannot_be_ended_will_not_be_stopped_by_itself() -> None:
    world = World().load(DB).cooperate()
    db = world.entry("db")
    world.refusing.add(db)
    waiting = Waiting(world, "stopped", "db")
    world.stop("db")
    while db in world.armed:
        world.deadline(db)
    assert (waiting.outcomes, waiting.ok) == ({"db:0": "stuck"}, False)


def test_settled_waits_for_all_and_then_says_what_is_not_as_wanted() -> None:
    world = World().load(WEB, program("db", startretries=0), program("slow")).settle()
    waiting = Waiting(world, "settled", "all")
    world.fail_set_up(world.entry("db"))
    world.settle()
    assert (world.states()["db:0"], waiting.open) == (FATAL, True)
    world.cooperate()
    assert waiting.outcomes == {"web:0": "blocked", "db:0": "failed", "slow:0": "settled"}
    assert not waiting.ok


def test_settled_is_as_wanted_where_all_run_or_are_down_on_purpose() -> None:
    world = World().load(WEB, DB, program("job", autostart=False)).cooperate()
    waiting = Waiting(world, "settled", "all")
    assert (set(waiting.outcomes), waiting.ok) == ({"web:0", "db:0", "job:0"}, True)


def test_what_stops_after_others_is_not_settled_and_not_up() -> None:
    world = World().load(WEB, DB).cooperate()
    world.stop("all")
    assert world.states()["db:0"] == RUNNING
    assert Waiting(world, "settled", "db").open
    assert Waiting(world, "up", "db").outcomes == {"db:0": "failed"}


def test_a_wait_that_is_abandoned_is_answered_no_more() -> None:
    world = World().load(DB)
    waiting = Waiting(world, "up", "db")
    waiting.watch.abandon()
    world.cooperate()
    assert waiting.open
    assert world.entry("db").tickets == []
