"""The rows of hooks: what waits for which hook, how long, and what follows when it fails, is late or is not wanted any more."""

from __future__ import annotations

import pytest

from taskmaster_common.config.hooks import HookCommand
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.events import (
    HOOK,
    KILL,
    NONE,
    SPAWN,
    TERMINATE,
    Bounce,
    DeadlineReached,
    Event,
    Executed,
    Extend,
    GroupEmpty,
    HookEnded,
    Kill,
    Leave,
    Opened,
    Ready,
    Restart,
    Retimed,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
)
from taskmasterd.core.process.state import (
    ENDS,
    HELD,
    LAST,
    OVERDUE,
    POST_START,
    POST_STOP,
    PRE_START,
    PRE_STOP,
    RUNS,
    STOP_CMD,
)
from taskmasterd.core.words.describe import detail
from taskmasterd.core.words.hooks import hook_lines
from tests.support.model import LEFT, Life, World, code, program

DONE, FAILED, UNKNOWN = HookEnded(ok=True), HookEnded(ok=False, text="exit 3"), HookEnded(ok=None, text="who knows")
A_HOOK = HookCommand(("hook",), timeout_s=5.0).row()
USUAL: dict[str, object] = {"starttime": 0.0, "stoptime": 10.0, "startretries": 1}


def life_with(*hooks: str, **fields: object) -> Life:
    """Return a program with these hooks, each with 5 seconds."""
    return Life(**{**USUAL, **dict.fromkeys(hooks, A_HOOK), **fields})


def up_with(*hooks: str, **fields: object) -> Life:
    """Return one that runs."""
    life = life_with(*hooks, **fields)(Start("alice"))
    if life.process.hook:
        life(DONE)
    life(Spawned(7), Executed())
    return life(DONE) if life.process.hook else life


def at(life: Life) -> tuple[str, str, str, str]:
    """Return state, hook, its stage, and the last action."""
    return life.state, life.process.hook, life.process.hook_stage, life.action


def said(life: Life) -> str:
    """Return what `status` says."""
    return detail(life.process, life.policy, life.now, {15: "TERM"})


# -- pre_start


def test_pre_start_runs_before_each_spawn_and_a_retry_runs_it_again() -> None:
    life = life_with("pre_start")(Start("alice"))
    assert at(life) == (STARTING, PRE_START, RUNS, HOOK)
    assert (life.pause, said(life.wait(2))) == (5, "pre_start: running 2.0s, 3.0s left")
    assert at(life(Start("bob"))) == (STARTING, PRE_START, RUNS, NONE), "a second start joins"
    assert at(life(DONE)) == (STARTING, "", "", SPAWN)
    assert life(Spawned(7)).exit(1).state == BACKOFF
    assert at(life.deadline()) == (STARTING, PRE_START, RUNS, HOOK)


def test_a_failed_pre_start_is_a_try_and_a_late_one_too_once_it_has_ended() -> None:
    life = life_with("pre_start")(Start("alice"), FAILED)
    assert (life.state, life.process.tries, life.process.starts) == (BACKOFF, 1, 1)
    life.deadline().wait(5).deadline()
    assert at(life) == (STOPPING, PRE_START, LAST, NONE)
    assert said(life) == "ending pre_start, SIGKILL in 2.0s"
    life(UNKNOWN)
    assert life.state == FATAL
    assert said(life) == "pre_start: timed out after 5s (try 2 of 2)"


def test_what_a_hook_does_to_kill_is_shown_as_what_an_instance_does() -> None:
    life = life_with("pre_start")(Start("alice"), Stop("bob")).wait(2).deadline()
    assert (life.process.killing, life.action, said(life)) == (1, NONE, "ending pre_start, SIGKILL sent")
    life.deadline()
    assert life.process.stuck
    assert said(life) == "pre_start is still there in spite of SIGKILL"


def test_a_pre_start_whose_end_nobody_knows_runs_once_more_and_a_refused_fork_is_no_try() -> None:
    life = life_with("pre_start")(Start("alice")).wait(3)(UNKNOWN)
    assert at(life) == (STARTING, PRE_START, RUNS, HOOK)
    assert (life.pause, life.process.tries) == (5, 0)
    life(SpawnFailed("no memory"))
    assert (life.state, life.process.tries, life.process.hook) == (BACKOFF, 0, "")
    assert "no memory" in said(life)


