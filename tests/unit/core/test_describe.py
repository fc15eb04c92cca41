"""What status, show and results say about a process, to the letter."""

from __future__ import annotations

import pytest

from taskmaster_common.config import ALWAYS
from taskmaster_common.states import BACKOFF
from taskmasterd.core.process.ends import End
from taskmasterd.core.process.events import (
    Executed,
    Exited,
    Failure,
    GroupEmpty,
    Kill,
    Signalled,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
)
from taskmasterd.core.process.state import Process
from taskmasterd.core.words.describe import detail, end_text, failed_start_text, left_text, seconds_text, status_text
from tests.support.model import LEFT, Life, code, policy

SIGNALS = {9: "KILL", 11: "SEGV", 15: "TERM"}
CORE = 128
NO_FILE = Failure("exec", "cannot execute /x: no such file")


def said(life: Life) -> str:
    """Return the detail column."""
    return detail(life.process, life.policy, life.now, SIGNALS)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0s"),
        (-1, "0.0s"),
        (0.24, "0.2s"),
        (9.94, "9.9s"),
        (10, "10s"),
        (59.9, "59s"),
        (90, "1m30s"),
        (90_061, "1d1h"),
    ],
)
def test_short_durations_have_tenths(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (code(0), "exit 0"),
        (code(127), "exit 127"),
        (9, "killed by SIGKILL"),
        (11 + CORE, "killed by SIGSEGV (core dumped)"),
        (40, "killed by signal 40"),
        (40 + CORE, "killed by signal 40 (core dumped)"),
    ],
)
def test_a_status_is_a_code_or_a_signal(status: int, text: str) -> None:
    assert status_text(status, SIGNALS) == text


def end(status: int, *, started: bool, left: tuple[str, ...] = (), failure: Failure | None = None) -> End:
    """Return an end after two seconds."""
    return End(status, failure, 2.0, 0.0, expected=False, started=started, left=left)


@pytest.mark.parametrize(
    ("ended", "text"),
    [
        (end(code(1), started=True), "exit 1 after 2.0s"),
        (end(code(0), started=True), "exit 0 after 2.0s"),
        (end(code(0), started=True, left=LEFT), "exit 0 after 2.0s"),
        (end(code(1), started=False), "exit 1 after 2.0s"),
        (end(9, started=False), "killed by SIGKILL after 2.0s"),
        (end(code(0), started=False), "exit 0 after 2.0s, before starttime"),
        (
            end(code(0), started=False).replace(after_s=0.1, silent=True),
            "exit 0 after 0.1s, before starttime; stdin is /dev/null here, a program that reads it ends at once",
        ),
        (end(code(0), started=False).replace(silent=True), "exit 0 after 2.0s, before starttime"),
        (end(code(0), started=False).replace(unready=True), "exit 0 after 2.0s, before it was ready"),
        (end(code(1), started=False).replace(unready=True), "exit 1 after 2.0s"),
        (end(code(3), started=False).replace(after_s=0.1, silent=True), "exit 3 after 0.1s"),
        (end(0, started=False, failure=NO_FILE), "cannot execute /x: no such file"),
        (
            end(code(0), started=False, left=LEFT),
            "exit 0 after 2.0s: it put itself in the background (sleep (99)); use its option for the foreground",
        ),
        (end(code(1), started=False, left=LEFT), "exit 1 after 2.0s"),
    ],
)
def test_an_end_is_told_with_what_is_odd_about_it(ended: End, text: str) -> None:
    assert end_text(ended, SIGNALS) == text


def test_many_left_behind_processes_are_counted() -> None:
    names = tuple(f"p ({pid})" for pid in range(8))
    assert left_text(names[:5]) == "p (0), p (1), p (2), p (3), p (4)"
    assert left_text(names) == "p (0), p (1), p (2), p (3), p (4) and 3 more"


def test_a_process_that_was_never_started_says_so_and_one_that_was_stopped_says_by_whom() -> None:
    assert said(Life()) == "not started"
    assert said(Life().running()(Stop("uid 0")).exit(0)) == "stopped by uid 0"


def test_what_is_well_needs_no_words() -> None:
    assert said(Life()(Start("eve"))) == ""
    assert said(Life().executed()) == ""
    assert said(Life().running()) == ""


def ends_often(number: int, *, times: int = 3) -> Life:
    """Return the life of a process that was up for eight seconds so many times, and ended with a code each time."""
    life = Life(autorestart=ALWAYS).running()
    for pid in range(8, 8 + times):
        life.wait(7).exit(number)(Spawned(pid), Executed()).deadline()
    return life


