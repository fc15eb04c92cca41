"""What a schedule asks for at a moment: which run is due, which ones were missed, when the next one is. Pure; loaded with the first schedule.

Clock and zone are arguments. A *nominal* time is what the schedule says; with its jitter it is when a run is due. What has been
taken, run or missed, is never taken again: `Memory.last` only grows.
"""

from __future__ import annotations

from taskmaster_common.config.schedule import QUEUE, REPLACE
from taskmaster_common.records import Record
from taskmaster_common.states import BACKOFF, EXITED, FATAL, STOPPED, STOPPING
from taskmaster_common.text.calendar.times import latest_time, next_time
from taskmasterd.core.process.state import STOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from taskmaster_common.config.schedule import Schedule
    from taskmaster_common.text.calendar.times import Offset
    from taskmasterd.core.process.state import Process

ON_TIME_S = 1.5
"""A run that begins less late than this is on time: the daemon is no faster when much happens at once."""
WRONG_CLOCK_S = 3 * 3600.0
"""A `last` that is so far ahead of the clock is forgotten: a clock that was wrong must not silence a job for years."""
MOST_COUNTED = 100
"""Missed runs that are counted one by one."""
RUN: Final = "run"


class Clocks(Record):
    """A moment on three clocks: seconds since 1970, since the boot (suspend counts), and which boot that was."""

    wall: float
    since_boot: float
    boot: str


class Memory(Record):
    """What is known of the past of one slot. `what` is the schedule that it belongs to.

    `last` is the last nominal time that was taken, or when the schedule was armed; `anchor` is the same in seconds since the boot
    `boot`. `waiting` is the nominal time of a run that waits for the one before, `skipped` counts runs that were left out in a row.
    """

    what: str = ""
    last: float = 0.0
    anchor: float = 0.0
    boot: str = ""
    waiting: float | None = None
    skipped: int = 0


class Missed(Record):
    """Runs that are not made up: how many, `more` of them beyond counting, and the first and last nominal time."""

    count: int
    first: float
    last: float
    more: bool = False


class Found(Record):
    """What is due: the memory after it, the nominal time of a run, how late that is, what was missed.

    `forgotten`: the clock was so far ahead that what was known of the past is no use.
    """

    memory: Memory
    run: float | None = None
    late: float = 0.0
    missed: Missed | None = None
    forgotten: bool = False


class Next(Record):
    """The next run: its nominal time, and when it is due, seconds from now."""

    nominal: float
    in_s: float


class Run(Record):
    """One run of a slot, or runs that were left out (`count`); times are seconds since 1970.

    `nominal` is None where somebody has asked for it; `how` says who or what has begun it. `mono` and `boot` are when its line was
    written, on the monotonic clock of that boot. `ok` is None where it is not over, nobody knows, or it never was.
    """

    nominal: float | None
    how: str
    at: float
    mono: float = 0.0
    boot: str = ""
    began: float | None = None
    ended: float | None = None
    result: str = ""
    ok: bool | None = None
    count: int = 0


class Planned(Record):
    """What there is to say of the schedule of a slot: `at` is when the next run is due, monotonic seconds, None for none.

    `clock` is its nominal time in short, `stamp` whole, `ahead` the offset of the zone. `off`: nothing starts it by itself.
    """

    at: float | None = None
    clock: str = ""
    stamp: str = ""
    off: bool = False
    skipped: int = 0
    last: Run | None = None
    last_stamp: str = ""


def armed_at(schedule: Schedule, moment: Clocks) -> Memory:
    """Return the memory of a schedule that begins now: nothing is ever due from before."""
    return Memory(schedule.what, moment.wall, moment.since_boot, moment.boot)


