"""`logs`: which files a request is about; it shows them or opens them again."""

from __future__ import annotations

from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import end
from taskmaster_common.text.formats import format_seconds
from taskmaster_common.text.names import ALL
from taskmaster_common.text.patterns import ungrouped
from taskmaster_common.text.units import parse_seconds
from taskmasterd.control.verbs.log_tail import LogTail, show_logs
from taskmasterd.core.words.describe import left_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmasterd.control.call import Call
    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.control.verbs.log_tail import Source
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps


def logs(call: Call) -> Steps[None]:
    """Show logs, or open them again. Raises RequestError."""
    context, connection, request = call.context, call.connection, call.request
    entries = yield from call.looked_at(ALL)
    if request.has("reopen"):
        _reopen(call, entries)
        connection.end(end(0))
        return
    if request.has("daemon"):
        sources = _event_log(context)
        targets = ungrouped(request.targets, context.supervisor.table.groups)
        request = request.replace(targets=targets or request.targets)  # no line is about an empty group
    else:
        sources = _streams(context, connection, request, entries)
    yield from show_logs(connection, context.performer.outputs, sources, request, _since(context, connection, request))


def resume(call: Call, data: Mapping[str, Any]) -> None:
    """Go on with a reply after an upgrade."""
    LogTail(call.connection, call.context.performer.outputs, call.request, data["since"]).resume(data)


def _reopen(call: Call, entries: Sequence[Entry]) -> None:
    """Open all logs again, or those of the targets."""
    targets = call.request.targets
    if not targets:
        call.daemon.reopen()
        return
    call.context.log.write("info", f"opening the log files of {' '.join(targets)} anew")
    call.context.performer.outputs.reopen(entries)


def _event_log(context: Context) -> list[Source]:
    if context.identity.logfile is None:
        raise RequestError("failed", "the daemon has no log file: it logs to its stderr", 1)
    return [("taskmasterd", "log", context.identity.logfile)]


def _streams(context: Context, connection: Connection, request: Request, entries: Sequence[Entry]) -> list[Source]:
    """Return the files of one stream; warn about processes of which --stderr shows both, since both go to one file."""
    name, path = context.supervisor.table.name, context.performer.outputs.log_path
    if not request.has("stderr"):
        return [(name(entry), "stdout", path(entry, "stdout")) for entry in entries]
    both = [e for e in entries if path(e, "stderr").startswith("/") and path(e, "stderr") == path(e, "stdout")]
    if both:
        text = f"{left_text(tuple(map(name, both)))}: the standard output goes to the same file and is shown too"
        connection.send({"type": "warning", "text": text})
    return [(name(entry), "stderr", path(entry, "stderr")) for entry in entries]


def _since(context: Context, connection: Connection, request: Request) -> float | None:
    """Return the moment that --since means; warn where it is before the daemon's start: older lines have no known time."""
    if not request.has("since"):
        return None
    now, seconds = context.reactor.now(), parse_seconds(request.text("since"))
    up = now - context.identity.started
    if seconds > up:
        text = f"the daemon was started {format_seconds(up)} ago; when older lines were written is not known"
        connection.send({"type": "warning", "text": text})
    return now - seconds


VERBS = {"logs": logs}
