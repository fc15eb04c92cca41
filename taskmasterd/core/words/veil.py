"""Keeps names of programs from those for whom these do not exist. Pure; imported with the first such client.

Texts about one process may name others: what it waits for, what it went down with. They are made for everybody, in many places;
so each text is looked through on its way out, and one that names a hidden program is replaced as a whole.
"""

from __future__ import annotations

from taskmasterd.core.process.state import BECAUSE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from taskmasterd.core.programs.table import Table

INSTEAD = "it has to do with a program that you may not see"
AROUND = ",;:()[]\"'"
"""What may stand around a name; a dot may also end one."""


def text(said: str, table: Table, sees: Callable[[str], bool]) -> str:
    """Return a text as it is, or INSTEAD where it names a program that is hidden."""
    return INSTEAD if any(not sees(name) for name in _names(said, table)) else said


def _names(said: str, table: Table) -> list[str]:
    """Return the programs that a text names. One that went down and was removed meanwhile is no longer in the table."""
    found: list[str] = []
    before = ""
    for word in said.split():
        names = (_program(word), _program(word.rstrip(".")))
        found += [name for name in names if table.slots(name)] or ([names[0]] if before == BECAUSE.strip() else [])
        before = word
    return found


def _program(word: str) -> str:
    return word.strip(AROUND).partition(":")[0]


def process(view: dict[str, Any], table: Table, sees: Callable[[str], bool]) -> dict[str, Any]:
    """Return a PROCESS object without what is hidden; what it waits for is counted all the same."""
    waiting = [
        {**each, "because": text(each["because"], table, sees)}
        for each in view["waiting"]
        if sees(_program(each["name"]))
    ]
    veiled: dict[str, Any] = {**view, "detail": text(view["detail"], table, sees), "waiting": waiting}
    veiled["waiting_more"] += len(view["waiting"]) - len(waiting)
    if view["exit"] and "why" in view["exit"]:
        veiled["exit"] = {**view["exit"], "why": text(view["exit"]["why"], table, sees)}
    return veiled


def settings(view: dict[str, Any], table: Table, sees: Callable[[str], bool]) -> dict[str, Any]:
    """Return the settings of a program without the names of programs and groups that are hidden."""

    def shown(name: str) -> bool:
        members = table.groups.get(name)
        return sees(_program(name)) if members is None else any(map(sees, members))

    needs = view["depends_on"]
    if isinstance(needs, dict):
        return {**view, "depends_on": {name: rule for name, rule in needs.items() if shown(name)}}
    return {**view, "depends_on": [name for name in needs if shown(name)]}
