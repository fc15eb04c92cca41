"""Instances that run with an older configuration than the file has: which they are, and what is done about them."""

from __future__ import annotations

from taskmasterd.core.programs import operations
from taskmasterd.core.programs.applying import apply
from taskmasterd.core.programs.order import OrderOptions
from taskmasterd.core.programs.plan import RESTARTED, UPDATED, diffing, without_restarts
from taskmasterd.core.programs.table import Entry
from taskmasterd.core.programs.ticket import Outcome, Ticket
from taskmasterd.core.steps import run
from taskmasterd.core.words.view import process_view
from tests.support.model import DAEMON, World, config, program

OLD = program(numprocs=2, starttime=0.0)
NEW = program(numprocs=2, starttime=0.0, cmd=("sleep", "10"), ready={"tcp": "80"}, stoptime=3.0)


def reloaded_without_restarts() -> World:
    """Return a world whose two instances run with OLD while NEW is wanted."""
    world = World().load(OLD).cooperate()
    run(apply(world.supervisor, without_restarts(world.plan(NEW)), "a reload", world.ticket()))
    return world.cooperate()


def outdated(world: World) -> dict[str, tuple[str, ...]]:
    """Return the outdated keys of every slot."""
    return {entry.canonical: entry.outdated_keys() for entry in world.table}


def test_a_plan_without_restarts_says_what_is_left_for_later() -> None:
    world = World().load(OLD).cooperate()
    (planned,) = without_restarts(world.plan(NEW)).programs
    assert (planned.change, planned.restart) == (UPDATED, ())
    assert planned.why == "cmd used at the next start; not restarted"


def test_what_was_not_restarted_runs_on_outdated_with_the_new_live_keys() -> None:
    world = World().load(OLD).cooperate()
    before = world.pids_of()
    run(apply(world.supervisor, without_restarts(world.plan(NEW)), "a reload", world.ticket()))
    assert world.cooperate().pids_of() == before
    assert outdated(world) == {"web:0": ("cmd", "ready"), "web:1": ("cmd", "ready")}
    assert world.entry("web:0").policy.stoptime == 3.0


def test_a_view_says_outdated_and_which_keys() -> None:
    world = reloaded_without_restarts()
    view = process_view(world.table, world.entry("web:0"), world.now, {})
    assert (view["outdated"], view["detail"]) == (True, "outdated (cmd, ready)")


def test_a_restart_of_what_is_outdated_leaves_the_others_alone() -> None:
    world = reloaded_without_restarts()
    world.restart("web:0")
    pid = world.cooperate().entry("web:0").process.pid
    world.restart("web", outdated=True)
    assert world.cooperate().entry("web:0").process.pid == pid
    assert ("web:0", "skipped", True) in world.results
    assert set(outdated(world).values()) == {()}


def test_a_restart_says_why_it_leaves_a_process_alone() -> None:
    world = World().load(OLD).cooperate()
    world.stop("web:1")
    world.cooperate()
    reasons: list[tuple[str, str]] = []

    def result(entry: Entry, outcome: Outcome) -> None:
        reasons.append((entry.canonical, outcome.because))

    for options in (OrderOptions(if_running=True, outdated=True), OrderOptions(outdated=True)):
        ticket = Ticket(result, lambda: None, lambda _entry: None)
        run(operations.restart(world.supervisor, tuple(world.table), "carol", ticket, options))
    assert reasons == [
        ("web:0", "not outdated"),
        ("web:1", "not running"),
        ("web:0", "not outdated"),
        ("web:1", "not outdated"),
    ]


def test_a_reload_of_the_same_file_restarts_what_runs_outdated_once() -> None:
    world = reloaded_without_restarts()
    plan = run(diffing(world.table, DAEMON, config(NEW), again=True))
    (planned,) = plan.programs
    assert (planned.change, planned.keys, planned.restart) == (RESTARTED, ("cmd",), (0, 1))
    assert without_restarts(plan).programs[0].restart == ()
    assert not world.plan(NEW).changes, "the start of a daemon restarts nothing that runs"
    run(apply(world.supervisor, plan, "a reload", world.ticket()))
    assert not run(diffing(world.table, DAEMON, config(NEW), again=True)).changes, "they are on their way down"
    world.cooperate()
    assert outdated(world) == {"web:0": (), "web:1": ()}
    assert not run(diffing(world.table, DAEMON, config(NEW), again=True)).changes


def test_a_reload_that_changes_something_else_restarts_what_runs_outdated_too() -> None:
    world = reloaded_without_restarts()
    mended = NEW.with_keys(stoptime=4.0)
    (planned,) = run(diffing(world.table, DAEMON, config(mended), again=True)).programs
    assert (planned.change, {*planned.keys}, planned.restart) == (RESTARTED, {"cmd", "stoptime"}, (0, 1))
    (planned,) = world.plan(mended).programs
    assert (planned.change, planned.keys, planned.restart) == (UPDATED, ("stoptime",), ())


def test_what_is_down_is_not_outdated() -> None:
    world = reloaded_without_restarts()
    world.stop("web:0")
    assert outdated(world)["web:0"] == (), "it is on its way down"
    assert outdated(world.cooperate())["web:0"] == ()


def test_a_file_that_was_put_back_restarts_only_what_had_got_the_new_one() -> None:
    world = reloaded_without_restarts()
    world.restart("web:0")
    world.cooperate()
    (planned,) = world.reload(OLD).programs
    assert planned.restart == (0,)


def test_what_runs_with_another_watchdog_is_outdated_until_its_next_start() -> None:
    world = World().load(program(starttime=0.0, health={"watchdog": 5.0})).cooperate()
    wanted = program(starttime=0.0, health={"watchdog": 9.0})
    run(apply(world.supervisor, world.plan(wanted), "a reload", world.ticket()))
    assert list(outdated(world.cooperate()).values()) == [("health",)]
    world.restart("web", outdated=True)
    assert list(outdated(world.cooperate()).values()) == [()]
