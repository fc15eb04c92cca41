"""One slot with a schedule: whether the clock may start it, and its process from run to run, each begin and end written."""

from __future__ import annotations

from taskmaster_common.config.schedule import jitter_of, schedule_of
from taskmaster_common.states import BACKOFF, DOWN_STATES, STARTING, STOPPING
from taskmasterd.core.process.events import DeadlineReached, Due, Opened, Spawned, Waits
from taskmasterd.core.programs.schedule import Run, is_armed
from taskmasterd.core.words.schedules import UNKNOWN_END, result_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmaster_common.config.schedule import Schedule
    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.schedule import Clocks, Memory, Next
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.schedules.runs import Runs, SlotRuns

SAME_RUN = (DeadlineReached, Opened, Waits)
"""What leads from a pause to another try of the same run."""
BY_SCHEDULE, LATE = "schedule", "late"
"""Who has begun a run where nobody has asked for it."""
USUAL_HISTORY = 20


class Slot:
    """`schedule` is None once the file has none; what runs is followed to its end.

    `armed`: the clock may start it, as it was at the last look. `at` is when the next run is due, monotonic.
    """

    def __init__(self, entry: Entry, runs: Runs, host: str) -> None:
        self.entry = entry
        self.name = entry.canonical
        self.schedule: Schedule | None = None
        self.jitter = 0.0
        self.armed = False
        self.next: Next | None = None
        self.at: float | None = None
        self._look = self._told = False
        self._coming: Run | None = None
        self._runs = runs
        self._host = host
        self.known: SlotRuns = runs.of(self.name, USUAL_HISTORY)
        self.configure()

    def configure(self) -> bool:
        """Take the schedule of the configuration; return whether its times are others than before."""
        value, before = self.entry.wanted.schedule, self.schedule
        self.schedule = schedule_of(value) if value else None
        self.jitter = jitter_of(self.schedule, self._host, self.name) if self.schedule else 0.0
        self.known = self._runs.of(self.name, self.schedule.history if self.schedule else USUAL_HISTORY)
        self.wake()
        return (before.what if before else "") != (self.schedule.what if self.schedule else "")

    @property
    def memory(self) -> Memory | None:
        """What is known of the past of the schedule."""
        return self.known.memory

    def remember(self, memory: Memory | None) -> None:
        """Keep that."""
        self._runs.remember(self.name, memory)

    # -- looks

    @property
    def arms(self) -> bool:
        """Whether the clock may start it now."""
        wanted = self.entry.wanted
        return (
            bool(wanted.schedule)
            and self.entry.newest.enabled
            and not self.entry.removed
            and is_armed(self.entry.process)
        )

    def turn(self, *, armed: bool) -> None:
        """Take that the clock may start it from now on, or may not."""
        self.armed = self._look = armed
        self._told = False

    def wake(self) -> None:
        """Be looked at next time, whenever it is due."""
        self._look, self._told = True, False

    def is_due(self, clocks: Clocks, now: float) -> bool:
        """Return whether its time has come; `now` is monotonic. The calendar goes by the clock of the day, a period does not."""
        if self._look or self.next is None or self.at is None or self.schedule is None:
            return self._look
        return self.at <= now if self.schedule.every else self.due_at <= clocks.wall

    @property
    def due_at(self) -> float:
        """When its next run is due, by the clock of the day; for a run of the calendar."""
        return self.next.nominal + self.jitter if self.next else 0.0

    def expect(self, following: Next | None, now: float) -> None:
        """Take the next run: it was looked at."""
        self._look = self._told = False
        self.next = following
        self.at = None if following is None else now + following.in_s

    def tells(self) -> bool:
        """Return whether there is something new for people, which they get to know now."""
        told, self._told = self._told, True
        return not told

    # -- runs

    def begin(self, run: Run, memory: Memory | None) -> None:
        """Write that a run begins, with the memory after it; the one before is over."""
        if self.known.current:
            self.end(*_ended_before(self.entry.process), run.at)
        self._runs.begin(self.name, run, memory)

    def replace(self, run: Run) -> None:
        """Take the run that follows once the one before has been ended for it."""
        self._coming = run

    def end(self, result: str, ok: bool | None, wall: float) -> None:
        """Write that the run is over."""
        run = self.known.current
        if run:
            self._runs.over(self.name, run.replace(result=result, ok=ok, ended=wall))

    def leave_out(self, run: Run) -> None:
        """Write that runs were left out."""
        before = self.known.past[-1] if self.known.past else None
        same = before is not None and before.count and before.how == run.how
        count = run.count + (before.count if before and same else 0)
        self._runs.over(self.name, run.replace(count=count))

    def follow(self, before: Process, event: Event, clocks: Clocks, mono: float, signals: Mapping[int, str]) -> None:
        """Take a change of the process: a run begins, is spawned, or is over."""
        after, self._told = self.entry.process, False
        if _begins(before, event, after) and not isinstance(event, Due):
            if before.state == STOPPING and self.known.current:
                self.end("replaced" if self._coming else "restarted", None, clocks.wall)
            coming, self._coming = self._coming, None
            self.begin(coming or Run(None, after.by or "the daemon", clocks.wall, mono, clocks.boot), self.memory)
        elif isinstance(event, Spawned):
            self.known.spawned(clocks.wall)
        elif after.state in DOWN_STATES and self.known.current:
            self._coming = None
            run = self.known.current
            if after.spawned_at >= run.mono and run.boot == clocks.boot:
                self.known.spawned(clocks.wall - (mono - after.spawned_at))
            self.end(*result_of(after, signals), clocks.wall)

    def recover(self, restored: bool, clocks: Clocks, mono: float, signals: Mapping[int, str]) -> Run | None:
        """Say what became of the run that an earlier daemon has begun; return it if it was never spawned, and has to be.

        `restored`: the state has said how the process was.
        """
        run, process = self.known.current, self.entry.process
        if run is None or process.state not in DOWN_STATES:
            return None
        same_boot = run.boot == clocks.boot
        if restored and same_boot and process.end is not None and process.end.at >= run.mono:
            self.known.spawned(clocks.wall - (mono - process.spawned_at))
            self.end(*result_of(process, signals), clocks.wall - (mono - process.end.at))
            return None
        if restored and same_boot and run.nominal is not None and process.since < run.mono:
            return run
        self.end(UNKNOWN_END, None, clocks.wall)
        return None


def _begins(before: Process, event: Event, after: Process) -> bool:
    if after.state != STARTING or before.state == STARTING:
        return False
    return not (before.state == BACKOFF and isinstance(event, SAME_RUN))


def _ended_before(process: Process) -> tuple[str, bool | None]:
    """Return the result of a run whose tries another one replaces."""
    return (process.reason or f"gave way after {process.tries} tries", False) if process.tries else ("not begun", None)
