"""The lines of the event log, derived from what happened."""

from __future__ import annotations

import signal

import pytest

from taskmaster_common.config import ProgramConfig
from taskmasterd.core.process.events import (
    KILL,
    TERMINATE,
    DeadlineReached,
    Event,
    Executed,
    Exited,
    Failure,
    GroupEmpty,
    Kill,
    Restart,
    Signalled,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
)
from taskmasterd.core.process.machine import step
from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.table import Entry
from taskmasterd.output.log.stamp import Stamp
from taskmasterd.telling.eventlog import MOST_WAITING, EventLog, lines
from tests.support.paper import Paper

NAMES = {15: "TERM", 9: "KILL", 11: "SEGV"}


class Story:
    """A process to which things happen; keeps the lines."""

    def __init__(self, **keys: object) -> None:
        self.entry = Entry(ProgramConfig.of(name="web", cmd=("x",), **keys), 0, Process())
        self.now = 100.0
        self.refuses: tuple[str, ...] = ()
        self.others = False

    def happens(self, event: Event, after_s: float = 0.0) -> list[str]:
        self.now += after_s
        before = self.entry.process
        self.entry.process, action = step(self.entry.policy, before, event, self.now)
        if action in (TERMINATE, KILL):
            answer = Signalled(self.refuses, self.others)
            self.entry.process, _ = step(self.entry.policy, self.entry.process, answer, self.now)
        return [f"{level} {text}" for level, text in lines(self.entry, before, event, self.now, NAMES)]

    def runs(self) -> Story:
        for event in (Start("uid 0"), Spawned(7), Executed()):
            self.happens(event)
        self.happens(DeadlineReached(), 1)
        return self


def test_a_start_tells_the_pid_and_running() -> None:
    story = Story()
    assert story.happens(Start("uid 0")) == []
    assert story.happens(Spawned(7)) == ["info started (pid 7)"]
    assert story.happens(Executed()) == []
    assert story.happens(DeadlineReached(), 1) == ["info running (pid 7)"]


def test_an_unexpected_exit_is_a_warning_and_tells_what_follows() -> None:
    assert Story().runs().happens(Exited(1 << 8), 3) == [
        "warning exited: exit 1 after 4.0s (unexpected)",
        "info restarting",
    ]


def test_an_expected_exit_is_no_warning() -> None:
    assert Story().runs().happens(Exited(0), 3) == ["info exited: exit 0 after 4.0s (expected)"]


def test_a_failed_start_tells_why_and_when_it_is_tried_again_until_it_is_given_up() -> None:
    story = Story(startretries=1, restart_delay=2.0)
    story.happens(Start("uid 0"))
    said = story.happens(Exited(failure=Failure("exec", "cannot execute /x: no such file")))
    assert said[0] == "warning failed to start: cannot execute /x: no such file"
    assert said[1].startswith("info restarting in ")
    assert said[1].endswith("(retry 1 of 1)")
    story.happens(DeadlineReached(), 5)
    assert story.happens(Spawned(8)) == ["info started (pid 8, try 2 of 2)"]
    story.happens(Executed())
    assert story.happens(Exited(signal.SIGSEGV | 0x80)) == [
        "warning failed to start: killed by SIGSEGV (core dumped) after 0.0s",
        "error gave up: killed by SIGSEGV (core dumped) after 0.0s (try 2 of 2)",
    ]


def test_a_stop_tells_by_whom_with_what_and_whether_kill_was_needed() -> None:
    story = Story().runs()
    assert story.happens(Stop("uid 5")) == ["info stopping: TERM to its group, asked by uid 5"]
    assert story.happens(DeadlineReached(), 10) == ["warning SIGKILL sent, 10s after it was told to stop"]
    assert story.happens(Exited(9), 0.5) == [
        "info ended: killed by SIGKILL after 11s",
        "info stopped by uid 5 after 10s, SIGKILL was needed",
    ]


def test_what_was_not_executed_yet_is_not_said_to_have_got_the_stop_signal() -> None:
    story = Story()
    story.happens(Start("uid 5"))
    story.happens(Spawned(7))
    assert story.happens(Stop("uid 5")) == ["info stopping: its program was not executed yet, asked by uid 5"]
    assert story.happens(DeadlineReached(), 0.1) == ["warning SIGKILL sent: its program was not executed yet"]


def test_a_stop_of_what_is_not_running_says_so() -> None:
    story = Story(autorestart="never").runs()
    story.happens(Exited(0), 3)
    assert story.happens(Stop("uid 5")) == ["info stopped by uid 5; it was not running (EXITED)"]
    assert story.happens(Stop("uid 5")) == []


