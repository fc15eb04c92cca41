"""The life of one process, rule by rule: how it goes up, how a failed start and an end are judged, who overtakes whom."""

from __future__ import annotations

import pytest

from taskmaster_common.config import ALWAYS, NEVER, UNEXPECTED
from taskmaster_common.errors import BugError
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING, ProcessState
from taskmasterd.core.process.ends import exit_code, exit_signal
from taskmasterd.core.process.events import (
    NONE,
    SPAWN,
    TERMINATE,
    UNQUEUE,
    DeadlineReached,
    Event,
    Executed,
    Exited,
    Failure,
    GroupEmpty,
    Restart,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
)
from taskmasterd.core.process.machine import step
from taskmasterd.core.process.state import Process
from taskmasterd.core.process.verdict import JITTER
from tests.support.model import LEFT, Life, code, policy

NO_FILE = Failure("exec", "cannot execute /x: no such file")


def life_in(state: ProcessState) -> Life:
    """Return a process that has come into `state` by the shortest way."""
    life = Life(startretries=0) if state == FATAL else Life()
    if state == STARTING:
        life.executed()
    elif state in (BACKOFF, FATAL):
        life.executed().exit(1)
    elif state != STOPPED:
        life.running()
    if state == STOPPING:
        life(Stop("bob"))
    elif state == EXITED:
        life.exit(0)
    assert life.state is state
    return life


# -- the commands, by state: the table of the specification, cell by cell


@pytest.mark.parametrize("state", [STOPPED, BACKOFF, EXITED, FATAL])
@pytest.mark.parametrize("command", [Start("eve"), Restart("eve")])
def test_start_and_restart_bring_up_what_is_down_at_once(state: ProcessState, command: Event) -> None:
    life = life_in(state)(command)
    assert (life.state, life.action) == (STARTING, SPAWN)
    assert life.process.by == "eve"


@pytest.mark.parametrize("state", [STARTING, RUNNING])
def test_start_leaves_alone_what_is_up(state: ProcessState) -> None:
    life = life_in(state)
    before = life.process
    life(Start("eve"))
    assert life.process is before
    assert life.action == NONE


@pytest.mark.parametrize("state", [STARTING, RUNNING])
def test_stop_takes_down_what_is_up(state: ProcessState) -> None:
    life = life_in(state)(Stop("eve"))
    assert (life.state, life.action, life.process.then) == (STOPPING, TERMINATE, STOPPED)
    assert life.process.by == "eve"


@pytest.mark.parametrize("state", [STARTING, RUNNING])
def test_restart_takes_down_what_is_up_and_brings_it_up_when_nothing_is_left(state: ProcessState) -> None:
    life = life_in(state)(Restart("eve"))
    assert (life.state, life.action, life.process.then) == (STOPPING, TERMINATE, STARTING)
    life.exit(1)
    assert (life.state, life.action) == (STARTING, SPAWN)


def test_stop_of_what_is_stopped_changes_nothing() -> None:
    life = Life()
    before = life.process
    assert life(Stop("eve")).process is before
    assert life.action == NONE


@pytest.mark.parametrize("state", [BACKOFF, EXITED, FATAL])
def test_stop_of_what_is_not_alive_is_stopped_at_once(state: ProcessState) -> None:
    life = life_in(state)(Stop("eve"))
    assert (life.state, life.action, life.process.deadline) == (STOPPED, NONE, None)
    assert life.process.by == "eve"


@pytest.mark.parametrize("command", [Start("eve"), Restart("eve")])
def test_start_while_stopping_waits_until_nothing_is_left(command: Event) -> None:
    life = life_in(STOPPING)(command)
    assert (life.state, life.action) == (STOPPING, NONE)
    assert life.exit(0).action == SPAWN


def test_stop_while_stopping_joins_and_keeps_the_first_deadline() -> None:
    life = life_in(STOPPING)
    first = life.process.deadline
    life.wait(3)(Stop("eve"))
    assert (life.state, life.action, life.process.deadline) == (STOPPING, NONE, first)


def test_stop_while_stopping_drops_a_start_that_waits() -> None:
    life = life_in(STOPPING)(Start("eve"), Stop("mallory")).exit(0)
    assert (life.state, life.action) == (STOPPED, NONE)
    assert life.process.by == "mallory"


def test_the_newest_intent_wins() -> None:
    assert life_in(RUNNING)(Restart(), Stop(), Start(), Stop()).exit(0).state == STOPPED
    assert life_in(RUNNING)(Stop(), Start(), Stop(), Restart()).exit(0).state == STARTING


