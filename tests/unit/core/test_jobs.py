"""One-shot programs: a job is done when it ends well; anything else is a failed try."""

from __future__ import annotations

import itertools

import pytest

from taskmaster_common.config import ONESHOT
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING, ProcessState
from taskmasterd.core.process.events import SPAWN, TERMINATE, Arm, Due, Restart, Start, Stop
from taskmasterd.core.process.state import BLOCKED, HELD, Process
from taskmasterd.core.programs.exitrule import essential_code, last_keeper
from taskmasterd.core.programs.schedule import Planned
from taskmasterd.core.words.describe import detail
from tests.support.model import LEFT, Life, World, code, policy, program
from tests.support.walk import World as Walk

JOB = {"type": ONESHOT, "starttime": 0.0, "startretries": 0, "start_timeout": 0.0}
MIGRATE = program("migrate", **JOB)
WEB = program("web", depends_on=("migrate",))


def job(**fields: object) -> Life:
    """Return a job that runs."""
    return Life(**{**JOB, **fields}).executed()


def said(life: Life) -> str:
    """Return what `status` says."""
    return detail(life.process, life.policy, life.now, {15: "TERM", 9: "KILL"})


def test_a_job_runs_from_its_exec_and_is_done_when_it_ends_well() -> None:
    life = job()
    assert (life.state, life.process.deadline) == (RUNNING, None)
    life.wait(2.3).exit(0)
    assert (life.state, life.process.done, said(life)) == (EXITED, True, "done (0) in 2.3s")


def test_any_code_of_exitcodes_is_done_whatever_autorestart_would_say() -> None:
    life = job(exitcodes=(0, 3)).exit(3)
    assert (life.state, life.process.done) == (EXITED, True)


def test_another_end_is_a_failed_try_and_the_tries_are_counted_over_the_runs() -> None:
    life = job(startretries=1).wait(1).exit(3)
    assert (life.state, said(life)) == (BACKOFF, "retry 1 of 1 in 0.5s; exit 3 after 1.0s")
    life.deadline()
    assert life.action == SPAWN
    life = job(startretries=0).exit(3)
    assert (life.state, said(life)) == (FATAL, "exit 3 after 0.0s (try 1 of 1)")


def test_two_failed_runs_use_up_one_retry() -> None:
    world = World().load(program("migrate", **{**JOB, "startretries": 1}))
    migrate = world.entry("migrate")
    for state in (BACKOFF, FATAL):
        world.spawn(migrate)
        world.execute(migrate)
        world.end(migrate, code(1))
        assert migrate.process.state == state
        if state == BACKOFF:
            world.deadline(migrate)


def test_what_runs_too_long_is_ended_and_that_is_a_failed_try() -> None:
    life = job(start_timeout=5.0, startretries=1).deadline()
    assert (life.state, life.action, life.process.then) == (STOPPING, TERMINATE, BACKOFF)
    assert said(life).startswith("not done within 5s; ending it")
    life.exit(0)
    assert (life.state, said(life).partition(" in ")[0]) == (BACKOFF, "retry 1 of 1")
    assert said(life).endswith("not done within 5s")
    assert job(start_timeout=5.0).deadline().exit(0).state == FATAL


def test_a_reload_of_start_timeout_counts_from_the_start_of_the_run_that_is_under_way() -> None:
    world = World().load(program("migrate", **JOB)).cooperate()
    migrate = world.entry("migrate")
    began = world.now
    world.now += 5
    for limit, deadline in ((60.0, began + 60), (20.0, began + 20), (0.0, None), (3.0, began + 3)):
        world.reload(program("migrate", **{**JOB, "start_timeout": limit}))
        assert (migrate.process.state, world.armed.get(migrate)) == (RUNNING, deadline)
    world.deadline(migrate)
    assert (migrate.process.state, migrate.process.reason) == (STOPPING, "not done within 3s")


