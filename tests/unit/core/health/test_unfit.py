"""A verdict about a running process, and what becomes of one that goes down for it."""

from __future__ import annotations

import pytest

from taskmaster_common.states import BACKOFF, FATAL, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.events import (
    NONE,
    SPAWN,
    TERMINATE,
    Bounce,
    Event,
    Executed,
    Judged,
    Leave,
    Restart,
    Spawned,
    Start,
    Stop,
    Unfit,
)
from taskmasterd.core.process.state import HEALTHY, UNHEALTHY
from taskmasterd.core.programs.goals import healthy, settled, up
from taskmasterd.core.programs.ticket import Outcome
from taskmasterd.core.words.describe import detail
from taskmasterd.core.words.snapshot import process_from_data, process_to_data
from tests.support.model import Life, World, policy, program
from tests.support.walk import EVENTS, Edge, situation
from tests.support.walk import World as Walk

SICK = Judged(7, UNHEALTHY, "http 503 (3 of 3)")
FIT = Judged(7, HEALTHY, "http 200")


def running(**fields: object) -> Life:
    """Return a process that is RUNNING as pid 7."""
    return Life(**fields).running()


def test_a_verdict_is_known_and_an_unhealthy_process_is_not_as_wanted() -> None:
    life = running()
    assert (life.process.health, life.process.as_wanted) == ("", True)
    life(FIT)
    assert (life.process.health, life.process.judged_at, life.process.as_wanted) == (HEALTHY, life.now, True)
    life.wait(5)(SICK)
    assert (life.state, life.action, life.process.as_wanted) == (RUNNING, NONE, False)
    assert detail(life.process, life.policy, life.now, {}) == "unhealthy: http 503 (3 of 3)"
    assert detail(life(FIT).process, life.policy, life.now, {}) == ""
    assert process_from_data(process_to_data(life.process)) == life.process


def test_it_goes_down_by_its_stop_rule_and_comes_up_again_whatever_autorestart_says() -> None:
    life = running(autorestart="never", stoptime=4.0)(SICK, Unfit(7))
    assert (life.state, life.action, life.pause, life.process.then) == (STOPPING, TERMINATE, 4.0, STARTING)
    said = detail(life.process, life.policy, life.now, {})
    assert said == "unhealthy: http 503 (3 of 3); ending it, SIGKILL in 4.0s"
    life.exit(0)
    assert (life.state, life.action, life.process.health, life.process.sick) == (STARTING, SPAWN, "", 1)
    life(Spawned(8), Executed()).deadline()
    assert (life.state, life.process.restarts, life.process.health) == (RUNNING, 1, "")


def test_with_stop_it_goes_down_for_good() -> None:
    life = running()(SICK, Unfit(7, stop=True)).exit(0)
    assert (life.state, life.process.sick) == (FATAL, 0)
    assert detail(life.process, life.policy, life.now, {}) == "unhealthy: http 503 (3 of 3)"


def test_restarts_for_health_use_the_burst() -> None:
    life = running(restart_burst=1, restart_window=60.0, starttime=0.0)(SICK, Unfit(7)).exit(0)
    assert life.state == STARTING
    life(Spawned(8), Executed(), Judged(8, UNHEALTHY, "x"), Unfit(8)).exit(0)
    assert (life.state, life.pause, life.process.sick) == (BACKOFF, 60.0, 2)


def test_restarts_in_a_row_end_with_being_well_for_restart_window_and_not_before() -> None:
    life = running(restart_window=60.0)(SICK, Unfit(7)).exit(0)(Spawned(8), Executed()).deadline()
    life(Judged(8, HEALTHY)).wait(59)(Judged(8, UNHEALTHY, "x"))
    assert life.process.sick == 1
    life(Judged(8, HEALTHY)).wait(60)(Judged(8, UNHEALTHY, "x"))
    assert life.process.sick == 0


@pytest.mark.parametrize("order", [Restart("bob"), Stop("bob")])
def test_an_operator_begins_a_new_row(order: Event) -> None:
    life = running()(SICK, Unfit(7)).exit(0)(Spawned(8), Executed()).deadline()
    life(order).exit(0)
    if life.state == STOPPED:
        life(Start("bob"))
    assert (life.state, life.process.sick) == (STARTING, 0)


def test_a_bounce_and_a_crash_end_no_row() -> None:
    life = running()(SICK, Unfit(7)).exit(0)(Spawned(8), Executed()).deadline()
    life(Bounce("because db went down")).exit(0)(Spawned(9), Executed()).deadline().exit(1)
    assert (life.state, life.process.sick) == (STARTING, 1)


