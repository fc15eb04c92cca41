"""An instance with a way to become ready: RUNNING means that it is, and one that does not become it has failed to start."""

from __future__ import annotations

import pytest

from taskmaster_common.states import BACKOFF, FATAL, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.events import (
    NONE,
    TERMINATE,
    Condemned,
    DeadlineReached,
    Event,
    Executed,
    Extend,
    Ready,
    Restart,
    Retimed,
    Spawned,
    Start,
    Stop,
)
from taskmasterd.core.process.state import AWAITED, TOLD, UNSURE
from taskmasterd.core.words.describe import detail
from tests.support.model import Life, World, policy, program
from tests.support.walk import EVENTS, Edge, situation
from tests.support.walk import World as Walk

USUAL = {"starttime": 0.0, "start_timeout": 60.0}


def awaited(**fields: object) -> Life:
    """Return a program that was executed and is not ready yet."""
    return Life(**{**USUAL, **fields})(Start("alice"), Spawned(7, awaits=True), Executed())


def said(life: Life) -> str:
    """Return what `status` says."""
    return detail(life.process, life.policy, life.now, {15: "TERM"})


def test_it_is_running_when_it_is_ready_and_not_before() -> None:
    life = awaited().wait(30)
    assert (life.state, life.process.readiness, said(life)) == (STARTING, AWAITED, "not ready, 30s left")
    life(Ready(7, "http 200"))
    assert (life.state, life.process.readiness, life.process.deadline) == (RUNNING, TOLD, None)


def test_starttime_counts_too_where_it_is_written() -> None:
    life = awaited(starttime=5.0).wait(1)(Ready(7))
    assert (life.state, life.pause) == (STARTING, 4.0)
    assert life.deadline().state == RUNNING
    assert awaited(starttime=5.0).wait(6)(Ready(7)).state == RUNNING


def test_news_that_come_before_the_exec_is_known_are_not_lost() -> None:
    life = Life(**USUAL)(Start("alice"), Spawned(7, awaits=True), Ready(7))
    assert (life.state, life.process.readiness) == (STARTING, TOLD)
    assert life(Executed()).state == RUNNING


def test_what_is_not_ready_in_time_is_ended_and_has_failed_to_start_for_that_reason() -> None:
    life = awaited(startretries=1).wait(60)(DeadlineReached("http 503 (6 tries)"))
    assert (life.state, life.action, life.process.then) == (STOPPING, TERMINATE, BACKOFF)
    assert said(life).startswith("not ready within 60s: http 503 (6 tries); ending it")
    life.exit(0)
    assert (life.state, life.process.tries) == (BACKOFF, 1)
    assert said(life).endswith("; not ready within 60s: http 503 (6 tries)")
    life = awaited(startretries=0).wait(60)(DeadlineReached()).exit(0)
    assert (life.state, said(life)) == (FATAL, "not ready within 60s (try 1 of 1)")


def test_without_a_limit_it_may_take_for_ever() -> None:
    assert awaited(start_timeout=0.0).process.deadline is None


def test_an_end_before_it_is_ready_is_a_failed_start_whatever_the_code() -> None:
    life = awaited(startretries=0).wait(9).exit(0)
    assert (life.state, life.process.tries) == (FATAL, 1)


def test_what_can_never_become_ready_is_ended_at_once() -> None:
    life = awaited(startretries=0)(Condemned(7, "not ready: closed descriptor 3 without a newline"))
    assert (life.state, life.action) == (STOPPING, TERMINATE)
    assert life.exit(0).state == FATAL
    life = Life(**USUAL)(Start("alice"), Spawned(7, awaits=True), Condemned(7, "x"))
    assert (life.state, life.action) == (STOPPING, NONE)
    assert life(Executed()).action == TERMINATE


def test_more_time_can_be_asked_for_a_start_and_for_a_stop() -> None:
    life = awaited()(Extend(7, 1100.0))
    assert life.pause == 100.0
    assert life(Extend(7, 1001.0)).pause == 100.0
    life = awaited()(Ready(7), Stop("bob"), Extend(7, 1100.0))
    assert (life.state, life.pause) == (STOPPING, 100.0)


def test_a_new_limit_counts_from_the_start_that_is_under_way() -> None:
    life = awaited().wait(20)
    life.policy = policy(**{**USUAL, "start_timeout": 30.0})
    assert life(Retimed(60.0)).pause == 10.0
    life.policy = policy(**{**USUAL, "start_timeout": 0.0})
    assert life(Retimed(30.0)).process.deadline is None
    life.policy = policy(**{**USUAL, "start_timeout": 15.0})
    assert life(Retimed(0.0)).pause == -5.0