def test_what_is_up_but_keeps_ending_says_how_often_and_how() -> None:
    life = ends_often(3)
    assert said(life) == "3 restarts in 17s; exit 3 after 8.0s"
    assert said(ends_often(3, times=2)) == ""
    assert said(ends_often(0)) == "", "as expected"
    assert said(life.wait(290)) == ""


def test_a_backoff_says_why_and_which_retry_comes_when() -> None:
    life = Life(restart_delay=4).executed().wait(0.2).exit(1)
    assert life.state == BACKOFF
    life.wait(life.pause - 2)
    assert said(life) == "retry 1 of 3 in 2.0s; exit 1 after 0.2s"
    assert said(life.wait(9)) == "retry 1 of 3 in 0.0s; exit 1 after 0.2s"


def test_a_start_that_is_tried_again_says_which_try_it_is_and_how_the_last_one_ended() -> None:
    life = Life()(Start(), Exited(0, NO_FILE)).deadline()
    assert said(life) == "try 2 of 4; cannot execute /x: no such file"
    assert said(life(Spawned(8))) == "try 2 of 4; cannot execute /x: no such file"


def test_a_shortage_is_told_as_the_daemons() -> None:
    life = Life(restart_delay=1)(Start(), SpawnFailed("the system refuses a new process"))
    life.wait(life.pause - 0.5)
    assert said(life) == "again in 0.5s; the system refuses a new process"


def test_a_wait_for_the_window_says_how_many_restarts_there_were() -> None:
    life = Life(starttime=0, restart_burst=1, restart_window=90).running().exit(1)(Spawned(8), Executed())
    assert said(life.wait(30).exit(2)) == "again in 1m; 1 restarts within 1m30s; exit 2 after 30s"


def test_fatal_says_why_and_how_often_it_was_tried() -> None:
    life = Life(startretries=0).executed().wait(0.2).exit(3)
    assert said(life) == "exit 3 after 0.2s (try 1 of 1)"
    assert failed_start_text(Process(), policy(), SIGNALS) == "never started"


def test_exited_says_how() -> None:
    assert said(Life().running().wait(3).exit(0)) == "exit 0 after 4.0s"


def test_stopping_says_for_whom_and_when_it_is_killed() -> None:
    life = Life(stoptime=10).running()(Stop("uid 0")).wait(3)
    assert said(life) == "stopping for uid 0, SIGKILL in 7.0s"
    assert said(Life().running()(Stop())) == "stopping, SIGKILL in 10s"
    assert said(life.deadline().wait(1)) == "stopping for uid 0, SIGKILL sent"


def test_an_end_that_was_asked_for_is_not_told_as_a_failed_start() -> None:
    life = Life().running().wait(5)(Stop("uid 0")).exit(0)
    assert life.process.end is not None
    assert end_text(life.process.end, SIGNALS) == "exit 0 after 6.0s"


@pytest.mark.parametrize(("left", "count"), [(LEFT, "1 left-behind process"), (LEFT * 2, "2 left-behind processes")])
def test_ending_what_was_left_behind_says_how_many(left: tuple[str, ...], count: str) -> None:
    life = Life(autorestart=ALWAYS, stoptime=3).running().exit(1, *left)
    assert said(life) == f"exit 1 after 1.0s; ending {count}, SIGKILL in 3.0s"
    assert said(life(Kill("SIGQUIT"))) == f"exit 1 after 1.0s; ending {count}, SIGKILL sent"
    assert said(life(GroupEmpty())) == "stopped by SIGQUIT"


def test_what_may_not_be_signalled_is_told_with_the_owner_and_never_as_killed() -> None:
    reason = "sudo (7) of root may not be signalled: operation not permitted"
    life = Life(stoptime=10).running()(Stop("uid 0"), Signalled(("sudo (7) of root",)))
    assert said(life) == f"stopping for uid 0, {reason}"
    assert said(life.deadline()(Signalled(("sudo (7) of root",)))) == reason
    assert life.process.stuck
    life(Exited(0, None, LEFT), Signalled(("sudo (7) of root",), others=True))
    assert said(life.wait(1)) == f"exit 0 after 11s; ending 1 left-behind process, {reason}"


def test_what_is_stuck_is_told_with_the_pids() -> None:
    life = Life(stoptime=1).running()(Stop("uid 0")).deadline().deadline()
    assert said(life) == "pid 7 still there 3.0s after it was told to stop, in spite of SIGKILL"
    life(Exited(9, None, LEFT))
    assert said(life) == "sleep (99) still there 3.0s after it was told to stop, in spite of SIGKILL"
