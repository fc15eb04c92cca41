"""Dependencies: who is held and who blocked, what a start pulls in, in which order processes go down, and what goes along."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from taskmaster_common.errors import RequestError
from taskmaster_common.states import BACKOFF, FATAL, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.events import SPAWN, TERMINATE
from taskmasterd.core.process.state import BLOCKED, HELD, Process
from taskmasterd.core.programs import operations, reach
from taskmasterd.core.programs.applying import apply
from taskmasterd.core.programs.order import OrderOptions
from taskmasterd.core.programs.table import Entry
from taskmasterd.core.steps import run
from taskmasterd.core.words.view import slot_detail
from tests.support.model import LEFT, World, code, program

DB = program("db")
WEB = program("web", depends_on=("db",))
FOLLOWER = program("web", depends_on=("db restart",))
HANDY = program("web", depends_on=("db optional",))


def said(world: World, name: str) -> str:
    """Return what `status` says of a process."""
    return slot_detail(world.table, world.entry(name), world.now, {15: "TERM", 9: "KILL"})


def phases(world: World) -> dict[str, str]:
    """Return the phase of each process that has one."""
    return {entry.canonical: entry.process.phase for entry in world.table if entry.process.phase}


def fail(world: World, name: str) -> World:
    """Let a start fail for good."""
    world.settle().fail_set_up(world.entry(name), permanent=True)
    return world.settle()


# -- the gate


def test_a_program_waits_for_what_it_needs_and_starts_when_that_runs() -> None:
    world = World().load(WEB, DB).settle()
    assert world.actions == [("db:0", SPAWN)]
    assert (world.states()["web:0"], phases(world)) == (STARTING, {"web:0": HELD})
    assert said(world, "web") == "waiting for db: ready (STARTING)"
    world.cooperate()
    assert world.states() == {"web:0": RUNNING, "db:0": RUNNING}
    assert world.actions[:2] == [("db:0", SPAWN), ("web:0", SPAWN)]


def test_started_is_enough_where_the_edge_says_so() -> None:
    world = World().load(program("web", depends_on=("db started",)), DB).settle()
    db = world.entry("db")
    world.spawn(db)
    assert world.settle().actions == [("db:0", SPAWN)]
    world.execute(db)
    assert world.settle().actions == [("db:0", SPAWN), ("web:0", SPAWN)]
    assert db.process.state == STARTING


def test_what_will_not_come_up_by_itself_blocks_and_its_later_start_ends_that() -> None:
    world = World().load(WEB, program("db", startretries=0))
    fail(world, "db")
    assert world.states() == {"web:0": BACKOFF, "db:0": FATAL}
    assert phases(world) == {"web:0": BLOCKED}
    assert said(world, "web") == "blocked: needs db, which is FATAL: cannot execute /x: no such file (try 1 of 1)"
    assert world.entry("web").process.deadline is None
    world.start("db")
    assert phases(world.settle()) == {"web:0": HELD}
    assert set(world.cooperate().states().values()) == {RUNNING}


def test_a_chain_of_blocked_programs_names_what_is_at_its_end() -> None:
    world = World().load(program("web", depends_on=("api",)), program("api", depends_on=("db",)), DB)
    fail(world, "db")
    assert said(world, "web").startswith("blocked: needs api, which needs db, which is FATAL: cannot execute")
    assert set(phases(world).values()) == {BLOCKED}


def test_a_try_that_fails_blocks_nobody_as_long_as_another_one_follows() -> None:
    world = World().load(WEB, DB).settle()
    world.fail_set_up(world.entry("db"))
    world.settle()
    assert (world.states()["db:0"], phases(world)) == (BACKOFF, {"web:0": HELD})
    assert set(world.cooperate().states().values()) == {RUNNING}


def test_every_instance_of_a_target_has_to_be_up_and_the_missing_one_is_named() -> None:
    world = World().load(WEB, program("db", numprocs=3)).settle()
    world.cooperate([world.entry("db:0"), world.entry("db:1")])
    assert said(world, "web") == "waiting for db:2: ready (STARTING)"
    world = World().load(program("web", depends_on=("db:1",)), program("db", numprocs=3)).settle()
    world.cooperate([world.entry("db:1"), world.entry("web")])
    assert world.states()["web:0"] == RUNNING


@pytest.mark.parametrize("state", [FATAL, BACKOFF, STOPPED])
def test_an_edge_that_is_not_required_waits_for_the_first_try_only(state: str) -> None:
    world = World().load(HANDY, program("db", startretries=0 if state == FATAL else 3)).settle()
    assert phases(world) == {"web:0": HELD}
    if state == STOPPED:
        world.stop("db")
    else:
        world.fail_set_up(world.entry("db"))
    assert world.settle().actions[-1] == ("web:0", SPAWN)


def test_an_edge_that_is_not_required_waits_no_longer_than_a_minute() -> None:
    world = World().load(HANDY, program("db", starttime=600)).settle()
    world.spawn(world.entry("db"))
    world.execute(world.entry("db"))
    assert phases(world.settle()) == {"web:0": HELD}
    before = world.now
    world.deadline(world.entry("web"))
    assert world.now - before == 60
    assert world.settle().actions[-1] == ("web:0", SPAWN)


def test_a_crash_waits_at_the_gate_and_uses_no_retry() -> None:
    world = World().load(WEB, DB).cooperate()
    db, web = world.entry("db"), world.entry("web")
    world.end(db, code(1))
    assert world.settle().states()["web:0"] == RUNNING
    world.end(web, code(1))
    world.settle()
    assert (web.process.phase, web.process.tries) == (HELD, 0)
    assert set(world.cooperate().states().values()) == {RUNNING}


# -- orders while it waits


def test_stop_of_what_waits_is_done_at_once() -> None:
    world = World().load(WEB, DB).settle()
    world.stop("web")
    assert world.results == [("web:0", "stopped", True)]
    assert world.cooperate().states() == {"web:0": STOPPED, "db:0": RUNNING}


def test_start_and_restart_of_what_waits_go_on_waiting() -> None:
    world = World().load(WEB, DB).settle()
    world.start("web")
    world.restart("web")
    assert phases(world.settle()) == {"web:0": HELD}
    world.cooperate()
    assert world.results == [("web:0", "started", True), ("web:0", "restarted", True)]
    assert [action for action in world.actions if action[0] == "web:0"] == [("web:0", SPAWN)]


def test_a_start_without_dependencies_spawns_now_and_the_exemption_ends_with_the_next_order() -> None:
    world = World().load(WEB, program("db", autostart=False)).cooperate()
    world.stop("db", "web")
    world.cooperate()
    world.start("web", free=True)
    assert world.cooperate().states() == {"web:0": RUNNING, "db:0": STOPPED}
    world.end(world.entry("web"), code(1))
    assert world.cooperate().states()["web:0"] == RUNNING
    world.stop("web")
    world.cooperate()
    world.start("web")
    assert set(world.cooperate().states().values()) == {RUNNING}


@pytest.mark.parametrize("order", [World.start, World.restart])
def test_the_exemption_of_what_runs_or_is_about_to_leave_ends_with_the_next_start(order: Callable[..., object]) -> None:
    world = World().load(FOLLOWER, DB).cooperate()
    web = world.entry("web")
    world.start("web", free=True)
    assert web.process.free
    order(world, "web")
    assert not world.cooperate().entry("web").process.free
    world.end(world.entry("db"), code(1))
    assert world.settle().states()["web:0"] == STOPPING


@pytest.mark.parametrize("order", [World.start, World.restart])
def test_what_is_queued_without_its_gate_waits_at_it_from_the_next_order_on(order: Callable[..., object]) -> None:
    world = World().load(WEB, DB).settle()
    world.start("web", free=True)
    web = world.entry("web")
    assert world.instances[web].queued
    order(world, "web")
    assert (phases(world.settle()), world.instances[web].queued, web.process.free) == ({"web:0": HELD}, False, False)
    assert world.cooperate().actions[-1] == ("web:0", SPAWN)
    assert set(world.states().values()) == {RUNNING}


def test_what_is_queued_because_its_gate_is_open_stays_queued() -> None:
    world = World().load(WEB, DB)
    world.settle().cooperate([world.entry("db")])
    world.start("web")
    world.restart("web")
    assert (phases(world.settle()), world.instances[world.entry("web")].queued) == ({}, True)


def test_start_is_answered_when_nothing_on_the_way_will_open_the_gate() -> None:
    world = World().load(
        program("web", depends_on=("db",), autostart=False), program("db", autostart=False, startretries=0)
    )
    world.start("web")
    assert world.results == []
    fail(world, "db")
    assert world.results == [("web:0", "blocked", False)]


def test_who_waits_for_a_start_gets_the_failed_tries_of_what_it_needs() -> None:
    world = World().load(WEB, DB).settle()
    world.start("web")
    world.fail_set_up(world.entry("db"))
    assert world.tries == ["db:0"]


# -- what a start pulls in


def test_a_start_pulls_in_what_it_needs_once_each_also_what_an_operator_has_stopped() -> None:
    diamond = [program("d", depends_on=("b", "c"), autostart=False), program("b", depends_on=("a",), autostart=False)]
    diamond += [program("c", depends_on=("a",), autostart=False), program("a", autostart=False)]
    world = World().load(*diamond)
    world.stop("a")
    world.start("d")
    assert set(world.cooperate().states().values()) == {RUNNING}
    assert sorted(name for name, action in world.actions if action == SPAWN) == ["a:0", "b:0", "c:0", "d:0"]


def test_what_is_pulled_in_says_for_what_and_whether_it_starts_or_goes_on() -> None:
    pulled: list[str] = []
    options = OrderOptions(on_pull=pulled.append)
    world = chain()
    world.stop("all")
    world.settle()
    run(operations.start(world.supervisor, (world.entry("b"),), "uid 0", world.ticket(), options))
    assert world.entry("c").process.by == "uid 0, because b needs it"
    world.cooperate()
    world.stop("c")
    world.cooperate()
    run(operations.start(world.supervisor, (world.entry("a"),), "uid 0", world.ticket(), options))
    assert pulled == ["c goes on"]
    world.stop("b")
    world.cooperate()
    run(operations.start(world.supervisor, (world.entry("a"),), "uid 0", world.ticket(), options))
    assert pulled[1:] == ["also starting c", "also starting b"]


def test_a_failure_at_the_bottom_of_a_diamond_blocks_all_and_all_name_it() -> None:
    world = World().load(
        program("d", depends_on=("b", "c")),
        program("b", depends_on=("a",)),
        program("c", depends_on=("a",)),
        program("a"),
    )
    fail(world, "a")
    assert phases(world) == dict.fromkeys(("b:0", "c:0", "d:0"), BLOCKED)
    assert all("needs a, which is FATAL" in said(world, name) for name in "bcd")


def test_a_restart_of_what_runs_pulls_in_what_has_gone_down_meanwhile_and_a_start_of_it_does_not() -> None:
    world = World().load(WEB, DB).cooperate()
    world.stop("db")
    world.cooperate()
    world.start("web")
    assert world.cooperate().states() == {"web:0": RUNNING, "db:0": STOPPED}
    world.restart("web")
    assert set(world.cooperate().states().values()) == {RUNNING}


def test_an_automatic_restart_pulls_in_nothing() -> None:
    world = World().load(WEB, DB).cooperate()
    world.stop("db")
    world.cooperate()
    world.end(world.entry("web"), code(1))
    world.cooperate()
    assert world.states() == {"web:0": BACKOFF, "db:0": STOPPED}
    assert said(world, "web") == "blocked: needs db, which is STOPPED: stopped by bob"


def test_a_reload_starts_nothing_that_an_operator_has_stopped_and_what_it_adds_is_blocked() -> None:
    world = World().load(DB, program("spare", autostart=False)).cooperate()
    world.stop("db")
    world.cooperate()
    world.reload(DB, program("spare", autostart=False), WEB, program("job", depends_on=("spare",)))
    world.cooperate()
    assert world.states() == {"db:0": STOPPED, "web:0": BACKOFF, "spare:0": RUNNING, "job:0": RUNNING}


def test_an_edge_that_a_reload_takes_away_holds_nobody() -> None:
    world = World().load(WEB, DB).settle()
    world.reload(program("web"), DB)
    assert world.settle().actions == [("web:0", SPAWN)]


def test_an_edge_that_a_reload_adds_changes_nothing_of_what_runs() -> None:
    world = World().load(program("web"), program("db", autostart=False)).cooperate()
    world.reload(WEB, program("db", autostart=False))
    assert world.settle().actions == []


# -- the order of stopping


def chain(world: World | None = None) -> World:
    """Return a world in which a needs b, and b needs c, and all run."""
    return (
        (world or World())
        .load(program("a", depends_on=("b",)), program("b", depends_on=("c",)), program("c"))
        .cooperate()
    )


def test_who_depends_goes_down_first_and_the_others_say_so_until_it_has_gone() -> None:
    world = chain()
    world.actions.clear()
    world.stop("all")
    assert world.settle().actions == [("a:0", TERMINATE)]
    assert (said(world, "b"), said(world, "c")) == ("stops after a", "stops after b")
    world.end(world.entry("a"))
    assert world.settle().actions == [("a:0", TERMINATE), ("b:0", TERMINATE)]
    world.cooperate()
    assert set(world.states().values()) == {STOPPED}
    assert world.results == [("a:0", "stopped", True), ("b:0", "stopped", True), ("c:0", "stopped", True)]


def test_an_end_before_its_turn_is_a_stop() -> None:
    world = chain()
    world.stop("all")
    world.settle()
    world.end(world.entry("c"), code(1))
    assert (world.states()["c:0"], world.results) == (STOPPED, [("c:0", "stopped", True)])


def test_a_start_takes_back_what_has_not_gone_yet_and_what_it_needs() -> None:
    world = chain()
    pids = world.pids_of()
    world.stop("all")
    world.settle()
    world.start("b")
    world.cooperate()
    assert world.states() == {"a:0": STOPPED, "b:0": RUNNING, "c:0": RUNNING}
    assert {name: pid for name, pid in world.pids_of().items() if pid} == {name: pids[name] for name in ("b:0", "c:0")}
    assert ("b:0", "taken-back", False) in world.results
    assert ("c:0", "taken-back", False) in world.results


def test_a_start_without_dependencies_takes_back_only_itself() -> None:
    world = chain()
    world.stop("all")
    world.settle()
    world.start("b", free=True)
    world.cooperate()
    assert world.states() == {"a:0": STOPPED, "b:0": RUNNING, "c:0": STOPPED}


def test_what_cannot_be_ended_holds_up_nobody() -> None:
    world = chain()
    a = world.entry("a")
    world.refusing.add(a)
    world.stop("all")
    world.settle()
    for _ in range(3):
        if a in world.armed:
            world.deadline(a)
        world.settle()
    assert world.states()["b:0"] == STOPPING


def test_a_stop_of_one_leaves_its_dependents_alone() -> None:
    world = chain()
    world.stop("c")
    assert world.cooperate().states() == {"a:0": RUNNING, "b:0": RUNNING, "c:0": STOPPED}


def test_a_stop_with_dependents_stops_all_that_depend_on_it_first() -> None:
    world = chain()
    world.actions.clear()
    world.stop("c", dependents=True)
    world.cooperate()
    assert world.actions == [("a:0", TERMINATE), ("b:0", TERMINATE), ("c:0", TERMINATE)]
    assert set(world.states().values()) == {STOPPED}


def test_a_restart_with_dependents_brings_them_up_again_in_order() -> None:
    world = chain()
    world.actions.clear()
    world.restart("c", dependents=True)
    world.cooperate()
    assert world.actions == [
        *[(f"{name}:0", TERMINATE) for name in "abc"],
        *[(f"{name}:0", SPAWN) for name in "cba"],
    ]
    assert sorted(world.results) == [(f"{name}:0", "restarted", True) for name in "abc"]


def test_one_reload_that_restarts_both_takes_the_dependent_down_first_and_up_last() -> None:
    world = World().load(WEB, DB, program("other")).cooperate()
    world.reload(
        program("web", depends_on=("db",), cmd=("sleep", "8")), program("db", cmd=("sleep", "8")), program("other")
    )
    world.cooperate()
    assert world.actions == [("web:0", TERMINATE), ("db:0", TERMINATE), ("db:0", SPAWN), ("web:0", SPAWN)]


def test_what_a_reload_removes_goes_down_in_the_order_of_its_old_edges() -> None:
    world = chain()
    world.reload(program("other"))
    world.cooperate()
    assert [name for name, action in world.actions if action == TERMINATE] == ["a:0", "b:0", "c:0"]
    assert world.states() == {"other:0": RUNNING}


# -- an edge with restart


def test_who_follows_is_stopped_when_its_dependency_ends_and_comes_back_with_it() -> None:
    world = World().load(FOLLOWER, DB).cooperate()
    web = world.entry("web")
    starts = web.process.starts
    for _ in range(20):
        world.end(world.entry("db"), code(1))
        world.cooperate()
        assert set(world.states().values()) == {RUNNING}
    assert (web.process.starts, web.process.tries, web.process.recent) == (starts, 0, ())


def test_who_follows_goes_down_before_a_stop_and_is_blocked_until_a_start() -> None:
    world = World().load(FOLLOWER, DB).cooperate()
    world.actions.clear()
    world.stop("db")
    world.cooperate()
    assert world.actions == [("web:0", TERMINATE), ("db:0", TERMINATE)]
    assert (world.states(), phases(world)) == ({"web:0": BACKOFF, "db:0": STOPPED}, {"web:0": BLOCKED})
    world.start("db")
    assert set(world.cooperate().states().values()) == {RUNNING}


def test_who_follows_goes_down_before_a_restart_and_up_after_it() -> None:
    world = World().load(FOLLOWER, DB).cooperate()
    world.actions.clear()
    world.restart("db")
    world.cooperate()
    assert world.actions == [("web:0", TERMINATE), ("db:0", TERMINATE), ("db:0", SPAWN), ("web:0", SPAWN)]


def test_who_follows_and_waits_in_the_queue_is_held_again() -> None:
    world = World().load(FOLLOWER, DB)
    world.settle().cooperate([world.entry("db")])
    assert world.instances[world.entry("web")].queued
    world.end(world.entry("db"), code(1))
    world.settle()
    assert (phases(world), world.instances[world.entry("web")].queued) == ({"web:0": HELD}, False)


# -- what one operation and one plan are


def test_a_restart_of_all_lets_nobody_up_before_everybody_has_been_told() -> None:
    world = World().load(program("web", depends_on=("db",), numprocs=3), DB).cooperate()
    world.actions.clear()
    steps = operations.restart(world.supervisor, tuple(world.table), "alice", world.ticket())
    next(steps)  # the first web has been told
    world.settle()
    first = world.entry(world.actions[0][0])
    world.end(first)
    world.settle()
    assert first.process.phase == HELD, "db is RUNNING still, but about to go"
    run(steps)
    world.cooperate()
    spawned = [name for name, action in world.actions if action == SPAWN]
    assert spawned[0] == "db:0"
    assert set(world.states().values()) == {RUNNING}


def test_a_start_that_waits_is_not_called_blocked_while_the_rest_of_the_plan_is_to_come() -> None:
    world = World().load(program("web", depends_on=("db",), autostart=False), program("db", autostart=False))
    world.stop("db")
    world.start("web", free=False)
    world.settle()
    plan = world.plan(program("web", depends_on=("new",), autostart=False), program("new"))
    steps = apply(world.supervisor, plan, "a reload", world.ticket())
    for _ in steps:
        world.settle()
    assert ("web:0", "blocked", False) not in world.results
    assert set(world.cooperate().states().values()) == {RUNNING}


def test_an_instance_that_a_plan_removes_holds_up_nobody() -> None:
    world = World().load(program("web", depends_on=("two",)), program("two", numprocs=2)).cooperate()
    world.stop("two:1", "web")
    world.cooperate()
    world.start("web", free=False)
    world.cooperate()
    world.stop("web", "two:1")
    world.cooperate()
    world.reload(program("web", depends_on=("two",), description="x"), program("two", numprocs=2))
    world.end(world.entry("two:0"), code(1))
    world.cooperate()
    two = program("two", numprocs=1)
    world.restart("web")
    world.stop("two:1")
    world.settle()
    world.reload(WEB.replace(policy=program("web", depends_on=("two",)).policy), two)
    assert world.cooperate().states() == {"web:0": RUNNING, "two:0": RUNNING}


def test_what_follows_does_not_go_along_with_an_instance_that_its_program_has_no_more() -> None:
    world = World().load(FOLLOWER, program("db", numprocs=2)).cooperate()
    world.reload(FOLLOWER, program("db", numprocs=1))
    world.cooperate()
    assert world.actions == [("db:1", TERMINATE)]


def test_a_stop_of_what_is_down_takes_nobody_along() -> None:
    world = World().load(program("web"), program("db", autostart=False)).cooperate()
    world.reload(FOLLOWER, program("db", autostart=False))
    world.stop("db")
    world.cooperate()
    assert world.states() == {"web:0": RUNNING, "db:0": STOPPED}


def test_only_who_depends_on_this_instance_is_warned_of_and_taken_along() -> None:
    world = World().load(program("web", depends_on=("db:1",)), program("db", numprocs=2)).cooperate()
    first, second, web = world.entry("db:0"), world.entry("db:1"), world.entry("web")
    assert reach.going_on(world.table, [first]) == []
    assert reach.going_on(world.table, [second]) == [web]
    assert reach.with_dependents(world.table, [first]) == [first]
    assert reach.with_dependents(world.table, [second]) == [second, web]


def test_a_queued_start_is_held_again_when_what_it_needs_goes_down() -> None:
    world = World().load(WEB, DB).settle()
    world.cooperate([world.entry("db")])
    assert world.instances[world.entry("web")].queued
    world.stop("db")
    world.settle()
    assert (phases(world), world.instances[world.entry("web")].queued) == ({"web:0": BLOCKED}, False)


def test_who_follows_knows_in_the_same_change_that_it_goes_down() -> None:
    world = World().load(FOLLOWER, DB).cooperate()
    world.end(world.entry("db"), code(1))
    assert world.entry("web").process.leaving == "bounce"


def test_a_reload_that_restarts_a_program_starts_what_it_needs_now() -> None:
    world = World().load(program("web")).cooperate()
    world.reload(program("web", cmd=("sleep", "8"), depends_on=("db",)), program("db", autostart=False))
    assert set(world.cooperate().states().values()) == {RUNNING}


def test_a_shutdown_ends_what_a_start_is_pulling_in() -> None:
    world = World().load(
        program("web", depends_on=("a", "b"), autostart=False),
        program("a", autostart=False),
        program("b", autostart=False),
    )
    steps = operations.start(world.supervisor, [world.entry("web")], "alice", world.ticket())
    next(steps)
    world.supervisor.refuse_starts()
    with pytest.raises(RequestError, match="shut down"):
        run(steps)
    assert [name for name, action in world.actions if action == SPAWN] == ["a:0"]


def test_what_has_ended_well_and_is_left_behind_by_its_leader_is_on_its_way_to_be_done() -> None:
    world = (
        World()
        .load(program("web", depends_on=("job done",)), program("job", autorestart="never", starttime=0))
        .settle()
    )
    job = world.entry("job")
    world.spawn(job)
    world.execute(job)
    world.end(job, 0, LEFT)
    assert (job.process.state, phases(world.settle())) == (STOPPING, {"web:0": HELD})
    world.empty(job)
    assert world.settle().actions[-1] == ("web:0", SPAWN)


def test_a_removed_program_that_is_back_with_another_command_before_it_has_gone_is_restarted() -> None:
    world = chain()
    world.reload(program("a", depends_on=("b",), cmd=("sleep", "8")), program("x"))
    world.settle()
    assert world.entry("b").process.leaving == "stop"
    world.reload(program("a", depends_on=("b",), cmd=("sleep", "8")), program("b", cmd=("sleep", "7")), program("x"))
    world.cooperate()
    assert world.entry("b").current == world.entry("b").wanted


def test_a_reload_does_not_bring_back_what_somebody_has_asked_to_stop() -> None:
    world = World().load(WEB, DB).cooperate()
    world.stop("web", "db")
    world.settle()
    world.reload(WEB, program("db", cmd=("sleep", "8")))
    assert set(world.cooperate().states().values()) == {STOPPED}


def test_a_process_that_an_earlier_life_held_is_looked_at_also_where_nothing_depends_on_anything_any_more() -> None:
    world = World()
    entry = Entry(program("web"), 0, Process(state=STARTING, phase=HELD))
    world.supervisor.restore(entry)
    world.supervisor.resume(entry)
    assert world.settle().actions == [("web:0", SPAWN)]


def test_a_job_that_takes_too_long_while_it_is_to_stop_is_stopped() -> None:
    job = program("job", type="oneshot", starttime=0, start_timeout=2, startretries=3)
    world = World().load(program("slow", depends_on=("job started",)), job).settle()
    world.cooperate([world.entry("slow")])
    for name in ("job", "slow"):
        world.settle()
        world.spawn(world.entry(name))
        world.execute(world.entry(name))
    world.stop("all")
    world.settle()
    assert world.entry("job").process.leaving == "stop"
    world.deadline(world.entry("job"))
    assert (world.states()["job:0"], world.entry("job").process.then) == (STOPPING, STOPPED)


# -- the end of the daemon


def test_a_shutdown_opens_no_gate() -> None:
    world = World().load(WEB, DB).settle()
    world.supervisor.refuse_starts()
    world.cooperate([world.entry("db")])
    assert (world.states()["db:0"], phases(world)) == (RUNNING, {"web:0": HELD})
