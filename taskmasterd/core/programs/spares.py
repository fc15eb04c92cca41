"""Whether a program can spare an instance just now that is to be replaced as planned. Pure.

Nothing is remembered: what counts is how the instances of the program are, and since when.
"""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmaster_common.states import EXITED, RUNNING, STOPPED
from taskmasterd.core.process.state import STOP
from taskmasterd.core.programs.gate import edges, satisfied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.core.programs.table import Entry, Table

AGAIN_S = 5.0
"""Pause between two looks while the program is being updated, seconds: no process changes at the end of that."""


class Pace(Record):
    """How many instances of a program may be missing at a time, 0 for any number; the next one waits for seconds after that.

    `settle_s`: so long an instance has to be up before it counts as there.
    """

    at_once: int = 1
    settle_s: float = 0.0


def pace_of(entry: Entry, at_once: int) -> Pace:
    """Return the pace of a program: by its `update`, or without one so many `at_once`."""
    update = entry.wanted.update
    if not update:
        return Pace(at_once)
    return Pace(update["max_unavailable"], update["monitor"] + update["pause"])


def held_back(table: Table, entry: Entry, pace: Pace, now: float) -> tuple[str, float | None]:
    """Return why an instance is not replaced now, "" where it may be, and the moment to look again; None: at the next change.

    "db is down", "web:1 is not up", "web is being updated".
    """
    if entry.program in table.rolling:
        return f"{entry.program} is being updated", now + AGAIN_S
    for need, target in edges(table, entry):
        if need.required and not satisfied(target.policy, target.process, need.condition):
            return f"{table.name(target)} is down", None
    if not pace.at_once:
        return "", None
    missing = 0
    for other in table.slots(entry.program):
        if other is entry or other.removed or _is_down(other):
            continue
        settled_at = other.process.since + pace.settle_s if _is_up(other) else None
        if settled_at is not None and settled_at <= now:
            continue
        missing += 1
        if missing >= pace.at_once:
            return f"{table.name(other)} is not up{' long enough' if settled_at else ''}", settled_at
    return "", None


def _is_up(entry: Entry) -> bool:
    """Return whether an instance is up, and nobody is about to take it down."""
    process = entry.process
    return process.state == RUNNING and entry.well and not (process.leaving or entry.asking)


def _is_down(entry: Entry) -> bool:
    """Return whether a slot is down because somebody wants that, or has ended in order: nobody waits for it."""
    process = entry.process
    return process.leaving == STOP or STOPPED in (process.state, process.then) or process.state == EXITED
