"""How a process goes down: stop signal, KILL, what is left behind, what follows, and what will not die."""

from __future__ import annotations

import pytest

from taskmaster_common.config import ALWAYS, NEVER
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING, ProcessState
from taskmasterd.core.process.events import (
    KILL,
    NONE,
    SPAWN,
    TERMINATE,
    UNQUEUE,
    DeadlineReached,
    Executed,
    Exited,
    GroupEmpty,
    Kill,
    Restart,
    Spawned,
    Start,
    Stop,
)
from taskmasterd.core.process.machine import step
from taskmasterd.core.process.state import Process
from taskmasterd.core.process.stopping import EXEC_WITHIN_S, KILL_GRACE_S, KILL_REPEAT_MAX_S
from tests.support.model import LEFT, Life, code, policy

# -- stop signal and KILL


def test_stop_signals_now_and_kills_at_stoptime() -> None:
    life = Life(stoptime=10).running().wait(5)(Stop("bob"))
    assert (life.action, life.pause) == (TERMINATE, 10)
    life.deadline()
    assert (life.state, life.action) == (STOPPING, KILL)


@pytest.mark.parametrize("status", [code(0), code(1), 9, 15])
@pytest.mark.parametrize("autorestart", [ALWAYS, NEVER])
def test_an_exit_while_stopping_is_stopped_whatever_the_code(status: int, autorestart: str) -> None:
    life = Life(autorestart=autorestart).running()(Stop("bob"), Exited(status))
    assert (life.state, life.action, life.process.pid, life.process.deadline) == (STOPPED, NONE, None, None)


def test_an_end_that_was_asked_for_is_no_failed_start() -> None:
    end = Life().running().wait(60)(Stop("bob")).exit(0).process.end
    assert end is not None
    assert (end.started, end.expected) == (True, True)
    early = Life().executed()(Stop("bob")).exit(0).process
    assert early.end is not None
    assert early.end.started
    assert early.tries == 0


def test_the_stop_signal_is_held_until_exec_and_stoptime_counts_from_it() -> None:
    life = Life(stoptime=10)(Start(), Spawned(7), Stop("bob"))
    assert (life.state, life.action) == (STOPPING, NONE)
    assert life.pause == pytest.approx(EXEC_WITHIN_S)
    life.wait(0.05)(Executed())
    assert (life.action, life.pause, life.process.executed) == (TERMINATE, 10, True)


def test_a_set_up_that_hangs_is_killed_at_once_whatever_stoptime_is() -> None:
    life = Life(stoptime=60)(Start(), Spawned(7), Stop("bob"))
    assert life.pause == pytest.approx(EXEC_WITHIN_S)
    life.deadline()
    assert life.action == KILL
    assert life(Executed()).action == NONE, "it was killed already"
    assert life.pause == KILL_GRACE_S
    assert life(Exited(9)).state == STOPPED


def test_kill_is_never_held() -> None:
    life = Life()(Start(), Spawned(7), Kill("SIGQUIT"))
    assert (life.state, life.action, life.process.then) == (STOPPING, KILL, STOPPED)


def test_kill_takes_back_a_start_that_is_not_carried_out_yet() -> None:
    life = Life()(Start(), Kill("SIGQUIT"))
    assert (life.state, life.action) == (STOPPED, UNQUEUE)


@pytest.mark.parametrize("prepare", ["running", "executed"])
def test_kill_ends_what_is_alive_for_good(prepare: str) -> None:
    life = Life(autorestart=ALWAYS)
    getattr(life, prepare)()
    life(Kill("SIGQUIT"))
    assert (life.action, life.pause) == (KILL, KILL_GRACE_S)
    assert life(Exited(9)).state == STOPPED
    assert life.process.by == "SIGQUIT"


def test_kill_drops_a_restart_that_waits() -> None:
    life = Life().running()(Restart("carol"), Kill("SIGQUIT"))
    assert life.action == KILL
    assert life(Exited(9)).state == STOPPED