def test_a_new_limit_takes_no_time_away_that_an_instance_has_asked_for() -> None:
    life = awaited()(Extend(7, 1100.0))
    life.policy = policy(**{**USUAL, "start_timeout": 30.0})
    assert life(Retimed(60.0)).pause == 100.0


def test_a_new_limit_concerns_no_instance_that_is_ready_or_stops() -> None:
    for life in (awaited()(Ready(7)), awaited()(Stop("bob")), awaited(starttime=5.0)(Ready(7))):
        before = life.process
        life.policy = policy(**{**USUAL, "start_timeout": 30.0})
        assert life(Retimed(60.0)).process is before


def test_readiness_that_nobody_heard_is_unsure_and_counts() -> None:
    life = awaited()(Ready(7, "unknown", unsure=True))
    assert (life.state, life.process.readiness) == (RUNNING, UNSURE)


@pytest.mark.parametrize("event", [Ready(8), Extend(8, 2000.0), Condemned(8, "x")])
def test_news_of_another_instance_mean_nothing(event: Event) -> None:
    life = awaited()
    before = life.process
    assert life(event).process is before


@pytest.mark.parametrize("event", [Ready(7), Condemned(7, "x")])
def test_news_about_readiness_mean_nothing_once_it_is_ready_or_going_down(event: Event) -> None:
    for life in (awaited()(Ready(7)), awaited()(Stop("bob")), awaited()(Ready(7), Restart("carol"))):
        before = life.process
        assert life(event).process is before
        assert life.action == NONE


def test_the_next_instance_is_not_ready_because_the_last_one_was() -> None:
    life = awaited()(Ready(7)).exit(1)
    assert (life.state, life.process.readiness) == (STARTING, "")
    assert life(Spawned(9, awaits=True), Executed()).process.readiness == AWAITED


def test_a_changed_ready_restarts_nothing_and_is_used_by_the_next_instance() -> None:
    world = World().load(program("web")).cooperate()
    plan = world.plan(program("web", ready={"tcp": "80"})).programs[0]
    assert (plan.change, plan.why, plan.restart) == ("updated", "ready used at the next start", ())


def test_a_dependent_waits_until_it_is_ready() -> None:
    world = World().load(program("web", depends_on=("db",)), program("db", ready={"tcp": "80"}, starttime=0)).settle()
    db = world.entry("db")
    world.instances[db].queued = False
    world.instances[db].pid = 7
    world.tell(db, Spawned(7, awaits=True))
    world.execute(db)
    assert world.settle().entry("web").process.phase == "held"
    world.tell(db, Ready(7))
    assert world.settle().actions[-1] == ("web:0", "spawn")


def test_a_stop_of_what_is_not_ready_is_a_stop() -> None:
    assert awaited()(Stop("bob")).exit(0).state == STOPPED


# -- every state


NEWS = {
    "Ready": Ready(7),
    "Extend": Extend(7, 0.0),
    "Condemned": Condemned(7, "x"),
    "Ready, late": Ready(8),
    "Retimed": Retimed(0.0),
}


@pytest.fixture(scope="module")
def edges() -> list[Edge]:
    """Return every edge of the worlds of some policies whose instances await readiness."""
    events = {**EVENTS, **NEWS, "Spawned": Spawned(7, awaits=True)}
    worlds = [
        Walk(policy(startretries=retries, starttime=starttime, start_timeout=limit, restart_burst=0), events)
        for retries, starttime, limit in (
            (0, 0.0, 0.0),
            (0, 1.0, 1.0),
            (1, 0.0, 1.0),
            (1, 1.0, 0.0),
        )  # each pair of values
    ]
    return [edge for world in worlds for leaving in world.edges.values() for edge in leaving]


@pytest.mark.slow
def test_news_about_an_instance_are_answered_in_every_state(edges: list[Edge]) -> None:
    places = {situation(edge.before) for edge in edges}
    for news in NEWS:
        assert {situation(edge.before) for edge in edges if edge.event == news} == places


@pytest.mark.slow
def test_nothing_runs_before_it_is_ready(edges: list[Edge]) -> None:
    for edge in edges:
        assert edge.after.state != RUNNING or edge.after.readiness == TOLD, edge
        if edge.before.readiness == AWAITED and edge.after.state == RUNNING:
            assert edge.event == "Ready", edge


@pytest.mark.slow
def test_only_what_awaits_is_changed_by_news(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.event in ("Ready", "Condemned") and (edge.before.state, edge.before.readiness) != (STARTING, AWAITED):
            assert edge.after is edge.before, edge
        if edge.event == "Ready, late":
            assert edge.after is edge.before, edge
