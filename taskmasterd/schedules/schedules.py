"""All schedules: one timer for the next run of all, a look at each whose time has come, and at all when the clock was set.

A member of the change bus. Whether a slot is armed is a level of its process (`Slot.arms`), so no event can be missed, and a later
daemon reads it as this one does. What is due is delivered as Due; a process that somebody has stopped answers that with nothing.
"""

from __future__ import annotations

from taskmaster_common.config.schedule import QUEUE, REPLACE
from taskmaster_common.records import Record
from taskmaster_common.states import DOWN_STATES
from taskmasterd.core.process.events import Arm, Due, Restart
from taskmasterd.core.programs.schedule import (
    RUN,
    Clocks,
    Run,
    armed_at,
    due,
    next_run,
    overlapping,
    taken_in,
)
from taskmasterd.core.words.schedules import begun_text, clock_text
from taskmasterd.schedules.news import ScheduleNews, planned
from taskmasterd.schedules.slot import BY_SCHEDULE, LATE, Slot
from taskmasterd.schedules.timer import Wakes
from taskmasterd.system.loop.cmodules import partial
from taskmasterd.system.loop.zones import within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskmaster_common.text.calendar.times import Offset
    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.schedule import Found, Memory
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.steps import Steps
    from taskmasterd.schedules.runs import Runs
    from taskmasterd.system.loop.reactor import Reactor

LEAST_LATE_S = 1.0
"""A run that begins less late than this is not called late."""
MOST_AT_ONCE = 4
"""Late runs that go on at one time."""
DOWN, STEPPED, BUSY, WAITED = (
    "the daemon was down",
    "the clock was set",
    "the host slept or was busy",
    "it waited for another run",
)
"""Why runs are late or missed."""


class ScheduleMeans(Record):
    """What schedules work with. `deliver(entry, event)` and `leave(entry, order)` are the supervisor's.

    `stopping()`: the daemon is being shut down. `say(level, text)` writes to the event log, `note` to the history. `clocks()` reads
    the clocks. `restored` are the slots of which an earlier daemon has left how they were. `boot`: there was none.
    """

    reactor: Reactor
    table: Table
    deliver: Callable[[Entry, Event], None]
    leave: Callable[[Entry, Restart], None]
    stopping: Callable[[], bool]
    say: Callable[[str, str], None]
    note: Callable[..., None]
    clocks: Callable[[], Clocks]
    signals: Mapping[int, str]
    host: str
    restored: frozenset[str] = frozenset()
    boot: bool = False


