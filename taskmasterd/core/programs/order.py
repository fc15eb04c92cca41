"""In which order the processes of one operation get to know of it, and what comes up or goes down with them.

Where no program depends on another one, that is the order in which they were named.
"""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmasterd.core.process.events import Start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps


class OrderOptions(Record):
    """How to start, stop or restart.

    `free`: without a look at dependencies. `dependents`: with what is up and depends on these. `if_running`: only what runs.
    `asked`: by an operator, so what one has stopped is started, too, where these need it. `on_pull(entry)` is called for each
    that is started because these need it.
    """

    free: bool = False
    dependents: bool = False
    if_running: bool = False
    asked: bool = True
    on_pull: Callable[[Entry], None] | None = None


def pull(supervisor: Supervisor, entries: Iterable[Entry], by: str, options: OrderOptions) -> Steps[None]:
    """Start what these need and is down."""
    if supervisor.dependencies and not options.free:
        for entry in supervisor.dependencies.pulled(entries, asked=options.asked):
            supervisor.handle(entry, Start(f"{by}, for what needs it"), supervisor.now())
            if options.on_pull:
                options.on_pull(entry)
            yield


def departing(supervisor: Supervisor, entries: Iterable[Entry]) -> Iterable[tuple[Entry, bool]]:
    """Return what goes down when these do, in order; false for what goes along because an edge says so."""
    if supervisor.dependencies:
        return supervisor.dependencies.departing(entries)
    return ((entry, True) for entry in entries)


def arriving(supervisor: Supervisor, entries: Iterable[Entry]) -> Iterable[Entry]:
    """Return these entries in the order in which they come up."""
    return supervisor.dependencies.arriving(entries) if supervisor.dependencies else entries
