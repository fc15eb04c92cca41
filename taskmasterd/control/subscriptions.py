"""`subscribe`: who wants to know of every change, and what is to be told to each of them.

A change becomes one object, made once and shared by all subscribers; each has a bounded queue of them that its connection
pulls from as the client reads. One that reads too slowly loses its queue, is told how much that was, and gets a new
snapshot. Without subscribers nothing is made, counted or kept.
"""

from __future__ import annotations

from taskmaster_common import __version__
from taskmaster_common.protocol import PROCESSES_PER_OBJECT
from taskmaster_common.states import DOWN_STATES
from taskmaster_common.text.names import ALL, Targets
from taskmasterd.control.connection import MORE
from taskmasterd.core.words.describe import end_text
from taskmasterd.system.loop.cmodules import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from taskmasterd.control.connection import Connection
    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.machine import Process
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.steps import Steps
    from taskmasterd.system.loop.reactor import Reactor

MOST_PENDING = 1000
"""So many changes wait for one subscriber besides what its connection holds."""

UNSEEN = frozenset({"executed", "deadline", "recent", "then_at", "spawned_at"})
"""Fields of a process that no PROCESS object shows."""


class Subscriptions:
    """All subscribers. `view(entry)` makes PROCESS, `daemon_view()` the `daemon` object; `signals` maps numbers to names."""

    def __init__(
        self,
        reactor: Reactor,
        table: Table,
        view: Callable[[Entry], dict[str, Any]],
        daemon_view: Callable[[], dict[str, Any]],
        signals: Mapping[int, str],
    ) -> None:
        self.sequence = 0
        self.table = table
        self.view = view
        self.daemon_view = daemon_view
        self._reactor = reactor
        self._signals = signals
        self._subscribers: list[Subscriber] = []

    def now(self) -> float:
        """Return the moment, in seconds of the monotonic clock."""
        return self._reactor.now()

    def subscribe(self, connection: Connection, targets: Sequence[str]) -> None:
        """Serve a connection from now on, until it closes."""
        self._serve(Subscriber(self, connection, targets))

    def go_on(self, connection: Connection, data: Mapping[str, Any]) -> None:
        """Serve one on whom an earlier life of this process has served (`Subscriber.to_data`)."""
        subscriber = Subscriber(self, connection, data["targets"])
        subscriber.inherit(data)
        self._serve(subscriber)

    def _serve(self, subscriber: Subscriber) -> None:
        connection = subscriber.connection
        self._subscribers.append(subscriber)
        connection.operation = subscriber
        connection.when_gone(lambda: self._subscribers.remove(subscriber))
        connection.pull(subscriber.messages(), endless=True)

    def changed(self, entry: Entry, before: Process, _event: Event, after: Process) -> None:
        """Send a change at once, so that subscribers know before anybody who waits for the outcome."""
        if not self._subscribers or UNSEEN.issuperset(after.changed_fields(before)):
            return
        end = end_text(after.end, self._signals) if after.end is not None and after.end is not before.end else ""
        gone = entry.removed and after.state in DOWN_STATES
        self._tell(entry, before.state, end, removed=gone)
        if gone:
            self._reactor.call_soon(lambda: self._left_alone(entry.program))

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Send everybody a new snapshot where a plan has changed anything: the table is another one as a whole."""
        if plan.changes:
            for subscriber in tuple(self._subscribers):
                subscriber.refresh()
                yield

    def _left_alone(self, program: str) -> None:
        """Tell the new name of the last slot: `web:0` alone is shown as `web`."""
        slots = self.table.slots(program)
        if self._subscribers and len(slots) == 1:
            self._tell(slots[0], slots[0].process.state, "", removed=False)

    def _tell(self, entry: Entry, before: str, end: str, *, removed: bool) -> None:
        self.sequence += 1
        process = self.view(entry)
        change = {
            "type": "change",
            "sequence": self.sequence,
            "name": process["name"],
            "before": before,
            "state": process["state"],
            "process": process,
            "reason": process["detail"] or end,
            "removed": removed,
        }
        for subscriber in tuple(self._subscribers):
            if subscriber.wants(entry):
                subscriber.add(change)


class Subscriber:
    """One connection that is told of changes."""

    def __init__(self, subscriptions: Subscriptions, connection: Connection, targets: Sequence[str]) -> None:
        self._all = subscriptions
        self.connection = connection
        self._words = tuple(targets) or (ALL,)
        self._targets = Targets(self._words)
        self._pending: deque[dict[str, Any]] = deque()
        self._missed = 0
        self._snapshot_due = True
        self._in_snapshot = False

    def wants(self, entry: Entry) -> bool:
        """Return whether the entry is among the targets, or there are none."""
        return self._targets.select(entry.program, entry.index)

    def add(self, change: dict[str, Any]) -> None:
        """Tell a change as soon as the client reads."""
        if len(self._pending) >= MOST_PENDING:
            self._missed += len(self._pending)
            self._pending.clear()
            self._snapshot_due = True
        self._pending.append(change)
        self.connection.poke()

    def refresh(self) -> None:
        """Send a snapshot, after what is waiting."""
        self._snapshot_due = True
        self.connection.poke()

    def to_data(self) -> dict[str, Any]:
        """Return what another life needs to go on; a snapshot that is half sent begins anew."""
        return {
            "kind": "subscribe",
            "targets": self._words,
            "pending": list(self._pending),
            "missed": self._missed,
            "snapshot_due": self._snapshot_due or self._in_snapshot,
            "before": __version__,
            "at": self._all.now(),
        }

    def inherit(self, data: Mapping[str, Any]) -> None:
        """Go on where `to_data` was taken."""
        if "before" in data:
            daemon = self._all.daemon_view()
            seconds = round(self._all.now() - data["at"], 4)
            versions = {"before": data["before"], "version": daemon["version"]}
            self._pending.append({"type": "upgraded", **versions, "pid": daemon["pid"], "seconds": seconds})
        self._pending.extend(data["pending"])
        self._missed = data["missed"]
        self._snapshot_due = data["snapshot_due"]

    def messages(self) -> Iterator[dict[str, Any] | None]:
        """Yield what is to be sent; None where there is nothing at the moment."""
        while True:
            if self._missed:
                missed, self._missed = self._missed, 0
                yield {"type": "missed", "changes": missed}
            elif self._pending:
                yield self._pending.popleft()
            elif self._snapshot_due:
                self._in_snapshot = True
                yield from self._snapshot()
                self._in_snapshot = False
            else:
                yield None

    def _snapshot(self) -> Iterator[dict[str, Any]]:
        """Yield everything as it is when it is sent; changes that come meanwhile wait and repeat some of it.

        No older change may follow: it could bring back what a reload has removed without a word.
        """
        self._snapshot_due = False
        sequence = self._all.sequence
        entries: list[Entry] = []
        for entry in tuple(self._all.table):
            if self.wants(entry):
                entries.append(entry)
            yield MORE
        yield self._all.daemon_view()
        yield {"type": "snapshot", "sequence": sequence, "count": len(entries)}
        for first in range(0, len(entries), PROCESSES_PER_OBJECT):
            some = entries[first : first + PROCESSES_PER_OBJECT]
            yield {"type": "processes", "processes": [self._all.view(entry) for entry in some]}
