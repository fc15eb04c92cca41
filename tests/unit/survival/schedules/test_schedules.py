"""Schedules over a supervisor and clocks that a test sets: steps of the clock, catching up, what an earlier daemon has left."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskmaster_common.config import ONESHOT
from taskmasterd.core.process.events import Arm, Start, Stop
from taskmasterd.core.programs.schedule import Clocks
from taskmasterd.core.steps import run
from taskmasterd.schedules.runs import Runs
from taskmasterd.schedules.schedules import ScheduleMeans, Schedules
from taskmasterd.telling.bus import REACT, BusMember
from tests.support.clocks import seconds
from tests.support.model import World, code, program

MIDNIGHT = float(seconds("2026-11-28T00:00"))


class Loop:
    """A reactor whose clocks a test sets; it knows no descriptors, so the calendar is looked at by its timers."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.soon: list[Callable[[], None]] = []
        self.timers: list[list[Any]] = []
        self.step = 0.0
        self.rounds = self

    def now(self) -> float:
        return self.world.now

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def begin(self, steps: Generator[None, None, None]) -> None:
        run(steps)

    def call_at(self, when: float, callback: Callable[[], None]) -> list[Any]:
        self.timers.append([when, callback])
        return self.timers[-1]

    def cancel(self, timer: list[Any] | None) -> None:
        if timer in self.timers:
            self.timers.remove(timer)


class Calendar:
    """Stands for the kernel's timer at a time of the day."""

    def __init__(self, _reactor: object, callback: Callable[[bool], None]) -> None:
        self.callback = callback
        self.wall: float | None = None

    def arm(self, wall: float | None) -> None:
        self.wall = wall

    def close(self) -> None:
        self.wall = None


DAEMONS: list[Job] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    """Close what all daemons of a test have open."""
    yield
    while DAEMONS:
        DAEMONS.pop().made.close()


class Job:
    """A daemon with one program that has a schedule."""

    def __init__(self, path: Path | None, boot: str = "one", wall: float = MIDNIGHT, **schedule: Any) -> None:
        self.world = World()
        self.loop = Loop(self.world)
        self.ahead, self.boot = wall - self.world.now, boot
        self.said: list[str] = []
        self.starts: list[str] = []
        self.program = program("job", type=ONESHOT, starttime=0.0, startretries=0, schedule=schedule)
        self.path = path

    @property
    def wall(self) -> float:
        return self.world.now + self.ahead

    def begin(self, *, boot: bool = True, restored: bool = False) -> Job:
        """Load the configuration, as at the start of a daemon."""
        runs = Runs(str(self.path) if self.path else None, "daemon", lambda _level, text: self.said.append(text))
        runs.read(lambda _name: 20)
        means = ScheduleMeans(
            self.loop,  # type: ignore[arg-type]
            self.world.table,
            self.world.tell,
            self.world.supervisor.leave,
            lambda: self.world.supervisor.stopping,
            lambda _level, text: self.said.append(text),
            lambda *_args, **_fields: None,
            lambda: Clocks(self.wall, self.world.now, self.boot),
            {},
            "host",
            frozenset({"job:0"} if restored else ()),
            boot=boot,
        )
        self.made = made = Schedules(means, runs)
        DAEMONS.append(self)
        made._wakes._calendar = self.calendar = Calendar(self.loop, made._woken)  # type: ignore[assignment]
        self.world.bus.join(BusMember(REACT, made.changed, made.added, made.gone, applied=made.applied))
        for entry in self.world.table:
            made.added(entry)
        self.world.load(self.program)
        made.begin()
        return self.settle()

    @property
    def entry(self) -> Any:
        return self.world.entry("job")

    @property
    def history(self) -> list[tuple[str, str]]:
        """Return (how, result) of each run that is kept, and of the one that is not over."""
        known = self.made.slot(self.entry)
        assert known is not None
        past = [(each.how, each.result) for each in known.known.past]
        return [*past, *([(known.known.current.how, "")] if known.known.current else [])]

    def settle(self) -> Job:
        while self.loop.soon or self.world.later:
            self.world.settle()
            if self.loop.soon:
                self.loop.soon.pop(0)()
        return self

    def wait(self, passed: float) -> Job:
        """Let time pass, and the timers that are due."""
        until = self.world.now + passed
        while True:
            calendar = self.calendar.wall - self.ahead if self.calendar.wall is not None else until + 1
            due = min([calendar, *(timer[0] for timer in self.loop.timers)])
            if due > until:
                break
            self.world.now = max(self.world.now, due)
            if calendar <= due:
                self.calendar.callback(False)
            for timer in [timer for timer in self.loop.timers if timer[0] <= self.world.now]:
                self.loop.timers.remove(timer)
                timer[1]()
            self.settle()
        self.world.now = until
        return self

    def set_clock(self, step: float) -> Job:
        """Set the clock of the day; the kernel tells of that."""
        self.ahead += step
        self.calendar.callback(True)
        return self.settle()

    def runs(self, number: int = 0) -> Job:
        """Let the run that was asked for run, and end."""
        self.world.spawn(self.entry)
        self.world.execute(self.entry)
        self.world.end(self.entry, code(number))
        return self.settle()


