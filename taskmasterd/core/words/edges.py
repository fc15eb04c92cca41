"""Dependencies as the objects of the wire: which programs a tree has, and whether each edge is satisfied. Pure."""

from __future__ import annotations

from taskmasterd.core.programs.gate import dependents, instances, needs, on_its_way, satisfied, tried
from taskmasterd.core.words.gates import state_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from taskmaster_common.config.graph import Need
    from taskmasterd.core.programs.table import Table

OK, WAITING, BLOCKED = "ok", "waiting", "blocked"


def roots(table: Table, *, upwards: bool) -> tuple[str, ...]:
    """Return where the trees of all edges begin: what nothing depends on; `upwards`: what depends on nothing."""
    below, above = (_dependents, _needed) if upwards else (_needed, _dependents)
    return tuple(name for name in table.names() if below(table, name) and not above(table, name))


def tree(table: Table, names: Iterable[str], *, upwards: bool) -> Iterator[tuple[str, Need]]:
    """Yield the edges that one comes to from these programs, each with the program that it is from.

    Programs that have left the table have none, even while the graph still knows them.
    """
    below = _dependents if upwards else _needed
    found = dict.fromkeys(names)
    waiting = list(found)
    while waiting:
        for name in below(table, waiting.pop()):
            if name not in found:
                found[name] = None
                waiting.append(name)
    for program in table.names():
        if program in found:
            yield from ((program, need) for need in needs(table, program) if need.program in found)


def _needed(table: Table, program: str) -> list[str]:
    """Return the programs that one depends on."""
    return [need.program for need in needs(table, program) if table.slots(need.program)]


def _dependents(table: Table, program: str) -> list[str]:
    """Return the programs that depend on one."""
    return [name for name in dependents(table, program) if table.slots(name)]


def edge_view(table: Table, program: str, need: Need, now: float, signals: Mapping[int, str]) -> dict[str, Any]:
    """Return the EDGE object of the wire."""
    unmet = [each for each in instances(table, need) if not satisfied(each.policy, each.process, need.condition)]
    if not need.required:
        unmet = [each for each in unmet if not tried(each.process)]
    status = OK
    if unmet:
        hopeless = [each for each in unmet if not on_its_way(each.process, need.condition)]
        status, unmet = (BLOCKED, hopeless) if hopeless else (WAITING, unmet)
    return {
        "name": program,
        "program": need.program,
        "instance": need.index,
        "condition": need.condition,
        "required": need.required,
        "restart": need.restart,
        "status": status,
        "because": f"{table.name(unmet[0])} is {state_text(table, unmet[0], now, signals)}" if unmet else "",
    }
