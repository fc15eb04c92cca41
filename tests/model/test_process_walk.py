"""An exhaustive walk of `step`: every state that a closed world of policies can reach, every event in it.

What follows is checked on every edge of that world (tests/support/walk.py).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from scripts import states
from taskmaster_common.config import ALWAYS, ONESHOT
from taskmaster_common.states import BACKOFF, DOWN_STATES, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.events import KILL, NONE, SPAWN, TERMINATE, UNQUEUE
from taskmasterd.core.process.state import Process
from tests.support.model import policy
from tests.support.walk import EVENTS, POLICIES, WINDOW, Edge, World, situation

pytestmark = pytest.mark.slow

WANTING = ("Start", "Restart")
KERNEL_END = {"Exited 0", "Exited 1", "Exited by signal", "Exited 0, left", "Exited 1, left"}
FAILED_END = {"Exited, failure", "Exited, lasting failure"}
ANY_END = KERNEL_END | FAILED_END
SIGNALLED = {"Signalled", "Signalled, refused", "Signalled, some refused"}
NOT_COMMANDS = set(EVENTS) - {"Start", "Stop", "Restart", "Kill", "Due", "Arm"}
IMPOSSIBLE = {
    "STOPPED": NOT_COMMANDS,
    "EXITED": NOT_COMMANDS,
    "FATAL": NOT_COMMANDS,
    "BACKOFF": NOT_COMMANDS - {"DeadlineReached"},
    "STARTING, asked for": {"Executed", "GroupEmpty", "DeadlineReached"} | KERNEL_END | SIGNALLED,
    "STARTING, set-up": {"Spawned", "SpawnFailed", "GroupEmpty", "DeadlineReached"} | SIGNALLED,
    "STARTING, executed": {"Spawned", "SpawnFailed", "Executed", "GroupEmpty"} | SIGNALLED,
    "RUNNING": {"Spawned", "SpawnFailed", "Executed", "GroupEmpty", "DeadlineReached"} | SIGNALLED,
    "STOPPING, set-up": {"Spawned", "SpawnFailed", "GroupEmpty"},
    "STOPPING, executed": {"Spawned", "SpawnFailed", "Executed", "GroupEmpty"},
    "STOPPING, left behind": {"Spawned", "SpawnFailed", "Executed"} | ANY_END,
}
"""Which events cannot happen where: all others give a process. A change of `step` shows here."""


@pytest.fixture(scope="module", params=["some", pytest.param("all", marks=pytest.mark.sweep)])
def worlds(request: pytest.FixtureRequest) -> list[World]:
    """Return the world of every policy, or of every fifth: that has each value of each key."""
    return [World(rules) for rules in (POLICIES if request.param == "all" else POLICIES[::5])]


@pytest.fixture(scope="module")
def edges(worlds: list[World]) -> list[Edge]:
    """Return every edge of every world."""
    return [edge for world in worlds for leaving in world.edges.values() for edge in leaving]


def test_the_world_is_large_and_every_situation_is_in_it(worlds: list[World], edges: list[Edge]) -> None:
    assert len(POLICIES) == 56
    assert sum(len(world.edges) for world in worlds) > 71 * len(worlds)
    assert len(edges) > 625 * len(worlds)
    assert {situation(edge.before) for edge in edges} == set(IMPOSSIBLE)


def test_every_event_gives_a_process_or_is_known_to_be_impossible(worlds: list[World]) -> None:
    refused = {pair for world in worlds for pair in world.refused}
    assert refused == {(place, event) for place, events in IMPOSSIBLE.items() for event in events}
    for world in worlds:
        for process, leaving in world.edges.items():
            assert {edge.event for edge in leaving} == set(EVENTS) - IMPOSSIBLE[situation(process)]


def test_in_every_state_the_fields_say_what_the_state_says(edges: list[Edge]) -> None:
    for edge in edges:
        process, state = edge.after, edge.after.state
        stopping, trial = state == STOPPING, state == STARTING and process.executed
        assert (process.pid is None) or state in (STARTING, RUNNING, STOPPING), edge
        assert (process.pid is not None) or state != RUNNING, edge
        timed = (stopping and not process.unkillable) or trial or state == BACKOFF
        assert (process.deadline is not None) == timed, edge
        assert not process.unkillable or (not process.killing and process.refused), edge
        assert stopping or not process.refused, edge
        assert (process.then is not None) == stopping, edge
        assert process.then in (None, STOPPED, STARTING, BACKOFF, EXITED, FATAL), edge
        assert not process.executed or process.pid is not None or stopping, edge
        assert process.executed or state != RUNNING, edge
        assert process.tries <= edge.policy.startretries + 1, edge
        assert (state == FATAL) <= (process.tries > 0), edge
        assert len(process.recent) <= edge.policy.restart_burst, edge
        assert list(process.recent) == sorted(process.recent), edge
        assert stopping or not process.stuck, edge


def test_the_time_of_a_state_is_that_of_its_first_moment(edges: list[Edge]) -> None:
    for edge in edges:
        moved = edge.after.state is not edge.before.state or edge.event == "Spawned"
        assert edge.after.since == (edge.now if moved else 0.0), edge


def test_an_instance_is_asked_for_only_when_nothing_is_alive_and_only_once(edges: list[Edge]) -> None:
    for edge in edges:
        asked_before = situation(edge.before) == "STARTING, asked for"
        asked_after = situation(edge.after) == "STARTING, asked for"
        assert (edge.action == SPAWN) == (asked_after and not asked_before), edge
        if edge.action == SPAWN:
            dead = edge.before.state in (*DOWN_STATES, BACKOFF)
            last = edge.event in ANY_END - {"Exited 0, left", "Exited 1, left"} or edge.event == "GroupEmpty"
            assert dead or last, edge
        taken_back = asked_before and not asked_after and edge.event in ("Stop", "Kill")
        assert (edge.action == UNQUEUE) == taken_back, edge


def test_only_what_is_alive_is_signalled_and_never_before_exec(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.action in (TERMINATE, KILL):
            assert edge.after.state == STOPPING, edge
        if edge.action == TERMINATE:
            assert edge.after.executed or edge.after.pid is None, edge
            assert not edge.before.killing or edge.before.state != STOPPING, edge


def test_whoever_enters_stopping_is_told_at_once_or_at_exec(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.after.state == STOPPING and edge.before.state != STOPPING:
            told = KILL if edge.event == "Kill" else TERMINATE
            held = edge.event in ("Stop", "Restart") and not edge.before.executed
            assert edge.action is (NONE if held else told), edge
        if situation(edge.before) == "STOPPING, set-up" and edge.event == "Executed":
            assert edge.action is (NONE if edge.before.past_asking else TERMINATE), edge


def test_kill_comes_with_the_deadline_or_the_order_and_the_pause_doubles(edges: list[Edge]) -> None:
    for edge in edges:
        before, after = edge.before, edge.after
        killed_before = before.killing if before.state == STOPPING else 0
        by_deadline = before.state == STOPPING and edge.event == "DeadlineReached"
        by_order = edge.event == "Kill" and after.state == STOPPING
        past_asking = before.state == STOPPING and before.past_asking
        inherited = past_asking and edge.event in ("Exited 0, left", "Exited 1, left")
        once_more = before.unkillable and (inherited or edge.event in ("Start", "Stop", "Restart", "Kill"))
        assert (edge.action == KILL) == (by_deadline or by_order or inherited or once_more), edge
        if by_deadline or once_more or (by_order and not killed_before):
            assert after.killing == killed_before + 1, edge
            assert after.deadline == edge.now + min(2 * 2**killed_before, 30), edge
        elif after.state == STOPPING and edge.event not in SIGNALLED:
            assert after.killing == killed_before, edge


def test_a_newer_command_in_stopping_keeps_the_deadline(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.before.state == STOPPING and edge.event in ("Start", "Stop", "Restart"):
            again = edge.before.unkillable
            assert again or edge.after.deadline == edge.before.deadline, edge
            assert edge.action is (KILL if again else NONE), edge


def test_what_refuses_kill_is_not_killed_again_by_the_clock_and_is_stuck_at_once(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.event in SIGNALLED:
            assert edge.action == NONE, edge
            refused = edge.before.past_asking and edge.event == "Signalled, refused"
            assert edge.after.unkillable == refused, edge
            assert edge.after.stuck == (edge.before.killing > 1 or refused), edge
            assert (edge.after.state, edge.after.then) == (edge.before.state, edge.before.then), edge


# -- the table of the specification


def test_each_command_does_in_each_state_what_the_table_says(edges: list[Edge]) -> None:
    up, down = ("STARTING", None), ("STOPPED", None)
    stop, again = ("STOPPING", "STOPPED"), ("STOPPING", "STARTING")
    same = ("same", None)
    table = {
        "STOPPED": (up, down, up),
        "EXITED": (up, down, up),
        "FATAL": (up, down, up),
        "BACKOFF": (up, down, up),
        "STARTING, asked for": (same, down, up),
        "STARTING, set-up": (same, stop, again),
        "STARTING, executed": (same, stop, again),
        "RUNNING": (same, stop, again),
        "STOPPING, set-up": (again, stop, again),
        "STOPPING, executed": (again, stop, again),
        "STOPPING, left behind": (again, stop, again),
    }
    for edge in edges:
        if edge.event in ("Start", "Stop", "Restart"):
            expected = table[situation(edge.before)][("Start", "Stop", "Restart").index(edge.event)]
            if expected is same:
                assert edge.after is edge.before, edge
            else:
                got = (edge.after.state, edge.after.then)
                assert got == expected, edge


def test_start_and_restart_clear_both_counters_where_they_do_something(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.event in WANTING and edge.after is not edge.before:
            assert (edge.after.tries, edge.after.shortages, edge.after.recent) == (0, 0, ()), edge


def test_an_exit_that_somebody_asked_for_is_judged_by_the_intent_and_not_by_the_code(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.before.state == STOPPING and (edge.event in ANY_END or edge.event == "GroupEmpty"):
            assert edge.after.then is edge.before.then or edge.after.state is edge.before.then, edge
            assert edge.after.tries == edge.before.tries, edge
            assert edge.after.recent == edge.before.recent, edge


def test_a_start_is_counted_when_there_is_a_process_or_its_set_up_failed_and_never_before(edges: list[Edge]) -> None:
    for edge in edges:
        happened = edge.event == "Spawned" or (
            situation(edge.before) == "STARTING, asked for" and edge.event in ANY_END
        )
        assert edge.after.starts == edge.before.starts + happened, edge


def test_what_is_due_starts_what_is_down_with_a_new_budget_and_never_what_was_stopped(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.event == "Due":
            if edge.before.state in (EXITED, FATAL, BACKOFF):
                assert (edge.after.state, edge.action) == (STARTING, SPAWN), edge
                assert (edge.after.tries, edge.after.shortages, edge.after.recent) == (0, 0, ()), edge
            else:
                assert (edge.after, edge.action) == (edge.before, NONE), edge


def test_what_is_armed_is_down_and_wanted_and_nothing_of_it_starts_or_ends_for_that(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.event == "Arm":
            before, after = edge.before, edge.after
            assert edge.action == NONE, edge
            if before.state == STOPPED:
                assert (after.state, after.end, after.done) == (EXITED, None, False), edge
            elif before.state == STOPPING and before.then == STOPPED:
                assert after == before.replace(then=EXITED), edge
            else:
                assert after == before, edge


# -- intent, in every continuation


@pytest.mark.parametrize("order", ["Stop", "Kill"])
def test_after_a_stop_it_goes_down_and_stays_down(worlds: list[World], order: str) -> None:
    for world in worlds:
        ordered = {edge.to for leaving in world.edges.values() for edge in leaving if edge.event == order}
        for process in world.reachable(ordered, without=(*WANTING, "Arm")):
            assert STOPPED in (process.state, process.then), process
            later = [edge for edge in world.edges[process] if edge.event not in (*WANTING, "Arm")]
            assert all(edge.action != SPAWN for edge in later)
            assert world.cooperate(process)[0].state == STOPPED


def wanting(worlds: list[World]) -> Iterator[tuple[World, Edge]]:
    """Yield every Start and Restart that may come at any moment."""
    for world in worlds:
        for leaving in world.edges.values():
            for edge in leaving:
                if edge.event in WANTING:
                    yield world, edge


def test_after_a_start_it_runs_where_kernel_and_program_do_as_they_should(worlds: list[World]) -> None:
    for world, edge in wanting(worlds):
        settled, spawns = world.cooperate(edge.to)
        assert settled.state == RUNNING, edge
        assert spawns + (edge.action == SPAWN) <= 1, edge


def test_after_a_restart_the_instance_that_runs_is_a_new_one(worlds: list[World]) -> None:
    for world, edge in wanting(worlds):
        if edge.event == "Restart" and situation(edge.before) != "STARTING, asked for":
            assert (edge.action == SPAWN) + world.cooperate(edge.to)[1] == 1, edge


def test_what_never_stays_up_is_started_once_and_startretries_times_more(worlds: list[World]) -> None:
    for world in worlds:
        for failure in ("Exited 0", "Exited 1", "Exited by signal", "Exited 0, left", "Exited, failure"):
            process, spawns = world.follow(Process(), "Start"), 1
            while process.state != FATAL:
                for event in ("Spawned", failure):
                    process = world.follow(process, event)
                if process.state == STOPPING:
                    process = world.follow(process, "GroupEmpty")
                if process.state == BACKOFF:
                    process = world.follow(process, "DeadlineReached")
                    spawns += 1
            assert spawns == 1 + world.policy.startretries


def test_what_has_been_up_never_becomes_fatal_by_ending(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.before.state == RUNNING and edge.event in ANY_END:
            verdict = edge.after.then or edge.after.state
            assert verdict in (STARTING, BACKOFF, EXITED), edge
            assert edge.after.tries == 0, edge
            allowed = [at for at in edge.before.recent if at > edge.now - WINDOW]
            full = edge.policy.restart_burst and len(allowed) >= edge.policy.restart_burst
            if verdict == BACKOFF:
                due = edge.after.then_at if edge.after.then else edge.after.deadline
                assert full, edge
                assert due == edge.before.recent[-edge.policy.restart_burst] + WINDOW, edge
            elif verdict == STARTING:
                assert not full, edge
            else:
                assert edge.policy.autorestart != ALWAYS, edge


def test_what_ends_before_starttime_is_retried_or_fatal_whatever_autorestart_says(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.before.state == STARTING and edge.event in ANY_END:
            verdict = edge.after.then or edge.after.state
            lasting = edge.event == "Exited, lasting failure"
            last = lasting or edge.before.tries >= edge.policy.startretries
            assert verdict is (FATAL if last else BACKOFF), edge
            assert edge.after.tries == edge.before.tries + 1, edge


def test_a_refused_fork_counts_as_no_try(edges: list[Edge]) -> None:
    for edge in edges:
        if edge.event == "SpawnFailed":
            assert edge.after.state == BACKOFF, edge
            assert (edge.after.tries, edge.after.recent) == (edge.before.tries, edge.before.recent), edge


def test_the_drawing_of_the_states_has_every_change_of_state_and_no_other(edges: list[Edge]) -> None:
    jobs = World(policy(type=ONESHOT, startretries=0, starttime=0.0, start_timeout=1.0))
    every = [*edges, *(edge for leaving in jobs.edges.values() for edge in leaving)]
    walked = {(edge.before.state, edge.after.state) for edge in every if edge.before.state != edge.after.state}
    assert set(states.edges()) == walked