def test_a_reload_of_start_timeout_changes_nothing_of_what_is_not_limited_by_it() -> None:
    world = World().load(program("web")).cooperate()
    world.reload(program("web", start_timeout=5.0))
    assert world.entry("web").process.deadline is None
    assert ("web:0", "Retimed") not in world.announced


def test_an_order_while_what_ran_too_long_is_ended_is_obeyed() -> None:
    assert job(start_timeout=5.0).deadline()(Stop("bob")).exit(0).state == STOPPED
    life = job(start_timeout=5.0).deadline()(Start("alice")).exit(0)
    assert (life.state, life.process.tries) == (STARTING, 0)


def test_a_job_that_leaves_something_is_done_when_that_has_gone() -> None:
    life = job().exit(0, *LEFT)
    assert (life.state, life.process.then) == (STOPPING, EXITED)


def test_start_runs_a_done_job_again_stop_forgets_it_and_restart_ends_a_running_one_first() -> None:
    assert job().exit(0)(Start("alice")).action == SPAWN
    assert job().exit(0)(Stop("bob")).state == STOPPED
    assert job()(Restart("carol")).state == STOPPING


def test_start_is_answered_when_the_job_is_done_or_has_failed() -> None:
    for status, result in ((0, ("migrate:0", "done", True)), (3, ("migrate:0", "failed", False))):
        world = World().load(program("migrate", autostart=False, **JOB))
        world.start("migrate")
        migrate = world.entry("migrate")
        world.spawn(migrate)
        world.execute(migrate)
        assert world.results == []
        world.start("migrate")
        assert world.results.pop() == ("migrate:0", "already-started", True)
        world.end(migrate, code(status))
        assert world.results == [result]


def test_what_depends_on_a_job_waits_until_it_is_done_and_a_failed_one_blocks_it() -> None:
    world = World().load(WEB, MIGRATE).settle()
    migrate, web = world.entry("migrate"), world.entry("web")
    world.spawn(migrate)
    world.execute(migrate)
    assert web.process.phase == HELD
    world.settle().end(migrate)
    assert world.settle().actions[-1] == ("web:0", SPAWN)
    world = World().load(WEB, MIGRATE).settle()
    world.spawn(world.entry("migrate"))
    world.execute(world.entry("migrate"))
    world.end(world.entry("migrate"), code(1))
    assert world.settle().entry("web").process.phase == BLOCKED


def test_a_job_that_is_done_is_not_run_again_for_a_crash_a_restart_or_a_start_of_what_needs_it() -> None:
    world = World().load(WEB, MIGRATE).settle()
    migrate, web = world.entry("migrate"), world.entry("web")
    world.spawn(migrate)
    world.execute(migrate)
    world.end(migrate)
    world.cooperate([web])
    world.end(web, code(1))
    world.cooperate([web])
    world.restart("web")
    world.cooperate([web])
    assert [name for name, action in world.actions if action == SPAWN].count("migrate:0") == 1
    world.stop("migrate")
    world.restart("web")
    world.settle()
    assert [name for name, action in world.actions if action == SPAWN].count("migrate:0") == 2


def test_the_ends_of_a_service_can_be_waited_for() -> None:
    for condition, status, opens in (("done", 0, True), ("done", 1, False), ("ended", 1, True)):
        world = (
            World()
            .load(program("web", depends_on=(f"once {condition}",)), program("once", autorestart="never", starttime=0))
            .settle()
        )
        once = world.entry("once")
        world.spawn(once)
        world.execute(once)
        world.end(once, code(status))
        assert (world.settle().actions[-1] == ("web:0", SPAWN)) is opens, (condition, status)


def test_a_job_that_is_over_before_anybody_looks_has_been_started() -> None:
    world = World().load(program("web", depends_on=("migrate started",)), MIGRATE).settle()
    migrate, web = world.entry("migrate"), world.entry("web")
    world.spawn(migrate)
    world.execute(migrate)
    world.end(migrate)
    assert world.settle().actions[-1] == ("web:0", SPAWN)
    world.cooperate([web])
    world.restart("web")
    world.cooperate([web])
    assert [name for name, action in world.actions if action == SPAWN].count("migrate:0") == 1


