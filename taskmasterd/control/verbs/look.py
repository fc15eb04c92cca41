"""`status`, `pid` and `version`: how it is, in short."""

from __future__ import annotations

from taskmaster_common.config import ONESHOT
from taskmaster_common.protocol import PROCESSES_PER_OBJECT, end
from taskmaster_common.states import RUNNING
from taskmasterd.control.verbs.views import MOST_EXPLAINED, daemon_object, explained, process_object
from taskmasterd.core.process.counts import counts_view
from taskmasterd.core.programs.table import is_as_wanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from taskmasterd.control.call import Call
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps


def status(call: Call) -> Steps[None]:
    """Every process, or the named ones; the exit code says whether all is as wanted."""
    entries = yield from call.looked_at("all")
    call.connection.pull(_statuses(call, entries))


def _statuses(call: Call, entries: tuple[Entry, ...]) -> Iterator[dict[str, Any]]:
    context, named = call.context, call.request.targets
    _write_losses(call, entries)
    well, explanations, sight = True, 0, call.sight
    yield daemon_object(context, sight)
    for first in range(0, len(entries), PROCESSES_PER_OBJECT):
        views: list[dict[str, Any]] = []
        for entry in entries[first : first + PROCESSES_PER_OBJECT]:
            view = (explained if explanations < MOST_EXPLAINED else process_object)(context, entry, sight)
            well = well and (_is_up(entry) if named else view["wanted"])
            explanations += "stderr" in view
            view["counters"] = counts_view(entry.counts, context.reactor.now())
            views.append(view)
        yield {"type": "processes", "processes": views}
    call.connection.end(end(0 if well else 3))


def _write_losses(call: Call, entries: tuple[Entry, ...]) -> None:
    """Write the counters of lost output before a client learns them: the next daemon must not count from less."""
    lost = [entry for entry in entries if entry.settle_losses()]
    for entry in lost:
        call.context.state.changed(entry)
    if lost:
        call.context.state.flush()


def _is_up(entry: Entry) -> bool:
    """Return whether a service runs and is not unhealthy, or a job is done."""
    process = entry.process
    if entry.planned and not entry.planned.off:  # armed: it runs, or will
        return is_as_wanted(entry)
    return process.done if entry.policy.type == ONESHOT else process.state == RUNNING and process.as_wanted


def pid(call: Call) -> Steps[None]:
    """The daemon's pid, or those of processes."""
    if not call.request.targets:
        version(call)
        return
    entries = yield from call.looked_at()
    call.connection.pull(_pids(call, entries))


def _pids(call: Call, entries: tuple[Entry, ...]) -> Iterator[dict[str, Any]]:
    well, table = True, call.context.supervisor.table
    for entry in entries:
        number = entry.process.pid
        well = well and number is not None
        yield {"type": "pid", "name": table.name(entry), "pid": number}
    call.connection.end(end(0 if well else 1))


def version(call: Call) -> None:
    """The versions of daemon and protocol."""
    call.connection.send(daemon_object(call.context, call.sight))
    call.connection.end(end(0))


VERBS = {"status": status, "pid": pid, "version": version}
