"""`wait`: answers when programs are up, stopped or settled. It only looks."""

from __future__ import annotations

from taskmaster_common.errors import RequestError
from taskmasterd.control.replies import MORE
from taskmasterd.control.waits import Wait
from taskmasterd.core.programs.goals import Watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmasterd.control.call import Call
    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.programs.ticket import Outcome
    from taskmasterd.core.steps import Steps

STOPPED = "stopped"
"""The goal that the end of the daemon leads to."""


def wait(call: Call) -> Steps[None]:
    """Answer when the programs are as --for says, or one of them cannot be by itself."""
    while call.context.configuration.applying:  # what it will start is not on its way yet
        yield
    entries = yield from call.looked_at()
    yield from GoalWait(call.context, call.connection, call.request).begin(entries)


def resume(call: Call, data: Mapping[str, Any]) -> None:
    """Go on waiting after an upgrade."""
    GoalWait(call.context, call.connection, call.request).go_on(data)


class GoalWait(Wait):
    """A client that waits until some entries are as a goal wants."""

    def __init__(self, context: Context, connection: Connection, request: Request) -> None:
        super().__init__(context, connection, request)
        self._goal = request.text("for", "up")
        table, reactor = context.supervisor.table, context.reactor
        self._watch = Watch(table, self._goal, reactor.now, self.tried, self._answer)
        self._entries: tuple[Entry, ...] = ()

    def begin(self, entries: Iterable[Entry]) -> Steps[None]:
        """Wait for these entries."""
        self._entries = tuple(entries)
        self._begin()
        if not self.ended:
            yield from self._watch.begin(self._entries)

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade to go on waiting."""
        entries = [(entry.program, entry.index) for entry in self._entries]
        return {"kind": "wait", "words": self.request.words(), "began": self._asked_at, "entries": entries}

    def go_on(self, data: Mapping[str, Any]) -> None:
        """Go on where `to_data` was taken."""
        self._asked_at = data["began"]
        table = self._context.supervisor.table
        entries = [entry for place in data["entries"] if (entry := table.slot(*place))]
        self._connection.share.begin(self.begin(entries), self._connection.broken)
        if self._heartbeat and not self.ended:
            self._heartbeat.beat()  # the last one was before the exec, which took its time

    def _waiting(self) -> tuple[Entry, ...]:
        return self._watch.waiting

    def _gone(self) -> None:
        self._watch.abandon()
        self._stop()

    def _answer(self, outcomes: list[tuple[Entry, Outcome]]) -> None:
        """Send the outcomes, of which only the bad ones matter where there are any."""
        failed = [each for each in outcomes if not each[1].ok]
        self._connection.pull(self._results(failed or outcomes, failed=bool(failed)))

    def _results(self, outcomes: list[tuple[Entry, Outcome]], *, failed: bool) -> Iterator[dict[str, Any]]:
        for entry, outcome in outcomes:
            self.result(entry, outcome)
            yield MORE
        if self._context.supervisor.stopping and self._goal != STOPPED:
            self._end(1, RequestError("stopping", "the daemon is being shut down", 1))
        else:
            self._end(1 if failed else 0)


VERBS = {"wait": wait}