def test_the_end_of_a_job_takes_nobody_down_who_needs_it_started_but_its_failure_does() -> None:
    for status, state in ((0, RUNNING), (1, STOPPING)):
        world = World().load(program("web", depends_on=("migrate started restart",)), MIGRATE).settle()
        migrate = world.entry("migrate")
        world.spawn(migrate)
        world.execute(migrate)
        world.settle().cooperate([world.entry("web")])
        world.end(migrate, code(status))
        assert world.settle().states()["web:0"] == state


def test_a_service_that_has_ended_well_is_not_started() -> None:
    once = program("once", autorestart="never", starttime=0)
    world = World().load(once).cooperate()
    world.end(world.entry("once"))
    world.reload(once, program("web", depends_on=("once started",)))
    assert world.settle().entry("web").process.phase == HELD
    assert world.actions == [("once:0", SPAWN), *world.actions[1:]]


def test_more_instances_of_a_job_that_is_done_run_and_hold_up_what_needs_it_and_no_other_runs_again() -> None:
    world = World().load(WEB, MIGRATE).settle()
    migrate, web = world.entry("migrate"), world.entry("web")
    world.spawn(migrate)
    world.execute(migrate)
    world.end(migrate)
    world.settle().cooperate([web])
    world.reload(WEB, program("migrate", numprocs=3, **JOB))
    assert world.settle().actions == [("migrate:1", SPAWN), ("migrate:2", SPAWN)]
    world.end(web, code(1))
    assert world.settle().entry("web").process.phase == HELD
    for name in ("migrate:1", "migrate:2"):
        entry = world.entry(name)
        world.spawn(entry)
        world.execute(entry)
        world.end(entry)
    assert world.settle().actions[-1] == ("web:0", SPAWN)


def test_more_instances_of_a_job_that_somebody_has_stopped_stay_down() -> None:
    world = World().load(MIGRATE)
    world.stop("migrate")
    world.reload(program("migrate", numprocs=2, **JOB))
    assert world.settle().actions == []


@pytest.fixture(scope="module")
def walks() -> list[Walk]:
    """Return the world of every policy of a job."""
    return [
        Walk(policy(type=ONESHOT, startretries=retries, start_timeout=limit, starttime=starttime))
        for retries, limit, starttime in itertools.product((0, 1), (0.0, 1.0), (0.0, 1.0))
    ]


def test_in_every_state_a_job_can_reach_its_ends_are_judged_by_their_code_alone(walks: list[Walk]) -> None:
    for walk in walks:
        for process, leaving in walk.edges.items():
            assert process.state != RUNNING or (process.deadline is None) == (not walk.policy.start_timeout)
            for edge in leaving:
                if process.state == RUNNING and edge.event in ("Exited 0", "Exited 1", "Exited by signal"):
                    assert edge.after.state == (EXITED if edge.event == "Exited 0" else edge.after.state), edge
                    assert edge.event == "Exited 0" or edge.after.state in (BACKOFF, FATAL), edge
                if process.state == RUNNING and edge.event == "DeadlineReached":
                    assert edge.after.state == STOPPING, edge
                    assert edge.after.then in (BACKOFF, FATAL), edge


# -- with a schedule

SCHEDULED = program("backup", **JOB, schedule={"every": 3600.0})


def test_a_job_with_a_schedule_is_armed_and_not_started_and_pulls_nothing_in() -> None:
    world = World().load(program("db", autostart=False), SCHEDULED.with_keys(depends_on=("db",)))
    backup = world.entry("backup")
    assert (backup.process.state, backup.process.end, backup.process.done) == (EXITED, None, False)
    assert backup.process.as_wanted
    assert world.states() == {"db:0": STOPPED, "backup:0": EXITED}
    world.tell(backup, Due("its schedule"))
    assert world.settle().states() == {"db:0": STOPPED, "backup:0": BACKOFF}, "its gate is closed"


