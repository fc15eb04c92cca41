"""Owns the process table: routes events to `step`, keeps who waits for what, applies plans, shuts down.

Mutable and free of I/O: what has to be done goes to the callables that it was given. Every change of a process passes
through `handle`, so nothing can forget a deadline, an announcement or a waiting client. What touches any number of
processes is done in steps (see `steps`), between which other events may happen.
"""

from __future__ import annotations

from taskmaster_common.errors import RequestError
from taskmaster_common.states import DOWN_STATES, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.events import (
    NONE,
    SPAWN,
    Action,
    DeadlineReached,
    Event,
    Kill,
    Restart,
    Signalled,
    Start,
    Stop,
)
from taskmasterd.core.process.machine import Process, step
from taskmasterd.core.programs.table import Entry, Table
from taskmasterd.core.programs.ticket import DOWN, UP, Outcome, Ticket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.core.programs.plan import ProgramPlan, ReloadPlan
    from taskmasterd.core.steps import Steps

    Clock = Callable[[], float]

    class ChangeNews(Protocol):
        """Where changes go: the change bus."""

        def changed(self, entry: Entry, before: Process, event: Event, after: Process, /) -> None:
            """An event has changed the process of a slot."""

        def added(self, entry: Entry, /) -> None:
            """A slot is new in the table, or was taken over."""

        def gone(self, entry: Entry, /) -> None:
            """A slot has left the table."""


