"""The dispatcher: who asks, whether he may, and which verb's file answers. It knows no verb.

A file of `verbs/` is loaded when one of its verbs is first asked for.
"""

from __future__ import annotations

from taskmaster_common.commands.table import COMMANDS, Request, access_of, command, parse, refuse_client_flags
from taskmaster_common.errors import RequestError, shortened
from taskmaster_common.protocol import refusal
from taskmasterd.control.call import Call, DaemonActions
from taskmasterd.control.rights import allowed
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.core.steps import Steps

MOST_LOGGED = 1000
"""Characters of a request in the event log."""
MOST_TARGETS, MOST_NAME = 20, 200
"""Targets of a request in the history, and characters of each."""
NO_PERMISSION = 4
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
            _refuse_what_is_not_allowed(connection, request)
            if command(request.verb).acts:
                peer = connection.peer
                text = shortened(" ".join((request.verb, *request.targets)), MOST_LOGGED)
                by = {"uid": peer.uid, "pid": peer.pid}
                targets = [shortened(each, MOST_NAME) for each in request.targets[:MOST_TARGETS]]
                self._context.log.note("", "operator", verb=request.verb, targets=targets, by=by)
                self._context.log.write("info", f"request from uid {peer.uid}, pid {peer.pid}: {text}")
            connection.send({"type": "ack", "verb": request.verb})
            steps = _module(request.verb).VERBS[request.verb](self._call(connection, request))
            if steps is not None:
                self._context.reactor.rounds.begin(_to_the_end(steps, connection), connection.broken)
        except RequestError as error:
            connection.end(refusal(error))

    def resume(self, connection: Connection, data: Mapping[str, Any]) -> None:
        """Go on with what a client was waiting for before an upgrade: `data` is what the operation's `to_data` returned."""
        words = data.get("words") or (data["kind"], "--", *data.get("targets", ()))
        request = parse(words)
        _module(request.verb).resume(self._call(connection, request), data)

    def _call(self, connection: Connection, request: Request) -> Call:
        return Call(self._context, self._daemon, connection, request)


def _refuse_what_is_not_allowed(connection: Connection, request: Request) -> None:
    """Raise RequestError "permission" where the request needs a wider access class than the client has."""
    needed = access_of(request)
    if not allowed(connection.access, needed):
        text = f"uid {connection.peer.uid} may not use {request.verb}: it needs the access class {needed}"
        raise RequestError("permission", text, NO_PERMISSION)


def _module(verb: str) -> Any:
    """Return the file of `verbs/` that serves the verb."""
    return VERBS[command(verb).module]


def _to_the_end(steps: Steps[None], connection: Connection) -> Steps[None]:
    try:
        yield from steps
    except RequestError as error:
        connection.end(refusal(error))
