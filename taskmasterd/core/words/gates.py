"""Says what a process waits for before it starts or goes down, and why it cannot start. Pure."""

from __future__ import annotations

from itertools import islice

from taskmaster_common.states import BACKOFF, DOWN_STATES, EXITED, FATAL, RUNNING, STOPPING
from taskmasterd.core.process.state import AGAIN, BLOCKED, HELD
from taskmasterd.core.programs.gate import above, chain, unmet
from taskmasterd.core.words.describe import cause_text, detail, end_text, failed_start_text, names_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.gate import Unmet
    from taskmasterd.core.programs.table import Entry, Table

DISABLED = "disabled"
MOST_WAITED_FOR = 20
"""Most instances that a held process is said to wait for; of the others the number is given."""


def waiting_text(table: Table, entry: Entry, now: float, signals: Mapping[int, str]) -> str:
    """Return what keeps a held or blocked process from starting; "" where its gate has just opened."""
    first: Unmet | None = None
    others = 0
    for each in unmet(table, entry, now):
        if each.blocked:
            return f"blocked: {needs_text(table, entry, now, signals)}"
        if first is None:
            first = each
        elif others < MOST_WAITED_FOR:
            others += 1
        elif entry.process.phase == HELD:
            return f"{_first_text(table, first, now, signals)}, and more than {MOST_WAITED_FOR} more"
    if first is None:
        return ""
    return _first_text(table, first, now, signals) + (f", and {others} more" if others else "")


def _first_text(table: Table, first: Unmet, now: float, signals: Mapping[int, str]) -> str:
    return f"waiting for {table.name(first.entry)}: {first.condition} ({state_text(table, first.entry, now, signals)})"


def needs_text(table: Table, entry: Entry, now: float, signals: Mapping[int, str]) -> str:
    """Return the chain down to what blocks: "needs api, which needs db, which is FATAL: exit 1 after 0.2s (try 4 of 4)"."""
    found = chain(table, entry, now)
    links = [f"needs {table.name(unmet.entry)}" for unmet in found]
    last = found[-1].entry if found else entry
    leaves = last is not entry and last.process.leaving
    end = leaving_text(table, last) if leaves else f"is {_state(last.process, last, now, signals)}"
    return ", which ".join([*links, end])


def blocked_reason(table: Table, entry: Entry, now: float, signals: Mapping[int, str]) -> str:
    """Return why a start is not answered with success, and what would change that: "needs db, which ...; it starts when db is ready"."""
    found = chain(table, entry, now)
    text = needs_text(table, entry, now, signals)
    return f"{text}; it starts when {table.name(found[-1].entry)} is {found[-1].condition}" if found else text


def leaving_text(table: Table, entry: Entry) -> str:
    """Return after what a process goes down: "stops after web:0 web:1"; "stops" once nothing holds it up any more."""
    verb = "restarts" if entry.process.leaving == AGAIN else "stops"
    names = [table.name(each) for each in above(table, entry)]
    return f"{verb} after {names_text(names)}" if names else verb


def waiting_view(table: Table, entry: Entry, now: float, signals: Mapping[int, str]) -> dict[str, Any]:
    """Return `waiting` and `waiting_more` of the wire."""
    waits = unmet(table, entry, now) if entry.process.phase else iter(())
    waiting = [
        {
            "name": table.name(each.entry),
            "condition": each.condition,
            "because": state_text(table, each.entry, now, signals),
            "blocked": each.blocked,
        }
        for each in islice(waits, MOST_WAITED_FOR)
    ]
    return {"waiting": waiting, "waiting_more": sum(1 for _ in waits)}


def state_text(table: Table, entry: Entry, now: float, signals: Mapping[int, str]) -> str:
    """Return the state of a slot and why: "BACKOFF; retry 1 of 3 in 0.5s; exit 1". What it waits for itself is left out."""
    process = entry.process
    if process.phase:
        return process.state
    if process.state in DOWN_STATES and not entry.newest.enabled:
        return f"{process.state}; {DISABLED}"
    text = leaving_text(table, entry) if process.leaving else detail(process, entry.policy, now, signals)
    return f"{process.state}; {text}" if text else process.state


def gate_lines(
    table: Table, entry: Entry, before: Process, now: float, signals: Mapping[int, str]
) -> Iterator[tuple[str, str]]:
    """Yield (level, text) for the event log where a change of a process is about what it depends on."""
    after = entry.process
    text = waiting_text(table, entry, now, signals) if after.phase and after.phase != before.phase else ""
    if text and after.phase == HELD and not text.startswith("blocked"):
        yield "info", text
    elif text and after.phase == BLOCKED:
        yield "warning", text
    elif not text and after.phase == HELD and before.state in (RUNNING, STOPPING):
        yield "info", "restarting"
    if after.leaving and after.leaving != before.leaving and any(above(table, entry)):
        yield "info", f"{leaving_text(table, entry)}, {cause_text('asked by', after.by)}"
    elif before.leaving and not after.leaving and after.pid is not None and not after.going_down:
        yield "info", f"goes on: taken back by {after.by}"


def _state(process: Process, entry: Entry, now: float, signals: Mapping[int, str]) -> str:
    if process.state in DOWN_STATES and not entry.newest.enabled:
        return DISABLED
    if process.state == FATAL:
        return f"{FATAL}: {failed_start_text(process, entry.policy, signals)}"
    if process.state == EXITED and process.end:
        return f"{EXITED}: {end_text(process.end, signals)}"
    if process.state == BACKOFF:
        return BACKOFF
    text = detail(process, entry.policy, now, signals)
    return f"{process.state}: {text}" if text else process.state