class Supervisor:
    """The table and its rules.

    `perform(entry, action)` carries out an action later or now, but delivers no event before it returns. It may return
    Signalled, which is part of the same change for everybody who is shown it.
    `arm(entry, deadline)` sees to it that `deadline_reached(entry)` is called then; None disarms.
    `bus` gets every change once its action has been asked for, and before the tickets of those who wait for it.
    """

    def __init__(
        self,
        perform: Callable[[Entry, Action], Signalled | None],
        arm: Callable[[Entry, float | None], None],
        bus: ChangeNews,
    ) -> None:
        self.table = Table()
        self.stopping = False
        self._perform = perform
        self._arm = arm
        self._bus = bus

    # -- events

    def handle(self, entry: Entry, event: Event, now: float) -> None:
        """Let `event` happen to a process. Raises BugError where it cannot."""
        before = entry.process
        after, action = step(entry.policy, before, event, now)
        entry.process = after
        answer = self._perform(entry, action) if action != NONE else None
        if answer is not None:
            entry.process = after = step(entry.policy, after, answer, now)[0]
        if after.deadline != before.deadline:
            self._arm(entry, after.deadline)
        if after is not before:
            self._bus.changed(entry, before, event, after)
        for ticket in tuple(entry.tickets):
            ticket.observe(entry)
        self._let_go(entry)

    def _let_go(self, entry: Entry) -> None:
        """Drop an entry that was removed once nothing of it is left."""
        if entry.removed and entry.process.state in DOWN_STATES:
            self.table.discard(entry)
            self._bus.gone(entry)

    def deadline_reached(self, entry: Entry, now: float) -> None:
        """Say that the armed deadline of an entry has come."""
        if entry.process.deadline is not None and entry.process.deadline <= now:
            self.handle(entry, DeadlineReached(), now)

    # -- requests

    def start(self, entries: Iterable[Entry], by: str, ticket: Ticket, clock: Clock) -> Steps[None]:
        """Start entries; those that run already are answered at once. Raises RequestError while shutting down."""
        self._refuse_when_stopping()
        for entry in entries:
            self._refuse_when_stopping()
            if entry.removed:
                ticket.answer(entry, Outcome(ok=False, outcome="removed"))
                continue
            running = entry.process.state == RUNNING
            self.handle(entry, Start(by), clock())
            ticket.wait_for(entry, UP, "already-started" if running else "started")
            yield
        ticket.seal()

    def stop(self, entries: Iterable[Entry], by: str, ticket: Ticket, clock: Clock) -> Steps[None]:
        """Stop entries; a ticket's result comes when nothing of the entry is left."""
        for entry in entries:
            already = entry.process.state == STOPPED
            self.handle(entry, Stop(by), clock())
            ticket.wait_for(entry, DOWN, "already-stopped" if already else "stopped")
            yield
        ticket.seal()

    def restart(
        self, entries: Iterable[Entry], by: str, ticket: Ticket, clock: Clock, *, if_running: bool = False
    ) -> Steps[None]:
        """Stop and start entries as one operation. Raises RequestError while shutting down."""
        self._refuse_when_stopping()
        for entry in entries:
            self._refuse_when_stopping()
            if entry.removed:
                ticket.answer(entry, Outcome(ok=False, outcome="removed"))
            elif if_running and entry.process.state not in (STARTING, RUNNING):
                ticket.answer(entry, Outcome(ok=True, outcome="skipped"))
            else:
                self.handle(entry, Restart(by), clock())
                ticket.wait_for(entry, UP, "restarted")
            yield
        ticket.seal()

    def shutdown(self, by: str, ticket: Ticket, clock: Clock) -> Steps[None]:
        """Stop everything that is not down, for good: from now on nothing is started. May be called again."""
        self.stopping = True
        return self.stop(self._not_down(), by, ticket, clock)

    def refuse_starts(self) -> None:
        """Start nothing any more: the daemon is being shut down."""
        self.stopping = True

    def kill_all(self, by: str, now: float) -> None:
        """End everything that is alive with SIGKILL; only while shutting down."""
        self.stopping = True
        for entry in self._not_down():
            self.handle(entry, Kill(by), now)

    def _not_down(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.table if entry.process.state not in DOWN_STATES)

    def _refuse_when_stopping(self) -> None:
        if self.stopping:
            raise RequestError("stopping", "the daemon is being shut down", 1)

    # -- configuration

    def restore(self, entry: Entry) -> None:
        """Take in a slot of an earlier life as it was; `resume` follows once what is alive of it has been taken over."""
        self.table.add(entry)

    def resume(self, entry: Entry, *, waiting: bool = True) -> None:
        """Go on where an earlier life ended: its deadline holds, and a start that was asked for is asked for again.

        `waiting` false: its leader has ended, and how is yet to be told, so that no deadline counts.
        """
        if entry.process.deadline is not None and waiting:
            self._arm(entry, entry.process.deadline)
        if entry.process.state == STARTING and entry.process.pid is None:
            self._perform(entry, SPAWN)
        self._bus.added(entry)
        self._let_go(entry)  # the earlier life may have ended between what it told of its end and this

    def apply(self, plan: ReloadPlan, by: str, ticket: Ticket, clock: Clock) -> Steps[None]:
        """Carry out a plan; the ticket's results come as what it touched settles. Raises RequestError while shutting down.

        What is left of it when a shutdown begins is not done any more.
        """
        self._refuse_when_stopping()
        for program in plan.programs:
            for _ in self._apply_program(program, by, ticket, clock):
                yield
                if self.stopping:
                    ticket.failed = True
                    ticket.seal()
                    return
        self.table.order(program.name for program in plan.config.programs)
        ticket.seal()

    def _apply_program(self, plan: ProgramPlan, by: str, ticket: Ticket, clock: Clock) -> Steps[None]:
        slots = {entry.index: entry for entry in self.table.slots(plan.name)}
        for index in plan.stop:
            slots[index].removed = True
            self.handle(slots[index], Stop(by), clock())
            ticket.wait_for(slots[index], DOWN, "stopped")
            yield
        if plan.wanted is None:
            return
        told = {*plan.start, *plan.restart}  # each is told when it gets to know what is wanted, be it much later
        for entry in slots.values():
            if entry.index < plan.wanted.numprocs and entry.index not in told:
                entry.want(plan.wanted)
        for index in plan.create:
            if index in slots:  # it was removed by an earlier reload and is not gone yet: what is wanted is back
                slots[index].removed = False
            else:
                slots[index] = self._create(plan.wanted, index, clock())
            yield
        for index in plan.start:
            slots[index].want(plan.wanted)
            self.handle(slots[index], Start(by), clock())
            ticket.wait_for(slots[index], UP, "started")
            yield
        for index in plan.restart:
            slots[index].want(plan.wanted)
            self.handle(slots[index], Restart(by), clock())
            ticket.wait_for(slots[index], UP, "restarted")
            yield

    def _create(self, program: ProgramConfig, index: int, now: float) -> Entry:
        entry = Entry(program, index, Process(since=now))
        self.table.add(entry)
        self._bus.added(entry)
        return entry

    # -- what is so

    def busy(self) -> tuple[Entry, ...]:
        """Return the entries of which something is alive or about to be."""
        return tuple(e for e in self.table if e.process.state in (STARTING, RUNNING, STOPPING))
