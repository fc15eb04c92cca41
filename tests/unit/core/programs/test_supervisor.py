"""The supervisor: who is answered what and when, one live instance for each slot, shutting down for good."""

from __future__ import annotations

import pytest

from taskmaster_common.errors import BugError, RequestError
from taskmaster_common.states import RUNNING, STOPPED, STOPPING, ProcessState
from taskmasterd.core.process.events import KILL, SPAWN, TERMINATE, UNQUEUE, Executed, Start
from taskmasterd.core.programs import operations
from taskmasterd.core.programs.applying import apply
from taskmasterd.core.programs.table import Entry
from taskmasterd.core.programs.ticket import Outcome, Ticket
from taskmasterd.core.steps import run
from tests.support.model import LEFT, REFUSED, World, code, program, world_in

WEB = program()


def up(*names: str, **fields: object) -> World:
    """Return a world whose programs run."""
    return World().load(*(program(name, **fields) for name in names or ("web",))).cooperate()


# -- the daemon's start


def test_the_first_configuration_starts_what_starts_by_itself_in_the_order_of_the_file() -> None:
    world = World().load(program("b", numprocs=2), program("c", autostart=False), program("a"))
    assert world.actions == [("b:0", SPAWN), ("b:1", SPAWN), ("a:0", SPAWN)]
    assert world.table.names() == ("b", "c", "a")
    assert world.states()["c:0"] == "STOPPED"


# -- answers


def test_start_is_answered_when_it_runs() -> None:
    world = World().load(program(autostart=False))
    world.start("web")
    assert (world.results, world.done) == ([], 0)
    world.cooperate()
    assert (world.results, world.done) == ([("web:0", "started", True)], 1)


def test_start_of_what_runs_is_answered_at_once_and_touches_nothing() -> None:
    world = up()
    world.actions.clear()
    world.start("web")
    assert (world.results, world.done, world.actions) == ([("web:0", "already-started", True)], 1, [])


def test_start_of_what_is_starting_waits_for_its_outcome() -> None:
    world = World().load(WEB)
    world.start("web")
    assert world.results == []
    world.cooperate()
    assert world.results == [("web:0", "started", True)]


def test_start_that_fails_for_good_is_told_each_try_and_the_end() -> None:
    world = World().load(program(autostart=False, startretries=2))
    web = world.entry("web")
    world.start("web")
    for tries in (1, 2):
        world.fail_set_up(web)
        assert world.tries == ["web:0"] * tries
        world.deadline(web)
    world.fail_set_up(web)
    assert world.tries == ["web:0"] * 2
    assert world.results == [("web:0", "failed", False)]


def test_stop_is_answered_when_nothing_is_left() -> None:
    world = up()
    web = world.entry("web")
    ticket = world.stop("web")
    world.end(web, 0, LEFT)
    assert (world.results, ticket.waiting) == ([], (web,))
    world.empty(web)
    assert (world.results, world.done, ticket.waiting) == ([("web:0", "stopped", True)], 1, ())


def test_stop_of_what_is_stopped_is_answered_at_once() -> None:
    world = World().load(program(autostart=False))
    assert not world.stop("web").failed
    assert (world.results, world.done) == ([("web:0", "already-stopped", True)], 1)


def test_stop_of_a_start_in_the_queue_is_answered_at_once() -> None:
    world = World().load(WEB)
    world.stop("web")
    assert world.results == [("web:0", "stopped", True)]
    assert world.actions == [("web:0", SPAWN), ("web:0", UNQUEUE)]


def test_each_client_is_answered_by_its_own_operation() -> None:
    world = up()
    first_stop = world.stop("web")
    start = world.start("web")
    second_stop = world.stop("web")
    assert world.results == [("web:0", "overtaken", False)]
    assert start.failed
    restart = world.restart("web")
    world.end(world.entry("web"))
    assert world.results[1:] == [("web:0", "stopped", True), ("web:0", "stopped", True)]
    assert not first_stop.failed
    assert not second_stop.failed
    assert restart.waiting == (world.entry("web"),)
    world.cooperate()
    assert world.results[3:] == [("web:0", "restarted", True)]
    assert world.done == 4


