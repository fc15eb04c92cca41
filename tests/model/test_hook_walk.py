"""An exhaustive walk of `step` for programs with hooks: every state that some policies can reach, every event in it."""

from __future__ import annotations

import pytest

from scripts import states
from taskmaster_common.config.hooks import HookCommand
from taskmaster_common.states import BACKOFF, DOWN_STATES, FATAL, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.events import HOOK, KILL, NONE, SPAWN, TERMINATE, HookEnded
from taskmasterd.core.process.state import ENDS, LAST, POST_START, PRE_START, RUNS, STOP_CMD
from tests.support.model import policy
from tests.support.walk import EVENTS, Edge, World, situation

pytestmark = pytest.mark.slow

A_HOOK = HookCommand(("hook",)).row()
SETS = (
    ("pre_start", "post_start", "pre_stop", "stop_cmd", "post_stop"),
    ("pre_start", "post_stop"),
    ("post_start", "pre_stop", "post_stop"),
    ("post_start", "stop_cmd"),
)
POLICIES = [
    policy(startretries=1, starttime=0.0, stoptime=stoptime, restart_burst=0, **dict.fromkeys(names, A_HOOK))
    for names, stoptime in (*((names, 10.0) for names in SETS), (SETS[0], 0.0))
]
HOOK_EVENTS = {
    "Hook done": HookEnded(ok=True),
    "Hook failed": HookEnded(ok=False, text="exit 1"),
    "Hook unknown": HookEnded(ok=None),
}
WALKED = {
    **{name: event for name, event in EVENTS.items() if name not in ("Exited by signal", "Exited, lasting failure")},
    **HOOK_EVENTS,
}
WISHES = {"Start", "Stop", "Restart", "Kill", "Due", "Arm", *HOOK_EVENTS}
SIGNALLED = {"Signalled", "Signalled, refused", "Signalled, some refused"}
ENDS_OF_A_LEADER = {"Exited 0", "Exited 1", "Exited 0, left", "Exited 1, left", "Exited, failure"}
POSSIBLE = {
    "STARTING, pre_start runs": WISHES | {"SpawnFailed", "DeadlineReached"},
    "STARTING, post_start runs": WISHES | ENDS_OF_A_LEADER | {"DeadlineReached"},
    "STOPPING, pre_stop runs": WISHES | ENDS_OF_A_LEADER | SIGNALLED | {"DeadlineReached"},
    "STOPPING, stop_cmd runs": WISHES | ENDS_OF_A_LEADER | SIGNALLED | {"DeadlineReached"},
    "STOPPING, post_stop runs": WISHES | {"DeadlineReached"},
    **{f"STOPPING, {hook} last": WISHES | {"DeadlineReached"} for hook in SETS[0]},
}
"""What can happen while a hook is waited for. What is being ended beside an instance changes nothing of what can."""


@pytest.fixture(scope="module")
def worlds() -> list[World]:
    """Return the world of every policy."""
    return [World(rules, WALKED) for rules in POLICIES]


@pytest.fixture(scope="module")
def edges(worlds: list[World]) -> list[Edge]:
    """Return every edge of every world."""
    return [edge for world in worlds for leaving in world.edges.values() for edge in leaving]


def alone(edge: Edge) -> bool:
    """Return whether nothing but a hook is alive before an event."""
    before = edge.before
    return before.pid is None and before.hook_stage in (RUNS, LAST)


def test_every_event_gives_a_process_or_cannot_happen(worlds: list[World], edges: list[Edge]) -> None:
    places = {situation(edge.before) for edge in edges if edge.before.hook}
    assert places >= set(POSSIBLE), "each is reached"
    assert len(edges) > 2000
    for world in worlds:
        for process, leaving in world.edges.items():
            place, found = situation(process), {edge.event for edge in leaving}
            if process.hook_stage == RUNS and process.pid is None and process.hook == STOP_CMD:
                assert found == WISHES | {"DeadlineReached"}, place
            elif place in POSSIBLE:
                assert found == POSSIBLE[place], place
            elif not process.hook:
                assert set(HOOK_EVENTS) <= found, "late news"


