"""What a request for logs is about: which files are shown or opened anew, and what has to be said about that."""

from __future__ import annotations

from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import end
from taskmaster_common.text.names import ALL
from taskmaster_common.text.units import format_seconds, parse_seconds
from taskmasterd.control.logs import show_logs
from taskmasterd.core.words.describe import left_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskmaster_common.commands.table import Request
    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Parts
    from taskmasterd.control.logs import Source
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps

UNKNOWN_NAME = 4


def answer_logs(parts: Parts, connection: Connection, request: Request, reopen_all: Callable[[], None]) -> Steps[None]:
    """Answer `logs`. Raises RequestError."""
    entries = yield from parts.supervisor.table.selecting(request.targets or (ALL,), UNKNOWN_NAME)
    if request.has("reopen"):
        _reopen(parts, request.targets, entries, reopen_all)
        connection.end(end(0))
        return
    sources = _event_log(parts) if request.has("daemon") else _streams(parts, connection, request, entries)
    yield from show_logs(connection, parts.performer.outputs, sources, request, _since(parts, connection, request))


def _reopen(parts: Parts, targets: Sequence[str], entries: Sequence[Entry], reopen_all: Callable[[], None]) -> None:
    """Open all logs anew, or those of the targets."""
    if not targets:
        reopen_all()
        return
    parts.log.write("info", f"opening the log files of {' '.join(targets)} anew")
    parts.performer.outputs.reopen(entries)


def _event_log(parts: Parts) -> list[Source]:
    if parts.about.logfile is None:
        raise RequestError("failed", "the daemon has no log file: it logs to its stderr", 1)
    return [("taskmasterd", "log", parts.about.logfile)]


def _streams(parts: Parts, connection: Connection, request: Request, entries: Sequence[Entry]) -> list[Source]:
    """Return the files of one stream; say of which processes --stderr shows both, since both go to one file."""
    name, path = parts.supervisor.table.name, parts.performer.outputs.log_path
    if not request.has("stderr"):
        return [(name(entry), "stdout", path(entry, "stdout")) for entry in entries]
    both = [e for e in entries if path(e, "stderr").startswith("/") and path(e, "stderr") == path(e, "stdout")]
    if both:
        text = f"{left_text(tuple(map(name, both)))}: the standard output goes to the same file and is shown too"
        connection.send({"type": "warning", "text": text})
    return [(name(entry), "stderr", path(entry, "stderr")) for entry in entries]


def _since(parts: Parts, connection: Connection, request: Request) -> float | None:
    """Return the moment that --since means; what was written before the daemon's start has no known time."""
    if not request.has("since"):
        return None
    now, seconds = parts.reactor.now(), parse_seconds(request.text("since"))
    up = now - parts.about.started
    if seconds > up:
        text = f"the daemon was started {format_seconds(up)} ago; when older lines were written is not known"
        connection.send({"type": "warning", "text": text})
    return now - seconds
