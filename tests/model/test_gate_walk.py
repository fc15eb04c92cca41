"""An exhaustive walk of `step` for programs that depend on something: what their gate, their leaving and a bounce add."""

from __future__ import annotations

import itertools

import pytest

from taskmaster_common.config import ALWAYS, NEVER
from taskmaster_common.states import BACKOFF, DOWN_STATES, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.events import (
    NONE,
    SPAWN,
    TERMINATE,
    UNQUEUE,
    Blocked,
    Bounce,
    Leave,
    Opened,
    Restart,
    Start,
    Stop,
    Waits,
)
from taskmasterd.core.process.state import AGAIN, BLOCKED, BOUNCE, HELD, STOP
from tests.support.model import policy
from tests.support.walk import EVENTS, Edge, World, situation

pytestmark = pytest.mark.slow

ANSWERS = {"Opened", "Waits", "Waits until", "Blocked"}
LATER = {"Leave, stop": STOP, "Leave, restart": AGAIN, "Leave, bounce": BOUNCE}
ALL = {
    **EVENTS,
    "Start, free": Start(free=True),
    "Restart, free": Restart(free=True),
    "Bounce": Bounce(),
    "Leave, stop": Leave(Stop()),
    "Leave, restart": Leave(Restart()),
    "Leave, bounce": Leave(Bounce()),
    "Opened": Opened(),
    "Waits": Waits(),
    "Waits until": Waits(1.0),
    "Blocked": Blocked(),
}
ORDERS = {"Start", "Stop", "Restart", "Kill", "Start, free", "Restart, free", "Bounce", "Due", "Arm", *LATER}
ENDS = {name for name in EVENTS if name.startswith("Exited")}
POSSIBLE: dict[str, set[str]] = {
    **dict.fromkeys(map(str, DOWN_STATES), ORDERS),
    "BACKOFF": ORDERS | {"DeadlineReached"},
    "BACKOFF, blocked": ORDERS | ANSWERS,
    "STARTING, held": ORDERS | ANSWERS | {"DeadlineReached"},
    "STARTING, asked for": ORDERS | {"Spawned", "SpawnFailed", "Exited, failure", "Exited, lasting failure"},
    "STARTING, set-up": ORDERS | ENDS | {"Executed"},
    "STARTING, executed": ORDERS | ENDS | {"DeadlineReached"},
    "STARTING, leaving": ORDERS | ENDS | {"Executed", "DeadlineReached"},
    "RUNNING": ORDERS | ENDS,
    "RUNNING, leaving": ORDERS | ENDS,
    "STOPPING, set-up": ORDERS
    | ENDS
    | {"Executed", "DeadlineReached", "Signalled", "Signalled, refused", "Signalled, some refused"},
    "STOPPING, executed": ORDERS
    | ENDS
    | {"DeadlineReached", "Signalled", "Signalled, refused", "Signalled, some refused"},
    "STOPPING, left behind": ORDERS
    | {"GroupEmpty", "DeadlineReached", "Signalled", "Signalled, refused", "Signalled, some refused"},
}
"""Which events can happen where. An answer of the gate comes only to who is held or blocked."""
POLICIES = [
    policy(depends_on=("db",), autorestart=autorestart, startretries=retries, starttime=starttime, restart_burst=burst)
    for autorestart, retries, starttime, burst in itertools.product((ALWAYS, NEVER), (0, 1), (0, 1), (0, 1))
]


@pytest.fixture(scope="module", params=["some", pytest.param("all", marks=pytest.mark.sweep)])
def worlds(request: pytest.FixtureRequest) -> list[World]:
    """Return the world of every policy, or of every fifth: that has each value of each key."""
    return [World(rules, ALL) for rules in (POLICIES if request.param == "all" else POLICIES[::5])]


@pytest.fixture(scope="module")
def edges(worlds: list[World]) -> list[Edge]:
    """Return every edge of every world."""
    return [edge for world in worlds for leaving in world.edges.values() for edge in leaving]


def test_every_event_is_answered_or_known_to_be_impossible(worlds: list[World]) -> None:
    for world in worlds:
        for process, leaving in world.edges.items():
            place = situation(process)
            possible = {edge.event for edge in leaving}
            assert possible <= POSSIBLE[place], (place, possible - POSSIBLE[place])
    found = {place for world in worlds for place in map(situation, world.edges)}
    assert found == set(POSSIBLE)
    for place in found:
        some = {
            edge.event
            for world in worlds
            for each, leaving in world.edges.items()
            if situation(each) == place
            for edge in leaving
        }
        assert some == POSSIBLE[place], (place, POSSIBLE[place] - some)


