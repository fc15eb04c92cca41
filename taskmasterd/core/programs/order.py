"""In which order the processes of one operation get to know of it, and what comes up or goes down with them.

Where no program depends on another one, that is the order in which they were named.
"""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmasterd.core.process.events import Start
from taskmasterd.core.process.state import BECAUSE
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable

    from taskmasterd.core.programs import reach
    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
else:
    reach = on_demand("taskmasterd.core.programs.reach")


class OrderOptions(Record):
    """How to start, stop or restart.

    `free`: without a look at dependencies. `dependents`: with what is up and depends on these. `if_running`: only what runs.
    `outdated`: only instances that were started with other values of keys than are wanted, and those in `newer`. `rolling`: one instance after the
    other, as for programs with `update`; `most`: another `max_unavailable` for that, or 0. `as_before`: those that get nothing newer.
    `asked`: by an operator, so what one has stopped is started, too, where these need it. `on_pull(text)` is called for each that
    is started, or taken back before it goes down, because these need it; the text says which, and what happens.
    """

    free: bool = False
    dependents: bool = False
    if_running: bool = False
    outdated: bool = False
    newer: Container[Entry] = ()
    as_before: Container[Entry] = ()
    rolling: bool = False
    most: int = 0
    asked: bool = True
    on_pull: Callable[[str], None] | None = None


def at_closed_gates(supervisor: Supervisor, steps: Steps[None]) -> Steps[None]:
    """Do the steps of an operation; gates are looked at once it has told everybody, so that all are judged by its outcome."""
    let_go = supervisor.hold_gates()
    try:
        yield from steps
    finally:
        let_go()


def pull(supervisor: Supervisor, entries: Iterable[Entry], by: str, options: OrderOptions) -> Steps[None]:
    """Start what these need and is down."""
    if supervisor.dependencies and not options.free:
        for entry, needing in reach.pulled(supervisor.table, entries, asked=options.asked):
            supervisor.refuse_when_stopping()
            name = supervisor.table.name(entry)
            what = f"{name} goes on" if entry.process.leaving else f"also starting {name}"
            because = f"{BECAUSE}{supervisor.table.name(needing)} needs it"
            supervisor.handle(entry, Start(f"{by}, {because}"), supervisor.now())
            if options.on_pull:
                options.on_pull(what)
            yield


def departing(
    supervisor: Supervisor, entries: Iterable[Entry], removed: Container[Entry] = ()
) -> Iterable[tuple[Entry, bool]]:
    """Return what goes down when these do, in order; false for what goes along because an edge says so."""
    if supervisor.dependencies:
        return reach.departing(supervisor.table, entries, removed=removed)
    return ((entry, True) for entry in entries)


def arriving(supervisor: Supervisor, entries: Iterable[Entry]) -> Iterable[Entry]:
    """Return these entries in the order in which they come up."""
    return reach.arriving(supervisor.table, entries) if supervisor.dependencies else entries
