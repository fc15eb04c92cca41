"""Whom an operation reaches besides those that it names, and in which order, by the edges of the table's graph. Pure."""

from __future__ import annotations

from taskmaster_common.states import EXITED, FATAL
from taskmasterd.core.programs.gate import dependents_of, down_for_good, edges, edges_to, goes_along, satisfied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from taskmasterd.core.programs.table import Entry, Table


def departing(
    table: Table, entries: Iterable[Entry], *, removed: Container[Entry] = ()
) -> Iterator[tuple[Entry, bool]]:
    """Yield what goes down when these do, dependents first; true for these, false for those that an edge takes along.

    Nobody goes along with what is `removed`: an instance that a program has no more counts for nothing.
    """
    own = dict.fromkeys(entries)
    along: dict[Entry, None] = {}
    waiting = [entry for entry in own if entry not in removed]
    while waiting:
        entry = waiting.pop()
        for name, need in edges_to(table, entry):
            if not need.restart or not satisfied(entry.policy, entry.process, need.condition):
                continue
            for dependent in table.slots(name):
                if dependent not in own and dependent not in along and goes_along(dependent, need):
                    along[dependent] = None
                    waiting.append(dependent)
    for entry in sorted([*own, *along], key=lambda each: -_rank(table, each)):
        yield entry, entry in own


def arriving(table: Table, entries: Iterable[Entry]) -> list[Entry]:
    """Return these entries, what others need first."""
    return sorted(entries, key=lambda each: _rank(table, each))


def with_dependents(table: Table, entries: Iterable[Entry]) -> list[Entry]:
    """Return these entries and all that are up and depend on them, directly or not."""
    own = dict.fromkeys(entries)
    direct = dict.fromkeys(each.program for entry in own for each, _need in dependents_of(table, entry))
    for name in (*direct, *(table.graph.above(direct) if table.graph else ())):
        own.update(dict.fromkeys(each for each in table.slots(name) if each.process.goal_is_up))
    return list(own)


def going_on(table: Table, entries: Iterable[Entry]) -> list[Entry]:
    """Return what depends on these directly, is alive and does not go down when these do."""
    own = {entry: None for entry, _asked in departing(table, entries)}
    found: dict[Entry, None] = {}
    for entry in own:
        for dependent, _need in dependents_of(table, entry):
            process = dependent.process
            if process.pid is not None and not process.going_down and dependent not in own:
                found[dependent] = None
    return list(found)


def pulled(table: Table, entries: Iterable[Entry], *, asked: bool) -> list[tuple[Entry, Entry]]:
    """Return what has to be started with these, what others need first: all that they need, is down and does not satisfy.

    Each comes with one that needs it. `asked`: an operator wants these up, so also what an operator has stopped. Never what is
    disabled.
    """
    waiting = list(entries)
    seen = set(waiting)
    found: dict[Entry, Entry] = {}
    while waiting:
        needing = waiting.pop()
        for need, target in edges(table, needing):
            process = target.process
            if target in seen or satisfied(target.policy, process, need.condition):
                continue
            seen.add(target)
            down = down_for_good(process)
            if down and not asked and process.by and process.state not in (EXITED, FATAL):
                continue
            if down and not target.newest.enabled:
                continue
            waiting.append(target)
            if down:
                found[target] = needing
    return [(entry, found[entry]) for entry in arriving(table, found)]


def _rank(table: Table, entry: Entry) -> int:
    return table.graph.rank_of(entry.program) if table.graph else 0