# -- going up


def test_it_is_starting_from_fork_and_running_once_it_stayed_up_for_starttime() -> None:
    life = Life(starttime=3)(Start())
    assert (life.state, life.process.pid, life.action) == (STARTING, None, SPAWN)
    life.wait(5)(Spawned(4711))
    assert (life.process.pid, life.process.since, life.process.spawned_at) == (4711, life.now, life.now)
    assert life.process.deadline is None, "the time runs from exec"
    life.wait(1)(Executed())
    assert life.pause == 3
    life.deadline()
    assert (life.state, life.process.pid, life.process.deadline) == (RUNNING, 4711, None)
    assert life.process.since == life.now


def test_starttime_zero_means_running_at_exec() -> None:
    life = Life(starttime=0)(Start(), Spawned(7))
    assert life.state == STARTING
    life(Executed())
    assert (life.state, life.process.deadline) == (RUNNING, None)


def test_starttime_zero_is_no_excuse_for_a_failed_set_up() -> None:
    life = Life(starttime=0)(Start(), Spawned(7), Exited(code(127), NO_FILE))
    assert (life.state, life.process.tries) == (BACKOFF, 1)
    assert life.process.end is not None
    assert life.process.end.failure == NO_FILE


def test_stop_of_a_start_that_is_not_carried_out_yet_takes_it_back() -> None:
    life = Life()(Start(), Stop("eve"))
    assert (life.state, life.action) == (STOPPED, UNQUEUE)


def test_restart_of_a_start_that_is_not_carried_out_yet_does_not_ask_for_a_second_instance() -> None:
    life = Life()
    life.executed().exit(1)
    life.deadline()(Restart("eve"))
    assert (life.state, life.action, life.process.tries) == (STARTING, NONE, 0)


# -- failed starts


@pytest.mark.parametrize("status", [code(0), code(1), 9], ids=["exit 0", "exit 1", "SIGKILL"])
def test_an_end_before_starttime_is_a_failed_start_even_with_an_expected_code(status: int) -> None:
    life = Life(exitcodes=(0,), autorestart=NEVER).executed().wait(0.5)(Exited(status))
    assert (life.state, life.process.tries, life.action) == (BACKOFF, 1, NONE)
    assert life.process.end is not None
    assert (life.process.end.started, life.process.end.expected, life.process.end.after_s) == (False, False, 0.5)


@pytest.mark.parametrize("startretries", [0, 1, 3])
def test_it_is_started_once_and_startretries_times_more_then_fatal(startretries: int) -> None:
    life = Life(startretries=startretries)(Start())
    starts = 0
    while life.state == STARTING:
        starts += 1
        after = life(Spawned(starts), Executed()).exit(1)
        if after.state == BACKOFF:
            life.deadline()
    assert (life.state, starts, life.process.deadline) == (FATAL, 1 + startretries, None)


def test_the_pause_after_failed_starts_doubles_up_to_its_cap() -> None:
    life = Life(startretries=9, restart_delay=0.5, restart_max_delay=4)(Start())
    for wanted in (0.5, 1, 2, 4, 4):
        life(Spawned(7), Executed()).wait(0.1).exit(1)
        assert wanted * (1 - JITTER) <= life.pause <= wanted * (1 + JITTER)
        life.deadline()
        assert life.action == SPAWN


def test_the_pause_is_spread_by_a_tenth_both_ways() -> None:
    pauses = set()
    for tick in range(300):
        life = Life(restart_delay=10)
        life.now += tick / 7
        pauses.add(life.executed().wait(0.1).exit(1).pause)
    assert len(pauses) > 250
    assert 9 - 1e-6 <= min(pauses) < 9.2
    assert 10.8 < max(pauses) <= 11 + 1e-6


def test_a_million_tries_do_not_overflow() -> None:
    process = Process(state=STARTING, pid=7, executed=True, tries=999_998)
    after, _ = step(policy(startretries=1_000_000), process, Exited(code(1)), 5.0)
    assert after.deadline is not None
    assert after.deadline - 5.0 <= 33


def test_running_clears_the_failed_starts_in_a_row() -> None:
    life = Life(startretries=1).executed().exit(1).deadline()(Spawned(8), Executed()).deadline()
    assert (life.state, life.process.tries) == (RUNNING, 0)
    life.exit(1)(Spawned(9), Executed()).exit(1)
    assert (life.state, life.process.tries) == (BACKOFF, 1)


