"""What operators, reloads and the end of the daemon ask of many processes at once, in steps.

Each operation says in which order it reaches the processes: one goes down after those that need it, and comes up after what it
needs. A ticket gets a result for each entry.
"""

from __future__ import annotations

from taskmaster_common.config import ONESHOT
from taskmaster_common.states import RUNNING, STARTING, STOPPED
from taskmasterd.core.process.events import Bounce, Kill, Start, Stop
from taskmasterd.core.programs import reach
from taskmasterd.core.programs.order import OrderOptions, arriving, at_closed_gates, departing, pull
from taskmasterd.core.programs.restarting import Restarting
from taskmasterd.core.programs.ticket import DOWN, ROLLED, UP, Outcome
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskmasterd.core.programs import rollnews
    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.programs.ticket import Ticket
    from taskmasterd.core.steps import Steps
else:
    rollnews = on_demand("taskmasterd.core.programs.rollnews")


PLAIN = OrderOptions()


def start(
    supervisor: Supervisor, entries: Iterable[Entry], by: str, ticket: Ticket, options: OrderOptions = PLAIN
) -> Steps[None]:
    """Start entries, and what they need first; those that run already are answered at once.

    Raises RequestError while shutting down.
    """
    return at_closed_gates(supervisor, _start(supervisor, entries, by, ticket, options))


def stop(
    supervisor: Supervisor, entries: Iterable[Entry], by: str, ticket: Ticket, options: OrderOptions = PLAIN
) -> Steps[None]:
    """Stop entries, dependents first; what an edge takes along goes down before them, too, and comes up again with them.

    A ticket's result comes when nothing of the entry is left, and only for those that were asked for.
    """
    return at_closed_gates(supervisor, _stop(supervisor, entries, by, ticket, options))


def restart(
    supervisor: Supervisor, entries: Iterable[Entry], by: str, ticket: Ticket, options: OrderOptions = PLAIN
) -> Steps[None]:
    """Stop and start entries as one operation. Raises RequestError while shutting down."""
    return at_closed_gates(supervisor, _restart(supervisor, entries, by, ticket, options))


def _start(
    supervisor: Supervisor, entries: Iterable[Entry], by: str, ticket: Ticket, options: OrderOptions
) -> Steps[None]:
    supervisor.refuse_when_stopping()
    wanted = [entry for entry in entries if _stays(entry, ticket)]
    not_up = [entry for entry in wanted if entry.process.state != RUNNING or entry.process.leaving]
    yield from pull(supervisor, not_up, by, options)
    for entry in arriving(supervisor, wanted):
        supervisor.refuse_when_stopping()
        running = entry.process.state == RUNNING
        if not entry.process.alive:
            entry.want(entry.newest)
        supervisor.handle(entry, Start(by, options.free), supervisor.now())
        if running:
            ticket.answer(entry, Outcome(ok=True, outcome="already-started"))
        else:
            ticket.wait_for(entry, UP, "started")
        yield
    ticket.seal()


def _stop(
    supervisor: Supervisor, entries: Iterable[Entry], by: str, ticket: Ticket, options: OrderOptions
) -> Steps[None]:
    wanted = tuple(_with_dependents(supervisor, entries, options))
    supervisor.overtake((entry.program for entry in wanted), by)
    for entry, asked in departing(supervisor, wanted):
        already = entry.process.state == STOPPED
        supervisor.leave(entry, Stop(by) if asked else Bounce(by))
        if asked:
            ticket.wait_for(entry, DOWN, "already-stopped" if already else "stopped")
        yield
    ticket.seal()


def _restart(
    supervisor: Supervisor, entries: Iterable[Entry], by: str, ticket: Ticket, options: OrderOptions
) -> Steps[None]:
    supervisor.refuse_when_stopping()
    wanted: list[Entry] = []
    for entry in _with_dependents(supervisor, entries, options):
        why = "" if entry.removed else _why_passed_over(entry, options)
        if why:
            ticket.answer(entry, Outcome(ok=True, outcome="skipped", because=why))
        elif _stays(entry, ticket):
            wanted.append(entry)
    supervisor.overtake((entry.program for entry in wanted), by)
    rolled = [entry for entry in wanted if _rolls(entry, options)]
    at_once = [entry for entry in wanted if entry not in rolled] if rolled else wanted
    for entry in at_once:
        if entry not in options.as_before:
            entry.want(entry.newest)

    yield from Restarting(supervisor, at_once, by, ticket, options).begin("restart")
    for entry in rolled:
        ticket.wait_for(entry, ROLLED, "restarted")
        yield
    if rolled:
        supervisor.rolls().begin(rollnews.orders(rolled, by, options.most, free=options.free))
    ticket.seal()


def _rolls(entry: Entry, options: OrderOptions) -> bool:
    asked = options.rolling or (bool(entry.newest.update) and not options.dependents)
    return asked and entry.newest.policy.type != ONESHOT


def shutdown(supervisor: Supervisor, by: str, ticket: Ticket) -> Steps[None]:
    """Stop everything that is not down, for good: from now on nothing is started. May be called again."""
    supervisor.refuse_starts()
    return stop(supervisor, supervisor.not_down(), by, ticket)


def kill_all(supervisor: Supervisor, by: str) -> None:
    """End everything that is alive with SIGKILL, in no order; only while shutting down."""
    supervisor.refuse_starts()
    for entry in supervisor.not_down():
        supervisor.handle(entry, Kill(by), supervisor.now())


def _with_dependents(supervisor: Supervisor, entries: Iterable[Entry], options: OrderOptions) -> Iterable[Entry]:
    if supervisor.dependencies and options.dependents:
        return reach.with_dependents(supervisor.table, entries)
    return entries


def _why_passed_over(entry: Entry, options: OrderOptions) -> str:
    """Return why a restart leaves a process alone, or ""."""
    if options.if_running and entry.process.state not in (STARTING, RUNNING):
        return "not running"
    return "not outdated" if options.outdated and not entry.outdated_keys() and entry not in options.newer else ""


def _stays(entry: Entry, ticket: Ticket) -> bool:
    """Return whether a slot may be started; the ticket gets the answer for one that is being removed."""
    if entry.removed:
        ticket.answer(entry, Outcome(ok=False, outcome="removed"))
    return not entry.removed
