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
from taskmaster_common.states import BACKOFF
from taskmasterd.core.process.events import Bounce, Leave, Restart, Stop
from taskmasterd.core.process.state import AGAIN, BECAUSE, STOP
from taskmasterd.core.programs.descent import Descent
from taskmasterd.core.programs.gate import edges_to, goes_along, is_queued, satisfied
from taskmasterd.core.programs.levels import Levels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
        self._levels = Levels(table)
        self._gates: dict[int, dict[Entry, None]] = {}
        self._ranks: list[int] = []
        self._leaving: dict[Entry, None] = {}
        self._released: dict[Entry, None] = {}
        self._settling = False
        self._held = 0
        self._closed = False
        self._groups: Mapping[str, tuple[str, ...]] = {}

    def follow(self, config: Config) -> Steps[None]:
        """Use the edges of a configuration from the last step on; what it has no more keeps its own until it has gone."""
        jobs = {each.name for each in config.programs if each.policy.type == ONESHOT}
        groups = {**self._groups, **config.groups}  # what the file has no more may still name the old ones
        edges_of = {each.name: each.policy.depends_on for each in config.programs}
        for name in self._table.names():
            if name not in edges_of:
                edges_of[name] = self._table.slots(name)[0].policy.depends_on
        graph = yield from Graph.building(edges_of, groups, jobs)
        self._groups = config.groups
        self.graph = self._table.graph = graph
        self._descent = Descent(graph, self._table)
        self._levels = Levels(self._table)
        self.look_at_all()

    def look_at_all(self) -> None:
        """Look at everybody who is held, blocked or leaving."""
        for entry in self._table:
            self.resume(entry)

    def hold(self) -> None:
        """Open no gate until as many calls of `let_go`: an operation has not told everybody yet."""
        self._held += 1

    def let_go(self) -> None:
        """Undo one `hold`."""
        self._held -= 1
        if self._gates:
            self._soon()

    def close(self) -> None:
        """Open no gate any more: the daemon is being shut down."""
        self._closed = True

    def restored(self, entry: Entry) -> None:
        """Count a slot of an earlier life."""
        self._descent.add(entry)
        self._look_above(entry)

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
        freed = tuple(self._descent.changed(entry, before, after))
        if after.phase:
            self._look_at(entry)
        if after.leaving:
            self._leaving[entry] = None
            self._release(entry)
        else:
            self._leaving.pop(entry, None)
        self._look_above(entry)
        if after.state == BACKOFF and not after.phase and before.state != BACKOFF:
            self._tell_tried(entry)
        if not entry.removed and (before.state != after.state or before.leaving != after.leaving):
            self._lose(entry, before, after)
        for program, index in freed:
            self._release_all(program, index)

    def _look_above(self, entry: Entry) -> None:
        """Look again at those whose gates may answer something else since a process has changed."""
        for dependent in self._levels.changed(entry):
            if dependent.process.phase:
                self._look_at(dependent)

    def _tell_tried(self, entry: Entry) -> None:
        """Let those who wait for what is held know that a start of what it needs has failed."""
        for name in self.graph.dependents.get(entry.program, ()):
            for dependent in self._table.slots(name):
                if dependent.process.phase:
                    for ticket in tuple(dependent.tickets):
                        ticket.tried(entry)

    def _lose(self, entry: Entry, before: Process, after: Process) -> None:
        """Take down with it those whose edge says so, and hold again those whose start is queued, if it no longer suits them.

        The intent is part of this change, so that a daemon which dies now does not forget it.
        """
        for name, need in edges_to(self._table, entry):
            policy, condition = entry.policy, need.condition
            if satisfied(policy, before, condition) and not satisfied(policy, after, condition):
                order = Leave(Bounce(f"{BECAUSE}{self._table.name(entry)} went down"))
                for dependent in self._table.slots(name):
                    if goes_along(dependent, need) or (need.required and is_queued(dependent)):
                        self._handle(dependent, order)

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
            while self._released or (self._gates and not self._held):
                self._next(clock())
                yield
        finally:
            self._settling = False

    def _next(self, now: float) -> None:
        if self._released:
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
                self._handle(entry, self._levels.answer(entry, now))

    def in_order(self, entry: Entry, order: Stop | Restart | Bounce) -> Event:
        """Return the event for a process that is to go down: at once, or when nothing above it is going down any more."""
        return Leave(order) if self._descent.is_held_up(entry) else order


def _order(process: Process) -> Stop | Restart | Bounce:
    """Return what a leaving process was asked for."""
    if process.leaving == STOP:
        return Stop(process.by)
    return Restart(process.by, process.free) if process.leaving == AGAIN else Bounce(process.by)