# -- what will not die


def test_kill_is_repeated_with_pauses_that_double_to_thirty_seconds() -> None:
    life = Life().running()(Stop("bob"))
    pauses = []
    for _ in range(7):
        assert life.deadline().action == KILL
        pauses.append(life.pause)
    assert pauses == [2, 4, 8, 16, 30, 30, 30]
    assert KILL_REPEAT_MAX_S == 30


def test_what_is_there_two_seconds_after_kill_is_stuck_and_not_before() -> None:
    life = Life().running()(Stop("bob"))
    stuck = [life.process.stuck, life.deadline().process.stuck]
    killed_at = life.now
    stuck.append(life.deadline().process.stuck)
    assert life.now - killed_at == 2
    stuck.append(life(Exited(9)).process.stuck)
    assert stuck == [False, False, True, False]


def test_a_second_order_to_kill_repeats_it_and_does_not_make_the_process_stuck() -> None:
    life = Life().running()(Stop("bob")).deadline().wait(0.1)
    until = life.process.deadline
    life(Kill("shutdown_timeout"))
    assert (life.action, life.process.deadline, life.process.stuck) == (KILL, until, False)
    assert life.deadline().process.stuck


def test_days_in_uninterruptible_sleep_do_not_overflow() -> None:
    process = Process(state=STOPPING, then=STOPPED, pid=7, executed=True, killing=5000, deadline=5.0)
    after, action = step(policy(), process, DeadlineReached(), 5.0)
    assert (after.deadline, action) == (35.0, KILL)


@pytest.mark.parametrize("then", [STOPPED, STARTING])
def test_no_new_instance_starts_while_the_old_one_is_stuck(then: ProcessState) -> None:
    life = Life().running()(Stop("bob")).deadline().deadline()
    if then == STARTING:
        life(Start("eve"))
    assert (life.state, life.action == SPAWN) == (STOPPING, False)
    assert life(Exited(9)).state is then


def test_it_is_remembered_that_a_stop_needed_kill_and_forgotten_at_the_next() -> None:
    life = Life().running()(Stop("bob")).deadline()(Exited(9))
    assert life.process.killing == 1
    life.running()
    assert life.process.killing == 0
    assert life(Stop("bob")).exit(0).process.killing == 0


def killed_and_up_again(**fields: object) -> Life:
    """Return a process whose restart needed KILL."""
    life = Life(starttime=0, **fields).running()(Restart("carol")).deadline()(Exited(9), Spawned(8), Executed())
    assert (life.state, life.process.killing) == (RUNNING, 1)
    return life


def test_the_kill_of_an_earlier_stop_does_not_count_for_the_next_one() -> None:
    life = killed_and_up_again()(Stop("bob"))
    assert (life.action, life.process.killing) == (TERMINATE, 0)
    assert life.deadline().pause == KILL_GRACE_S
    assert not life.process.stuck


def test_the_kill_of_an_earlier_stop_does_not_count_for_what_is_left_behind() -> None:
    life = killed_and_up_again().exit(1, *LEFT)
    assert (life.action, life.process.killing) == (TERMINATE, 0)


def test_the_kill_of_an_earlier_stop_is_no_part_of_a_stop_that_ends_nothing() -> None:
    life = killed_and_up_again(autorestart=NEVER).exit(0)
    assert life.state == EXITED
    assert life(Stop("bob")).process.killing == 0


# -- what a leader leaves behind


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"autorestart": ALWAYS}, STARTING),
        ({"autorestart": NEVER}, EXITED),
        ({"autorestart": ALWAYS, "restart_burst": 1}, STARTING),
    ],
)
def test_what_a_running_leader_leaves_is_ended_before_the_verdict(
    fields: dict[str, object], state: ProcessState
) -> None:
    life = Life(stoptime=10, **fields).running().wait(5).exit(1, *LEFT)
    assert (life.state, life.action, life.process.then, life.pause) == (STOPPING, TERMINATE, state, 10)
    assert (life.process.pid, life.process.by) == (None, ""), "nobody asked for it"
    assert life.process.end is not None
    assert life.process.end.left == LEFT
    life.wait(1)(GroupEmpty())
    assert life.state is state


