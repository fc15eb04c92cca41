"""pre_restart: who is asked before a restart, what a refusal means for each operation, and what newer wishes do to it."""

from __future__ import annotations

import pytest

from taskmaster_common.config import ProgramConfig
from taskmaster_common.config.hooks import HookCommand
from taskmaster_common.states import RUNNING, STOPPED
from taskmasterd.core.programs import operations
from taskmasterd.core.steps import run
from taskmasterd.core.words.view import slot_detail
from tests.support.model import World, code, program

TEST = HookCommand(("nginx", "-t")).row()
REASON = "pre_restart: exit 1"


def web(**fields: object) -> ProgramConfig:
    """Return a program that wants to be asked."""
    return program("web", **{"pre_restart": TEST, "starttime": 0, **fields})


def up(*programs: ProgramConfig) -> World:
    """Return a world in which everything runs."""
    return World().load(*programs).cooperate()


def test_nothing_is_stopped_before_it_has_answered_and_nothing_at_all_if_it_refuses() -> None:
    world = up(web(), program("db", starttime=0))
    pids = world.pids_of()
    world.restart("all")
    assert (world.pids_of(), world.results, set(world.checks)) == (pids, [], {"web:0"})
    assert slot_detail(world.table, world.entry("web"), world.now, {}) == "pre_restart: running"
    world.checks["web:0"].answer(REASON)
    world.cooperate()
    assert slot_detail(world.table, world.entry("web"), world.now, {}) == ""
    assert (world.results[0], world.pids_of()["web:0"]) == (("web:0", "refused", False), pids["web:0"])
    assert world.results[1:] == [("db:0", "restarted", True)], "the other one does not suffer"
    assert world.done == 1


def test_it_is_restarted_if_it_allows_that_with_what_goes_along() -> None:
    world = up(web(), program("side", starttime=0, depends_on=("web restart",)))
    pids = world.pids_of()
    world.restart("web")
    assert world.settle().pids_of() == pids
    world.checks["web:0"].answer("")
    world.cooperate()
    assert world.results == [("web:0", "restarted", True)]
    assert not pids.items() & world.pids_of().items(), "both are new"
    assert world.states() == {"web:0": RUNNING, "side:0": RUNNING}


def test_dependents_that_were_to_go_along_stay_if_it_refuses() -> None:
    world = up(web(), program("side", starttime=0, depends_on=("web",)))
    pids = world.pids_of()
    world.restart("web", dependents=True)
    world.checks["web:0"].answer(REASON)
    world.cooperate()
    assert sorted(world.results) == [("side:0", "refused", False), ("web:0", "refused", False)]
    assert world.pids_of() == pids


@pytest.mark.parametrize("state", ["down", "starting"])
def test_what_does_not_run_is_not_asked(state: str) -> None:
    world = World().load(web(autostart=False))
    if state == "starting":
        world.start("web")
        world.spawn(world.entry("web"))
    world.restart("web")
    assert world.checks == {}
    assert world.cooperate().states() == {"web:0": RUNNING}


def test_a_stop_meanwhile_wins_and_an_end_by_itself_needs_no_permission() -> None:
    world = up(web())
    world.restart("web")
    world.stop("web")
    check = world.checks["web:0"]
    assert check.cancelled
    check.answer("")
    assert world.cooperate().states() == {"web:0": STOPPED}
    assert ("web:0", "overtaken", False) in world.results
    world = up(web(autorestart="never"))
    world.restart("web")
    world.end(world.entry("web"), code(0))
    assert world.checks["web:0"].cancelled
    assert world.cooperate().results == [("web:0", "restarted", True)]


def test_a_shutdown_meanwhile_ends_it_and_everybody_is_answered() -> None:
    world = up(web(), program("db", starttime=0))
    world.restart("all")
    run(operations.shutdown(world.supervisor, "SIGTERM", world.ticket()))
    assert world.checks["web:0"].cancelled
    world.cooperate()
    assert set(world.states().values()) == {STOPPED}
    assert {("web:0", "overtaken", False), ("db:0", "overtaken", False)} <= set(world.results)


def test_a_reload_goes_on_with_the_others_and_what_it_could_not_restart_is_outdated() -> None:
    world = up(web(), program("db", starttime=0))
    pids = world.pids_of()
    changed = (web(cmd=("sleep", "8")), program("db", starttime=0, cmd=("sleep", "8")))
    world.reload(*changed)
    world.cooperate()
    assert world.pids_of()["web:0"] == pids["web:0"]
    assert world.pids_of()["db:0"] != pids["db:0"]
    assert world.results == [("db:0", "restarted", True)]
    world.checks["web:0"].answer(REASON)
    assert world.settle().results[-1] == ("web:0", "refused", False)
    assert world.entry("web").outdated_keys()
    assert not world.reload(*changed).changes, "what the file says is wanted already"
    world.restart("all", outdated=True)
    world.checks["web:0"].answer("")
    world.cooperate()
    assert world.results[-1] == ("web:0", "restarted", True)
    assert world.pids_of()["web:0"] != pids["web:0"]


def test_an_update_stops_at_an_instance_that_must_not_be_restarted_and_that_one_runs_on() -> None:
    world = up(web(numprocs=3, update={"monitor": 0.0}))
    pids = world.pids_of()
    world.reload(web(numprocs=3, update={"monitor": 0.0}, cmd=("sleep", "8")))

    def go_on() -> None:
        for _ in range(20):
            world.cooperate()
            while world.due:
                world.due.pop(0)()

    go_on()
    assert set(world.checks) == {"web:0"}
    world.checks["web:0"].answer("")
    go_on()
    assert set(world.checks) == {"web:0", "web:1"}
    world.checks["web:1"].answer(REASON)
    go_on()
    after = world.pids_of()
    assert after["web:0"] != pids["web:0"]
    assert (after["web:1"], after["web:2"]) == (pids["web:1"], pids["web:2"])
    assert set(world.checks) == {"web:0", "web:1"}
    assert any(f"stopped at web:1: {REASON}" in text for text in world.said)
    outdated = [entry.canonical for entry in world.table if entry.outdated_keys()]
    assert outdated == ["web:1", "web:2"]