def test_a_hook_has_a_stage_a_deadline_and_a_state(edges: list[Edge]) -> None:
    for edge in edges:
        process = edge.after
        assert bool(process.hook) == bool(process.hook_stage), edge
        if process.hook:
            assert process.deadline is not None or process.unkillable, edge
            assert process.state == STOPPING or (
                process.state == STARTING and process.hook_stage == RUNS and process.hook in (PRE_START, POST_START)
            ), edge
        if process.hook == PRE_START:
            assert process.pid is None, edge
        if process.hook_stage == LAST:
            assert process.pid is None, edge


def test_one_hook_runs_at_a_time_and_nothing_follows_before_its_end(edges: list[Edge]) -> None:
    for edge in edges:
        before, after = edge.before, edge.after
        began = after.hook_stage == RUNS and (before.hook_stage != RUNS or before.hook != after.hook)
        assert (edge.action == HOOK) == (began or (after.hook_stage == RUNS and edge.event == "Hook unknown")), edge
        if before.hook and edge.event not in HOOK_EVENTS and edge.event != "SpawnFailed":
            assert after.hook == before.hook, edge
            assert edge.action not in (SPAWN, HOOK), edge
            assert after.state in (STOPPING, before.state), edge
        if after.state in (*DOWN_STATES, BACKOFF, RUNNING):
            assert not after.hook, edge


def test_an_instance_is_asked_for_when_nothing_is_alive_and_only_after_its_pre_start(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.action == SPAWN:
            assert not edge.after.hook, edge
            assert not edge.policy.pre_start or (edge.before.hook, edge.event) == (PRE_START, "Hook done"), edge


def test_only_what_is_alive_is_signalled_and_never_before_pre_stop_or_stop_cmd(edges: list[Edge]) -> None:
    for edge in edges:
        if alone(edge):
            assert edge.action not in (TERMINATE, KILL), edge
        if edge.action == TERMINATE and edge.policy.stop_cmd and edge.after.pid is not None:
            assert edge.before.hook, edge
        if edge.action == KILL:
            assert not edge.after.hook or edge.after.hook_stage == ENDS, edge


def test_after_a_kill_no_hook_begins(worlds: list[World]) -> None:
    for world in worlds:
        killed = {edge.to for leaving in world.edges.values() for edge in leaving if edge.event == "Kill"}
        for process in world.reachable(killed, without=("Start", "Restart", "Arm")):
            assert all(
                edge.action != HOOK for edge in world.edges[process] if edge.event not in ("Start", "Restart", "Arm")
            )
            assert not (process.state == STOPPING and process.hook_stage == RUNS), process


def test_after_a_stop_it_goes_down_and_after_a_start_it_runs(worlds: list[World]) -> None:
    for world in worlds:
        for leaving in world.edges.values():
            for edge in leaving:
                if edge.event == "Stop":
                    assert world.cooperate(edge.to)[0].state == STOPPED, edge
                if edge.event in ("Start", "Restart"):
                    settled, spawns = world.cooperate(edge.to)
                    assert settled.state == RUNNING, edge
                    assert spawns + (edge.action == SPAWN) <= 1, edge


def test_a_failed_hook_of_a_start_is_a_failed_start_and_an_unknown_one_is_none(edges: list[Edge]) -> None:
    for edge in edges:
        before, after = edge.before, edge.after
        if before.state == STARTING and before.hook and edge.event in ("Hook failed", "DeadlineReached"):
            assert after.tries == before.tries + 1, edge
            assert (after.then or after.state) == (FATAL if before.tries else BACKOFF), edge
        elif edge.event in HOOK_EVENTS and after.state != RUNNING:
            assert after.tries == before.tries, edge


def test_late_news_of_a_hook_change_nothing(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.event in HOOK_EVENTS and not edge.before.hook:
            assert (edge.after, edge.action) == (edge.before, NONE), edge


def test_the_drawing_of_the_states_has_the_changes_that_hooks_cause(edges: list[Edge]) -> None:
    walked = {(edge.before.state, edge.after.state) for edge in edges if edge.before.state != edge.after.state}
    assert walked <= set(states.edges())
