"""Rolling restarts of whole programs: by a restart, by a reload with `update`, ended by a failure or by a newer intent."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from taskmaster_common.config import ProgramConfig
from taskmaster_common.states import FATAL, RUNNING
from taskmasterd.core.process.events import Judged
from taskmasterd.core.process.state import HEALTHY, UNHEALTHY
from taskmasterd.core.programs.applying import apply
from taskmasterd.core.programs.plan import without_restarts
from taskmasterd.core.programs.rolling import Rolls
from taskmasterd.core.programs.rollnews import RollOrder
from taskmasterd.core.programs.table import Entry
from taskmasterd.core.steps import run
from taskmasterd.core.words.snapshot import entry_from_data, entry_to_data
from tests.support.model import World, code, program

UPDATE = {"max_unavailable": 1, "pause": 0.0, "monitor": 5.0, "on_failure": "stop"}
BACK = {**UPDATE, "on_failure": "rollback"}


def web(numprocs: int = 3, **fields: object) -> ProgramConfig:
    """Return a program of some instances that are up at once."""
    return program("web", **{"numprocs": numprocs, "starttime": 0.0, "startretries": 0, "update": UPDATE, **fields})


def new(numprocs: int = 3, **fields: object) -> ProgramConfig:
    """Return it with another command."""
    return web(numprocs, cmd=("sleep", "10"), **fields)


def commands(world: World) -> dict[int, str]:
    """Return the last word of the command of each live instance."""
    return {e.index: e.present.cmd[-1] for e in world.table.slots("web") if e.process.pid is not None}


def fail(world: World, name: str) -> None:
    """Let a restarted instance be gone before it was up, for good."""
    entry = world.entry(name)
    world.settle()
    world.end(entry)
    world.settle()
    world.fail_set_up(entry, permanent=True)
    world.cooperate()


def test_a_reload_restarts_one_after_the_other_each_once_the_one_before_has_stayed_up() -> None:
    world = World().load(web()).cooperate()
    world.reload(new())
    assert commands(world.cooperate()) == {0: "10", 1: "9", 2: "9"}
    assert commands(world.wake()) == {0: "10", 1: "10", 2: "9"}
    assert world.done == 0
    world.wake()
    assert commands(world.wake()) == {0: "10", 1: "10", 2: "10"}
    assert (world.done, [ok for _, _, ok in world.results]) == (1, [True, True, True])
    assert world.said[-1] == "update of web done: 3 of 3"


def test_what_is_not_reached_yet_is_outdated_and_comes_back_from_a_crash_as_it_was() -> None:
    world = World().load(web()).cooperate()
    world.reload(new())
    world.cooperate()
    assert [e.outdated_keys() for e in world.table] == [(), ("cmd",), ("cmd",)]
    world.end(world.entry("web:2"), code(1))
    assert commands(world.cooperate()) == {0: "10", 1: "9", 2: "9"}


def test_a_failure_stops_it_and_leaves_the_rest_as_it_is() -> None:
    world = World().load(web()).cooperate()
    world.reload(new())
    before = world.pids_of()
    fail(world, "web:0")
    assert world.states() == {"web:0": FATAL, "web:1": RUNNING, "web:2": RUNNING}
    assert {**world.pids_of(), "web:0": None} == {**before, "web:0": None}
    assert sorted(world.results) == [
        ("web:0", "failed", False),
        ("web:1", "untouched", False),
        ("web:2", "untouched", False),
    ]
    assert (
        world.said[-1]
        == "update of web stopped at web:0: cannot execute /x: no such file (try 1 of 1); not touched web:1 web:2"
    )
    assert world.done == 1
    assert world.plan(new()).programs[0].restart == (1, 2), "another reload tries again"


def test_one_that_falls_while_it_is_watched_stops_it() -> None:
    world = World().load(web()).cooperate()
    world.reload(new())
    world.cooperate().end(world.entry("web:0"), code(1))
    world.cooperate()
    assert world.said[-1].startswith("update of web stopped at web:0: it did not stay up for 5s: exit 1")
    assert commands(world) == {0: "10", 1: "9", 2: "9"}


def judge(world: World, name: str, verdict: str) -> None:
    """Let health checks come to a verdict about an instance."""
    entry = world.entry(name)
    assert entry.process.pid is not None
    world.tell(entry, Judged(entry.process.pid, verdict, "http 503 (3 of 3)"))
    world.cooperate()


def test_with_health_the_next_one_follows_when_the_one_before_is_healthy() -> None:
    checked = {"health": {"tcp": "80", "action": "none"}}
    world = World().load(web(2, **checked)).cooperate()
    for name in ("web:0", "web:1"):
        judge(world, name, HEALTHY)
    world.reload(new(2, **checked))
    assert commands(world.cooperate()) == {0: "10", 1: "9"}
    assert not world.wakes, "RUNNING is not enough"
    judge(world, "web:0", HEALTHY)
    assert commands(world.wake()) == {0: "10", 1: "10"}
    judge(world, "web:1", UNHEALTHY)
    assert world.said[-1].startswith("update of web stopped at web:1: unhealthy: http 503 (3 of 3); updated web:0")


@pytest.mark.parametrize(("action", "stays"), [("none", True), ("signal HUP", True), ("restart", False)])
def test_an_instance_that_nobody_restarts_though_it_is_unhealthy_ends_the_update(action: str, stays: bool) -> None:
    checked = {"health": {"tcp": "80", "action": action}}
    world = World().load(web(3, **checked)).cooperate()
    for name in ("web:0", "web:1", "web:2"):
        judge(world, name, HEALTHY)
    world.reload(new(3, **checked))
    world.cooperate()
    judge(world, "web:0", HEALTHY)
    world.wake()
    judge(world, "web:0", UNHEALTHY)
    assert world.said[-1].startswith("update of web stopped at web:0: unhealthy") is stays
    assert bool(world.done) is stays


def test_a_rollback_takes_back_what_was_restarted() -> None:
    world = World().load(web(update=BACK)).cooperate()
    world.reload(new(update=BACK))
    world.cooperate().wake()
    world.settle()
    world.end(world.entry("web:1"), code(1))
    assert commands(world.cooperate()) == {0: "10", 1: "9", 2: "9"}, "web:1 at once, web:0 after it"
    assert commands(world.wake().wake()) == {0: "9", 1: "9", 2: "9"}
    assert world.done == 1
    assert {name: word for name, word, _ in world.results} == {
        "web:0": "restarted",
        "web:1": "rolled-back",
        "web:2": "untouched",
    }
    assert "rolled back web:1 web:0; not touched web:2" in world.said[-1]
    assert all(entry.outdated_keys() == ("cmd",) for entry in world.table), "the file still has another one"


def test_a_rollback_that_fails_ends_and_says_both_reasons() -> None:
    world = World().load(web(2, update=BACK)).cooperate()
    world.reload(new(2, update=BACK))
    fail(world, "web:0")
    assert world.states()["web:0"] == RUNNING
    world = World().load(web(2, update=BACK)).cooperate()
    world.reload(new(2, update=BACK))
    entry = world.entry("web:0")
    world.settle().end(entry)
    world.settle().fail_set_up(entry, permanent=True)
    world.settle().fail_set_up(entry, permanent=True)
    world.cooperate()
    assert world.states() == {"web:0": FATAL, "web:1": RUNNING}
    assert "the rollback stopped at web:0: cannot execute" in world.said[-1]
    assert world.done == 1


def test_a_restart_of_a_program_with_update_is_a_roll_and_rolling_makes_one_of_any() -> None:
    world = World().load(web(2), program("plain", numprocs=2, starttime=0.0)).cooperate()
    world.actions.clear()
    world.restart("web")
    world.restart("plain", rolling=True)
    world.cooperate()
    assert [name for name, action in world.actions if action == "terminate"] == ["web:0", "plain:0"]


def test_most_at_a_time_of_a_restart_replaces_that_of_the_program() -> None:
    world = World().load(web(3)).cooperate()
    world.actions.clear()
    world.restart("web", rolling=True, most=2)
    world.cooperate()
    assert [name for name, action in world.actions if action == "terminate"] == ["web:0", "web:1"]


def test_down_instances_come_first_and_with_the_new_command() -> None:
    world = World().load(web()).cooperate()
    world.stop("web:2")
    world.cooperate().restart("web")
    assert world.cooperate().states()["web:2"] == RUNNING
    assert world.said[1] == "web: 0 of 3 updated, web:2 starting"


@pytest.mark.parametrize("intent", ["stop", "restart", "reload"])
def test_a_newer_intent_ends_it_and_who_waits_gets_to_know(intent: str) -> None:
    world = World().load(web()).cooperate()
    world.restart("web")
    world.cooperate()
    if intent == "stop":
        world.stop("web:2", by="bob")
    elif intent == "restart":
        world.restart("web:2", by="bob")
    else:
        world.reload(web(stoptime=3.0))
    assert world.results[:3] == [
        ("web:0", "overtaken", False),
        ("web:1", "overtaken", False),
        ("web:2", "overtaken", False),
    ]
    by = "a reload" if intent == "reload" else "bob"
    assert f"update of web overtaken by {by}; under way web:0; not touched web:1 web:2" in world.said


def test_a_reload_of_something_else_lets_it_go_on() -> None:
    world = World().load(web()).cooperate()
    world.reload(new())
    world.cooperate().reload(new(), program("other"))
    world.end(world.entry("web:2"), code(1))
    assert commands(world.cooperate()) == {0: "10", 1: "9", 2: "9"}
    world.wake()
    world.wake()
    world.wake()
    assert commands(world) == {0: "10", 1: "10", 2: "10"}
    assert world.said[-1] == "update of web done: 3 of 3"


@pytest.mark.parametrize("how", ["stop and start", "restart with its dependents"])
def test_what_somebody_restarts_after_a_failed_update_gets_the_new_configuration(how: str) -> None:
    world = World().load(web()).cooperate()
    world.reload(new())
    fail(world, "web:0")
    if how == "stop and start":
        world.stop("web:2")
        world.cooperate().start("web:2")
    else:
        world.restart("web:2", dependents=True)
    assert commands(world.cooperate()) == {1: "9", 2: "10"}


def test_a_rollback_of_a_restart_goes_back_to_what_an_instance_was_started_with() -> None:
    world = World().load(web(2, update=BACK)).cooperate()
    run(apply(world.supervisor, without_restarts(world.plan(new(2, update=BACK))), "a reload", world.ticket()))
    world.restart("web", rolling=True, outdated=True)
    world.cooperate().end(world.entry("web:0"), code(1))
    assert commands(world.cooperate()) == {0: "9", 1: "9"}


def test_a_fatal_one_whose_restart_has_yet_to_be_told_is_not_taken_for_a_failure_of_the_new_version() -> None:
    world = World().load(web(1)).cooperate()
    world.stop("web")
    world.cooperate().start("web")
    world.fail_set_up(world.entry("web"), permanent=True)
    rolls = world.supervisor.rolls()
    later: list[Callable[[], None]] = []
    effects = rolls._effects

    def restart(entry: Entry, order: RollOrder, ask: bool, told: Callable[[str], None]) -> None:
        later.append(lambda: effects.restart(entry, order, ask, told))

    rolls._effects = effects.replace(restart=restart)
    world.restart("web")
    world.settle()
    assert world.states() == {"web:0": FATAL}
    later.pop()()
    world.cooperate().wake()
    assert world.said[-1] == "update of web done: 1 of 1"


def test_a_start_joins_it() -> None:
    world = World().load(web()).cooperate()
    world.restart("web")
    world.cooperate().start("web")
    assert [word for _, word, _ in world.results] == ["already-started"] * 3
    world.wake()
    world.wake()
    world.wake()
    assert world.said[-1] == "update of web done: 3 of 3"


def test_what_others_need_is_rolled_first_and_if_that_fails_they_are_not_touched() -> None:
    db = web(1).replace(name="db")
    top = web(1, depends_on=("db",)).replace(name="top")
    world = World().load(top, db).cooperate()
    world.reload(top.with_keys(cmd=("sleep", "10")), db.with_keys(cmd=("sleep", "10")))
    world.cooperate()
    assert world.pids_of() == {"top:0": 102, "db:0": 103}
    world.end(world.entry("db"), code(1))
    world.cooperate()
    assert world.said[-1] == "update of top not begun: db, which it depends on, was not updated"
    assert world.entry("top").outdated_keys() == ("cmd",)


def test_it_goes_on_where_another_daemon_was_when_it_is_upgraded() -> None:
    world = World().load(web(update=BACK)).cooperate()
    world.reload(new(update=BACK))
    world.cooperate().wake()
    rolls = world.supervisor.rolls
    assert rolls.made
    rows = json.loads(json.dumps(rolls.made.to_data()))
    for entry in world.table:
        entry.tickets.clear()
    rolls.made = None
    made: Rolls = rolls()
    made.resume(rows)
    assert json.loads(json.dumps(made.to_data())) == rows
    world.wakes.clear()
    world.cooperate().wake()
    assert commands(world.wake()) == {0: "10", 1: "10", 2: "10"}


def test_a_slot_that_was_not_reached_is_saved_with_the_configuration_that_it_keeps() -> None:
    world = World().load(web()).cooperate()
    world.reload(new())
    world.cooperate()
    row = json.loads(json.dumps(entry_to_data(world.entry("web:1"))))
    again = entry_from_data(row, {"web": new()})
    assert (again.wanted, again.newest) == (web(), new())


def test_a_shutdown_ends_it() -> None:
    world = World().load(web()).cooperate()
    world.restart("web")
    world.cooperate()
    world.supervisor.refuse_starts()
    assert world.done == 1
    rolls = world.supervisor.rolls.made
    assert rolls
    assert rolls.to_data() == []
