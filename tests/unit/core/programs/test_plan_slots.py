"""What a reload will do about slots and programs: numbers up and down, removed, added, and back before they are gone."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from taskmaster_common.config import ProgramConfig
from taskmaster_common.states import BACKOFF, EXITED, FATAL, STOPPED, ProcessState
from taskmasterd.core.process.events import SPAWN
from taskmasterd.core.programs.plan import ADDED, KEPT, REMOVED, RESTARTED, SCALED, ProgramPlan
from tests.support.model import World, code, program, world_in

WEB = program()
EDITED = program(cmd=("sleep", "10"))


def only(plan_of: World, *programs: ProgramConfig) -> ProgramPlan:
    """Return the plan for the one program."""
    (found,) = plan_of.plan(*programs).programs
    return found


# -- numbers


def test_more_slots_start_and_the_others_keep_their_pids() -> None:
    world = World().load(program(numprocs=2)).cooperate()
    before = world.pids_of()
    plan = world.reload(program(numprocs=4)).programs[0]
    assert (plan.change, plan.create, plan.start, plan.why) == (SCALED, (2, 3), (2, 3), "numprocs changed")
    assert world.actions == [("web:2", SPAWN), ("web:3", SPAWN)]
    world.cooperate()
    after = world.pids_of()
    assert {name: after[name] for name in before} == before
    assert None not in after.values()


@pytest.mark.parametrize("lowest", [STOPPED, FATAL, EXITED])
def test_fewer_slots_keep_the_lowest_numbers_whatever_their_state(lowest: ProcessState) -> None:
    world = World().load(program(numprocs=3, startretries=0))
    zero = world.entry("web:0")
    if lowest == FATAL:
        world.fail_set_up(zero)
    elif lowest == STOPPED:
        world.stop("web:0")
    world.cooperate()
    if lowest == EXITED:
        world.end(zero, code(0))
    assert zero.process.state is lowest
    plan = world.reload(program(numprocs=1, startretries=0)).programs[0]
    assert (plan.change, plan.stop, plan.create, plan.start) == (SCALED, (1, 2), (), ())
    world.cooperate()
    assert world.states() == {"web:0": lowest}


def start_one(world: World) -> None:
    world.start("web:1")


def stop_all(world: World) -> None:
    world.stop("web")


def restart_after_stop(world: World) -> None:
    world.stop("web")
    world.start("web:0")


def fail_one(world: World) -> None:
    for name in ("web:0", "web:1"):
        world.start(name)
        world.fail_set_up(world.entry(name), permanent=True)


@pytest.mark.parametrize(
    ("autostart", "prepare", "starts"),
    [
        (True, lambda world: world.cooperate(), True),
        (False, lambda world: world.cooperate(), False),
        (False, start_one, True),
        (True, stop_all, False),
        (True, restart_after_stop, True),
        (False, fail_one, True),
    ],
    ids=["all up", "never started", "one started", "all stopped", "one starts after its stop", "gave up"],
)
def test_new_slots_start_if_one_is_meant_to_be_up(
    autostart: bool, prepare: Callable[[World], object], starts: bool
) -> None:
    world = World().load(program(numprocs=2, autostart=autostart))
    if autostart:
        world.cooperate()
    prepare(world)
    plan = only(world, program(numprocs=3, autostart=autostart))
    assert (plan.create, plan.start) == ((2,), (2,) if starts else ())


def test_exited_slots_are_not_meant_to_be_up() -> None:
    world = world_in(EXITED)
    assert only(world, program(numprocs=2)).start == ()


def test_from_one_to_two_and_back_changes_only_the_shown_name() -> None:
    world = World().load(WEB).cooperate()
    zero = world.entry("web")
    before = zero.process
    world.reload(program(numprocs=2))
    world.cooperate()
    assert world.table.name(zero) == "web:0"
    world.reload(WEB)
    world.cooperate()
    assert world.table.name(zero) == "web"
    assert zero.process is before


def test_scaling_and_a_restart_key_in_one_edit() -> None:
    world = World().load(program(numprocs=2)).cooperate()
    plan = world.reload(program(numprocs=1, cmd=("true",))).programs[0]
    assert (plan.change, plan.stop, plan.restart, plan.create) == (RESTARTED, (1,), (0,), ())
    world.cooperate()
    assert world.states() == {"web:0": "RUNNING"}


def test_scaling_says_which_keys_wait_for_the_next_start() -> None:
    world = World().load(program(autostart=False))
    plan = only(world, program(autostart=False, numprocs=2, cmd=("true",)))
    assert (plan.change, plan.why) == (SCALED, "numprocs changed; cmd used at the next start")


def test_scaling_says_what_else_is_applied_or_waits() -> None:
    world = World().load(program()).cooperate()
    live = only(world, program(numprocs=2, stoptime=3.0, autostart=False))
    assert (live.change, live.why) == (SCALED, "numprocs changed; autostart, stoptime applied without a restart")
    both = only(world, program(numprocs=2, stoptime=3.0, ready={"tcp": "80"}))
    assert both.why == "numprocs changed; ready used at the next start; stoptime applied without a restart"


def test_a_restart_says_that_the_number_of_instances_changes_too() -> None:
    world = World().load(program(numprocs=2)).cooperate()
    plan = only(world, program(numprocs=1, cmd=("true",)))
    assert plan.why == "cmd cannot change while it runs; numprocs changed"


# -- removed and added


def test_a_removed_program_is_stopped_and_stays_in_the_table_until_nothing_is_left() -> None:
    world = World().load(WEB, program("db")).cooperate()
    plan = world.reload(WEB)
    assert [(each.name, each.change) for each in plan.programs] == [("web", KEPT), ("db", REMOVED)]
    assert plan.programs[1].stop == (0,)
    assert world.states() == {"web:0": "RUNNING", "db:0": "STOPPING"}
    assert world.entry("db").removed
    assert not world.plan(WEB).changes, "it has been told already"
    world.cooperate()
    assert world.states() == {"web:0": "RUNNING"}
    assert world.results == [("db:0", "stopped", True)]


@pytest.mark.parametrize("state", [STOPPED, BACKOFF, EXITED, FATAL])
def test_a_removed_program_of_which_nothing_is_alive_is_gone_at_once(state: ProcessState) -> None:
    world = world_in(state)
    world.reload()
    assert len(world.table) == 0
    assert (world.results, world.done) == ([("web:0", "stopped", True)], 1)


@pytest.mark.parametrize("autostart", [True, False])
def test_an_added_program_starts_if_autostart_says_so(autostart: bool) -> None:
    world = World().load(WEB).cooperate()
    plan = world.reload(WEB, program("db", numprocs=2, autostart=autostart)).programs[1]
    assert (plan.change, plan.create, plan.start) == (ADDED, (0, 1), (0, 1) if autostart else ())
    assert plan.why == ("new" if autostart else "new; not started: autostart is false")
    assert len(world.actions) == (2 if autostart else 0)


@pytest.mark.parametrize("autostart", [True, False])
def test_a_program_that_comes_back_before_it_is_gone_starts_after_that(autostart: bool) -> None:
    world = World().load(WEB).cooperate()
    old = world.pids_of()["web:0"]
    world.reload()
    back = program(cmd=("true",), autostart=autostart)
    plan = world.reload(back).programs[0]
    assert plan.change == ADDED
    assert world.actions == [], "the old instance is still there"
    assert not world.plan(back).changes
    world.cooperate()
    assert world.states() == {"web:0": "RUNNING" if autostart else "STOPPED"}
    assert world.pids_of()["web:0"] != old
    assert world.entry("web").current == (back if autostart else WEB)


def test_a_program_that_comes_back_larger_and_smaller_has_its_slots() -> None:
    world = World().load(program(numprocs=3)).cooperate()
    world.reload()
    world.reload(program(numprocs=1))
    world.reload(program(numprocs=2))
    world.cooperate()
    assert world.states() == {"web:0": "RUNNING", "web:1": "RUNNING"}
    assert world.results.count(("web:2", "stopped", True)) == 1


def test_a_slot_that_comes_back_takes_the_new_configuration() -> None:
    world = World().load(program(numprocs=2)).cooperate()
    world.reload(WEB)
    world.reload(program(numprocs=2, cmd=("true",)))
    world.cooperate()
    assert [entry.current and entry.current.cmd for entry in world.table] == [("true",), ("true",)]


def test_a_later_plan_does_not_wait_for_the_stops_of_an_earlier_one() -> None:
    world = World().load(program("slow"), program("web")).cooperate()
    world.reload(program("slow", umask=0o77), program("web"))
    world.reload(program("slow", umask=0o77), program("web"), program("new"))
    assert world.actions == [("new:0", SPAWN)]
    assert world.states()["slow:0"] == "STOPPING"


def test_what_an_operator_stopped_stays_stopped_over_reloads() -> None:
    world = World().load(WEB, program("db")).cooperate()
    world.stop("web")
    world.cooperate()
    for edited in (EDITED, program(stoptime=1.0), program(numprocs=3), WEB):
        world.reload(edited, program("db"))
        world.cooperate()
        assert set(world.states()) >= {"web:0", "db:0"}
        assert {state for name, state in world.states().items() if name != "db:0"} == {"STOPPED"}


def test_the_programs_stand_in_the_order_of_the_new_file_and_removed_ones_last() -> None:
    world = World().load(program("a"), program("b"), program("c")).cooperate()
    plan = world.reload(program("c"), program("d"), program("a"))
    assert [each.name for each in plan.programs] == ["c", "d", "a", "b"]
    assert world.table.names() == ("c", "d", "a", "b")
