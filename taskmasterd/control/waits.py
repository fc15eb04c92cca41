"""Replies that come later: a client that waits gets the results, the failed tries and, every 2 s, a sign of life.

A client that goes away ends the wait, never the operation.
"""

from __future__ import annotations

from taskmaster_common.protocol import PROGRESS_EVERY_S, end
from taskmaster_common.states import FATAL
from taskmasterd.core.programs.ticket import Ticket
from taskmasterd.core.words.view import reason_text, slot_detail

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmaster_common.errors import RequestError
    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.programs.ticket import Outcome
    from taskmasterd.core.steps import Steps
    from taskmasterd.system.loop.reactor import Timer


STOP = "stop"


class Heartbeat:
    """Sends `progress` while a connection waits, so that a slow operation is not taken for a frozen daemon."""

    def __init__(self, context: Context, connection: Connection, text: Callable[[], tuple[str, str]]) -> None:
        self._reactor = context.reactor
        self._connection = connection
        self._text = text
        self._timer: Timer | None = None
        self._arm()

    def stop(self) -> None:
        """Send no more progress."""
        self._reactor.cancel(self._timer)

    def beat(self) -> None:
        """Send progress now, and again after PROGRESS_EVERY_S."""
        self.stop()
        self._beat()

    def _arm(self) -> None:
        self._timer = self._reactor.call_later(PROGRESS_EVERY_S, self._beat)

    def _beat(self) -> None:
        name, text = self._text()
        self._arm()
        self._connection.send({"type": "progress", "name": name, "text": text, "heartbeat": True})


