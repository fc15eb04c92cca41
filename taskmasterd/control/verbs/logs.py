"""`logs`: which files a request is about; it shows them or opens them again."""

from __future__ import annotations

import time

from taskmaster_common.config import JSON, PREFIX
from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import end
from taskmaster_common.text.formats import format_seconds
from taskmaster_common.text.moments import BOOT, START, since_1970
from taskmaster_common.text.names import ALL
from taskmaster_common.text.patterns import ungrouped
from taskmaster_common.text.units import parse_seconds
from taskmasterd.control.verbs.log_tail import LogTail, Period, show_logs
from taskmasterd.core.words.describe import left_text
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmaster_common.config import elsewhere
    from taskmasterd.control.call import Call
    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.control.verbs.log_tail import Source
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
else:
    elsewhere = on_demand("taskmaster_common.config.elsewhere")


HISTORY = "`taskmasterctl events` shows what has happened, from the history"
STDERR = "that is the terminal of `taskmasterd -n`, or of a unit of systemd: journalctl -u taskmasterd"
"""Where else there is something to read."""


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
    yield from show_logs(connection, context.performer.outputs, sources, request, _period(call, entries, request))


def resume(call: Call, data: Mapping[str, Any]) -> None:
    """Go on with a reply after an upgrade."""
    period = Period(data["since"], data.get("until"), tuple(data.get("stamped", ())))
    LogTail(call.connection, call.context.performer.outputs, call.request, period).resume(data)


def _reopen(call: Call, entries: Sequence[Entry]) -> None:
    """Open all logs again, or those of the targets."""
    targets = call.request.targets
    if not targets:
        call.daemon.reopen()
        return
    call.context.log.write("info", f"reopening the log files of {' '.join(targets)}")
    call.context.performer.outputs.reopen(entries)


def _event_log(context: Context) -> list[Source]:
    if context.identity.events:
        where = elsewhere.where(context.identity.events, elsewhere.EVENTS_TAG)
        raise RequestError("failed", f"the event log goes to {where}", 1, (HISTORY,))
    if context.identity.logfile is None:
        raise RequestError("failed", "the daemon has no log file: it logs to its stderr", 1, (STDERR, HISTORY))
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


def _period(call: Call, entries: Sequence[Entry], request: Request) -> Period:
    """Return the period that is asked for; warn where it begins before the daemon's start, and a log has no times.

    Raises RequestError.
    """
    context, outputs = call.context, call.context.performer.outputs
    if request.has("until") and (request.has("follow") or request.has("lines")):
        raise RequestError("usage", "--until goes neither with --follow nor with --lines", 2)
    now = context.reactor.now()
    since, until = (_moment(call, key, now) if request.has(key) else None for key in ("since", "until"))
    if since is None and until is None and not request.has("timestamps"):
        return Period()
    if request.has("daemon"):
        return Period(since, until, (context.identity.logfile or "",))
    stream = "stderr" if request.has("stderr") else "stdout"
    paths = {outputs.log_path(entry, stream): _has_times(entry) for entry in entries}
    up = now - context.identity.started
    if since is None and until is None:
        return Period(None, None, tuple(path for path, timed in paths.items() if timed))
    if (since is None or now - since > up) and not all(paths.values()):
        text = f"the daemon was started {format_seconds(up)} ago; when older lines were written is not known"
        call.connection.send({"type": "warning", "text": text})
    return Period(since, until, tuple(path for path, timed in paths.items() if timed))


def _moment(call: Call, key: str, now: float) -> float:
    """Return the monotonic time of "2h" (ago), "boot", "start", or "@SECONDS" since the epoch. Raises RequestError."""
    text = call.request.text(key)
    if text in (BOOT, START):
        return call.context.identity.started if text == START else 0.0
    try:
        return now + since_1970(text) - time.time() if text.startswith("@") else now - parse_seconds(text)
    except ValueError as error:
        raise RequestError("usage", f"--{key}: {error}", 2) from None


def _has_times(entry: Entry) -> bool:
    output = entry.present.output
    return output.log_format == JSON or (output.log_format == PREFIX and "{time}" in output.log_prefix)


VERBS = {"logs": logs}