class Schedules:
    """The schedules of all slots. Until its first look, what is armed goes on where an earlier daemon has ended."""

    def __init__(self, means: ScheduleMeans, runs: Runs) -> None:
        self._means = means
        self.runs = runs
        self._slots: dict[Entry, Slot] = {}
        self._news = ScheduleNews(means.say, means.note, means.table.name)
        self._wakes = Wakes(means.reactor, self._woken, self._passed)
        self._begun = False
        self._at_start: list[Slot] = []
        self._why = DOWN
        self._looking = False

    # -- the change bus

    def added(self, entry: Entry) -> None:
        """Take a slot that is new, or was taken over."""
        if entry.wanted.schedule and entry not in self._slots:
            self._slots[entry] = Slot(entry, self.runs, self._means.host)
            self._look_soon()

    def gone(self, entry: Entry) -> None:
        """Forget a slot, and its runs."""
        if self._slots.pop(entry, None):
            self.runs.forget(entry.canonical)

    def changed(self, entry: Entry, before: Process, event: Event, _after: Process) -> None:
        """Follow a run; look soon whether the slot is still armed, and whether something waits for this."""
        slot, means = self._slots.get(entry), self._means
        if slot is None:
            return
        if isinstance(event, Arm) and means.boot and not self._begun and slot.schedule and slot.schedule.at_start:
            self._at_start.append(slot)
        slot.follow(before, event, means.clocks(), means.reactor.now(), means.signals)
        self._look_soon()

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Follow a reload: other times hold from now on."""
        for program in plan.programs:
            for entry in self._means.table.slots(program.name):
                slot = self._slots.get(entry)
                if slot is None:
                    self.added(entry)
                elif slot.configure() and slot.armed and slot.schedule:
                    slot.remember(armed_at(slot.schedule, self._means.clocks()))
            yield
        self._look_soon()

    def begin(self) -> None:
        """Everything of an earlier daemon is taken over: go on with its runs."""
        means = self._means
        for slot in self._slots.values():
            restored = slot.name in means.restored
            run = slot.recover(restored, means.clocks(), means.reactor.now(), means.signals)
            if run is not None and slot.arms:
                nominal = run.nominal or run.at
                late = max(LEAST_LATE_S, means.clocks().wall - nominal - slot.jitter)
                means.reactor.call_soon(partial(self._deliver, slot, nominal, late, DOWN, slot.memory))
        self._look_soon()

    # -- looks

    def _look_soon(self) -> None:
        """Look at all slots once this turn has done what it does."""
        if not self._looking:
            self._looking = True
            self._means.reactor.call_soon(lambda: self._means.reactor.rounds.begin(self._look()))

    def _woken(self, stepped: bool) -> None:
        if stepped:
            self._why = STEPPED
            for slot in self._slots.values():
                slot.wake()
        self._look_soon()

    def _passed(self) -> None:
        for slot in self._slots.values():
            if slot.armed and slot.schedule and slot.schedule.every:
                slot.wake()
        self._look_soon()

    def _look(self) -> Steps[None]:
        self._looking = False
        for slot in tuple(self._slots.values()):
            if not self._means.stopping() and slot.entry in self._slots:
                self._look_at(slot)
            yield
        if not self._looking:
            self._begun, self._why = True, BUSY
            self._at_start.clear()
        self._arm_timers()

    def _look_at(self, slot: Slot) -> None:
        """Arm or disarm a slot, do what is due, say what comes next."""
        armed, means = slot.arms, self._means
        if armed != slot.armed:
            slot.turn(armed=armed)
            self._arm(slot)
        if armed and slot.schedule and slot.is_due(means.clocks(), means.reactor.now()):
            within(slot.schedule.timezone, lambda offset: self._decide(slot, offset))
        if armed and slot.memory and slot.memory.waiting is not None:
            self._begin_waiting(slot, slot.memory)
        if slot.tells():
            wall, zone = means.clocks().wall, slot.schedule.timezone if slot.schedule else ""
            slot.entry.plan(within(zone, lambda offset: planned(slot, offset, wall)) if slot.schedule else None)

    def _arm(self, slot: Slot) -> None:
        """Go on from what is on the disk while a daemon begins; else nothing is due from before now."""
        memory, schedule = slot.memory, slot.schedule
        if not slot.armed or schedule is None:
            slot.remember(None)
        elif self._begun or memory is None or memory.what != schedule.what:
            slot.remember(armed_at(schedule, self._means.clocks()))

    def _decide(self, slot: Slot, offset: Offset) -> None:
        schedule, memory, clocks = slot.schedule, slot.memory, self._means.clocks()
        if schedule is None or memory is None:
            return
        found = due(schedule, slot.jitter, memory, clocks, offset)
        if found.forgotten:
            self._news.forgotten(slot)
        if found.missed:
            self._news.missed(slot, found.missed, self._why, offset, clocks.wall)
        if slot in self._at_start:
            found = found.replace(run=found.run if found.run is not None else clocks.wall)
        kept = self._take(slot, found, offset, clocks.wall)
        slot.expect(next_run(schedule, slot.jitter, kept, clocks, offset), self._means.reactor.now())

    def _take(self, slot: Slot, found: Found, offset: Offset, wall: float) -> Memory:
        """Begin the run that is due, let it wait, or leave it out; return the memory, which is written before anything is spawned."""
        memory, nominal, schedule = found.memory, found.run, slot.schedule
        if nominal is None or schedule is None:
            slot.remember(memory)
            return memory
        late = found.late if found.late >= LEAST_LATE_S else 0.0
        overlap = overlapping(schedule, slot.entry.process)
        if overlap == RUN and late and self._late_ones() >= MOST_AT_ONCE:
            overlap, memory = QUEUE, memory.replace(waiting=nominal, skipped=0)
        else:
            memory, left_out = taken_in(memory, overlap, nominal)
            if left_out:
                self._news.skipped(slot, memory.skipped, nominal, offset, wall)
        if overlap == RUN:
            self._deliver(slot, nominal, late, self._why, memory, offset)
            return memory
        slot.remember(memory)
        if overlap == REPLACE and slot.entry.process.alive:
            slot.replace(_run_of(self._means, nominal, late))
            by = begun_text(clock_text(nominal, offset(int(nominal)), wall), slot.jitter, late, self._why)
            self._means.leave(slot.entry, Restart(by))
        return memory

    def _late_ones(self) -> int:
        return sum(1 for slot in self._slots.values() if slot.known.current and slot.known.current.how == LATE)

    def _begin_waiting(self, slot: Slot, memory: Memory) -> None:
        """Begin the run that waits, once the one before is over."""
        if slot.entry.process.state not in DOWN_STATES or memory.waiting is None or slot.known.current is not None:
            return
        if self._late_ones() < MOST_AT_ONCE:
            late = max(LEAST_LATE_S, self._means.clocks().wall - memory.waiting - slot.jitter)
            self._deliver(slot, memory.waiting, late, WAITED, memory.replace(waiting=None, skipped=0))

    def _deliver(
        self, slot: Slot, nominal: float, late: float, why: str, memory: Memory | None, offset: Offset | None = None
    ) -> None:
        """Write that a run begins, then have it begun."""
        if self._means.stopping() or slot.schedule is None or not slot.arms:
            return
        wall, moment = self._means.clocks().wall, int(nominal)
        ahead = offset(moment) if offset else within(slot.schedule.timezone, lambda clock: clock(moment))
        slot.begin(_run_of(self._means, nominal, late), memory)
        slot.entry.want(slot.entry.newest)
        by = begun_text(clock_text(nominal, ahead, wall), slot.jitter, late, why)
        self._means.deliver(slot.entry, Due(by))

    def _arm_timers(self) -> None:
        stopping = self._means.stopping()
        armed = [slot for slot in self._slots.values() if slot.armed and slot.schedule and slot.next and not stopping]
        periods = [slot.at for slot in armed if slot.at is not None and slot.schedule and slot.schedule.every]
        calendar = [slot.due_at for slot in armed if slot.schedule and not slot.schedule.every]
        self._wakes.arm(min(calendar, default=None), min(periods, default=None))

    def close(self) -> None:
        """Wake for nothing any more, and close the file: the daemon ends."""
        self._wakes.close()
        self.runs.close()

    def slot(self, entry: Entry) -> Slot | None:
        """Return what there is of the schedule of an entry; None: it has none, and never had one."""
        return self._slots.get(entry)


def _run_of(means: ScheduleMeans, nominal: float, late: float) -> Run:
    clocks = means.clocks()
    return Run(nominal, LATE if late else BY_SCHEDULE, clocks.wall, means.reactor.now(), clocks.boot)
