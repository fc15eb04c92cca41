"""Owns the process table: routes events to `step`, keeps who waits for what, applies plans, shuts down.

Mutable and free of I/O: what has to be done goes to the callables that it was given. Every change of a process passes
through `handle`, so nothing can forget a deadline, an announcement or a waiting client. What touches any number of
processes is done in steps (see `steps`), between which other events may happen.
"""

from __future__ import annotations

from taskmaster_common.config import ONESHOT
from taskmaster_common.errors import RequestError
from taskmaster_common.records import Record
from taskmaster_common.states import DOWN_STATES, RUNNING, STARTING, STOPPING
from taskmasterd.core.process.counts import counted
from taskmasterd.core.process.events import (
    NONE,
    SPAWN,
    Action,
    Bounce,
    DeadlineReached,
    Due,
    Event,
    Restart,
    Signalled,
    Stop,
)
from taskmasterd.core.process.machine import step
from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.table import Entry, Table
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Protocol

    from taskmaster_common.config import Config, ProgramConfig
    from taskmasterd.core.programs import checks, dependencies
    from taskmasterd.core.programs.checks import Begin, Refusal
    from taskmasterd.core.programs.plan import Refused
    from taskmasterd.core.programs.rolling import Rolls
    from taskmasterd.core.steps import Steps
    from taskmasterd.ondemand import Made

    Clock = Callable[[], float]

    class ChangeNews(Protocol):
        """Where changes go: the change bus."""

        def changed(self, entry: Entry, before: Process, event: Event, after: Process, /) -> None:
            """An event has changed the process of a slot."""

        def added(self, entry: Entry, /) -> None:
            """A slot is new in the table, or was taken over."""

        def gone(self, entry: Entry, /) -> None:
            """A slot has left the table."""

else:
    checks = on_demand("taskmasterd.core.programs.checks")
    dependencies = on_demand("taskmasterd.core.programs.dependencies")


class SupervisorEffects(Record):
    """What a supervisor has done for it.

    `perform(entry, action)` carries out an action later or now, but delivers no event before it returns. It may return
    Signalled, which is part of the same change for everybody who is shown it.
    `arm(entry, deadline)` sees to it that `deadline_reached(entry)` is called then; None disarms.
    `later(steps)` sees to it that the loop does the steps that `steps()` returns, beginning in a later turn.
    `check` begins a pre_restart, see `checks.Checks`.
    `hold_starts()` has no process spawned until the function that it returns is called.
    `follow(entry)` sets on what runs the changed keys of class `live*`; `refused(before, wanted)` returns the keys of class `live*` that a process with `before` cannot get while it runs.
    """

    perform: Callable[[Entry, Action], Signalled | None]
    arm: Callable[[Entry, float | None], None]
    later: Callable[[Callable[[], Steps[None]]], None]
    check: Begin
    hold_starts: Callable[[], Callable[[], None]]
    refused: Refused
    follow: Callable[[Entry], Steps[None]]