@pytest.fixture
def hourly(tmp_path: Path) -> Job:
    return Job(tmp_path, cron=["0 * * * *"], timezone="UTC").begin()


def test_a_run_begins_at_its_time_and_the_next_one_an_hour_later(hourly: Job) -> None:
    assert (hourly.entry.process.state, hourly.calendar.wall) == ("EXITED", MIDNIGHT + 3600)
    assert hourly.wait(3599).entry.process.state == "EXITED"
    assert hourly.wait(1).entry.process.state == "STARTING"
    assert hourly.entry.process.by == "its schedule (nominal 01:00)"
    assert hourly.runs().history == [("schedule", "done (0) in 0.0s")]
    assert hourly.calendar.wall == MIDNIGHT + 7200


def test_a_clock_that_is_set_forward_is_one_late_run_and_set_back_none_twice(hourly: Job) -> None:
    hourly.set_clock(2 * 3600 + 60)
    assert hourly.entry.process.by == "its schedule (nominal 02:00, late by 1m: the clock was set)"
    assert hourly.runs().history == [("missed", "missed 1 (01:00; the clock was set)"), ("late", "done (0) in 0.0s")]
    hourly.set_clock(-3600).wait(3500)
    assert hourly.entry.process.state == "EXITED"
    hourly.wait(3700)
    assert hourly.entry.process.by == "its schedule (nominal 03:00)"


def test_ten_years_on_and_back_silence_nobody(tmp_path: Path) -> None:
    job = Job(tmp_path, cron=["* * * * *"], timezone="UTC").begin()
    job.set_clock(10 * 365 * 86_400).runs()
    job.set_clock(-10 * 365 * 86_400)
    assert any("the clock was wrong" in text for text in job.said)
    assert job.wait(60).entry.process.state == "STARTING"


def test_what_somebody_has_stopped_is_started_by_no_clock_and_armed_it_owes_nothing(hourly: Job) -> None:
    hourly.world.tell(hourly.entry, Stop("uid 0"))
    hourly.settle().wait(3 * 3600)
    assert (hourly.entry.process.state, hourly.calendar.wall, hourly.loop.timers) == ("STOPPED", None, [])
    hourly.world.tell(hourly.entry, Arm("uid 0"))
    assert hourly.settle().entry.process.state == "EXITED"
    assert hourly.calendar.wall == MIDNIGHT + 4 * 3600


def test_a_later_daemon_makes_up_the_last_missed_run_after_a_boot(hourly: Job, tmp_path: Path) -> None:
    later = Job(tmp_path, "two", MIDNIGHT + 3 * 3600 + 600, cron=["0 * * * *"], timezone="UTC").begin()
    assert later.entry.process.by == "its schedule (nominal 03:00, late by 10m: the daemon was down)"
    assert later.history == [("missed", "missed 2 (01:00 to 02:00; the daemon was down)"), ("late", "")]


