"""Looks at what has `recycle` and is RUNNING: at its age, at the clock, and at how much memory it takes.

Made with the first configuration that has `recycle`; it follows the change bus from then on. When an instance is to be recycled is in
`core.process.recycling`, whose turn it is in `renewals`. All looks of one second have one timer and one wake-up.
"""

from __future__ import annotations

import os
import time

from taskmaster_common.config.recycle import rules_of
from taskmaster_common.states import RUNNING
from taskmasterd.core.process.recycling import (
    MemoryLooks,
    age_due,
    age_text,
    begun,
    cron_due,
    cron_text,
    measured,
    recycled,
    refused,
)
from taskmasterd.core.process.state import RECYCLE
from taskmasterd.ondemand import on_demand
from taskmasterd.renewal.memory import measuring, of_group
from taskmasterd.renewal.renewals import Renewal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
    from typing import Any

    from taskmaster_common.text.calendar import zone
    from taskmaster_common.text.calendar.times import Offset
    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
    from taskmasterd.processes.members.descendants import Descendants
    from taskmasterd.renewal.renewals import RenewalMeans, Renewals
    from taskmasterd.system.loop.reactor import Timer
else:
    zone = on_demand("taskmaster_common.text.calendar.zone")

MOST_AT_ONCE = 1
"""Instances of a program without `update` that may be missing at a time."""
NEVER = float("inf")
CLOCK_LOOK_S = 600.0
"""Longest time until another look at the wall clock, where a line of cron counts, seconds."""
MISSED_S = 60.0
"""A moment of cron that is longer ago was missed, seconds: somebody has set the clock, or the host has slept."""


class _Slot:
    """One slot with `recycle`: its rules, what is known of its memory, and when it is looked at for memory, age and cron.

    `cron_due` is the moment of the wall clock, and the line that is due then.
    """

    __slots__ = ("age_at", "cron_at", "cron_due", "for_memory", "look_at", "looks", "rules", "value")

    def __init__(self, value: Mapping[str, Any], looks: MemoryLooks) -> None:
        self.value = value
        self.rules = rules_of(value)
        self.looks = looks
        self.look_at = self.age_at = self.cron_at = NEVER
        self.cron_due: tuple[float, str] | None = None
        self.for_memory = False

    @property
    def due(self) -> float:
        """The next moment."""
        return min(self.look_at, self.age_at, self.cron_at)

    def rest(self) -> None:
        """Look at nothing: no instance runs."""
        self.look_at = self.age_at = self.cron_at = NEVER