def test_a_stop_that_a_newer_start_follows_is_answered_well_when_nothing_is_left() -> None:
    world = up()
    world.stop("web")
    world.start("web")
    assert world.results == []
    world.end(world.entry("web"))
    assert world.results == [("web:0", "stopped", True)]


def test_a_start_that_a_newer_stop_overtakes_fails_and_knows_who_did_it() -> None:
    world = World().load(program(autostart=False))
    world.start("web")
    world.spawn(world.entry("web"))
    world.stop("web", by="uid 0")
    assert world.results[0] == ("web:0", "overtaken", False)
    assert world.entry("web").process.by == "uid 0"


def test_start_and_restart_of_one_slot_from_many_clients_are_one_instance() -> None:
    world = up()
    for _ in range(20):
        world.restart("web")
        world.start("web")
    world.cooperate()
    assert [action for _, action in world.actions].count(SPAWN) == 2, "the daemon's start, and one more"
    assert {ok for _, _, ok in world.results} == {True}
    assert (len(world.results), world.done) == (40, 40)


def test_restart_is_one_operation_that_waits_for_the_new_instance() -> None:
    world = up()
    old = world.pids_of()
    world.restart("web")
    world.end(world.entry("web"))
    world.spawn(world.entry("web"))
    assert world.results == []
    world.cooperate()
    assert world.results == [("web:0", "restarted", True)]
    assert world.pids_of() != old


def test_restart_if_running_skips_what_is_down() -> None:
    world = World().load(program("a"), program("b"), program("c"))
    world.stop("a")
    world.cooperate((world.entry("b"),))
    world.results.clear()
    world.restart("all", if_running=True)
    assert world.results == [("a:0", "skipped", True)], "what is starting is restarted"
    assert world.cooperate().states() == {"a:0": "STOPPED", "b:0": "RUNNING", "c:0": "RUNNING"}


def test_what_will_not_die_is_answered_as_stuck_and_ends_later() -> None:
    world = up(stoptime=1.0)
    web = world.entry("web")
    world.stop("web")
    began = world.now
    world.deadline(web)
    assert world.results == []
    world.deadline(web)
    assert (world.now - began, world.results) == (3.0, [("web:0", "stuck", False)])
    world.end(web, 9)
    assert (web.process.state, len(world.results)) == (STOPPED, 1)


def test_a_client_that_goes_away_changes_nothing() -> None:
    world = up()
    ticket = world.restart("web")
    ticket.abandon()
    world.cooperate()
    assert (world.states(), world.results, world.done) == ({"web:0": "RUNNING"}, [], 0)
    assert world.entry("web").tickets == []


def test_a_request_over_several_is_done_with_the_last() -> None:
    world = up("a", "b")
    world.stop("all")
    world.end(world.entry("b"))
    assert (world.results, world.done) == ([("b:0", "stopped", True)], 0)
    world.end(world.entry("a"))
    assert (len(world.results), world.done) == (2, 1)


def test_a_request_over_nothing_is_done_at_once() -> None:
    world = World().load()
    world.stop("all")
    assert world.done == 1


# -- events, deadlines, announcements


def test_what_leaves_the_table_is_forgotten_whether_or_not_something_of_it_was_alive() -> None:
    world = up("a", "b", "c")
    world.stop("b")
    world.cooperate()
    world.reload(program("c"))
    assert world.forgotten == ["b:0"]
    world.cooperate()
    assert world.forgotten == ["b:0", "a:0"]


def test_a_deadline_that_comes_early_or_late_is_harmless() -> None:
    world = World().load(WEB)
    web = world.entry("web")
    world.supervisor.deadline_reached(web, world.now)
    world.spawn(web)
    world.execute(web)
    before = web.process
    world.supervisor.deadline_reached(web, world.now)
    assert web.process is before
    world.deadline(web)
    assert web.process.state == RUNNING
    world.supervisor.deadline_reached(web, world.now + 99)
    assert web.process.state == RUNNING


def test_a_deadline_is_armed_where_there_is_one_and_disarmed_where_not() -> None:
    world = up()
    assert world.armed == {}
    world.stop("web")
    assert world.armed == {world.entry("web"): world.now + 10}
    world.cooperate()
    assert world.armed == {}