def test_what_may_not_be_signalled_is_said_so_and_never_that_kill_was_sent() -> None:
    story = Story().runs()
    story.refuses = ("sudo (7) of root",)
    assert story.happens(Stop("uid 5")) == [
        "info stopping, asked by uid 5",
        "warning sudo (7) of root may not be signalled: operation not permitted",
    ]
    assert story.happens(DeadlineReached(), 10) == [
        "warning sudo (7) of root may not be signalled: operation not permitted"
    ]
    assert story.entry.process.deadline is None
    assert story.happens(Exited(0), 50) == [
        "info ended: exit 0 after 1m1s",
        "info stopped by uid 5 after 1m",
    ]


def test_kill_of_a_part_is_told_as_such() -> None:
    story = Story().runs()
    story.happens(Stop("uid 5"))
    story.refuses, story.others = ("sudo (7) of root",), True
    assert story.happens(DeadlineReached(), 10) == [
        "warning SIGKILL sent to what may be signalled, 10s after it was told to stop",
        "warning sudo (7) of root may not be signalled: operation not permitted",
    ]


def test_what_is_left_behind_is_named() -> None:
    story = Story().runs()
    assert story.happens(Exited(1 << 8, left=("sleep (9)", "sh (10)"))) == [
        "warning exited: exit 1 after 1.0s (unexpected)",
        "warning ending what it left behind: sleep (9), sh (10)",
    ]
    assert story.happens(GroupEmpty(), 1) == ["info restarting"]


def test_a_shortage_of_the_daemon_is_told_as_such() -> None:
    story = Story()
    story.happens(Start("uid 0"))
    said = story.happens(SpawnFailed("the system refuses a new process: resource temporarily unavailable"))
    assert len(said) == 1
    assert said[0].startswith("warning not started: the system refuses a new process")


def test_a_restart_and_a_kill_are_told() -> None:
    story = Story(stopasgroup="leader").runs()
    assert story.happens(Restart("uid 0")) == ["info stopping: TERM to its leader, asked by uid 0"]
    story = Story(stopasgroup=False).runs()
    assert story.happens(Restart("uid 0")) == ["info stopping: TERM to it, asked by uid 0"]
    assert story.happens(Kill("SIGQUIT"), 1)[0].startswith("warning SIGKILL sent")


@pytest.fixture
def paper() -> Paper:
    return Paper()


def test_levels_below_the_configured_one_are_left_out_and_the_level_is_live(paper: Paper) -> None:
    log = EventLog("warning", paper)
    log.write("info", "no")
    log.write("error", "yes")
    log.set_level("debug")
    log.write("debug", "now")
    assert [line.split(" ", 1)[1] for line in paper.text.decode().splitlines()] == ["error yes", "debug now"]


def test_control_characters_are_shown_and_not_obeyed(paper: Paper) -> None:
    log = EventLog("info", paper)
    log.write("info", "a\x1b[2Jb\nc")
    assert paper.text.count(b"\n") == 1
    assert b"\x1b" not in paper.text
    assert b"a\\x1b[2Jb\\nc" in paper.text


def test_in_the_journal_lines_have_priorities(paper: Paper) -> None:
    log = EventLog("info", stderr=paper, journal=True)
    log.write("error", "bad")
    log.announce("p", [("info", "good"), ("warning", "so so")])
    log.flush()
    assert [line[:3] for line in paper.text.decode().splitlines()] == ["<3>", "<6>", "<4>"]


def test_lines_of_events_are_written_together_and_before_any_other_line(paper: Paper) -> None:
    log = EventLog("info", paper)
    log.announce("p", [("info", "one"), ("debug", "not asked for")])
    log.announce("q", [("info", "two")])
    assert paper.text == b""
    log.write("info", "three")
    log.flush()
    assert [line.split(" ", 2)[2] for line in paper.text.decode().splitlines()] == ["p one", "q two", "three"]


def test_many_lines_of_events_do_not_wait(paper: Paper) -> None:
    log = EventLog("info", paper)
    for _ in range(MOST_WAITING):
        log.announce("p", [("info", "again")])
    assert paper.text.count(b"\n") == MOST_WAITING


def test_an_error_that_nobody_caught_is_written_with_its_traceback(paper: Paper) -> None:
    log = EventLog("info", paper)
    try:
        int("moon")
    except ValueError as error:
        log.bug(error)
    said = [line.split(" ", 2)[1:] for line in paper.text.decode().splitlines()]
    assert {level for level, _ in said} == {"error"}
    assert said[0][1] == "internal error, please report it:"
    assert said[-1][1] == "ValueError: invalid literal for int() with base 10: 'moon'"


def test_the_stamp_has_milliseconds_and_a_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ-2:30")
    import time

    time.tzset()
    try:
        stamp = Stamp()
        assert stamp.of(0.123) == "1970-01-01T02:30:00.123+02:30"
        assert stamp.of(0.9) == "1970-01-01T02:30:00.900+02:30"
        assert stamp.of(61.5) == "1970-01-01T02:31:01.500+02:30"
    finally:
        monkeypatch.undo()
        time.tzset()