def test_another_schedule_in_the_file_owes_nothing(hourly: Job, tmp_path: Path) -> None:
    later = Job(tmp_path, "two", MIDNIGHT + 3 * 3600 + 600, cron=["30 * * * *"], timezone="UTC").begin()
    assert (later.entry.process.state, later.history) == ("EXITED", [])


def test_a_run_that_was_written_and_never_spawned_is_begun_by_a_later_daemon(hourly: Job, tmp_path: Path) -> None:
    hourly.wait(3600)
    assert hourly.history == [("schedule", "")]
    later = Job(tmp_path, "one", MIDNIGHT + 3605, cron=["0 * * * *"], timezone="UTC")
    later.world.now = 1000.0 + 3605
    later.ahead = MIDNIGHT - 1000.0
    slot = later.world.supervisor.create(later.program, 0)
    slot.process = slot.process.replace(state="EXITED", since=999.0)
    later.begin(boot=False, restored=True)
    assert later.entry.process.by == "its schedule (nominal 01:00, late by 5s: the daemon was down)"
    assert later.runs().history[-1] == ("late", "done (0) in 0.0s")


def test_a_run_of_which_nobody_knows_the_end_is_unknown_and_does_not_run_again(hourly: Job, tmp_path: Path) -> None:
    hourly.wait(3600)
    later = Job(tmp_path, "two", MIDNIGHT + 3700, cron=["0 * * * *"], timezone="UTC").begin()
    assert (later.entry.process.state, later.history) == ("EXITED", [("schedule", "unknown")])


def test_it_runs_at_the_start_of_a_daemon_where_the_file_says_so_and_not_after_its_death(tmp_path: Path) -> None:
    job = Job(tmp_path, every=3600.0, at_start=True).begin()
    assert job.entry.process.state == "STARTING"
    job.runs()
    assert Job(tmp_path, every=3600.0, at_start=True).begin(boot=False).entry.process.state == "EXITED"


def test_after_a_boot_four_late_runs_go_on_at_one_time(tmp_path: Path) -> None:
    Job(tmp_path, every=3600.0).begin()
    job = Job(tmp_path, "two", MIDNIGHT + 3700, every=3600.0)
    job.program = job.program.replace(numprocs=7)
    first = Job(tmp_path, every=3600.0)
    first.program = job.program
    first.begin()
    job.begin()
    entries = tuple(job.world.table)
    states = [entry.process.state for entry in entries]
    assert (states.count("STARTING"), states.count("EXITED")) == (4, 3)
    begun = next(entry for entry in entries if entry.process.state == "STARTING")
    job.world.spawn(begun)
    job.world.execute(begun)
    job.world.end(begun)
    job.settle()
    assert [entry.process.state for entry in entries].count("STARTING") == 4


def test_a_start_by_hand_is_a_run_and_a_restart_another_one(hourly: Job) -> None:
    hourly.world.tell(hourly.entry, Start("uid 7"))
    hourly.settle().runs(3)
    assert hourly.history == [("uid 7", "exit 3 after 0.0s")]
    assert hourly.entry.process.state == "FATAL"
    assert hourly.wait(3600).entry.process.state == "STARTING"


def test_a_shutdown_starts_nothing_and_forgets_nothing(hourly: Job, tmp_path: Path) -> None:
    hourly.world.supervisor.refuse_starts()
    hourly.world.tell(hourly.entry, Stop("SIGTERM"))
    hourly.settle().wait(7200)
    assert hourly.entry.process.state == "STOPPED"
    later = Job(tmp_path, "one", MIDNIGHT + 7300, cron=["0 * * * *"], timezone="UTC").begin()
    assert later.history[-1][0] == "late"
