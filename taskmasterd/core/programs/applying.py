"""Applies a plan: what is wanted first, then what goes down, then what comes up; in steps, between which other events happen."""

from __future__ import annotations

from taskmaster_common.config import LIVE_OR_NEXT, RESTART
from taskmasterd.core.process.events import Arm, Bounce, Restart, Retimed, Start, Stop
from taskmasterd.core.programs.checks import has_to_be_asked
from taskmasterd.core.programs.order import OrderOptions, arriving, at_closed_gates, departing, pull
from taskmasterd.core.programs.plan import KEPT
from taskmasterd.core.programs.restarting import Restarting
from taskmasterd.core.programs.table import of_class
from taskmasterd.core.programs.ticket import DOWN, ROLLED, goal_of
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.core.programs import rollnews
    from taskmasterd.core.programs.plan import ProgramPlan, ReloadPlan
    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.programs.ticket import Ticket
    from taskmasterd.core.steps import Steps
else:
    rollnews = on_demand("taskmasterd.core.programs.rollnews")


def apply(supervisor: Supervisor, plan: ReloadPlan, by: str, ticket: Ticket) -> Steps[None]:
    """Carry out a plan; the ticket's results come as what it touched settles. Raises RequestError while shutting down.

    What is left of it when a shutdown begins is not done any more.
    """
    supervisor.refuse_when_stopping()
    for _ in supervisor.follow(plan.config):
        yield
        if supervisor.stopping:
            _give_up(ticket)
            return
    yield from at_closed_gates(supervisor, _apply(supervisor, plan, by, ticket))


def _give_up(ticket: Ticket) -> None:
    ticket.failed = True
    ticket.seal()


def _apply(supervisor: Supervisor, plan: ReloadPlan, by: str, ticket: Ticket) -> Steps[None]:
    supervisor.overtake((program.name for program in plan.programs if program.change != KEPT), by)
    for part in (
        _want(supervisor, plan),
        _take_down(supervisor, plan, by, ticket),
        _bring_up(supervisor, plan, by, ticket),
        _roll(supervisor, plan, by, ticket),
    ):
        for _ in part:
            yield
            if supervisor.stopping:
                _give_up(ticket)
                return
    supervisor.table.order(program.name for program in plan.config.programs)
    if supervisor.dependencies:  # what a plan adds or removes is no change of a process
        supervisor.dependencies.look_at_all()
    ticket.seal()


def _want(supervisor: Supervisor, plan: ReloadPlan) -> Steps[None]:
    """Tell every slot that is not told otherwise what is wanted, and create the new ones."""
    for program in plan.programs:
        if program.wanted is None:
            continue
        told = {*program.start, *program.restart}  # each is told when it gets to know what is wanted, be it much later
        slots = {entry.index: entry for entry in supervisor.table.slots(program.name)}
        live = of_class(program.keys, LIVE_OR_NEXT)
        for entry in slots.values():
            if program.put_off or (program.rolls and entry.index in told):
                entry.pend(program.put_off or program.wanted)
            elif _update_goes_on(supervisor, program, entry):
                continue
            elif entry.index < program.wanted.numprocs and entry.index not in told:
                _want_of(supervisor, entry, program.wanted)
                if live:
                    yield from supervisor.set_live(entry)
        for index in program.create:
            if index in slots:  # it was removed by an earlier reload and is not gone yet: what is wanted is back
                slots[index].removed = False
            else:
                supervisor.create(program.wanted, index)
            yield


def _update_goes_on(supervisor: Supervisor, program: ProgramPlan, entry: Entry) -> bool:
    return program.change == KEPT and bool(entry.pending) and program.name in supervisor.table.rolling


def _want_of(supervisor: Supervisor, entry: Entry, wanted: ProgramConfig) -> None:
    before = entry.policy.start_timeout
    entry.want(wanted)
    if entry.policy.start_timeout != before:
        supervisor.handle(entry, Retimed(before), supervisor.now())


def _take_down(supervisor: Supervisor, plan: ReloadPlan, by: str, ticket: Ticket) -> Steps[None]:
    removed: dict[Entry, None] = {}
    asking: list[Entry] = []
    again: dict[Entry, ProgramConfig] = {}
    for program in plan.programs:
        removed.update(dict.fromkeys(_slots(supervisor, program.name, program.stop)))
        if program.wanted is not None and not program.rolls:
            again.update(dict.fromkeys(_slots(supervisor, program.name, program.restart), program.wanted))
        yield
    for entry in [entry for entry, wanted in again.items() if wanted.policy.pre_restart]:
        entry.want(again[entry])
        if has_to_be_asked(entry):
            del again[entry]
            asking.append(entry)
    yield from Restarting(supervisor, asking, by, ticket, OrderOptions(asked=False)).begin("reload")
    for entry, asked in departing(supervisor, [*removed, *again], removed):
        if not asked:
            supervisor.leave(entry, Bounce(by))
        elif entry in removed:
            entry.removed = True
            supervisor.leave(entry, Stop(by))
            ticket.wait_for(entry, DOWN, "stopped")
        else:
            goal = goal_of(entry, again[entry])
            entry.want(again[entry])
            supervisor.leave(entry, Restart(by))
            ticket.wait_for(entry, goal, "restarted")
        yield


def _bring_up(supervisor: Supervisor, plan: ReloadPlan, by: str, ticket: Ticket) -> Steps[None]:
    wanted: dict[Entry, ProgramConfig] = {}
    for program in plan.programs:
        if program.wanted is not None and not program.rolls:
            wanted.update(dict.fromkeys(_slots(supervisor, program.name, program.start), program.wanted))
        yield
    again = [slot for each in plan.programs if not each.rolls for slot in _slots(supervisor, each.name, each.restart)]
    for entry in [entry for entry, program in wanted.items() if program.schedule]:  # it runs when its time has come
        entry.want(wanted.pop(entry))
        supervisor.handle(entry, Arm(by), supervisor.now())
        yield
    yield from pull(supervisor, [*wanted, *again], by, OrderOptions(asked=False))
    goals = {entry: goal_of(entry, program) for entry, program in wanted.items()}
    for entry in arriving(supervisor, wanted):
        entry.want(wanted[entry])
        if entry.process.leaving and _is_outdated(entry):
            supervisor.leave(entry, Restart(by))
        else:
            supervisor.handle(entry, Start(by), supervisor.now())
        ticket.wait_for(entry, goals[entry], "started")
        yield


def _roll(supervisor: Supervisor, plan: ReloadPlan, by: str, ticket: Ticket) -> Steps[None]:
    """Begin to restart, one after the other, the instances of programs with `update`."""
    orders: list[rollnews.RollOrder] = []
    for program in plan.programs:
        if not program.rolls:
            continue
        entries = tuple(_slots(supervisor, program.name, (*program.start, *program.restart)))
        old = next((each.wanted for each in entries if each.pending), None)
        orders += [order.replace(before=old) for order in rollnews.orders(entries, by, asked=False)]
        for entry in entries:
            ticket.wait_for(entry, ROLLED, "restarted" if entry.process.alive else "started")
        yield
    if orders:
        supervisor.rolls().begin(orders)


def _is_outdated(entry: Entry) -> bool:
    """Return whether the present instance was started with other values of restart keys than are wanted."""
    return bool(of_class(entry.present.changed_keys(entry.wanted), RESTART))


def _slots(supervisor: Supervisor, name: str, indices: tuple[int, ...]) -> Iterator[Entry]:
    for index in indices:
        entry = supervisor.table.slot(name, index)
        if entry is not None:
            yield entry