def test_what_a_failed_start_leaves_is_ended_before_the_verdict() -> None:
    assert Life().executed().exit(0, *LEFT)(GroupEmpty()).state == BACKOFF
    assert Life(startretries=0).executed().exit(0, *LEFT)(GroupEmpty()).state == FATAL


def test_what_is_left_behind_is_killed_at_stoptime() -> None:
    life = Life(stoptime=3).running().exit(1, *LEFT)
    assert life.pause == 3
    assert life.deadline().action == KILL


def test_the_pause_counts_from_the_end_of_the_leader() -> None:
    life = Life(restart_delay=20).executed().exit(1, *LEFT)
    due = life.process.then_at
    life.wait(5)(GroupEmpty())
    assert (life.state, life.process.deadline) == (BACKOFF, due)
    assert 13 - 1e-6 <= life.pause <= 17 + 1e-6


def test_the_wait_for_the_window_counts_from_the_end_of_the_leader_too() -> None:
    life = Life(starttime=0, restart_burst=1, restart_window=60).running().exit(1)(Spawned(8), Executed())
    life.wait(10).exit(1, *LEFT).wait(7)(GroupEmpty())
    assert (life.state, life.pause) == (BACKOFF, 43)


def test_a_pause_that_is_over_before_nothing_is_left_is_over() -> None:
    life = Life(restart_delay=1).executed().exit(1, *LEFT).wait(5)(GroupEmpty())
    assert life.state == BACKOFF
    assert life.pause < 0


@pytest.mark.parametrize("prepare", ["running", "executed"])
def test_stop_while_the_left_behind_are_ended_means_stopped(prepare: str) -> None:
    life = Life(autorestart=ALWAYS)
    getattr(life, prepare)()
    life.exit(1, *LEFT)
    first = life.process.deadline
    life(Stop("bob"))
    assert (life.state, life.action, life.process.deadline) == (STOPPING, NONE, first)
    life(GroupEmpty())
    assert (life.state, life.process.by) == (STOPPED, "bob")


@pytest.mark.parametrize("command", [Start("eve"), Restart("eve")])
def test_start_while_the_left_behind_are_ended_replaces_the_verdict(command: Start | Restart) -> None:
    life = Life(startretries=0).executed().exit(1, *LEFT)(command)
    assert (life.action, life.process.then, life.process.tries) == (NONE, STARTING, 0)
    assert life(GroupEmpty()).action == SPAWN


def test_what_a_stopped_leader_leaves_keeps_it_stopping() -> None:
    life = Life().running()(Stop("bob"))
    first = life.process.deadline
    life.wait(1).exit(0, *LEFT)
    assert (life.state, life.action, life.process.deadline) == (STOPPING, TERMINATE, first)
    assert life(GroupEmpty()).state == STOPPED


def test_what_a_killed_leader_leaves_is_killed() -> None:
    life = Life().running()(Stop("bob")).deadline()(Exited(9, None, LEFT))
    assert (life.state, life.action) == (STOPPING, KILL)


def test_the_goal_is_up_where_it_is_up_or_will_be() -> None:
    assert not Life().process.goal_is_up
    assert Life().executed().process.goal_is_up
    assert Life().executed().exit(1).process.goal_is_up
    assert Life().running().process.goal_is_up
    assert not Life().running()(Stop()).process.goal_is_up
    assert Life().running()(Stop(), Start()).process.goal_is_up
    assert Life().executed().exit(1, *LEFT).process.goal_is_up
    assert not Life().running().exit(0).process.goal_is_up
    assert not Life(startretries=0).executed().exit(1).process.goal_is_up