def due(schedule: Schedule, jitter: float, memory: Memory, moment: Clocks, offset: Offset) -> Found:
    """Return what is due by now. Of several runs that were missed the latest is made up, within `catch_up`, the others never."""
    if schedule.every:
        return _due_by_period(schedule, jitter, memory, moment)
    if memory.last > moment.wall + WRONG_CLOCK_S:
        return Found(memory.replace(last=moment.wall), forgotten=True)
    latest = latest_time(schedule.times, memory.last, moment.wall - jitter, offset)
    if latest is None:
        return Found(memory)
    late = moment.wall - latest - jitter
    runs = _is_in_time(schedule, late)
    missed = _missed(schedule, memory.last, latest, offset, whole=not runs)
    return Found(memory.replace(last=float(latest)), float(latest) if runs else None, max(0.0, late), missed)


def _is_in_time(schedule: Schedule, late: float) -> bool:
    return late < ON_TIME_S or late <= schedule.catch_up


def _missed(schedule: Schedule, after: float, latest: int, offset: Offset, *, whole: bool) -> Missed | None:
    """Return the times between, with `latest` itself if that is missed, too (`whole`)."""
    count, first, last, found = 0, 0.0, 0.0, next_time(schedule.times, after, offset)
    while found is not None and found < latest and count < MOST_COUNTED:
        count, first = count + 1, first or float(found)
        last = float(found)
        found = next_time(schedule.times, found, offset)
    if found is not None and found < latest:
        return Missed(count, first, float(latest), more=True)
    if whole:
        return Missed(count + 1, first or float(latest), float(latest))
    return Missed(count, first, last) if count else None


def _due_by_period(schedule: Schedule, jitter: float, memory: Memory, moment: Clocks) -> Found:
    """Count periods since the anchor: by the clock since the boot, or, over a boot, by that of the day."""
    period, passed = schedule.every, elapsed(memory, moment)
    steps = int((passed - jitter) // period)
    if steps < 1:
        return Found(memory if memory.boot == moment.boot else _anchored(memory, memory.last, passed, moment))
    since = passed - steps * period
    nominal = moment.wall - since
    taken, late = _anchored(memory, nominal, since, moment), max(0.0, since - jitter)
    runs = _is_in_time(schedule, late)
    count = steps - runs
    missed = Missed(count, nominal - (steps - 1) * period, nominal - runs * period) if count else None
    return Found(taken, nominal if runs else None, late, missed)


def _anchored(memory: Memory, last: float, since: float, moment: Clocks) -> Memory:
    return memory.replace(last=last, anchor=moment.since_boot - since, boot=moment.boot)


def elapsed(memory: Memory, moment: Clocks) -> float:
    """Return the seconds since the anchor."""
    if memory.boot == moment.boot:
        return moment.since_boot - memory.anchor
    return max(0.0, moment.wall - memory.last)


def next_run(schedule: Schedule, jitter: float, memory: Memory, moment: Clocks, offset: Offset) -> Next | None:
    """Return the next run; None where there will be none."""
    if schedule.every:
        passed = elapsed(memory, moment)
        steps = max(0, int((passed - jitter) // schedule.every)) + 1
        in_s = steps * schedule.every + jitter - passed
        return Next(moment.wall + in_s - jitter, in_s)
    nominal = next_time(schedule.times, memory.last, offset)
    return None if nominal is None else Next(float(nominal), nominal + jitter - moment.wall)


def is_armed(process: Process) -> bool:
    """Return whether the clock may start a process: nobody has stopped it, and nothing is about to."""
    stops = process.state == STOPPING and process.then == STOPPED
    return process.state != STOPPED and not stops and process.leaving != STOP


def overlapping(schedule: Schedule, process: Process) -> str:
    """Return what a run that is due does: RUN, or a word of OVERLAPS where the run before is not over."""
    return RUN if process.state in (EXITED, FATAL, BACKOFF) else schedule.overlap


def taken_in(memory: Memory, overlap: str, nominal: float) -> tuple[Memory, bool]:
    """Return the memory after a run that is due, and whether it was left out: at most one waits."""
    if overlap in (RUN, REPLACE):
        return memory.replace(skipped=0, waiting=None), False
    if overlap == QUEUE and memory.waiting is None:
        return memory.replace(waiting=nominal), False
    return memory.replace(skipped=memory.skipped + 1), True