def test_nothing_is_spawned_before_the_gate_has_opened_but_by_an_order_that_says_so(edges: list[Edge]) -> None:
    spawning = [edge for edge in edges if edge.action == SPAWN]
    assert {edge.event for edge in spawning if not edge.after.free} == {"Opened"}
    assert all(edge.after.state == STARTING and not edge.after.phase for edge in spawning)
    for edge in edges:
        asked = edge.event in ("Start, free", "Restart, free")
        assert not edge.after.free or edge.before.free or asked or edge.event.startswith("Leave"), edge


def test_what_is_due_passes_its_gate_and_changes_nothing_of_what_is_held_or_going_down(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.event == "Due":
            starts = edge.before.state in (EXITED, FATAL, BACKOFF)
            assert edge.after.phase == HELD if starts else edge.after == edge.before, edge
            assert edge.action == NONE, edge


def test_the_exemption_lasts_until_the_next_order(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.event in ("Start", "Restart", "Stop", "Kill"):
            assert not edge.after.free, edge


def test_what_waits_has_nothing_alive_and_says_so_by_its_state(edges: list[Edge]) -> None:
    for edge in edges:
        process = edge.after
        if process.phase:
            assert process.pid is None, edge
            assert (process.state, process.phase) in ((STARTING, HELD), (BACKOFF, BLOCKED)), edge
            assert process.phase == HELD or process.deadline is None, edge
            assert not process.leaving, edge
        if process.leaving:
            assert process.pid is not None, edge
            assert process.state in (STARTING, RUNNING), edge


def test_every_order_to_what_waits_is_done_at_once(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.before.phase and edge.event in ("Stop", "Kill", "Leave, stop"):
            assert (edge.after.state, edge.action) == (STOPPED, NONE), edge
        if edge.before.phase and edge.event in ("Start", "Restart", "Leave, restart"):
            assert (edge.after.phase, edge.after.tries, edge.after.recent) == (HELD, 0, ()), edge


def test_waiting_uses_no_retry(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.event in ANSWERS:
            kept = (edge.before.tries, edge.before.recent, edge.before.starts)
            assert (edge.after.tries, edge.after.recent, edge.after.starts) == kept, edge


def test_whoever_is_to_leave_goes_on_until_the_moment_and_is_signalled_by_nobody(edges: list[Edge]) -> None:
    for edge in edges:
        alive = edge.before.state in (STARTING, RUNNING) and edge.before.pid is not None
        if edge.event in LATER and alive:
            word = edge.before.leaving if edge.event == "Leave, bounce" and edge.before.leaving else LATER[edge.event]
            assert (edge.action, edge.after.leaving, edge.after.pid) == (NONE, word, edge.before.pid), edge
            assert edge.after.state == edge.before.state, edge
        if edge.before.leaving and edge.event in ("Start", "Start, free"):
            assert (edge.after.leaving, edge.after.pid, edge.action) == ("", edge.before.pid, NONE), edge


def test_an_end_before_the_moment_is_what_was_asked_for_and_no_failed_start(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.before.leaving and edge.event in ENDS:
            follows = edge.after.then or edge.after.state
            assert follows == (STOPPED if edge.before.leaving == STOP else STARTING), edge
            assert edge.after.tries in (0, edge.before.tries), edge
            assert edge.after.end is not None, edge
            assert edge.after.end.expected, edge


def test_a_bounce_takes_down_what_is_up_and_changes_no_budget_and_nothing_that_somebody_asked_for(
    edges: list[Edge],
) -> None:
    for edge in edges:
        if edge.event == "Bounce":
            assert (edge.after.tries, edge.after.recent) == (edge.before.tries, edge.before.recent), edge
            place = situation(edge.before)
            if edge.before.pid is not None and edge.before.state != STOPPING:
                assert (edge.after.state, edge.after.then) == (STOPPING, STARTING), edge
                assert edge.action == (TERMINATE if edge.before.executed else NONE), edge
            elif place == "STARTING, asked for":
                assert (edge.after.phase, edge.action) == (HELD, UNQUEUE), edge
            else:
                assert edge.after is edge.before, edge


def test_a_program_that_depends_on_nothing_is_never_held() -> None:
    world = World(policy(starttime=1, startretries=1, restart_burst=0), {**EVENTS, "Leave, stop": Leave(Stop())})
    assert not any(process.phase for process in world.edges)
