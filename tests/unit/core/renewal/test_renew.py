"""A running instance is replaced as planned: by its stop rule, at once, and that is no failure."""

from __future__ import annotations

import itertools

import pytest

from taskmaster_common.states import BACKOFF, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.events import (
    NONE,
    SPAWN,
    TERMINATE,
    Executed,
    Leave,
    Renew,
    Restart,
    Spawned,
    Stop,
)
from taskmasterd.core.process.state import PLANNED, RECYCLE, WATCH
from taskmasterd.core.words.describe import detail
from taskmasterd.core.words.history import happened
from taskmasterd.core.words.snapshot import process_from_data, process_to_data
from tests.support.model import Life, World, policy, program
from tests.support.walk import EVENTS, Edge, situation
from tests.support.walk import World as Walk

OLD = Renew(7, RECYCLE, "age 12h")
CHANGED = Renew(7, WATCH, "src/app.py changed")


def running(**fields: object) -> Life:
    """Return a process that is RUNNING as pid 7."""
    return Life(**fields).running()


@pytest.mark.parametrize("autorestart", ["always", "never", "unexpected"])
def test_it_goes_down_by_its_stop_rule_and_comes_up_at_once_whatever_autorestart_says(autorestart: str) -> None:
    life = running(autorestart=autorestart, stoptime=4.0, startretries=0)(OLD)
    assert (life.state, life.action, life.pause, life.process.then) == (STOPPING, TERMINATE, 4.0, STARTING)
    assert detail(life.process, life.policy, life.now, {}) == "recycled: age 12h; ending it, SIGKILL in 4.0s"
    assert process_from_data(process_to_data(life.process)) == life.process
    life.exit(1)
    assert (life.state, life.action, life.process.tries, life.process.recent) == (STARTING, SPAWN, 0, ())
    assert life.process.end
    assert life.process.end.expected
    life(Spawned(8), Executed())
    assert (life.process.restarts, life.process.by, life.process.reason) == (1, "recycled: age 12h", "")


def test_recycling_is_never_too_much_for_restart_burst_but_changed_files_are() -> None:
    life = running(restart_burst=1, restart_window=60.0, starttime=0.0)
    for pid in (7, 8, 9):
        life(Renew(pid, RECYCLE, "age 1s")).exit(0)(Spawned(pid + 1), Executed())
        assert life.state == RUNNING
    life(Renew(10, WATCH, "x changed")).exit(0)
    assert life.state == STARTING
    life(Spawned(11), Executed(), Renew(11, WATCH, "x changed")).exit(0)
    assert (life.state, life.pause) == (BACKOFF, 60.0)


def test_a_changed_file_says_what_is_done_and_afterwards_what_was() -> None:
    life = running()(CHANGED)
    assert life.process.reason == "restarting: src/app.py changed"
    assert life.exit(0)(Spawned(8)).process.by == "restarted: src/app.py changed"


def test_news_about_another_instance_and_about_what_goes_down_mean_nothing() -> None:
    life = running()
    before = life.process
    for late in (OLD.replace(pid=8), OLD.replace(pid=6)):
        assert (life(late).process is before, life.action) == (True, NONE)
    for order in (Stop("bob"), Restart("bob")):
        leaving = running()(Leave(order)).process
        life = running()(Leave(order), OLD)
        assert (life.process == leaving, life.action) == (True, NONE)


def test_a_stop_of_an_instance_that_is_being_replaced_wins() -> None:
    assert running()(OLD, Stop("bob")).exit(0).state == STOPPED


def test_the_history_has_one_record_of_it_and_says_why_the_next_one_was_started() -> None:
    world = World().load(program("web", starttime=0.0)).cooperate()
    web = world.entry("web")

    def met(event: Renew) -> list[tuple[str, dict[str, object]]]:
        before = web.process
        world.tell(web, event)
        return list(happened(web, before, event, world.now, {}))

    told = met(OLD.replace(pid=web.process.pid or 0))
    assert [word for word, _ in told] == ["recycled", "stopping"]
    assert told[0][1] == {"pid": web.process.pid, "reason": "age 12h"}
    assert told[1][1]["reason"] == "recycled: age 12h"
    world.cooperate()
    assert [word for word, _ in met(CHANGED.replace(pid=web.process.pid or 0))] == ["stopping"]


# -- every state

NEWS = {"Recycle": OLD, "Changed": CHANGED, "Recycle, late": OLD.replace(pid=8)}


@pytest.fixture(scope="module")
def edges() -> list[Edge]:
    """Return every edge of the worlds of some policies in which instances are replaced."""
    worlds = [
        Walk(policy(startretries=0, starttime=starttime, restart_burst=burst, restart_window=2), {**EVENTS, **NEWS})
        for starttime, burst in itertools.product((0.0, 1.0), (0, 1))
    ]
    return [edge for world in worlds for leaving in world.edges.values() for edge in leaving]


@pytest.mark.slow
def test_they_are_answered_in_every_state(edges: list[Edge]) -> None:
    places = {situation(edge.before) for edge in edges}
    for news in NEWS:
        assert {situation(edge.before) for edge in edges if edge.event == news} == places


@pytest.mark.slow
def test_only_what_runs_is_replaced_and_what_was_stopped_is_never_started(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.event in NEWS and (edge.before.state != RUNNING or edge.event.endswith("late")):
            assert edge.after is edge.before, edge
        elif edge.event in NEWS:
            assert (edge.after.state, edge.action) == (STOPPING, TERMINATE), edge
            assert edge.after.then in (STARTING, BACKOFF), edge
            assert edge.after.cause in PLANNED, edge
        if edge.event == "Recycle" and edge.before.state == RUNNING:
            assert (edge.after.then, edge.after.recent) == (STARTING, edge.before.recent), edge