@pytest.mark.parametrize("command", [Start(), Restart()])
def test_start_of_a_fatal_process_gives_a_new_budget(command: Event) -> None:
    life = Life(startretries=1).executed().exit(1).deadline()(Spawned(8), Executed()).exit(1)
    assert life.state == FATAL
    life(command, Spawned(9), Executed()).exit(1)
    assert (life.state, life.process.tries) == (BACKOFF, 1)


def test_a_set_up_that_fails_in_the_daemon_is_a_failed_start() -> None:
    life = Life()(Start()).wait(2)(Exited(0, NO_FILE))
    assert (life.state, life.process.tries, life.process.pid) == (BACKOFF, 1, None)
    assert life.process.end is not None
    assert (life.process.end.failure, life.process.end.after_s) == (NO_FILE, 0)


def test_a_failure_that_cannot_pass_is_fatal_at_once() -> None:
    life = Life(startretries=5)(Start(), Exited(0, Failure("user", "no user named x", permanent=True)))
    assert (life.state, life.process.tries) == (FATAL, 1)


def test_a_child_that_dies_before_exec_without_a_word_is_a_failed_start() -> None:
    assert Life()(Start(), Spawned(7), Exited(9)).state == BACKOFF


# -- the daemon's own shortage


def test_a_refused_fork_uses_no_retry_and_doubles() -> None:
    life = Life(startretries=0)(Start())
    for count, wanted in enumerate((0.5, 1, 2, 4), 1):
        life(SpawnFailed("no more processes"))
        assert (life.state, life.process.tries, life.process.shortages) == (BACKOFF, 0, count)
        assert life.process.reason == "no more processes"
        assert wanted * 0.9 <= life.pause <= wanted * 1.1
        life.deadline()
    life(Spawned(7))
    assert (life.process.shortages, life.process.reason) == (0, "")


def test_a_set_up_that_fails_after_a_shortage_is_told_as_what_it_is() -> None:
    life = Life()(Start(), SpawnFailed("no more processes")).deadline()(Exited(0, NO_FILE))
    assert (life.state, life.process.tries, life.process.shortages, life.process.reason) == (BACKOFF, 1, 0, "")


def test_a_restart_is_counted_when_it_happens_and_not_when_it_is_due() -> None:
    life = Life(starttime=0)(Start(), Spawned(7), Exited(9))
    assert (life.state, life.process.restarts) == (BACKOFF, 0)
    life.deadline()(SpawnFailed("x")).deadline()
    assert (life.state, life.process.restarts) == (STARTING, 0)
    life(Spawned(8), Executed())
    assert (life.state, life.process.restarts) == (RUNNING, 1)
    life.exit(1, *LEFT)
    assert (life.state, life.process.then, life.process.restarts) == (STOPPING, STARTING, 1)
    life(GroupEmpty(), Exited(0, NO_FILE))
    assert (life.state, life.process.restarts) == (BACKOFF, 2)
    assert life(Stop()).process.restarts == 2
    assert life(Start(), Spawned(9)).process.restarts == 0


@pytest.mark.parametrize("tries", [1, 4])
def test_a_program_that_never_stays_up_was_restarted_once_less_than_it_was_started(tries: int) -> None:
    life = Life(startretries=tries - 1)(Start())
    for _ in range(tries - 1):
        life(Spawned(7), Executed(), Exited(9)).deadline()
    life(Spawned(7), Executed(), Exited(9))
    assert (life.state, life.process.restarts) == (FATAL, tries - 1)


def test_a_refused_fork_pauses_and_doubles_even_where_restart_delay_is_zero() -> None:
    life = Life(restart_delay=0, restart_max_delay=0)(Start())
    for wanted in (0.1, 0.2, 0.4, 0.8, 1, 1):
        life(SpawnFailed("x"))
        assert wanted * 0.9 <= life.pause <= wanted * 1.1
        life.deadline()


def test_stop_ends_the_wait_for_a_fork() -> None:
    assert Life()(Start(), SpawnFailed("x"), Stop("eve")).state == STOPPED


# -- ends of a running process


