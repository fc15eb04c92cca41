"""Which entries of the table the names of a request mean."""

from __future__ import annotations

from taskmaster_common.errors import RequestError
from taskmaster_common.text.names import ALL
from taskmaster_common.text.nearest import hint
from taskmaster_common.text.patterns import Pattern, instance_meant, is_pattern, ranges
from taskmasterd.core.steps import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.steps import Steps

MOST_PATTERNS = 32
"""So many different patterns one request may hold: each is held against every name."""
TARGETS_A_STEP = PROGRAMS_A_STEP = 100
ENTRIES_A_STEP = 500


def select(table: Table, targets: Sequence[str], unknown_exit: int) -> tuple[Entry, ...]:
    """Return the entries that the targets name, each once, in the order of the targets.

    `web` is every instance of the program, `web:1` one, the name of a group all of its programs, patterns match programs and
    canonical names, `all` everything.
    Raises RequestError "unknown-name" with `unknown_exit` when a target names nothing, "usage" for too many patterns.
    """
    return run(selecting(table, targets, unknown_exit))


def selecting(table: Table, targets: Sequence[str], unknown_exit: int) -> Steps[tuple[Entry, ...]]:
    """Select in steps, for who has no time to do it at once; entries may leave the table meanwhile."""
    distinct = tuple(dict.fromkeys(targets))
    if sum(map(is_pattern, distinct)) > MOST_PATTERNS:
        raise RequestError("usage", f"a request holds at most {MOST_PATTERNS} patterns", 2)
    chosen: dict[Entry, None] = {}
    for number, target in enumerate(distinct):
        if number % TARGETS_A_STEP == 0 or target in table.groups:
            yield
        found: Sequence[Entry]
        if target == ALL:
            found = tuple(table)
        else:
            found = (yield from _matched_by(table, Pattern(target))) if is_pattern(target) else _named(table, target)
        if not found and target != ALL and target not in table.groups and not table.knows(target):
            raise _unknown(table, target, unknown_exit)
        chosen.update(dict.fromkeys(found))
    return tuple(chosen)


def _named(table: Table, target: str) -> tuple[Entry, ...]:
    program, colon, index = target.partition(":")
    if target in table.groups:
        return tuple(entry for name in table.groups[target] for entry in table.slots(name))
    if not colon:
        return table.slots(program)
    slot = table.slot(program, int(index)) if index.isdecimal() and len(index) < 9 else None
    return (slot,) if slot and index == str(slot.index) else ()


def _matched_by(table: Table, pattern: Pattern) -> Steps[list[Entry]]:
    found: list[Entry] = []
    for number, program in enumerate(table.names()):
        if number % PROGRAMS_A_STEP == 0:
            yield
        chosen = pattern.instances(program)
        entries = table.slots(program) if chosen else ()
        for first in range(0, len(entries), ENTRIES_A_STEP):
            some = entries[first : first + ENTRIES_A_STEP]
            found += [entry for entry in some if chosen is True or (chosen and chosen(entry.index))]
            yield
    return found


def _unknown(table: Table, target: str, exit_code: int) -> RequestError:
    program, colon, _ = target.partition(":")
    if colon and program in table.groups:
        message = f'no process named "{target}"; {program} is a group: write {program}'
        return RequestError("unknown-name", message, exit_code)
    if is_pattern(target):
        return RequestError("unknown-name", f'no program matches "{target}"', exit_code)
    message = f'no process named "{target}"' if colon else f'no program named "{target}"'
    meant = instance_meant(target)
    if meant and table.slot(*meant):
        return RequestError("unknown-name", f"{message}; did you mean {meant[0]}:{meant[1]}?", exit_code)
    named = program if colon else meant[0] if meant else ""
    if table.slots(named):
        there = ranges(named, [entry.index for entry in table.slots(named)])
        return RequestError("unknown-name", f"{message}; {named} has {there}", exit_code)
    there = hint(program, (*table.names(), *table.groups))
    return RequestError(
        "unknown-name",
        f'no program named "{target}"{there}',
        exit_code,
        () if there.endswith("?") else ("if it is new in the configuration: run `reload` first",),
    )
