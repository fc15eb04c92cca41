"""`reload`: read the configuration again and apply it, or only show the plan."""

from __future__ import annotations

from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import refusal
from taskmasterd.configuration.requests import Requester
from taskmasterd.control.waits import Wait
from taskmasterd.core.programs.ticket import Ticket
from taskmasterd.core.words.plans import plan_view

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmasterd.control.call import Call
    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.steps import Steps

CONFIG_EXIT = 6


def reload(call: Call) -> None:
    """Ask for a reload; it answers as it goes on. Raises RequestError."""
    if call.request.has("exit_code") and not call.request.has("dry_run"):
        raise RequestError("usage", "--exit-code belongs to --dry-run", 2)
    if call.request.has("env"):
        call.require_values()
    if call.context.supervisor.stopping:
        raise RequestError("stopping", "the daemon is being shut down", 1)
    wait = ReloadWait(call.context, call.connection, call.request, sees_values=call.sees_values)
    wait.begin()
    call.context.reloading().request(wait)


def resume(call: Call, data: Mapping[str, Any]) -> None:
    """Go on waiting after an upgrade."""
    wait = ReloadWait(call.context, call.connection, call.request, sees_values=call.sees_values)
    wait.resume(wait.own_ticket(), data)


class ReloadWait(Wait, Requester):
    """A client that waits for a reload: it gets the problems, or the plan and then the results."""

    def __init__(self, context: Context, connection: Connection, request: Request, *, sees_values: bool) -> None:
        super().__init__(context, connection, request)
        self.dry_run = request.has("dry_run")
        self.no_restart = request.has("no_restart")
        self.rollback = request.has("rollback")
        self.by = f"uid {connection.peer.uid}"
        self.sees_values = sees_values

    def begin(self) -> None:
        """Wait while the configuration is read."""
        self._begin()

    def own_ticket(self) -> Ticket:
        """Return a ticket whose results go to this client alone."""
        ticket = Ticket(self.result, lambda: self.settled(ticket), self.tried, self.said)
        return ticket

    def failed(self, problems: tuple[str, ...], code: str) -> None:
        """Send every problem of the configuration, or the reason why it could not be read."""
        if self.ended:
            return
        self._stop()
        if code != "config":
            self._connection.end(refusal(RequestError(code, f"{problems[0]}; nothing was changed", 1)))
            return
        for problem in problems:
            self._connection.send({"type": "problem", "text": problem})
        message = f"nothing was changed: {len(problems)} problem{'s' if len(problems) != 1 else ''}"
        self._connection.end(refusal(RequestError(code, message, CONFIG_EXIT)))

    def planned(self, plan: ReloadPlan, warnings: tuple[str, ...]) -> Steps[None]:
        """Send the plan. A dry run ends here."""
        if self.ended:
            return
        for warning in warnings:
            self._connection.send({"type": "warning", "text": warning})
        running, signals = self._context.configuration.running, self._context.identity.signals
        view = yield from plan_view(
            self._context.supervisor.table, plan, running, signals, values=self.request.has("env")
        )
        view["dry_run"] = self.dry_run
        self._connection.send(view)  # nothing is sent if the client has gone meanwhile
        if self.dry_run:
            self._end(1 if self.request.has("exit_code") and plan.changes else 0)

    def waiting(self, ticket: Ticket) -> None:
        """Wait for the results of the plan; with --no-wait end here."""
        if self.ended:
            return
        self._ticket = ticket
        if self.request.has("no_wait"):
            self._end(0)

    def settled(self, ticket: Ticket) -> None:
        """End: every process of the plan has its result."""
        self._end(1 if ticket.failed else 0)


VERBS = {"reload": reload}
