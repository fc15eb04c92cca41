"""The dispatcher: who asks, whether he may, and which verb's file answers. It knows no verb.

A file of `verbs/` is loaded when one of its verbs is first asked for.
"""

from __future__ import annotations

from taskmaster_common.commands.table import ADMIN, COMMANDS, TYPE, access_of, command, parse, refuse_client_flags
from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import refusal
from taskmasterd.control.call import Call, DaemonActions
from taskmasterd.control.rights import stranger_text
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.core.steps import Steps

VERBS: dict[str, Any] = {
    each.module: on_demand(f"taskmasterd.control.verbs.{each.module}") for each in COMMANDS if each.module
}
"""The files of `verbs/`."""


class Handlers:
    """Answers the requests of all clients."""

    def __init__(self, context: Context, daemon: DaemonActions) -> None:
        self._context = context
        self._daemon = daemon

    def handle(self, connection: Connection, line: bytes) -> None:
        """Answer one line of the wire; every error that is the client's becomes its `end`."""
        try:
            request = parse(line.decode("utf-8", "surrogateescape").split())
            refuse_client_flags(request)
        except RequestError as error:
            connection.end(refusal(error))
            return
        call = self._call(connection, request)
        try:
            if not self._may_begin(call):
                return
            connection.send({"type": "ack", "verb": request.verb})
            steps = _module(request.verb).VERBS[request.verb](call)
            if steps is not None:
                connection.share.begin(self._to_the_end(steps, call), connection.broken)
        except RequestError as error:
            self._refuse(call, error)

    def _may_begin(self, call: Call) -> bool:
        """Judge what does not depend on names; those that name programs judge themselves, see `Call.chosen`.

        Returns False after letting go of a client whose last role was taken away. Raises RequestError "permission".
        """
        sight, connection = call.sight, call.connection
        if sight.rights is not None and not sight.rights.held:
            error = stranger_text(connection.peer.uid, by_roles=True)
            self._context.audit().refused(connection.peer, call.request, error)
            connection.end_and_close(refusal(error))
            return False
        of_daemon = access_of(call.request) == ADMIN
        if of_daemon:
            sight.require(ADMIN, call.said)
        if sight.rights is None or of_daemon:
            call.note()
        return True

    def _refuse(self, call: Call, error: RequestError) -> None:
        if error.code == "permission":
            self._context.audit().refused(call.connection.peer, call.request, error)
        has_input = command(call.request.verb).access == TYPE
        call.connection.end(refusal(error), drop_input=has_input)  # it may be on the way

    def _to_the_end(self, steps: Steps[None], call: Call) -> Steps[None]:
        try:
            yield from steps
        except RequestError as error:
            self._refuse(call, error)

    def resume(self, connection: Connection, data: Mapping[str, Any]) -> None:
        """Go on with what a client was waiting for before an upgrade: `data` is what the operation's `to_data` returned."""
        words = data.get("words") or (data["kind"], "--", *data.get("targets", ()))
        request = parse(words)
        _module(request.verb).resume(self._call(connection, request), data)

    def _call(self, connection: Connection, request: Request) -> Call:
        return Call(self._context, self._daemon, connection, request)


def _module(verb: str) -> Any:
    """Return the file of `verbs/` that serves the verb."""
    return VERBS[command(verb).module]