@pytest.mark.parametrize(
    ("event", "then", "after"),
    [
        (Stop("bob"), STOPPED, (STOPPED, "", "", NONE)),
        (Kill("SIGQUIT"), STOPPED, (STOPPED, "", "", NONE)),
        (Restart("bob"), STARTING, (STARTING, PRE_START, RUNS, HOOK)),
        (Bounce("because db went down"), STARTING, (STARTING, PRE_START, RUNS, HOOK)),
    ],
)
def test_who_wants_something_else_ends_pre_start_first(
    event: Event, then: str, after: tuple[str, str, str, str]
) -> None:
    life = life_with("pre_start", "post_stop")(Start("alice"), event)
    assert at(life) == (STOPPING, PRE_START, LAST, NONE)
    assert (life.process.then, life.process.killing) == (then, isinstance(event, Kill))
    assert at(life(UNKNOWN)) == after, "and no post_stop: nothing of a copy was there"
    assert life.process.by == event.by  # type: ignore[attr-defined]


def test_the_gate_comes_before_pre_start_and_again_where_it_was_not_looked_at() -> None:
    life = life_with("pre_start", depends_on=("db",))(Start("alice"))
    assert (life.process.phase, life.process.hook) == (HELD, "")
    assert at(life(Opened())) == (STARTING, PRE_START, RUNS, HOOK)
    free = life_with("pre_start", depends_on=("db",))(Start("alice", free=True))
    assert at(free) == (STARTING, PRE_START, RUNS, HOOK)
    free(Start("bob"), UNKNOWN)
    assert (free.process.phase, free.process.hook) == (HELD, "")


def test_what_it_needs_goes_down_during_pre_start_so_it_is_held_again() -> None:
    world = World().load(program("db", starttime=0), program("web", depends_on=("db",), pre_start=A_HOOK))
    db, web = world.entry("db"), world.entry("web")
    world.cooperate([db])
    assert world.settle().entry("web").process.hook == PRE_START
    world.end(db, code(1))
    world.settle().end_hook(web, ok=None)
    assert web.process.phase == HELD
    assert world.cooperate().states() == {"db:0": RUNNING, "web:0": RUNNING}


# -- post_start


def test_running_comes_after_post_start() -> None:
    life = life_with("post_start", start_timeout=60.0)(Start("alice"), Spawned(7, awaits=True), Executed(), Ready(7))
    assert at(life) == (STARTING, POST_START, RUNS, HOOK)
    assert at(life(Ready(7), DONE)) == (RUNNING, "", "", NONE)
    assert life.process.deadline is None
    assert life_with("post_start")(Start("alice"), Spawned(7), Executed(), UNKNOWN).state == RUNNING


def test_post_start_has_what_is_left_of_start_timeout_which_may_change() -> None:
    life = life_with("post_start", start_timeout=8.0)(Start("alice"), Spawned(7, awaits=True), Executed()).wait(6)
    assert life(Ready(7)).pause == 2
    life.policy = life.policy.replace(start_timeout=20.0)
    assert life(Retimed(8.0)).pause == 5
    life.policy = life.policy.replace(start_timeout=0.0)
    assert life(Retimed(20.0)).pause == 5


def test_a_failed_or_late_post_start_is_a_failed_start_and_the_copy_is_stopped() -> None:
    life = life_with("post_start")(Start("alice"), Spawned(7), Executed(), FAILED)
    assert at(life) == (STOPPING, "", "", TERMINATE)
    assert (life.process.then, life.process.reason, life.pause) == (BACKOFF, "post_start: exit 3", 10)
    life = life_with("post_start")(Start("alice"), Spawned(7), Executed()).deadline()
    assert at(life) == (STOPPING, POST_START, ENDS, TERMINATE)
    assert life.process.reason == "post_start: timed out after 5s"
    assert at(life.exit()) == (STOPPING, POST_START, LAST, NONE)
    assert life(UNKNOWN).state == BACKOFF


def test_an_end_before_running_is_a_failed_start_and_ends_post_start() -> None:
    life = life_with("post_start")(Start("alice"), Spawned(7), Executed()).exit(0)
    assert at(life) == (STOPPING, POST_START, LAST, NONE)
    assert life(DONE).state == BACKOFF
    life = life_with("post_start")(Start("alice"), Spawned(7), Executed()).exit(0, *LEFT)
    assert at(life) == (STOPPING, POST_START, ENDS, TERMINATE)
    assert at(life(GroupEmpty())) == (STOPPING, POST_START, LAST, NONE)


def test_a_stop_during_post_start_ends_both_without_pre_stop() -> None:
    life = life_with("post_start", "pre_stop")(Start("alice"), Spawned(7), Executed(), Stop("bob"))
    assert at(life) == (STOPPING, POST_START, ENDS, TERMINATE)
    assert at(life(UNKNOWN)) == (STOPPING, "", "", NONE)
    assert life.exit().state == STOPPED


# -- pre_stop and stop_cmd