def test_a_reload_touches_no_job_with_a_schedule_that_runs_and_starts_none() -> None:
    world = World().load(SCHEDULED)
    backup = world.entry("backup")
    world.start("backup")
    world.settle().spawn(backup)
    world.execute(backup)
    plan = world.reload(SCHEDULED.with_keys(cmd=("other",)))
    assert plan.programs[0].why == "cmd used at the next start"
    assert (world.actions, backup.process.state) == ([], RUNNING)
    world.end(backup, code(1))
    assert backup.process.state == FATAL
    world.reload(SCHEDULED.with_keys(cmd=("third",)))
    assert (world.actions, backup.process.state) == ([], FATAL), "its next run will tell"


@pytest.mark.parametrize("state", [RUNNING, BACKOFF, FATAL])
def test_a_reload_that_makes_a_job_of_a_service_waits_until_it_runs_and_not_for_its_end(state: ProcessState) -> None:
    service = program("migrate", starttime=0.0 if state == RUNNING else 1.0, startretries=0 if state == FATAL else 3)
    world = World().load(service).settle()
    migrate = world.entry("migrate")
    world.spawn(migrate)
    world.execute(migrate)
    if state != RUNNING:
        world.end(migrate, code(1))
    assert migrate.process.state == state
    world.reload(program("migrate", **JOB))
    if state == RUNNING:
        world.end(migrate)
    assert world.results == []
    world.settle().spawn(migrate)
    world.execute(migrate)
    assert world.results == [("migrate:0", "started" if state == FATAL else "restarted", True)]
    world.results.clear()
    world.reload(program("migrate", **JOB, cmd=("true",)))
    world.end(migrate)
    world.settle().spawn(migrate)
    world.execute(migrate)
    assert world.results == [], "a job that a reload runs again is awaited, as a start of it is"
    world.end(migrate)
    assert world.results == [("migrate:0", "done", True)]


@pytest.mark.parametrize("state", [RUNNING, BACKOFF, FATAL])
def test_a_service_that_gets_a_schedule_runs_at_its_times_and_not_because_of_the_reload(state: ProcessState) -> None:
    service = program("backup", starttime=0.0 if state == RUNNING else 1.0, startretries=0 if state == FATAL else 3)
    world = World().load(service)
    backup = world.entry("backup")
    world.settle().spawn(backup)
    world.execute(backup)
    if state != RUNNING:
        world.end(backup, code(1))
    world.actions.clear()
    assert backup.process.state == state
    plan = world.reload(SCHEDULED)
    assert plan.programs[0].why.startswith("type used at the next start")
    assert (world.actions, backup.process.state) == ([], state)


def test_a_stopped_run_is_not_done_and_what_is_armed_meanwhile_waits_for_its_time() -> None:
    stopped = job()(Stop("bob"), Arm("bob")).exit(0)
    assert (stopped.state, stopped.process.done, stopped.process.as_wanted) == (EXITED, False, True)
    assert job()(Stop("bob")).exit(0)(Arm("bob")).state == EXITED
    assert job()(Arm("bob")).state == RUNNING


def test_what_is_due_takes_the_place_of_retries_that_are_left() -> None:
    life = job(startretries=3).exit(1)
    assert (life.state, life.process.tries) == (BACKOFF, 1)
    life(Due("its schedule"))
    assert (life.state, life.process.tries, life.action) == (STARTING, 0, SPAWN)


def test_an_armed_job_keeps_a_daemon_that_ends_with_its_programs() -> None:
    world = World().load(SCHEDULED.replace(essential=True))
    backup = world.entry("backup")
    assert essential_code(True, Process(), backup.process) is None, "nothing has ended"
    assert last_keeper(world.table) is backup
    backup.plan(Planned(at=None))
    assert last_keeper(world.table) is None, "it has no more runs"
