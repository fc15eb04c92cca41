"""`subscribe`: how everything is, and then every change as it happens.

A change becomes one object, made once and shared by all subscribers; each has a bounded queue of them that its connection
pulls from as the client reads. One that reads too slowly loses its queue, gets the number of changes that were in it, and a
new snapshot. Without subscribers nothing is made, counted or kept.
"""

from __future__ import annotations

from taskmaster_common import __version__
from taskmaster_common.commands.table import LOOK
from taskmaster_common.protocol import PROCESSES_PER_OBJECT
from taskmaster_common.states import DOWN_STATES
from taskmaster_common.text.names import ALL
from taskmaster_common.text.patterns import Targets, ungrouped
from taskmasterd.control.replies import MORE
from taskmasterd.control.verbs.views import (
    MOST_EXPLAINED,
    daemon_object,
    explained,
    last_word,
    process_object,
    whole_object,
)
from taskmasterd.core.words.describe import UNKNOWN, end_text
from taskmasterd.core.words.view import phase_of
from taskmasterd.system.loop.cmodules import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from taskmasterd.control.call import Call
    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.control.rights import Sight
    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
    from taskmasterd.telling.audience import Audience

MOST_PENDING = 1000
"""Most changes that wait for one subscriber besides what its connection holds."""

UNSEEN = frozenset({"executed", "deadline", "recent", "then_at", "spawned_at", "free"})
"""Fields of a process that no PROCESS object shows."""


def subscribe(call: Call) -> Steps[None]:
    """Serve the client from now on. Raises RequestError "unknown-name"."""
    targets = call.request.targets
    if targets:
        yield from call.looked_at()
    else:
        call.connection.claim = (LOOK, ())
    _subscriptions(call).serve(Subscriber(call.context, call.daemon.audience, call.connection, targets))


def resume(call: Call, data: Mapping[str, Any]) -> None:
    """Serve a subscriber on after an upgrade."""
    subscriber = Subscriber(call.context, call.daemon.audience, call.connection, call.request.targets)
    subscriber.resume(data)
    _subscriptions(call).serve(subscriber)


def _subscriptions(call: Call) -> Subscriptions:
    """Return the subscriptions, which the first subscriber makes."""
    found = call.daemon.audience.followers
    if not isinstance(found, Subscriptions):
        found = Subscriptions(call.context, call.daemon.audience)
        call.daemon.audience.attend(found)
    return found