def test_every_change_is_announced_and_nothing_else() -> None:
    world = up()
    world.start("web")
    assert world.announced == [("web:0", each) for each in ("Start", "Spawned", "Executed", "DeadlineReached")]


def test_an_impossible_event_changes_nothing() -> None:
    world = up()
    before = world.entry("web").process
    with pytest.raises(BugError):
        world.tell(world.entry("web"), Executed())
    assert world.entry("web").process is before


# -- removed entries


def test_what_is_being_removed_refuses_start_and_restart_but_not_stop() -> None:
    world = up()
    world.reload()
    assert world.start("web").failed
    assert world.restart("web").failed
    assert world.results == [("web:0", "removed", False)] * 2
    world.stop("web")
    world.cooperate()
    assert world.results[2:] == [("web:0", "stopped", True)] * 2, "the reload's, and that of stop"
    assert world.done == 4
    assert len(world.table) == 0


def test_a_start_that_a_reload_removes_is_overtaken() -> None:
    world = World().load(program(autostart=False))
    world.start("web")
    world.reload()
    assert ("web:0", "overtaken", False) in world.results
    assert len(world.table) == 0


def test_a_start_that_waits_is_not_overtaken_by_a_reloads_restart() -> None:
    world = World().load(WEB)
    world.spawn(world.entry("web"))
    world.start("web")
    world.reload(program(umask=0o77))
    world.cooperate()
    assert world.results == [("web:0", "started", True), ("web:0", "restarted", True)]


# -- shutting down


def test_shutdown_stops_everything_in_parallel_and_is_answered_with_the_last() -> None:
    world = World().load(program("a"), program("b"), program("c", autostart=False))
    world.cooperate()
    world.actions.clear()
    run(operations.shutdown(world.supervisor, "SIGTERM", world.ticket()))
    assert world.actions == [("a:0", TERMINATE), ("b:0", TERMINATE)]
    assert world.supervisor.busy() == (world.entry("a"), world.entry("b"))
    world.cooperate()
    assert (world.done, world.supervisor.busy()) == (1, ())


def test_while_shutting_down_what_would_start_something_is_refused_with_the_reason() -> None:
    world = up()
    plan = world.plan(WEB, program("new"))
    run(operations.shutdown(world.supervisor, "SIGTERM", world.ticket()))
    for request in (world.start, world.restart):
        with pytest.raises(RequestError, match="the daemon is being shut down") as caught:
            request("web")
        assert (caught.value.code, caught.value.exit_code) == ("stopping", 1)
    with pytest.raises(RequestError):
        run(apply(world.supervisor, plan, "a reload", world.ticket()))
    assert world.table.names() == ("web",)
    world.stop("web")
    assert world.cooperate().states() == {"web:0": "STOPPED"}


def test_a_shutdown_ends_what_is_being_started_or_applied_in_steps() -> None:
    world = World().load(program("web", numprocs=4, autostart=False))
    starts = operations.start(world.supervisor, tuple(world.table), "alice", world.ticket())
    plan = world.plan(program("web", numprocs=9, autostart=False))
    application = apply(world.supervisor, plan, "a reload", world.ticket())
    next(starts)
    next(application)
    run(operations.shutdown(world.supervisor, "SIGTERM", world.ticket()))
    with pytest.raises(RequestError, match="the daemon is being shut down"):
        next(starts)
    run(application)
    assert len(world.table) == 5
    world.cooperate()
    assert set(world.states().values()) == {"STOPPED"}


def test_shutdown_takes_back_starts_and_waits_of_every_kind() -> None:
    world = World().load(program("queued"), program("waits"), program("again"), program("trial"))
    world.fail_set_up(world.entry("waits"))
    for name in ("again", "trial"):
        world.spawn(world.entry(name))
        world.execute(world.entry(name))
    world.restart("again")
    world.actions.clear()
    run(operations.shutdown(world.supervisor, "SIGTERM", world.ticket()))
    world.cooperate()
    assert set(world.states().values()) == {"STOPPED"}
    assert SPAWN not in [action for _, action in world.actions]


def test_a_second_shutdown_is_harmless_and_answered_too() -> None:
    world = up()
    for _ in range(2):
        run(operations.shutdown(world.supervisor, "SIGTERM", world.ticket()))
    world.cooperate()
    assert world.done == 2
    assert [action for _, action in world.actions].count(TERMINATE) == 1