def test_the_stop_signal_comes_after_pre_stop_whatever_came_of_it() -> None:
    for end in (DONE, FAILED, UNKNOWN):
        life = up_with("pre_stop")(Stop("bob"))
        assert at(life) == (STOPPING, PRE_STOP, RUNS, HOOK)
        assert at(life.wait(3)(Extend(7, life.now + 99))) == (STOPPING, PRE_STOP, RUNS, NONE)
        assert life.pause == 2, "its time is not the program's to extend"
        assert at(life(end)) == (STOPPING, "", "", TERMINATE)
        assert life.pause == 10


def test_a_late_pre_stop_is_ended_beside_the_stop_signal_and_killed_with_the_program() -> None:
    life = up_with("pre_stop")(Restart("bob")).deadline()
    assert at(life) == (STOPPING, PRE_STOP, ENDS, TERMINATE)
    assert life.pause == 10
    assert (life.deadline().action, life.process.killing) == (KILL, 1)
    assert at(life.exit()) == (STOPPING, PRE_STOP, LAST, NONE)
    assert at(life(UNKNOWN)) == (STARTING, "", "", SPAWN)


def test_a_stop_is_over_when_the_leader_ends_during_pre_stop() -> None:
    life = up_with("pre_stop", "stop_cmd")(Stop("bob")).exit(0)
    assert at(life) == (STOPPING, PRE_STOP, LAST, NONE)
    assert life(UNKNOWN).state == STOPPED
    life = up_with("pre_stop")(Stop("bob")).exit(0, *LEFT)
    assert at(life) == (STOPPING, PRE_STOP, ENDS, TERMINATE)


def test_stop_cmd_stands_for_the_signal_and_a_failure_brings_the_signal_within_the_same_stoptime() -> None:
    life = up_with("stop_cmd")(Stop("bob"))
    assert at(life) == (STOPPING, STOP_CMD, RUNS, HOOK)
    assert at(life.wait(3)(DONE)) == (STOPPING, "", "", NONE)
    assert life.pause == 7, "KILL comes stoptime after its start"
    assert life.exit().state == STOPPED
    life = up_with("stop_cmd")(Stop("bob")).wait(3)(FAILED)
    assert (at(life), life.pause) == ((STOPPING, "", "", TERMINATE), 7)
    life = up_with("stop_cmd")(Stop("bob")).deadline()
    assert (at(life), life.pause) == ((STOPPING, STOP_CMD, ENDS, TERMINATE), 5)
    assert life.deadline().action == KILL
    short = up_with("stop_cmd", stoptime=2.0)(Stop("bob")).deadline()
    assert at(short) == (STOPPING, STOP_CMD, ENDS, KILL)


def test_a_stop_cmd_whose_program_has_gone_may_end_by_itself() -> None:
    life = up_with("stop_cmd", "post_stop")(Stop("bob")).exit(0)
    assert at(life) == (STOPPING, STOP_CMD, RUNS, NONE)
    assert at(life(DONE)) == (STOPPING, POST_STOP, RUNS, HOOK)
    late = up_with("stop_cmd")(Stop("bob")).exit(0).deadline()
    assert at(late) == (STOPPING, STOP_CMD, LAST, NONE)
    assert late(UNKNOWN).state == STOPPED


def test_a_stop_cmd_waits_for_the_end_of_a_late_hook_before_it() -> None:
    life = up_with("pre_stop", "stop_cmd")(Stop("bob")).deadline()
    assert at(life) == (STOPPING, PRE_STOP, OVERDUE, NONE)
    assert at(life(UNKNOWN)) == (STOPPING, STOP_CMD, RUNS, HOOK)
    stuck = up_with("pre_stop", "stop_cmd")(Stop("bob")).deadline().deadline()
    assert at(stuck) == (STOPPING, PRE_STOP, ENDS, TERMINATE), "one that cannot be killed holds up no stop"


def test_what_is_not_ready_is_stopped_by_stop_cmd_too() -> None:
    life = life_with("stop_cmd", start_timeout=3.0)(Start("alice"), Spawned(7, awaits=True), Executed()).deadline()
    assert at(life) == (STOPPING, STOP_CMD, RUNS, HOOK)
    early = life_with("stop_cmd")(Start("alice"), Spawned(7), Stop("bob"))
    assert at(early) == (STOPPING, "", "", NONE)
    assert at(early(Executed())) == (STOPPING, STOP_CMD, RUNS, HOOK)


def test_a_newer_wish_during_pre_stop_replaces_what_follows() -> None:
    life = up_with("pre_stop")(Stop("bob"), Start("alice"))
    assert at(life) == (STOPPING, PRE_STOP, RUNS, NONE)
    assert life(DONE).exit().state == STARTING
    leaving = up_with("pre_stop")(Leave(Stop("bob")), Stop("bob"))
    assert at(leaving) == (STOPPING, PRE_STOP, RUNS, HOOK)