@pytest.mark.parametrize(
    ("autorestart", "status", "state"),
    [
        (NEVER, code(0), EXITED),
        (NEVER, code(1), EXITED),
        (NEVER, 9, EXITED),
        (UNEXPECTED, code(0), EXITED),
        (UNEXPECTED, code(2), EXITED),
        (UNEXPECTED, code(1), STARTING),
        (UNEXPECTED, 9, STARTING),
        (UNEXPECTED, 15, STARTING),
        (ALWAYS, code(0), STARTING),
        (ALWAYS, code(1), STARTING),
        (ALWAYS, 9, STARTING),
    ],
)
def test_autorestart_judges_the_end_of_a_running_process(autorestart: str, status: int, state: ProcessState) -> None:
    life = Life(autorestart=autorestart, exitcodes=(0, 2)).running()(Exited(status))
    assert life.state is state
    assert life.action is (SPAWN if state == STARTING else NONE)
    assert life.process.end is not None
    assert life.process.end.started
    assert life.process.end.expected is (status in (code(0), code(2)))


def test_a_restart_after_running_is_at_once_and_uses_no_retry() -> None:
    life = Life(startretries=0).running()
    life.exit(1)
    assert (life.state, life.action, life.process.tries) == (STARTING, SPAWN, 0)


def die_at_once(life: Life) -> Life:
    """Let a process that was asked for reach RUNNING and die."""
    return life(Spawned(7), Executed()).exit(1)


def test_with_ten_restarts_in_the_window_the_eleventh_waits() -> None:
    life = Life(starttime=0)(Start())
    for _ in range(10):
        assert die_at_once(life).action == SPAWN
        life.wait(1)
    die_at_once(life)
    assert (life.state, life.action, life.process.tries) == (BACKOFF, NONE, 0)
    assert life.pause == 50, "sixty seconds after the first of them"
    assert life.deadline().action == SPAWN


def test_the_window_slides_and_it_never_gives_up() -> None:
    life = Life(starttime=0, restart_burst=2, restart_window=10)(Start())
    starts = []
    for _ in range(30):
        if die_at_once(life.wait(0.5)).state == BACKOFF:
            life.deadline()
        assert (life.state, life.action) == (STARTING, SPAWN)
        starts.append(life.now)
    assert all(later - earlier >= 10 for earlier, later in zip(starts, starts[2:]))
    assert starts[-1] - starts[0] < 10 * 15, "nor does it wait longer than it must"


def test_restarts_that_are_far_apart_never_wait() -> None:
    life = Life(starttime=0, restart_burst=2, restart_window=10)(Start())
    for _ in range(9):
        assert die_at_once(life.wait(5)).state == STARTING


@pytest.mark.parametrize("limits", [{"restart_burst": 0}, {"restart_window": 0}])
def test_zero_for_burst_or_window_means_no_limit(limits: dict[str, int]) -> None:
    life = Life(starttime=0, **limits)(Start())
    for _ in range(50):
        assert die_at_once(life).action == SPAWN
    assert life.process.recent == ()


@pytest.mark.parametrize("command", [Start("eve"), Restart("eve")])
def test_start_during_the_wait_for_the_window_clears_the_window(command: Event) -> None:
    life = Life(starttime=0, restart_burst=1)(Start())
    assert die_at_once(die_at_once(life)).state == BACKOFF
    life(command)
    assert (life.action, life.process.recent, life.process.restarts) == (SPAWN, (), 0)
    assert die_at_once(life).state == STARTING


def test_a_smaller_burst_counts_from_now_on() -> None:
    life = Life(starttime=0)(Start())
    for _ in range(8):
        die_at_once(life.wait(1))
    life.policy = policy(starttime=0, restart_burst=3)
    die_at_once(life)
    assert life.pause == 58, "the third last restart was two seconds ago"
    assert len(life.process.recent) == 3


# -- what cannot happen


@pytest.mark.parametrize("event", [Executed(), Exited(), GroupEmpty(), DeadlineReached(), Spawned(8), SpawnFailed("x")])
def test_an_event_that_cannot_happen_is_a_bug_and_named(event: Event) -> None:
    with pytest.raises(BugError, match=f"{type(event).__name__}.*cannot happen"):
        step(policy(), Process(), event, 0.0)


def test_a_wait_status_tells_code_and_signal_apart() -> None:
    assert [exit_code(status) for status in (0, code(3), code(255), 9, 128 + 11)] == [0, 3, 255, None, None]
    assert [exit_signal(status) for status in (0, code(3), 9, 128 + 11)] == [None, None, 9, 11]


def test_a_leader_that_ends_in_the_set_up_may_leave_others_too() -> None:
    life = Life()(Start(), Spawned(7), Exited(9, None, LEFT))
    assert (life.state, life.action, life.process.then) == (STOPPING, TERMINATE, BACKOFF)
