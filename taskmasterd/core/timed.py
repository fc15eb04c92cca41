"""What comes by the clock in a simulation: the runs of a schedule, and planned restarts by age and by cron. Pure.

It asks the same functions as the daemon does, on a clock that begins at a moment of the wall clock.
"""

from __future__ import annotations

from taskmaster_common.config.recycle import rules_of
from taskmaster_common.config.schedule import QUEUE, REPLACE, jitter_of, schedule_of
from taskmaster_common.records import Record
from taskmaster_common.states import DOWN_STATES, RUNNING
from taskmasterd.core.process.events import Due, Event, Renew, Restart
from taskmasterd.core.process.recycling import age_due, age_text, cron_due, cron_text
from taskmasterd.core.process.state import RECYCLE
from taskmasterd.core.programs.schedule import RUN, Clocks, armed_at, due, next_run, overlapping, taken_in
from taskmasterd.core.words.schedules import begun_text, clock_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from taskmaster_common.config import ProgramConfig
    from taskmaster_common.text.calendar.times import Offset
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.schedule import Found, Memory

BY = "simulate"
BOOT = "simulated"
TICK_S = 0.0005
"""So long after its time a run is taken, seconds: the wall clock as a number is no more exact than some microseconds."""


class WallClock(Record):
    """The wall clock at the beginning; `within(zone, do)` returns what `do(offset)` does in a zone, `host` is the name for jitter."""

    wall: float
    within: Callable[[str, Callable[[Offset], Any]], Any]
    host: str


class LeftOut(Event):
    """A run that is due is left out, or waits; for people only."""

    text: str


class Timed:
    """The clockwork of the first slot of one program. Moments are seconds since the beginning."""

    def __init__(self, program: ProgramConfig, clock: WallClock) -> None:
        self._program = program
        self._clock = clock
        self._schedule = schedule_of(program.schedule) if program.schedule else None
        self._rules = rules_of(program.recycle) if program.recycle else None
        self._jitter = jitter_of(self._schedule, clock.host, f"{program.name}:0") if self._schedule else 0.0
        self._memory: Memory | None = armed_at(self._schedule, self._clocks(0.0)) if self._schedule else None
        self._at_start = bool(self._schedule and self._schedule.at_start)

    @property
    def arms(self) -> bool:
        """Whether its clock starts it, and not the daemon's start."""
        return self._schedule is not None

    def _clocks(self, at: float) -> Clocks:
        return Clocks(self._clock.wall + at, at, BOOT)

    def next(self, process: Process, since: float, at: float) -> tuple[float, Callable[[float], list[Event]]] | None:
        """Return what comes next by the clock: when, and what returns its events; `since` is when the process has become what it is."""
        found = [*self._next_run(process, at), *self._next_renewal(process, since, at)]
        return min(found, key=lambda each: each[0]) if found else None

    def following(self, at: float) -> str:
        """Return when the next run is, as text, "" for none."""
        schedule, memory = self._schedule, self._memory
        if schedule is None or memory is None:
            return ""

        def say(offset: Offset) -> str:
            then = next_run(schedule, self._jitter, memory, self._clocks(at), offset)
            return f"next {self._clock_of(then.nominal, offset, at)}" if then else "no more runs"

        return str(self._clock.within(schedule.timezone, say))

    def _clock_of(self, nominal: float, offset: Offset, at: float) -> str:
        return clock_text(nominal, offset(int(nominal)), self._clock.wall + at)

    # -- runs

    def _next_run(self, process: Process, at: float) -> Iterator[tuple[float, Callable[[float], list[Event]]]]:
        schedule, memory = self._schedule, self._memory
        if schedule is None or memory is None:
            return
        if self._at_start or (memory.waiting is not None and process.state in DOWN_STATES):
            yield at, lambda now: self._taken(process, now)
        then = self._clock.within(
            schedule.timezone, lambda offset: next_run(schedule, self._jitter, memory, self._clocks(at), offset)
        )
        if then:
            yield at + max(0.0, then.in_s) + TICK_S, lambda now: self._taken(process, now)

    def _taken(self, process: Process, at: float) -> list[Event]:
        schedule, memory = self._schedule, self._memory
        assert schedule
        assert memory
        events: list[Event] = self._clock.within(
            schedule.timezone, lambda offset: list(self._decide(process, memory, at, offset))
        )
        return events

    def _decide(self, process: Process, memory: Memory, at: float, offset: Offset) -> Iterator[Event]:
        """Do what is due, as `Schedules` does it."""
        schedule = self._schedule
        assert schedule
        if memory.waiting is not None and process.state in DOWN_STATES:
            self._memory = memory.replace(waiting=None, skipped=0)
            yield Due(begun_text(self._clock_of(memory.waiting, offset, at), 0.0, 0.0, ""))
            return
        found: Found = due(schedule, self._jitter, memory, self._clocks(at), offset)
        nominal = found.run
        if self._at_start:
            self._at_start, nominal = False, self._clock.wall + at
        self._memory = found.memory
        if nominal is None:
            return
        overlap, clock = overlapping(schedule, process), self._clock_of(nominal, offset, at)
        self._memory, left_out = taken_in(found.memory, overlap, nominal)
        why = begun_text(clock, self._jitter, 0.0, "")
        if overlap == RUN:
            yield Due(why)
        elif overlap == REPLACE:
            yield Restart(why)
        elif overlap == QUEUE and not left_out:
            yield LeftOut(f"the run of {clock} waits: the run before is not over")
        else:
            yield LeftOut(
                f"the run of {clock} is skipped: the run before is not over ({self._memory.skipped} in a row)"
            )

    # -- planned restarts

    def _next_renewal(
        self, process: Process, since: float, at: float
    ) -> Iterator[tuple[float, Callable[[float], list[Event]]]]:
        rules, pid = self._rules, process.pid
        if rules is None or pid is None or process.state != RUNNING:
            return
        if rules.age:
            text = age_text(rules)
            yield age_due(rules, self._program.name, 0, since, at), lambda _at: [Renew(pid, RECYCLE, text)]
        wall = self._clock.wall
        if not rules.cron:
            return
        found = self._clock.within(
            rules.timezone, lambda offset: cron_due(rules, self._program.name, 0, wall + at, offset)
        )
        if found:
            yield found[0] - wall, lambda _at: [Renew(pid, RECYCLE, cron_text(found[1]))]