class Subscriptions:
    """All subscribers."""

    def __init__(self, context: Context, audience: Audience) -> None:
        self._context = context
        self._audience = audience
        self._subscribers: list[Subscriber] = []

    def serve(self, subscriber: Subscriber) -> None:
        """Send changes to a subscriber until its connection closes."""
        connection = subscriber.connection
        self._subscribers.append(subscriber)
        connection.operation = subscriber
        connection.when_gone(lambda: self._subscribers.remove(subscriber))
        connection.pull(subscriber.messages(), endless=True)

    def changed(self, entry: Entry, before: Process, _event: Event, after: Process) -> None:
        """Send a change at once, so that subscribers know before anybody who waits for the outcome."""
        if not self._subscribers or UNSEEN.issuperset(after.changed_fields(before)):
            return
        end = (
            end_text(after.end, self._context.identity.signals)
            if after.end is not None and after.end is not before.end
            else ""
        )
        gone = entry.removed and after.state in DOWN_STATES
        self._send(entry, before, end, removed=gone)
        if gone:
            self._context.reactor.call_soon(lambda: self._left_alone(entry.program))

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Send everybody a new snapshot where a plan has changed anything: the table is another one as a whole."""
        if plan.changes:
            for subscriber in tuple(self._subscribers):
                subscriber.refresh()
                yield

    def _left_alone(self, program: str) -> None:
        """Send the new name of the last slot of a program: `web:0` alone is shown as `web`."""
        slots = self._context.supervisor.table.slots(program)
        if self._subscribers and len(slots) == 1:
            self._send(slots[0], slots[0].process, "", removed=False)

    def _send(self, entry: Entry, before: Process, end: str, *, removed: bool) -> None:
        process = whole_object(self._context, entry)
        if not process["wanted"] and not removed:
            process["stderr"] = last_word(self._context, entry)
        change = {
            "type": "change",
            "sequence": self._audience.count(),
            "name": process["name"],
            "before": before.state,
            "before_phase": phase_of(before),
            "before_health": before.health or UNKNOWN,
            "state": process["state"],
            "process": process,
            "reason": process["detail"] or end,
            "removed": removed,
        }
        for subscriber in tuple(self._subscribers):
            if subscriber.wants(entry):
                subscriber.add(change)


class Subscriber:
    """One connection that gets changes."""

    def __init__(self, context: Context, audience: Audience, connection: Connection, targets: Sequence[str]) -> None:
        self._context = context
        self._audience = audience
        self.connection = connection
        self._words = tuple(targets) or (ALL,)
        self._targets = self._resolved()
        self._pending: deque[dict[str, Any]] = deque()
        self._missed = 0
        self._snapshot_due = True
        self._in_snapshot = False

    def _resolved(self) -> Targets:
        return Targets(ungrouped(self._words, self._context.supervisor.table.groups))

    def wants(self, entry: Entry) -> bool:
        """Return whether the entry is among the targets, or there are none."""
        return self._targets.select(entry.program, entry.index) and self._sight().sees(entry.program)

    def _sight(self) -> Sight:
        return self._context.judge().sight(self.connection.peer, self.connection.access)

    def add(self, change: dict[str, Any]) -> None:
        """Send a change as soon as the client reads."""
        sight = self._sight()
        if sight.rights is not None:
            shown = sight.process(change["process"])
            if not sight.reads(shown["program"]):
                shown.pop("stderr", None)
            change = {**change, "process": shown, "reason": sight.text(change["reason"])}
        if len(self._pending) >= MOST_PENDING:
            self._missed += len(self._pending)
            self._pending.clear()
            self._snapshot_due = True
        self._pending.append(change)
        self.connection.poke()

    def refresh(self) -> None:
        """Send a snapshot, after what is waiting: the table, what groups stand for, or what exists for the client has changed."""
        self._targets = self._resolved()
        self._snapshot_due = True
        sight = self._sight()
        if sight.limited:
            self._pending = deque(
                each for each in self._pending if sight.sees(each.get("process", {}).get("program", ""))
            )
        self.connection.poke()

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade to go on; a half-sent snapshot begins again."""
        return {
            "kind": "subscribe",
            "targets": self._words,
            "pending": list(self._pending),
            "missed": self._missed,
            "snapshot_due": self._snapshot_due or self._in_snapshot,
            "before": __version__,
            "at": self._context.reactor.now(),
        }

    def resume(self, data: Mapping[str, Any]) -> None:
        """Go on where `to_data` was taken."""
        if "before" in data:
            seconds = round(self._context.reactor.now() - data["at"], 4)
            versions = {"before": data["before"], "version": __version__}
            self._pending.append(
                {"type": "upgraded", **versions, "pid": self._context.identity.pid, "seconds": seconds}
            )
        self._pending.extend(data["pending"])
        self._missed = data["missed"]
        self._snapshot_due = data["snapshot_due"]

    def messages(self) -> Iterator[dict[str, Any] | None]:
        """Yield changes and snapshots; None where nothing is new."""
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
        """Yield everything as it is when it is sent; changes that come meanwhile wait, and repeat some of it.

        No older change may follow: it could bring back what a reload has removed without a word.
        """
        self._snapshot_due = False
        sequence = self._audience.sequence
        entries: list[Entry] = []
        sight = self._sight()
        for _ in sight.prepared():
            yield MORE
        for entry in tuple(sight.table()):
            if self._targets.select(entry.program, entry.index):
                entries.append(entry)
            yield MORE
        yield daemon_object(self._context, sight)
        yield {"type": "snapshot", "sequence": sequence, "count": len(entries)}
        explanations = 0
        for first in range(0, len(entries), PROCESSES_PER_OBJECT):
            views: list[dict[str, Any]] = []
            for entry in entries[first : first + PROCESSES_PER_OBJECT]:
                view = explained if explanations < MOST_EXPLAINED else process_object
                views.append(view(self._context, entry, sight))
                explanations += "stderr" in views[-1]
            yield {"type": "processes", "processes": views}


VERBS = {"subscribe": subscribe}
