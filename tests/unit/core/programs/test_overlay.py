"""What operators lay over the file: programs disabled or enabled, other numbers of instances; and who passes a disabled program by."""

from __future__ import annotations

import pytest

from taskmaster_common.config import ProgramConfig
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPED, ProcessState
from taskmasterd.core.process.events import SPAWN, Due
from taskmasterd.core.process.state import BLOCKED
from taskmasterd.core.programs.laying import enable_slots, plan_for
from taskmasterd.core.programs.overlay import NOTHING, Overlay, Override, Scale, in_force, laid_over, reasoned
from taskmasterd.core.programs.plan import ADDED, KEPT, SCALED, UPDATED, diff
from taskmasterd.core.words.gates import blocked_reason
from taskmasterd.core.words.overlays import overlay_views, override_view
from taskmasterd.core.words.view import process_view, slot_detail
from tests.support.model import DAEMON, World, config, program, world_in

OFF = Override(False, "uid 0", 1000.0, "28 Nov", "broken disk")
ON = Override(True, "uid 0", 1000.0, "28 Nov")
DISABLED = "disabled by uid 0 since 28 Nov: broken disk"


def scale(count: int, file: int = 2) -> Scale:
    return Scale(count, file, "uid 0", 1000.0)


def disabled(**fields: object) -> ProgramConfig:
    return program("web", **{"enabled": False, **fields})


# -- laying over


def test_a_second_disable_without_a_reason_keeps_the_first_one() -> None:
    again = Override(False, "uid 7", 2000.0, "29 Nov")
    kept = reasoned(again, OFF)
    assert (kept.reason, kept.by, kept.since) == ("broken disk", "uid 7", "29 Nov")
    other = again.replace(reason="other disk")
    assert reasoned(other, OFF) is other
    assert reasoned(again, None) is again


def test_the_reason_of_a_disable_is_none_of_an_enable_nor_the_other_way_round() -> None:
    assert reasoned(ON, OFF) is ON
    bare = Override(False, "uid 7", 2000.0, "29 Nov")
    assert reasoned(bare, ON.replace(reason="wanted again")) is bare


def test_an_override_is_stronger_than_the_file_in_both_directions() -> None:
    file = config(program("a"), program("b", enabled=False), program("c"))
    wanted = laid_over(file, Overlay({"a": OFF, "b": ON}))
    assert [each.enabled for each in wanted.programs] == [False, True, True]
    assert wanted.programs[2] is file.programs[2]


def test_a_scale_holds_as_long_as_the_file_has_the_number_that_it_had_then() -> None:
    overlay = Overlay(scales={"web": scale(5)})
    assert overlay.over(program(numprocs=2)).numprocs == 5
    edited = config(program(numprocs=3))
    assert laid_over(edited, overlay).programs[0].numprocs == 3
    assert in_force(overlay, edited) == NOTHING
    assert in_force(overlay, config(program(numprocs=2, cmd=("x",)))) is overlay


def test_a_scale_ends_with_its_program_and_with_one_that_becomes_a_job_but_an_override_stays() -> None:
    overlay = Overlay({"web": OFF}, {"web": scale(5)})
    assert in_force(overlay, config()) == Overlay({"web": OFF})
    assert in_force(overlay, config(program(numprocs=2, type="oneshot"))) == Overlay({"web": OFF})


def test_who_may_not_see_a_program_sees_nothing_that_is_laid_over_it() -> None:
    overlay = Overlay({"web": OFF, "db": OFF}, {"web": scale(5)})
    assert overlay.only(lambda name: name == "db") == Overlay({"db": OFF})


def test_slots_that_share_what_is_wanted_of_them_share_it_also_after_disable() -> None:
    world = World().load(program(numprocs=3))
    changed = list(enable_slots(world.table, "web", enabled=False))
    assert len(changed) == 3
    assert len({id(entry.wanted) for entry in changed}) == 1
    assert not changed[0].newest.enabled


# -- plans


def test_a_reload_adds_a_disabled_program_and_does_not_start_it() -> None:
    world = World().load()
    plan = world.reload(disabled()).programs[0]
    assert (plan.change, plan.start, plan.why) == (ADDED, (), "new; not started: it is disabled")
    assert world.entry("web").process.state == STOPPED


def test_a_disabled_program_that_runs_goes_on_whatever_a_reload_changes_and_the_next_reload_finds_nothing() -> None:
    world = World().load(program()).cooperate()
    pid = world.entry("web").process.pid
    plan = world.reload(disabled(cmd=("sleep", "10"))).programs[0]
    assert (plan.change, plan.restart, plan.start) == (UPDATED, (), ())
    assert plan.why == "cmd used at the next start; it is disabled, so nothing is started"
    assert (world.entry("web").process.state, world.entry("web").process.pid) == (RUNNING, pid)
    again = diff(world.table, DAEMON, config(disabled(cmd=("sleep", "10")))).programs[0]
    assert again.change == KEPT


