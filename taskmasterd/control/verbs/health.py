"""`health` and `check`: whether programs are well, as their checks have found, or as one more check finds now."""

from __future__ import annotations

from taskmaster_common.protocol import PROCESSES_PER_OBJECT, end
from taskmaster_common.states import RUNNING
from taskmaster_common.text.names import ALL
from taskmasterd.control.verbs.views import process_object
from taskmasterd.control.waits import Wait
from taskmasterd.core.process.state import HEALTHY
from taskmasterd.core.words.view import slot_detail
from taskmasterd.system.loop.cmodules import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmasterd.control.call import Call
    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
    from taskmasterd.probing.text.result import Result
    from taskmasterd.probing.tries.queue import QueuedTry

UNHEARD = "nobody asks a program with a watchdog, and it has said nothing yet"
EARLIER = "it was so when an earlier daemon heard it last"
NOT_WELL = 1
"""Exit code for everything else than well, an unknown name too: the HEALTHCHECK of a container knows only 0 and 1."""


def health(call: Call) -> Steps[None]:
    """The verdicts about all processes, or the named ones; the exit code says whether all are as wanted."""
    entries = yield from call.chosen(call.request.targets or (ALL,), NOT_WELL)
    call.connection.pull(_verdicts(call, entries))


def _verdicts(call: Call, entries: tuple[Entry, ...]) -> Iterator[dict[str, Any]]:
    well, sight = True, call.sight
    for first in range(0, len(entries), PROCESSES_PER_OBJECT):
        some = entries[first : first + PROCESSES_PER_OBJECT]
        well = well and all(entry.process.as_wanted for entry in some)
        yield {"type": "processes", "processes": [process_object(call.context, entry, sight) for entry in some]}
    call.connection.end(end(0 if well else 1))


def check(call: Call) -> Steps[None]:
    """Ask the named processes now, whatever the time; no counter changes."""
    entries = yield from call.looked_at()
    yield from CheckWait(call.context, call.connection, call.request).begin(entries)


def resume(call: Call, data: Mapping[str, Any]) -> None:
    """Ask those again after an upgrade that had not answered."""
    table = call.context.supervisor.table
    entries = [entry for place in data["open"] if (entry := table.slot(*place))]
    wait = CheckWait(call.context, call.connection, call.request, failed=data["failed"])
    call.connection.share.begin(wait.begin(entries), call.connection.broken)


class CheckWait(Wait):
    """A client that waits for the answers of some processes. Those that nobody can ask are answered at once."""

    def __init__(self, context: Context, connection: Connection, request: Request, *, failed: bool = False) -> None:
        super().__init__(context, connection, request)
        self._open: dict[Entry, QueuedTry | None] = {}
        self._failed = failed

    def begin(self, entries: Iterable[Entry]) -> Steps[None]:
        """Ask these."""
        self._open = dict.fromkeys(entries)
        self._begin()
        for entry in tuple(self._open):
            if self.ended:
                return
            self._ask(entry)
            yield
        self._end_if_all()

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade to ask again."""
        open_ = [(entry.program, entry.index) for entry in self._open]
        return {"kind": "check", "words": self.request.words(), "failed": self._failed, "open": open_}

    def _ask(self, entry: Entry) -> None:
        if not entry.health:
            self._answer(entry, False, "it has no health")
        elif entry.process.state != RUNNING:
            now, signals = self._context.reactor.now(), self._context.identity.signals
            text = self._sight.text(slot_detail(self._context.supervisor.table, entry, now, signals))
            self._answer(entry, False, f"it is {entry.process.state}{f': {text}' if text else ''}")
        else:
            self._open[entry] = asked = self._context.health().ask(entry, partial(self._answered, entry))
            if asked is None:
                last = entry.checked.last if entry.checked else None
                unheard = EARLIER if entry.process.health else UNHEARD
                text = last.text if last else unheard
                self._answer(entry, last.ok if last else entry.process.health == HEALTHY, text)

    def _answered(self, entry: Entry, result: Result) -> None:
        self._answer(entry, result.ok, result.text, result.output, result.took_s)
        self._end_if_all()

    def _answer(
        self, entry: Entry, ok: bool | None, text: str, output: tuple[str, ...] = (), took_s: float | None = None
    ) -> None:
        self._open.pop(entry, None)
        self._failed = self._failed or not ok
        if not self.ended:
            took_s = None if took_s is None else round(took_s, 3)
            name = self._context.supervisor.table.name(entry)
            message = {"type": "check", "name": name, "ok": ok, "text": text, "output": list(output), "took_s": took_s}
            self._connection.send(message)

    def _end_if_all(self) -> None:
        if not self._open:
            self._end(1 if self._failed else 0)

    def _waiting(self) -> tuple[Entry, ...]:
        return tuple(self._open)

    def _gone(self) -> None:
        self._stop()
        for asked in tuple(self._open.values()):
            if asked:
                asked.cancel()


VERBS = {"health": health, "check": check}