class Supervisor:
    """The table and its rules.

    `bus` gets every change once its action has been asked for, and before the tickets of those who wait for it. `rolls` has the
    rolling restarts.
    """

    def __init__(
        self, effects: SupervisorEffects, bus: ChangeNews, now: Callable[[], float], rolls: Made[Rolls]
    ) -> None:
        self.table = Table()
        self.rolls = rolls
        self.stopping = False
        self.dependencies: dependencies.Dependencies | None = None
        self.now = now
        self.later = effects.later
        self._perform = effects.perform
        self._arm = effects.arm
        self._check = effects.check
        self.hold_starts = effects.hold_starts
        self.refused = effects.refused
        self.set_live = effects.follow
        self._bus = bus

    # -- events

    def handle(self, entry: Entry, event: Event, now: float) -> None:
        """Let `event` happen to a process. Raises BugError where it cannot. No clock and no file starts what is disabled."""
        if isinstance(event, Due) and not entry.newest.enabled:
            return
        before = entry.process
        after, action = step(entry.policy, before, event, now)
        entry.process = after
        answer = self._perform(entry, action) if action != NONE else None
        if answer is not None:
            entry.process = after = step(entry.policy, after, answer, now)[0]
        if after.deadline != before.deadline:
            self._arm(entry, after.deadline)
        if after is not before:
            entry.count(counted(entry.counts, before, after, job=entry.policy.type == ONESHOT))
            self._bus.changed(entry, before, event, after)
            if self.dependencies or after.phase or after.leaving:
                self._need().changed(entry, before, after)
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
            self.handle(entry, DeadlineReached(entry.said), now)

    # -- the daemon's own orders

    def leave(self, entry: Entry, order: Stop | Restart | Bounce) -> None:
        """Let a process go down: at once, or when nothing that depends on it is going down any more."""
        self.handle(entry, self.dependencies.in_order(entry, order) if self.dependencies else order, self.now())

    def ask_first(self, entries: Iterable[Entry], reason: str, then: Callable[[Mapping[Entry, Refusal]], None]) -> None:
        """Ask pre_restart of these; `then(refused)` is called when all have answered. `reason` is TASKMASTER_REASON."""
        checks.Checks(entries, reason, self._check, then)

    def refuse_starts(self) -> None:
        """Start nothing any more: the daemon is being shut down."""
        self.stopping = True
        if self.rolls.made:
            self.rolls.made.end()
        if self.dependencies:
            self.dependencies.close()

    def overtake(self, programs: Iterable[str], by: str) -> None:
        """End the rolling restarts of these programs: somebody wants something else of them."""
        if self.rolls.made:
            self.rolls.made.overtake(programs, by)

    def refuse_when_stopping(self) -> None:
        """Raise RequestError while the daemon is being shut down."""
        if self.stopping:
            raise RequestError("stopping", "the daemon is being shut down", 1)

    # -- configuration

    def restore(self, entry: Entry) -> None:
        """Take in a slot of an earlier life as it was; `resume` follows once what is alive of it has been taken over."""
        self.table.add(entry)
        if self.dependencies:
            self.dependencies.restored(entry)

    def resume(self, entry: Entry, *, waiting: bool = True) -> None:
        """Go on where an earlier life ended: its deadline holds, and a start that was asked for is asked for again.

        `waiting` false: its leader has ended, and how is yet to be told, so that no deadline counts.
        """
        if entry.process.deadline is not None and waiting:
            self._arm(entry, entry.process.deadline)
        process = entry.process
        if process.state == STARTING and process.pid is None and not (process.phase or process.hook):
            self._perform(entry, SPAWN)
            if entry.policy.depends_on and not process.free:  # what it needs may have gone meanwhile
                self.handle(entry, Bounce("the daemon's start"), self.now())
        if process.phase or process.leaving:
            self._need().resume(entry)
        self._bus.added(entry)
        self._let_go(entry)  # the earlier life may have ended between what it told of its end and this

    def hold_gates(self) -> Callable[[], None]:
        """Open no gate until the function that this returns is called: an operation has not told everybody yet."""
        if not self.dependencies:
            return lambda: None
        self.dependencies.hold()
        return self.dependencies.let_go

    def follow(self, config: Config) -> Steps[None]:
        """Use the edges and groups of a configuration from the last step on. What runs stays as it is."""
        if self.dependencies or any(program.policy.depends_on for program in config.programs):
            yield from self._need().follow(config)
        self.table.use_groups(config.groups)

    def create(self, program: ProgramConfig, index: int) -> Entry:
        """Return a new slot, down."""
        entry = Entry(program, index, Process(since=self.now()))
        self.table.add(entry)
        self._bus.added(entry)
        return entry

    def _need(self) -> dependencies.Dependencies:
        if self.dependencies is None:
            self.dependencies = found = dependencies.Dependencies(
                self.table,
                lambda entry, event: self.handle(entry, event, self.now()),
                lambda: self.later(lambda: found.settle(self.now)),
            )
        return self.dependencies

    # -- what is so

    def busy(self) -> tuple[Entry, ...]:
        """Return the entries of which something is alive or about to be."""
        return tuple(e for e in self.table if e.process.state in (STARTING, RUNNING, STOPPING))

    def not_down(self) -> tuple[Entry, ...]:
        """Return the entries of which something is alive or will be started."""
        return tuple(entry for entry in self.table if entry.process.state not in DOWN_STATES)