def test_a_reload_does_not_try_a_disabled_program_again_that_has_given_up() -> None:
    world = world_in(FATAL)
    world.reload(disabled(cmd=("sleep", "10")))
    assert world.entry("web").process.state == FATAL
    assert world.actions == []


def test_a_disabled_program_gets_more_slots_and_none_of_them_is_started() -> None:
    world = World().load(disabled()).cooperate()
    world.start("web")
    world.cooperate()
    plan = world.reload(disabled(numprocs=3)).programs[0]
    assert (plan.change, plan.create, plan.start) == (SCALED, (1, 2), ())


def test_the_plan_of_a_scale_is_about_one_program_and_keeps_the_lowest_slots() -> None:
    file = config(program(numprocs=3), program("db", cmd=("other",)))
    world = World().load(program(numprocs=3), program("db")).cooperate()
    plan = plan_for(world.table, file, Overlay(scales={"web": scale(1, 3)}), "web")
    assert [each.name for each in plan.programs] == ["web"]
    assert (plan.programs[0].change, plan.programs[0].stop) == (SCALED, (1, 2))
    assert plan.config is file


def test_what_was_scaled_to_nothing_comes_up_with_the_next_number() -> None:
    world = World().load()
    file = config(program(numprocs=2, autostart=False))
    plan = plan_for(world.table, file, Overlay(scales={"web": scale(1)}), "web").programs[0]
    assert (plan.change, plan.create, plan.start) == (SCALED, (0,), (0,))
    nothing = plan_for(world.table, file, Overlay(scales={"web": scale(0)}), "web").programs[0]
    assert nothing.change == KEPT


# -- dependencies


def test_a_start_pulls_in_nothing_that_is_disabled_and_is_blocked_by_it() -> None:
    world = World().load(program("db", enabled=False), program("api", depends_on=("db",), autostart=False))
    world.start("api")
    world.settle()
    api = world.entry("api").process
    assert (api.state, api.phase) == (BACKOFF, BLOCKED)
    assert world.entry("db").process.state == STOPPED
    assert blocked_reason(world.table, world.entry("api"), world.now, {}).startswith("needs db, which is disabled; ")
    assert ("db:0", SPAWN) not in world.actions


def test_what_a_disabled_program_satisfies_while_it_runs_may_start() -> None:
    world = World().load(program("db", enabled=False), program("api", depends_on=("db",), autostart=False))
    world.start("db")
    world.cooperate()
    world.start("api")
    world.cooperate()
    assert world.entry("api").process.state == RUNNING


@pytest.mark.parametrize("state", [EXITED, FATAL, BACKOFF])
def test_no_clock_and_no_file_starts_what_is_disabled(state: ProcessState) -> None:
    for enabled in (False, True):
        world = world_in(state)
        for _ in enable_slots(world.table, "web", enabled=enabled):
            pass
        world.tell(world.entry("web"), Due("by its schedule"))
        assert (world.entry("web").process.state == STARTING) is enabled


# -- words


def test_the_detail_says_who_has_disabled_it_since_when_and_why() -> None:
    world = World().load(disabled(), program("db", enabled=False))
    world.table.lay_over(Overlay({"web": OFF}))
    assert slot_detail(world.table, world.entry("web"), world.now, {}) == DISABLED
    assert slot_detail(world.table, world.entry("db"), world.now, {}) == "disabled in the configuration"


def test_a_disabled_process_that_has_ended_says_that_first() -> None:
    world = world_in(EXITED)
    enabled = slot_detail(world.table, world.entry("web"), world.now, {})
    for _ in enable_slots(world.table, "web", enabled=False):
        pass
    assert slot_detail(world.table, world.entry("web"), world.now, {}) == f"{enabled}; disabled in the configuration"


def test_the_wire_says_what_is_laid_over_a_program() -> None:
    world = World().load(disabled(), program("db"))
    world.table.lay_over(Overlay({"web": OFF, "gone": OFF}, {"db": scale(5)}))
    off = {"enabled": False, "by": "uid 0", "at": 1000.0, "reason": "broken disk"}
    assert override_view(world.table, "web") == off
    assert process_view(world.table, world.entry("web"), world.now, {})["override"] == off
    stale = {view["name"]: view["stale"] for view in overlay_views(world.table)}
    assert stale == {"web": False, "gone": True, "db": False}


def test_nothing_is_said_of_an_overlay_that_holds_nothing() -> None:
    world = World().load(program())
    world.table.lay_over(NOTHING)
    assert world.table.overlay is None
    assert process_view(world.table, world.entry("web"), world.now, {})["override"] is None