class Recycling:
    """All slots whose program has `recycle`.

    `below` finds what leaders left behind and what belongs to their sessions all the same, `group_of(entry)` is the control group of an
    instance, "" for none.
    """

    def __init__(
        self, means: RenewalMeans, renewals: Renewals, below: Descendants, group_of: Callable[[Entry], str]
    ) -> None:
        self._means = means
        self._reactor = means.reactor
        self._renewals = renewals
        self._below = below
        self._group_of = group_of
        self._slots: dict[Entry, _Slot] = {}
        self._timer: Timer | None = None
        self._at = NEVER
        self._busy = False
        for entry in means.table:
            self.added(entry)

    # -- changes

    def changed(self, entry: Entry, before: Process, _event: Event, after: Process) -> None:
        """Begin with an instance that has become RUNNING, end with one that is no more; a slot's counters stay."""
        if after.state == RUNNING and before.state != RUNNING:
            self._begin(entry)
        elif before.state == RUNNING and after.state != RUNNING and entry in self._slots:
            slot = self._slots[entry]
            slot.rest()
            if slot.for_memory and after.cause == RECYCLE:
                slot.looks = recycled(slot.looks)

    def added(self, entry: Entry) -> None:
        """Go on with an instance of an earlier daemon: its age is its own, the looks restart."""
        if entry.process.state == RUNNING:
            self._begin(entry)

    def gone(self, entry: Entry) -> None:
        """Forget a slot."""
        self._slots.pop(entry, None)
        self._renewals.drop(entry)

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Follow a reload: another `recycle` counts from now on."""
        for program in plan.programs:
            if "recycle" in program.keys:
                for entry in self._means.table.slots(program.name):
                    self._renew(entry)
                    yield

    def _renew(self, entry: Entry) -> None:
        slot = self._slots.get(entry)
        if slot and slot.value == entry.wanted.recycle:
            return
        wanted = self._renewals.wanted(entry)
        if wanted and wanted.cause == RECYCLE:
            self._renewals.drop(entry)
        if not entry.wanted.recycle:
            self._slots.pop(entry, None)
        elif entry.process.state == RUNNING:
            self._begin(entry)
        elif slot:
            self._slots[entry] = _Slot(entry.wanted.recycle, slot.looks)

    def _begin(self, entry: Entry) -> None:
        """Count from now for the memory, and for the age from when the instance became RUNNING."""
        value = entry.wanted.recycle
        if not value:
            self._slots.pop(entry, None)
            return
        before, now = self._slots.get(entry), self._reactor.now()
        self._slots[entry] = slot = _Slot(value, begun(before.looks if before else MemoryLooks(), now))
        if slot.rules.memory:
            slot.look_at = now + slot.rules.pause_s(slot.looks.streak)
        if slot.rules.age:
            since = entry.process.since
            first = age_due(slot.rules, entry.program, entry.index, since, since)
            slot.age_at = max(first, now)
        if slot.rules.cron:
            self._set_cron(entry, slot, now)
        self._arm(slot.due)

    def _set_cron(self, entry: Entry, slot: _Slot, now: float) -> None:
        """Find the next moment of a line of cron; it is looked at sooner, since somebody may set the clock meanwhile."""
        wall = time.time()

        def find(offset: Offset) -> tuple[float, str] | None:
            return cron_due(slot.rules, entry.program, entry.index, wall, offset)

        slot.cron_due = zone.in_zone(slot.rules.timezone, os.environ, time, find)
        slot.cron_at = now + min(slot.cron_due[0] - wall, CLOCK_LOOK_S) if slot.cron_due else NEVER

    # -- time

    def _arm(self, when: float) -> None:
        """See to a look at this moment, or within the second after it: what is due in one second is looked at together."""
        if when < self._at:
            self._reactor.cancel(self._timer)
            self._at = float(-int(-when // 1))
            self._timer = self._reactor.call_at(self._at, self._look)

    def _look(self) -> None:
        """Look at all that is due; a look that has not ended goes on, and the next one waits for it."""
        self._at = NEVER
        if not self._busy:
            self._busy = True
            self._reactor.rounds.begin(self._steps(), self._over)

    def _over(self) -> None:
        self._busy = False
        self._arm(min((slot.due for slot in self._slots.values()), default=NEVER))

    def _steps(self) -> Iterator[None]:
        now = self._reactor.now()
        orphans: dict[int, list[int]] | None = None
        for entry in [entry for entry, slot in self._slots.items() if slot.due <= now]:
            slot = self._slots.get(entry)
            if slot is None or slot.due > now:
                continue
            if slot.age_at <= now:
                self._aged(entry, slot, now)
            if slot.cron_at <= now:
                self._by_clock(entry, slot, now)
            if slot.look_at <= now:
                slot.look_at = now + slot.rules.interval
                if orphans is None:
                    orphans = yield from self._orphans()
                yield from self._measure(entry, slot, orphans)
            yield
        self._over()

    def _aged(self, entry: Entry, slot: _Slot, now: float) -> None:
        slot.age_at = age_due(slot.rules, entry.program, entry.index, entry.process.since, now)
        slot.for_memory = False
        self._want(entry, age_text(slot.rules))

    def _by_clock(self, entry: Entry, slot: _Slot, now: float) -> None:
        """Recycle an instance for a line of cron whose time has just come; one that was missed is not made up for."""
        due = slot.cron_due
        self._set_cron(entry, slot, now)
        if due and 0 <= time.time() - due[0] < MISSED_S:
            slot.for_memory = False
            self._want(entry, cron_text(due[1]))

    def _orphans(self) -> Generator[None, None, dict[int, list[int]]]:
        """Find the descendants whose parents have ended, by their session, which is that of their leader."""
        found: dict[int, list[int]] = {}
        try:
            for batch in self._below.batches():
                for one in batch:
                    found.setdefault(one.session, []).append(one.pid)
                yield
        except OSError:  # no descriptor to look with: the leaders' own trees have to do
            pass
        return found

    def _measure(self, entry: Entry, slot: _Slot, orphans: Mapping[int, list[int]]) -> Generator[None, None, None]:
        pid = entry.process.pid or 0
        try:
            used = of_group(self._group_of(entry))
            if used is None:
                used = yield from measuring(pid, orphans.get(pid, ()))
        except OSError:  # as above: nothing is known
            return
        if used is None or entry.process.pid != pid or self._slots.get(entry) is not slot or slot.look_at == NEVER:
            return
        slot.looks, why = measured(slot.rules, entry.policy, slot.looks, used, self._reactor.now())
        wanted = self._renewals.wanted(entry)
        if why:
            slot.for_memory = True
            self._want(entry, why)
        elif wanted and wanted.cause == RECYCLE and slot.for_memory and not slot.looks.over:
            self._renewals.drop(entry)  # it has given back what it took, before it was its turn

    def _want(self, entry: Entry, what: str) -> None:
        pid = entry.process.pid or 0
        self._renewals.want(entry, Renewal(pid, RECYCLE, what, MOST_AT_ONCE, self._refused))

    def _refused(self, entry: Entry, because: str) -> None:
        slot = self._slots.get(entry)
        if slot:
            slot.looks = refused(slot.looks)
        self._means.note(self._means.table.name(entry), RECYCLED, reason=f"not recycled: {because}", ok=False)

    # -- a live upgrade

    def to_data(self) -> Iterable[Mapping[str, Any]]:
        """Return the counters, for the daemon that is executed next."""
        for entry, slot in self._slots.items():
            looks = slot.looks.to_data()
            yield {
                "program": entry.program,
                "index": entry.index,
                "looks": looks,
                "look_at": None if slot.look_at == NEVER else slot.look_at,
            }

    def resume(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Go on with the counters of the daemon before, of which this is the same process."""
        for row in rows:
            entry = self._means.table.slot(row["program"], row["index"])
            slot = self._slots.get(entry) if entry else None
            if entry and slot is None and entry.wanted.recycle:
                slot = self._slots[entry] = _Slot(entry.wanted.recycle, MemoryLooks())
            if slot:
                slot.looks = MemoryLooks.from_data(row["looks"])
                if slot.look_at != NEVER and row["look_at"] is not None:
                    slot.look_at = row["look_at"]
                self._arm(slot.due)


RECYCLED = "recycled"
"""The event of the history."""
