"""Restarts of several processes at once; pre_restart is asked first, so that nothing goes down for a restart that cannot work."""

from __future__ import annotations

from taskmaster_common.errors import RequestError
from taskmaster_common.states import STOPPED
from taskmasterd.core.process.events import Bounce, Restart
from taskmasterd.core.process.state import STOP
from taskmasterd.core.programs.checks import has_to_be_asked
from taskmasterd.core.programs.order import OrderOptions, arriving, at_closed_gates, departing, pull
from taskmasterd.core.programs.ticket import CHECKED, UP, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from taskmasterd.core.programs.checks import Refusal
    from taskmasterd.core.programs.rollnews import RollOrder
    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.programs.ticket import Ticket
    from taskmasterd.core.steps import Steps


class Restarting:
    """One operation: its processes, who wants it (`by`), and who gets the results."""

    def __init__(
        self, supervisor: Supervisor, entries: Iterable[Entry], by: str, ticket: Ticket, options: OrderOptions
    ) -> None:
        self._supervisor = supervisor
        self._entries = tuple(entries)
        self._by = by
        self._ticket = ticket
        self._options = options
        self._stopped_before = frozenset(entry for entry in self._entries if _is_stopped(entry))

    def begin(self, reason: str) -> Steps[None]:
        """Restart them, at once or when those that have a pre_restart allow it. `reason` is TASKMASTER_REASON."""
        asked = [entry for entry in self._entries if has_to_be_asked(entry)]
        if not asked:
            yield from self._restart(self._entries)
            return
        for entry in self._entries:
            self._ticket.wait_for(entry, CHECKED, "")
            yield
        supervisor = self._supervisor
        supervisor.ask_first(
            asked, reason, lambda refused: supervisor.later(lambda: at_closed_gates(supervisor, self._go_on(refused)))
        )

    def _go_on(self, refused: Mapping[Entry, Refusal]) -> Steps[None]:
        """Restart those of which nobody has said or wished otherwise meanwhile."""
        allowed: list[Entry] = []
        for entry in self._entries:
            outcome = self._outcome(entry, refused)
            if outcome:
                self._ticket.answer(entry, outcome)
            else:
                allowed.append(entry)
            yield
        try:
            yield from self._restart(allowed)
        except RequestError:  # a shutdown has begun; whom it stops is answered by that
            for entry in allowed:
                self._ticket.wait_for(entry, UP, "restarted")

    def _outcome(self, entry: Entry, refused: Mapping[Entry, Refusal]) -> Outcome | None:
        if entry in refused:
            return refused[entry].answer()
        if _is_stopped(entry) and entry not in self._stopped_before:
            return Outcome(ok=False, outcome="overtaken")
        if entry.removed:
            return Outcome(ok=False, outcome="removed")
        if refused and self._options.dependents:
            names = " ".join(self._supervisor.table.name(each) for each in refused)
            return Outcome(ok=False, outcome="refused", because=f"neither was {names}")
        return None

    def _restart(self, entries: Iterable[Entry]) -> Steps[None]:
        def told(entry: Entry) -> None:
            self._ticket.wait_for(entry, UP, "restarted")

        return tell_restart(self._supervisor, list(entries), self._by, self._options, told)


def restart_in_turn(
    supervisor: Supervisor, entry: Entry, order: RollOrder, ask: bool, told: Callable[[str], None]
) -> Steps[None]:
    """Restart one instance of a rolling restart, and call `told("")` once it has been told; or `told(why)` if pre_restart refuses.

    With `ask` false it is not asked. Nothing happens while shutting down.
    """
    if ask and has_to_be_asked(entry):

        def answered(refused: Mapping[Entry, Refusal]) -> None:
            if entry in refused:
                told(refused[entry].because or refused[entry].outcome)
            else:
                supervisor.later(lambda: _in_turn(supervisor, entry, order, told))

        supervisor.ask_first([entry], "update", answered)
        return
    yield from _in_turn(supervisor, entry, order, told)


def _in_turn(supervisor: Supervisor, entry: Entry, order: RollOrder, told: Callable[[str], None]) -> Steps[None]:
    options = OrderOptions(free=order.free, asked=order.asked)
    try:
        yield from at_closed_gates(
            supervisor, tell_restart(supervisor, [entry], order.by, options, lambda _entry: told(""))
        )
    except RequestError:
        return


def tell_restart(
    supervisor: Supervisor,
    wanted: list[Entry],
    by: str,
    options: OrderOptions,
    told: Callable[[Entry], None],
) -> Steps[None]:
    """Restart entries, and call `told(entry)` for each that has been told."""
    yield from pull(supervisor, wanted, by, options)
    order = Restart(by, options.free)
    alive = {entry: None for entry in wanted if entry.process.alive}
    down = [entry for entry in wanted if entry not in alive]
    for entry, asked in departing(supervisor, alive):
        supervisor.refuse_when_stopping()
        supervisor.leave(entry, order if asked else Bounce(by))
        if asked:
            told(entry)
        yield
    for entry in arriving(supervisor, down):
        supervisor.refuse_when_stopping()
        supervisor.handle(entry, order, supervisor.now())
        told(entry)
        yield


def _is_stopped(entry: Entry) -> bool:
    """Return whether somebody wants a process down."""
    return STOPPED in (entry.process.state, entry.process.then) or entry.process.leaving == STOP
