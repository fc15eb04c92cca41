"""Looks at gates when they may have opened, and lets go down in order what others depend on.

Mutable and free of I/O, as `supervisor`, of which it is the part that only configurations with `depends_on` need. After each
change it notes whom the change concerns; `settle` looks at them, what needs least first, so that nobody is judged by a state
that is about to change. Nobody polls: what is held or leaving is looked at again only when something that it waits for has
changed.
"""

from __future__ import annotations

from _heapq import heappop, heappush  # heapq itself is never resident, see `system.loop.cmodules`

from taskmaster_common.config import ONESHOT
from taskmaster_common.config.graph import Graph
from taskmaster_common.states import BACKOFF, EXITED, FATAL
from taskmasterd.core.process.events import Blocked, Bounce, Leave, Opened, Restart, Stop, Waits
from taskmasterd.core.process.state import AGAIN, STOP
from taskmasterd.core.programs.descent import Descent
from taskmasterd.core.programs.gate import down_for_good, edges, look, loses_with, satisfied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from taskmaster_common.config import Config
    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.steps import Steps


class Dependencies:
    """The gates and the order of stopping of all processes.

    `handle(entry, event)` lets an event happen to a process. `settle_later()` sees to it that `settle` runs in a later turn.
    """

    def __init__(self, table: Table, handle: Callable[[Entry, Event], None], settle_later: Callable[[], None]) -> None:
        self._table = table
        self.graph = table.graph = Graph({}, {})
        self._handle = handle
        self._settle_later = settle_later
        self._descent = Descent(self.graph, ())
        self._gates: dict[int, dict[Entry, None]] = {}
        self._ranks: list[int] = []
        self._leaving: dict[Entry, None] = {}
        self._released: dict[Entry, None] = {}
        self._bounced: dict[Entry, str] = {}
        self._settling = False
        self._closed = False

    def follow(self, config: Config) -> None:
        """Use the edges of a configuration from now on; what it has no more keeps its own until it has gone."""
        jobs = {each.name for each in config.programs if each.policy.type == ONESHOT}
        graph = Graph({each.name: each.policy.depends_on for each in config.programs}, config.groups, jobs)
        known = {each.name for each in config.programs}
        graph.keep(self.graph, [name for name in self._table.names() if name not in known])
        self.graph = self._table.graph = graph
        self._descent = Descent(graph, self._table)
        for entry in self._table:
            self.resume(entry)

    def close(self) -> None:
        """Open no gate any more: the daemon is being shut down."""
        self._closed = True

    def restored(self, entry: Entry) -> None:
        """Count a slot of an earlier life."""
        self._descent.add(entry)

    def resume(self, entry: Entry) -> None:
        """Look at a process that is held, blocked or leaving under other edges, or since an earlier life."""
        if entry.process.phase:
            self._look_at(entry)
        if entry.process.leaving:
            self._leaving[entry] = None
            self._release(entry)

    # -- changes

    def changed(self, entry: Entry, before: Process, after: Process) -> None:
        """Note whom a change of a process concerns."""
        if after.phase:
            self._look_at(entry)
        if after.leaving:
            self._leaving[entry] = None
        else:
            self._leaving.pop(entry, None)
        for name in self.graph.dependents.get(entry.program, ()):
            for dependent in self._table.slots(name):
                if dependent.process.phase:
                    self._look_at(dependent)
                    if after.state == BACKOFF and not after.phase and before.state != BACKOFF:
                        for ticket in tuple(dependent.tickets):
                            ticket.tried(entry)
        if before.state != after.state or before.leaving != after.leaving:
            self._lose(entry, before, after)
        for program, index in self._descent.changed(entry, before, after):
            self._release_all(program, index)

    def _lose(self, entry: Entry, before: Process, after: Process) -> None:
        """Take down with it those whose edge says so, where it is no longer what they need."""
        for dependent in loses_with(self._table, entry):
            for need, target in edges(self._table, dependent):
                policy, condition = target.policy, need.condition
                if target is entry and satisfied(policy, before, condition) and not satisfied(policy, after, condition):
                    self._bounced[dependent] = entry.canonical
                    self._soon()

    def _release_all(self, program: str, index: int | None) -> None:
        """Look again at what is leaving of a program."""
        if self._leaving:
            for target in self._table.slots(program):
                if target in self._leaving and index in (None, target.index):
                    self._release(target)

    def _look_at(self, entry: Entry) -> None:
        rank = self.graph.rank_of(entry.program)
        if rank not in self._gates:
            self._gates[rank] = {}
            heappush(self._ranks, rank)
        self._gates[rank][entry] = None
        self._soon()

    def _release(self, entry: Entry) -> None:
        self._released[entry] = None
        self._soon()

    def _soon(self) -> None:
        if not self._settling:
            self._settling = True
            self._settle_later()

    def settle(self, clock: Callable[[], float]) -> Steps[None]:
        """Look at everybody whom changes have concerned, one a step, until nobody is left."""
        try:
            while self._bounced or self._released or self._gates:
                self._next(clock())
                yield
        finally:
            self._settling = False

    def _next(self, now: float) -> None:
        if self._bounced:
            entry = next(iter(self._bounced))
            by = self._bounced.pop(entry)
            self._handle(entry, self.in_order(entry, Bounce(by)))
        elif self._released:
            entry = next(iter(self._released))
            del self._released[entry]
            if entry.process.leaving and not self._descent.is_held_up(entry):
                self._handle(entry, _order(entry.process))
        else:
            rank = self._ranks[0]
            entry = next(iter(self._gates[rank]))
            del self._gates[rank][entry]
            if not self._gates[rank]:
                del self._gates[heappop(self._ranks)]
            if entry.process.phase and not self._closed:
                self._handle(entry, self._answer(entry, now))

    def _answer(self, entry: Entry, now: float) -> Event:
        gate = look(self._table, entry, now)
        if gate.blocked:
            return Blocked()
        return Waits(gate.until) if gate.unmet else Opened()

    # -- operations

    def in_order(self, entry: Entry, order: Stop | Restart | Bounce) -> Event:
        """Return the event for a process that is to go down: at once, or when nothing above it is going down any more."""
        return Leave(order) if self._descent.is_held_up(entry) else order

    def departing(self, entries: Iterable[Entry]) -> Iterator[tuple[Entry, bool]]:
        """Yield what goes down when these do, dependents first; true for these, false for those that an edge takes along."""
        own = dict.fromkeys(entries)
        along: dict[Entry, None] = {}
        waiting = list(own)
        while waiting:
            for dependent in loses_with(self._table, waiting.pop()):
                if dependent not in own and dependent not in along:
                    along[dependent] = None
                    waiting.append(dependent)
        for entry in sorted([*own, *along], key=lambda each: -self.graph.rank_of(each.program)):
            yield entry, entry in own

    def arriving(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return these entries, what others need first."""
        return sorted(entries, key=lambda each: self.graph.rank_of(each.program))

    def with_dependents(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return these entries and all that are up and depend on them, directly or not."""
        own = dict.fromkeys(entries)
        for name in self.graph.above(dict.fromkeys(entry.program for entry in own)):
            own.update(dict.fromkeys(each for each in self._table.slots(name) if each.process.goal_is_up))
        return list(own)

    def going_on(self, entries: Iterable[Entry]) -> list[Entry]:
        """Return what depends on these directly, is alive and does not go down when these do."""
        own = {entry: None for entry, _asked in self.departing(entries)}
        found: dict[Entry, None] = {}
        for entry in own:
            for name in self.graph.dependents.get(entry.program, ()):
                for dependent in self._table.slots(name):
                    process = dependent.process
                    if process.pid is not None and not process.going_down and dependent not in own:
                        found[dependent] = None
        return list(found)

    def pulled(self, entries: Iterable[Entry], *, asked: bool) -> list[Entry]:
        """Return what has to be started with these, what others need first: all that they need, is down and does not satisfy.

        `asked`: an operator wants these up, so also what an operator has stopped.
        """
        waiting = list(entries)
        seen = set(waiting)
        found: list[Entry] = []
        while waiting:
            for need, target in edges(self._table, waiting.pop()):
                process = target.process
                if target in seen or satisfied(target.policy, process, need.condition):
                    continue
                seen.add(target)
                down = down_for_good(process)
                if down and not asked and process.by and process.state not in (EXITED, FATAL):
                    continue
                waiting.append(target)
                if down:
                    found.append(target)
        return self.arriving(found)


def _order(process: Process) -> Stop | Restart | Bounce:
    """Return what a leaving process was asked for."""
    if process.leaving == STOP:
        return Stop(process.by)
    return Restart(process.by, process.free) if process.leaving == AGAIN else Bounce(process.by)