def test_kill_all_ends_everything_at_once() -> None:
    world = up("a", "b")
    world.start("a")
    world.stop("a")
    world.actions.clear()
    operations.kill_all(world.supervisor, "SIGQUIT")
    assert world.actions == [("a:0", KILL), ("b:0", KILL)]
    with pytest.raises(RequestError):
        world.start("a")


def test_the_end_of_shutdown_timeout_right_after_a_kill_does_not_report_a_dying_program_as_stuck() -> None:
    world = up(stoptime=60.0)
    web = world.entry("web")
    run(operations.shutdown(world.supervisor, "SIGTERM", world.ticket()))
    world.deadline(web)
    operations.kill_all(world.supervisor, "shutdown_timeout")
    assert (world.results, web.process.state) == ([], STOPPING)
    world.end(web, 9)
    assert world.results == [("web:0", "stopped", True)]


@pytest.mark.parametrize("state", ["STOPPED", "EXITED", "FATAL"])
@pytest.mark.parametrize("at_once", [False, True])
def test_what_is_down_when_the_daemon_is_shut_down_stays_as_it_is_and_nothing_is_said_of_it(
    state: ProcessState, at_once: bool
) -> None:
    world = world_in(state)
    before, said = world.entry("web").process, len(world.announced)
    if at_once:
        operations.kill_all(world.supervisor, "SIGQUIT")
    run(operations.shutdown(world.supervisor, "SIGTERM", world.ticket()))
    assert (world.entry("web").process, world.announced[said:], world.results, world.done) == (before, [], [], 1)


def test_a_removed_entry_is_gone_after_shutdown() -> None:
    world = up("a", "b")
    world.reload(program("a"))
    run(operations.shutdown(world.supervisor, "SIGTERM", world.ticket()))
    assert world.cooperate().states() == {"a:0": "STOPPED"}


def test_what_may_not_be_signalled_answers_the_stop_once_kill_was_refused_and_a_later_stop_tries_again() -> None:
    world = up(stoptime=10.0)
    web = world.entry("web")
    world.refusing.add(web)
    world.stop("web")
    assert (web.process.refused, world.results) == (REFUSED, [])
    world.deadline(web)
    assert world.results == [("web:0", "stuck", False)]
    assert web not in world.armed, "KILL is not repeated for as long as nothing changes"
    world.stop("web")
    assert world.results[1:] == [("web:0", "stuck", False)]
    world.refusing.clear()
    world.stop("web")
    assert (web.process.refused, world.results[2:]) == ((), [])
    assert world.actions[-1] == ("web:0", KILL)
    world.end(web, 9)
    assert world.results[2:] == [("web:0", "stopped", True)]


def test_an_answer_may_lead_to_the_next_request_on_the_same_slot() -> None:
    world = up()
    web = world.entry("web")

    def stopped(_entry: Entry, _outcome: Outcome) -> None:
        world.start("web")

    ticket = Ticket(stopped, lambda: None, lambda _entry: None)
    run(operations.stop(world.supervisor, (web,), "bob", ticket))
    world.end(web)
    assert world.cooperate().states() == {"web:0": "RUNNING"}
    assert world.results == [("web:0", "started", True)]


def test_a_program_that_is_killed_from_outside_a_hundred_times_is_restarted_a_hundred_times() -> None:
    world = up(starttime=0.0, restart_burst=0)
    web = world.entry("web")
    for count in range(1, 101):
        world.end(web, 9)
        assert world.actions[-1] == ("web:0", SPAWN)
        world.spawn(web)
        world.execute(web)
        assert (web.process.state, web.process.restarts) == (RUNNING, count)


def test_one_program_that_gives_up_leaves_its_neighbours_alone() -> None:
    world = up("web", "db")
    before = world.entry("db").process
    world.tell(world.entry("web"), Start("eve"))
    world.end(world.entry("web"), code(1))
    for _ in range(9):
        if world.instances[world.entry("web")].queued:
            world.fail_set_up(world.entry("web"))
        elif world.entry("web") in world.armed:
            world.deadline(world.entry("web"))
    assert world.states()["web:0"] == "FATAL"
    assert world.entry("db").process is before