def test_an_order_that_holds_already_is_not_replaced() -> None:
    for order in (Leave(Stop("bob")), Leave(Restart("bob"))):
        life = running()(SICK, order)
        before = life.process
        assert (life(Unfit(7)).process is before, life.action) == (True, NONE)


def test_a_stop_while_it_goes_down_for_its_health_is_a_stop() -> None:
    assert running()(SICK, Unfit(7), Stop("bob")).exit(0).state == STOPPED


def test_a_dependent_waits_for_health_and_an_unhealthy_dependency_takes_nobody_down() -> None:
    web = program("web", depends_on=("db healthy",), starttime=0)
    world = World().load(web, program("db", health={"tcp": "80"}, starttime=0)).cooperate()
    db, entry = world.entry("db"), world.entry("web")
    assert (db.process.state, entry.process.phase, db.well) == (RUNNING, "held", False)
    world.tell(db, Judged(db.process.pid or 0, HEALTHY))
    assert world.cooperate().states() == {"web:0": RUNNING, "db:0": RUNNING}
    assert db.well
    world.tell(db, Judged(db.process.pid or 0, UNHEALTHY, "x"))
    assert world.cooperate().states() == {"web:0": RUNNING, "db:0": RUNNING}
    world.end(entry, 256)
    assert world.settle().entry("web").process.phase == "held"


def test_what_can_do_without_it_does_not_wait_for_what_is_unhealthy() -> None:
    web = program("web", depends_on=("db healthy optional",), starttime=0)
    world = World().load(web, program("db", health={"tcp": "80"}, starttime=0)).settle()
    db = world.entry("db")
    assert world.cooperate([db]).entry("web").process.phase == "held"
    world.tell(db, Judged(db.process.pid or 0, UNHEALTHY, "x"))
    assert world.settle().entry("web").process.phase == ""


def test_goals_take_health_into_account() -> None:
    world = World().load(program("web", health={"tcp": "80"}, starttime=0), program("plain", starttime=0)).cooperate()
    web, plain = world.entry("web"), world.entry("plain")
    outcomes = []
    for event in (None, FIT, SICK):
        if event:
            world.tell(web, event.replace(pid=web.process.pid or 0))
        found = [goal(world.table, web, world.now) for goal in (up, healthy, settled)]
        outcomes.append([each and each.outcome for each in found])
    assert outcomes == [[None, None, None], ["up", "up", "settled"], [None, None, "failed"]]
    assert [goal(world.table, plain, world.now) for goal in (up, settled)] == [
        Outcome(ok=True, outcome="up"),
        Outcome(ok=True, outcome="settled"),
    ]
    assert healthy(world.table, plain, world.now) == Outcome(ok=False, outcome="unchecked")


# -- every state

NEWS = {
    "Judged healthy": Judged(7, HEALTHY),
    "Judged unhealthy": Judged(7, UNHEALTHY, "x"),
    "Judged, late": Judged(8, UNHEALTHY, "x"),
    "Unfit": Unfit(7),
    "Unfit, stop": Unfit(7, stop=True),
}


@pytest.fixture(scope="module")
def edges() -> list[Edge]:
    """Return every edge of the worlds of some policies with verdicts."""
    worlds = [
        Walk(policy(startretries=0, starttime=starttime, restart_burst=burst, restart_window=2), {**EVENTS, **NEWS})
        for starttime, burst in ((0.0, 0), (1.0, 1))
    ]
    return [edge for world in worlds for leaving in world.edges.values() for edge in leaving]


@pytest.mark.slow
def test_verdicts_are_answered_in_every_state(edges: list[Edge]) -> None:
    places = {situation(edge.before) for edge in edges}
    for news in NEWS:
        assert {situation(edge.before) for edge in edges if edge.event == news} == places


@pytest.mark.slow
def test_only_what_runs_has_a_verdict_and_goes_down_for_it(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.event in NEWS and edge.before.state != RUNNING:
            assert edge.after is edge.before, edge
        if edge.event == "Judged, late":
            assert edge.after is edge.before, edge
        if edge.event.startswith("Unfit") and edge.before.state == RUNNING:
            assert (edge.after.state, edge.action) == (STOPPING, TERMINATE), edge
        if edge.after.state in (STARTING, BACKOFF, STOPPED, FATAL):
            assert edge.after.health == "", edge
