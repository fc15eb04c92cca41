"""`runs`: the schedules of programs, their runs, and the next ones."""

from __future__ import annotations

from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import end
from taskmaster_common.text.calendar.times import moment_of, some_times
from taskmaster_common.text.calendar.zone import parse_at, stamp
from taskmasterd.core.words.schedules import run_view
from taskmasterd.system.loop.zones import within

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmaster_common.text.calendar.times import At, Offset
    from taskmasterd.control.call import Call
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
    from taskmasterd.schedules.slot import Slot

USUAL_NEXT, MOST_NEXT = 5, 1000
"""Next runs that are shown by default, and at most."""


def runs(call: Call) -> Steps[None]:
    """A line for each slot with a schedule, or all runs of the named ones. Raises RequestError "unknown-name", "usage", "permission"."""
    request = call.request
    since = _since(request.text("from")) if request.has("from") else None
    most = min(int(request.text("lines", str(USUAL_NEXT))), MOST_NEXT)
    entries = yield from call.looked_at("all")
    made = call.context.schedules.made
    for entry in entries:
        slot = made.slot(entry) if made else None
        if slot is not None or request.targets:
            call.connection.send(_view(call, entry, slot, since, most))
        yield
    call.connection.end(end(0))


def _since(text: str) -> At:
    try:
        return parse_at(text)
    except ValueError as error:
        raise RequestError("usage", f"--from: {error}", 2) from None


def _view(call: Call, entry: Entry, slot: Slot | None, since: At | None, most: int) -> dict[str, Any]:
    table, process = call.context.supervisor.table, entry.process
    view: dict[str, Any] = {"type": "runs", "name": table.name(entry), "state": process.state, "scheduled": False}
    if slot is None:
        return view
    zone = slot.schedule.timezone if slot.schedule else ""
    view["scheduled"] = slot.schedule is not None

    def told(offset: Offset) -> dict[str, Any]:
        known, memory = slot.known, slot.memory
        past = known.past if call.request.targets else known.past[-1:] if known.last is None else [known.last]
        last = known.last
        return {
            "off": not slot.armed,
            "next": _next(slot, call, since, most, offset),
            "jitter_s": slot.jitter,
            "skipped": memory.skipped if memory else 0,
            "current": known.current and run_view(known.current, _ahead(known.current.at, offset)),
            "last": last and run_view(last, _ahead(last.at, offset)),
            "history": [run_view(run, _ahead(run.at, offset)) for run in past],
        }

    return {**view, **within(zone, told)}


def _ahead(moment: float, offset: Offset) -> int:
    return offset(int(moment))


def _next(slot: Slot, call: Call, since: At | None, most: int, offset: Offset) -> list[str]:
    """Return the next runs: nominal times, which are `jitter` before the run itself."""
    schedule, memory = slot.schedule, slot.memory
    if schedule is None:
        return []
    if schedule.every:
        first = slot.next.nominal if slot.next else call.context.wall()
        moments = [int(first + number * schedule.every) for number in range(most)]
    else:
        after = moment_of(since, offset) - 1 if since else memory.last if memory else call.context.wall()
        moments = list(some_times(schedule.times, after, offset, most))
    return [stamp(moment, offset(moment)) for moment in moments]


VERBS = {"runs": runs}