# -- post_stop


@pytest.mark.parametrize(("end", "then"), [(1, STARTING), (0, EXITED)])
def test_post_stop_comes_before_what_follows_an_end(end: int, then: str) -> None:
    life = up_with("post_stop").exit(end)
    assert at(life) == (STOPPING, POST_STOP, RUNS, HOOK)
    assert (life.process.then, life.process.pid, life.process.by) == (then, None, "")
    assert life(FAILED).state == then, "its failure changes nothing"


def test_post_stop_comes_after_what_was_left_and_after_a_start_that_failed() -> None:
    life = up_with("post_stop")(Stop("bob")).exit(0, *LEFT)
    assert life.process.hook == ""
    assert at(life(GroupEmpty())) == (STOPPING, POST_STOP, RUNS, HOOK)
    assert (life(Start("carol")).action, life(DONE).state) == (NONE, STARTING)
    assert life(Spawned(8)).exit(1).process.hook == POST_STOP
    assert life(DONE).state == BACKOFF


def test_a_late_post_stop_is_ended_and_then_what_follows_follows() -> None:
    life = up_with("post_stop")(Stop("bob")).exit(0).deadline()
    assert at(life) == (STOPPING, POST_STOP, LAST, NONE)
    assert life(UNKNOWN).state == STOPPED


def test_a_kill_skips_hooks_and_ends_one_that_runs() -> None:
    life = up_with("pre_stop", "post_stop")(Kill("SIGQUIT"))
    assert at(life) == (STOPPING, "", "", KILL)
    assert life.exit().state == STOPPED
    life = up_with("pre_stop", "post_stop")(Stop("bob"), Kill("SIGQUIT"))
    assert at(life) == (STOPPING, PRE_STOP, ENDS, KILL)
    assert at(life.exit()) == (STOPPING, PRE_STOP, LAST, NONE)
    assert life.process.killing == 1, "and so does the hook"
    assert life(UNKNOWN).state == STOPPED
    life = up_with("post_stop")(Stop("bob")).exit(0)(Kill("SIGQUIT"))
    assert (at(life), life.process.killing) == ((STOPPING, POST_STOP, LAST, NONE), 1)
    assert life(UNKNOWN).state == STOPPED


# -- why, and what the event log says


@pytest.mark.parametrize(
    ("events", "cause"),
    [
        ((Stop("bob"),), "stop"),
        ((Restart("bob"),), "restart"),
        ((Bounce("because db"),), "dependency"),
        ((Leave(Restart("bob")), Stop("bob")), "stop"),
        ((Kill("SIGQUIT"),), "kill"),
    ],
)
def test_the_cause_of_a_stop_is_who_wants_it(events: tuple[Event, ...], cause: str) -> None:
    assert up_with()(*events).process.cause == cause


def test_the_cause_of_an_end_is_kept_until_something_else_causes_a_start() -> None:
    life = up_with()
    assert life.process.cause == "start"
    assert life.exit(1).process.cause == "crash"
    assert life(Spawned(8)).exit(1).process.cause == "failed"
    assert life.deadline().process.cause == "failed"
    assert life(Restart("bob")).process.cause == "restart"
    assert up_with().exit(0).process.cause == "exit"
    assert up_with()(Leave(Bounce("because db"))).exit(0).process.cause == "dependency"


def test_the_event_log_says_what_came_of_hooks() -> None:
    world = World().load(program(pre_start=A_HOOK, pre_stop=A_HOOK, post_stop=A_HOOK, starttime=0))
    web = world.entry("web")
    texts: list[tuple[str, str]] = []

    def tell(event: Event) -> None:
        before = web.process
        world.tell(web, event)
        texts.extend(hook_lines(web, before, event, world.now))

    texts.extend(hook_lines(web, web.process.replace(hook="", hook_stage=""), Start(), world.now))
    world.instances[web].hooked = False
    tell(DONE)
    world.cooperate()
    tell(Stop("bob"))
    world.now += 1.5
    world.instances[web].hooked = False
    tell(FAILED)
    world.end(web)
    world.now += 5
    before = web.process
    world.deadline(web)
    texts.extend(hook_lines(web, before, DeadlineReached(), world.now))
    tell(Kill("SIGQUIT"))
    assert texts == [
        ("info", "running pre_start"),
        ("info", "pre_start done after 0.0s"),
        ("info", "running pre_stop"),
        ("warning", "pre_stop failed: exit 3"),
        ("warning", "post_stop timed out after 5s; ending it"),
        ("warning", "it has to end at once: no pre_stop and no post_stop"),
    ]