class Wait:
    """A client that waits for start, stop, restart or reload: progress, a result for each process, and an `end`."""

    def __init__(self, context: Context, connection: Connection, request: Request) -> None:
        self._context = context
        self._connection = connection
        self._sight = context.judge().sight(connection.peer, connection.access)
        self._asked_at = context.reactor.now()
        self._heartbeat: Heartbeat | None = None
        self._ticket: Ticket | None = None
        self.ended = False
        self.request = request

    def _begin(self) -> None:
        """Send progress until the end of the wait. Where the client goes away, the wait ends."""
        self._connection.operation = self
        self._connection.when_gone(self._gone)
        if not self.ended:
            self._heartbeat = Heartbeat(self._context, self._connection, self._waiting_text)

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade to go on waiting."""
        ticket = self._ticket
        return {
            "kind": "wait",
            "words": self.request.words(),
            "began": self._asked_at,
            "failed": ticket is not None and ticket.failed,
            "open": [(e.program, e.index, goal, done) for e, goal, done in ticket.open] if ticket else [],
        }

    def resume(self, ticket: Ticket, data: Mapping[str, Any]) -> None:
        """Go on waiting after an upgrade, with a new ticket for the processes that had no result yet."""
        self._asked_at, self._ticket = data["began"], ticket
        ticket.failed = data["failed"]
        self._begin()
        for program, index, goal, done in data["open"]:
            entry = self._context.supervisor.table.slot(program, index)
            if entry is not None:
                ticket.wait_for(entry, goal, done)
        ticket.seal()
        if self._heartbeat and not self.ended:
            self._heartbeat.beat()  # the last one was before the exec, which took its time

    def _gone(self) -> None:
        self._stop()

    def _waiting(self) -> tuple[Entry, ...] | None:
        """Return the entries that have no result yet, None where it is not known which these are."""
        return self._ticket.waiting if self._ticket else None

    def _waiting_text(self) -> tuple[str, str]:
        waiting = self._waiting()
        if waiting is None:
            return "", "reading the configuration"
        table = self._context.supervisor.table
        if not waiting:
            return "", "waiting"
        first = waiting[0]
        more = f" (and {len(waiting) - 1} more)" if len(waiting) > 1 else ""
        now = self._context.reactor.now()
        text = self._sight.text(slot_detail(table, first, now, self._context.identity.signals))
        return table.name(first), f"{first.process.state}{'; ' if text else ''}{text}{more}"

    def _stop(self) -> None:
        self.ended = True
        if self._heartbeat:
            self._heartbeat.stop()

    def _end(self, exit_code: int, error: RequestError | None = None) -> None:
        if not self.ended:
            self._stop()
            self._connection.end(end(exit_code, error))

    def result(self, entry: Entry, outcome: Outcome) -> None:
        """Send the result for one process."""
        if self.ended:
            return
        hidden = (
            self._context.performer.survivors.hidden.get(entry) if outcome.outcome in ("stopped", "restarted") else None
        )
        if hidden:
            text = f"{self._context.supervisor.table.name(entry)}: {hidden}"
            self._connection.send({"type": "warning", "text": text})
            if self._ticket and outcome.outcome == "stopped":
                self._ticket.failed = True
        message = self._result_view(entry, outcome.outcome, ok=outcome.ok)
        if outcome.ok and outcome.because:
            message["reason"] = self._sight.text(outcome.because)
        elif not outcome.ok:
            reason = outcome.because or reason_text(
                self._context.supervisor.table,
                entry,
                outcome.outcome,
                self._context.reactor.now(),
                self._context.identity.signals,
            )
            message["reason"] = self._sight.text(reason)
            if entry.process.state == FATAL and self._sight.reads(entry.program):
                message["stderr"] = self._context.performer.outputs.last_words.lines(entry)
                message["log"] = self._context.performer.outputs.log_path(entry, "stderr")
        self._connection.send(message)

    def _result_view(self, entry: Entry, outcome: str, *, ok: bool) -> dict[str, Any]:
        context = self._context
        return {
            "type": "result",
            "name": context.supervisor.table.name(entry),
            "ok": ok,
            "outcome": outcome,
            "state": entry.process.state,
            "pid": entry.process.pid,
            "seconds": round(context.reactor.now() - self._asked_at, 3),
            "killed": entry.process.killing > 0,
        }

    def tried(self, entry: Entry) -> None:
        """Send the reason of a failed start, and what follows."""
        if not self.ended and self._sight.sees(entry.program):
            table, now = self._context.supervisor.table, self._context.reactor.now()
            text = self._sight.text(slot_detail(table, entry, now, self._context.identity.signals))
            name = table.name(entry)
            self._connection.send({"type": "progress", "name": name, "text": text})

    def said(self, name: str, text: str, final: bool) -> None:
        """Send what a rolling restart says: how far it is, or, as a warning unless all is well, what has become of it."""
        if self.ended:
            return
        if final:
            self._connection.send({"type": "warning", "text": self._sight.text(text)})
        else:
            text = self._sight.text(text.removeprefix(f"{name}: "))
            self._connection.send({"type": "progress", "name": name, "text": text})

    def pulled(self, text: str) -> None:
        """Send that something is started, or goes on, because others need it."""
        if not self.ended:
            self._connection.send({"type": "progress", "name": "", "text": self._sight.text(text)})


class ProgramWait(Wait):
    """A client that waits for start, stop or restart of some entries."""

    def __init__(self, context: Context, connection: Connection, request: Request) -> None:
        super().__init__(context, connection, request)
        self._down: list[Entry] = []
        self.ticket = self._ticket = Ticket(self.result, self._done, self.tried, self.said)

    def begin(self) -> Steps[None]:
        """Wait for the entries that have no result yet; with --no-wait answer "requested" for them."""
        if self.ended:
            return
        if not self.request.has("no_wait"):
            self._begin()
            return
        waiting = self.ticket.waiting
        self.ticket.abandon()
        for entry in waiting:
            self._connection.send(self._result_view(entry, "requested", ok=True))
            yield
        self._end(1 if self.ticket.failed else 0)

    def give_up(self) -> None:
        """Send no results: the request failed before it reached all entries."""
        self._gone()

    def _gone(self) -> None:
        self.ticket.abandon()
        self._stop()

    def _done(self) -> None:
        loggers = self._context.performer.outputs.commands
        if loggers and loggers.made and self.request.verb == STOP:
            loggers.made.when_read(self._down, self._read)
        else:
            self._read()

    def _read(self) -> None:
        """Answer: what was stopped is down, and what reads its output has all of it."""
        self._end(1 if self.ticket.failed else 0)

    def result(self, entry: Entry, outcome: Outcome) -> None:
        """Send the result for one process."""
        self._down.append(entry)
        super().result(entry, outcome)
