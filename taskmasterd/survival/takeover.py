"""The first moments of a daemon: it takes over what an earlier one left, then applies the configuration as a reload would."""

from __future__ import annotations

from taskmaster_common.errors import TaskmasterError
from taskmasterd.core.process.events import Start
from taskmasterd.core.programs.orphans import KILL, REFUSE
from taskmasterd.core.programs.plan import KEPT, diff
from taskmasterd.core.programs.ticket import Ticket
from taskmasterd.core.steps import run
from taskmasterd.ondemand import on_demand
from taskmasterd.survival.adoption import Adoption

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskmasterd.control.context import Context
    from taskmasterd.core.process.events import Event
    from taskmasterd.core.programs.orphans import Slot, Verdict
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
    from taskmasterd.core.words import plans
    from taskmasterd.processes.members.proofs import Proofs
    from taskmasterd.survival.guardian_channel import Guard
    from taskmasterd.survival.start_state import Origin
else:
    plans = on_demand("taskmasterd.core.words.plans")

BY = "the daemon's start"


class LeftBehindError(TaskmasterError):
    """Processes of an earlier daemon are alive, and the operator has forbidden to start programs beside them."""

    def __init__(self, orphans: Mapping[Slot, Verdict]) -> None:
        named = ", ".join(
            f"{one} of {program}:{index}" for (program, index), each in orphans.items() for one in each.all
        )
        super().__init__(f"an earlier daemon left {named}; end them, or use --orphans adopt or kill")


class Takeover:
    """The first moments of a daemon.

    `guard`, if there is one, knows which processes have ended meanwhile; `applied(plan)` announces a plan, as after a reload.
    """

    def __init__(
        self, context: Context, proofs: Proofs, guard: Guard | None, applied: Callable[[ReloadPlan], Steps[None]]
    ) -> None:
        self._context = context
        self._proofs = proofs
        self._guard = guard
        self._applied = applied

    def begin(self, origin: Origin) -> None:
        """Fill the empty table and start the programs. Raises LeftBehindError if that is forbidden."""
        context, supervisor, guard = self._context, self._context.supervisor, self._guard
        for level, text in origin.notes:
            context.log.write(level, text)
        adoption = Adoption(
            supervisor, context.performer, origin.legacy, self._deliver, context.log.write, context.reactor.now
        )
        if origin.saved:
            adoption.take_over(origin.saved)
        if origin.legacy.same:
            adoption.finish()
            return
        policy = origin.handed.orphans
        orphans = adoption.orphans(self._proofs, origin.config.programs, origin.left)
        if orphans and policy == REFUSE and origin.launched:
            raise LeftBehindError(orphans)
        self._follow(origin)
        adoption.settle(orphans, guard.tell if guard else list, kill=policy == KILL)
        adoption.finish()

    def _follow(self, origin: Origin) -> None:
        """Apply the configuration as a reload would."""
        context, supervisor = self._context, self._context.supervisor
        plan = diff(supervisor.table, origin.running, origin.config)
        if origin.saved and any(each.change != KEPT for each in plan.programs):
            for line in plans.plan_lines(plan):
                context.log.write("info", f"since the earlier daemon: {line}")
        run(supervisor.apply(plan, BY, _unheard(), context.reactor.now))
        run(self._applied(plan))
        if origin.launched and origin.saved and origin.saved.facts.stopping:
            _start_as_after_a_stop(supervisor, context.reactor.now())

    def _deliver(self, entry: Entry, event: Event) -> None:
        self._context.supervisor.handle(entry, event, self._context.reactor.now())


def _start_as_after_a_stop(supervisor: Supervisor, now: float) -> None:
    """Start programs by `autostart`, as after an orderly stop: the earlier daemon died during its shutdown."""
    for entry in tuple(supervisor.table):
        if entry.wanted.autostart and not entry.removed and not entry.process.goal_is_up:
            supervisor.handle(entry, Start(BY), now)


def _unheard() -> Ticket:
    return Ticket(lambda _entry, _outcome: None, lambda: None, lambda _entry: None)
