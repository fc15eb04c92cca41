"""The one way to a new configuration: load, plan, apply. On any problem the old one stays, untouched.

Loading and applying are serial: requests that arrive meanwhile are merged into one more reading, because the file may have
changed since (requests of another kind are the next reading's). A plan is applied at once (a large one in steps) and never
waits for the stops of an earlier one.
"""

from __future__ import annotations

import time

from taskmasterd.configuration.loading import LoadResult
from taskmasterd.configuration.requests import Requester
from taskmasterd.core.programs.applying import apply
from taskmasterd.core.programs.plan import alert_changes, diffing, without_removals, without_restarts
from taskmasterd.core.programs.ticket import Ticket
from taskmasterd.core.words.history import by_of
from taskmasterd.core.words.plans import plan_lines, plan_records
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from taskmaster_common.config import Config
    from taskmasterd.configuration import trying
    from taskmasterd.configuration.current import Current, Stamps
    from taskmasterd.configuration.loading import Loading
    from taskmasterd.core.programs import laying, overlay
    from taskmasterd.core.programs.overlay import Overlay
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.programs.ticket import Outcome
    from taskmasterd.core.steps import Steps
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.telling.eventlog import EventLog

    class PlanNews(Protocol):
        """Where plans go: the change bus."""

        def preparing(self, plan: ReloadPlan, /) -> Steps[tuple[ReloadPlan, Mapping[str, str]]]:
            """Get what a plan needs; return what is possible of it, and why not the rest, by program."""

        def applying(self, plan: ReloadPlan, /) -> Steps[None]:
            """Prepare for a plan that is about to be applied."""

        def applied(self, plan: ReloadPlan, /) -> Steps[None]:
            """The supervisor has carried out a plan."""

        def refused(self) -> None:
            """A reload was refused, with other problems than the one before."""

else:
    laying = on_demand("taskmasterd.core.programs.laying")
    overlay = on_demand("taskmasterd.core.programs.overlay")
    trying = on_demand("taskmasterd.configuration.trying")


class Reloader:
    """Reads the file again on request, and applies it."""

    def __init__(
        self,
        reactor: Reactor,
        supervisor: Supervisor,
        log: EventLog,
        current: Current,
        bus: PlanNews,
        begin_loading: Callable[[str, Callable[[LoadResult], None]], Loading],
    ) -> None:
        """`begin_loading(path, done)` forks the child that reads; the loop calls `done(result)`."""
        self._current = current
        self._begun: Stamps = ()
        self._reactor = reactor
        self._supervisor = supervisor
        self._log = log
        self._bus = bus
        self._begin_loading = begin_loading
        self._asked: list[Requester] = []
        self._batch: list[Requester] = []
        self._loading: Loading | None = None
        self._trial: trying.Trial | None = None
        self._concluding: tuple[Config, Requester] | None = None

    @property
    def busy(self) -> bool:
        """Whether the file is being read, or a plan applied."""
        return self._loading is not None or self._current.applying

    def request(self, requester: Requester) -> None:
        """Read the file and apply it, or only plan it; `requester` gets the answers."""
        self._asked.append(requester)
        self._begin_if_asked()

    def _begin_if_asked(self) -> None:
        if self._concluding and not self.busy:
            (config, requester), self._concluding = self._concluding, None
            self._current.apply(begun=True)
            self._reactor.rounds.begin(self.alone(self._plan(config, LoadResult(), [requester])))
        elif self._asked and not self.busy:
            self._begin()

    def stop(self) -> None:
        """Cancel the reading and all requests: the daemon is being shut down."""
        loading, self._loading = self._loading, None
        batch, self._batch = self._batch + self._asked, []
        self._asked = []
        if loading is not None:
            loading.cancel()
        for requester in batch:
            requester.failed(("the daemon is being shut down",), "stopping")

    def _begin(self) -> None:
        first = self._asked[0]
        kind = (first.no_restart, first.rollback)
        others = next((at for at, each in enumerate(self._asked) if (each.no_restart, each.rollback) != kind), None)
        self._batch, self._asked = self._asked[:others], self._asked[others:] if others else []
        names = ", ".join(dict.fromkeys(requester.by for requester in self._batch))
        self._log.write("info", f"reload: reading {self._current.config.path}, asked by {names}")
        self._begun = self._current.stamps()
        self._loading = self._begin_loading(self._current.config.path, self._loaded)

    def _loaded(self, result: LoadResult) -> None:
        """Answer the batch with what was read, then serve the requests that arrived meanwhile."""
        self._loading = None
        batch, self._batch = self._batch, []
        try:
            if result.config is None:
                self._refuse(result, batch)
            else:
                self._current.apply(begun=True)
                self._reactor.rounds.begin(self.alone(self._plan(result.config, result, batch)))
        finally:
            self._begin_if_asked()

    def _refuse(self, result: LoadResult, batch: list[Requester]) -> None:
        obstacle = result.shortage or result.failure
        reason = (f"cannot read the configuration: {obstacle}",)
        public = reason if obstacle else result.public().problems
        for problem in public:
            self._log.write("error", f"reload: {problem}")
        self._log.write("error", "reload: nothing was changed")
        if any(not requester.dry_run for requester in batch) and not obstacle:
            self._current.refuse(self._begun)
            self._log.note("", "reload-failed", reason=public[0], by=by_of(batch[0].by))
            _note(self._current, self._bus, public)
        for requester in batch:
            problems = reason if obstacle else result.problems if requester.sees_values else public
            requester.failed(problems, "busy" if result.shortage else "failed" if obstacle else "config")

    def alone(self, steps: Steps[None]) -> Steps[None]:
        """Do all that follows from a configuration, which is being applied; then begin the reload that was asked for meanwhile.

        Nothing starts in between: a start after the look at the table would be one with what was wanted before the plan.
        """
        release_starts = self._supervisor.hold_starts()
        try:
            yield from steps
        finally:
            release_starts()
            self._current.apply(begun=False)
            self._begin_if_asked()

    def _plan(self, config: Config, loaded: LoadResult, batch: list[Requester]) -> Steps[None]:
        laid, table = self._supervisor.table.overlay, self._supervisor.table
        wanted = overlay.laid_over(config, laid) if laid else config
        plan = yield from diffing(table, self._current.running, wanted, self._supervisor.refused, again=True)
        plan = plan.replace(config=config)
        if batch[0].no_restart:
            plan = without_restarts(plan)
        plan = plan.replace(alerts=alert_changes(self._current.config, config))
        appliers = [requester for requester in batch if not requester.dry_run]
        refused: Mapping[str, str] = {}
        if appliers and not self._supervisor.stopping:
            plan, refused = yield from self._bus.preparing(plan)
        said = tuple(f"{name}: {text}; it stays as it is" for name, text in refused.items())
        public = loaded.public().warnings
        for requester in batch:
            yield from requester.planned(plan, (*(loaded.warnings if requester.sees_values else public), *said))
        if not appliers:
            return
        if self._supervisor.stopping:
            for requester in appliers:
                requester.failed(("the daemon is being shut down",), "stopping")
            return
        for name, text in refused.items():
            self._log.note(name, "reload-failed", reason=text, by=by_of(appliers[0].by))
        yield from self._apply(plan, (*public, *said), appliers, failed=bool(refused))

    def _apply(
        self, plan: ReloadPlan, warnings: tuple[str, ...], appliers: list[Requester], *, failed: bool
    ) -> Steps[None]:
        ticket = carried = _ticket_of(appliers)
        ticket.failed = failed
        trial = None if appliers[0].concludes else self._begin_trial(plan, appliers[0])
        if trial:
            plan, carried = without_removals(plan, self._current.config), trial.ticket
        _end_scales(self._supervisor.table, plan.config)
        self._current.follow(plan.config, plan.live_keys, self._reactor.now())
        _note(self._current, self._bus, ())
        yield from self._bus.applying(plan)
        for (
            requester
        ) in appliers:  # after `applying`: who does not wait is answered here, and the answer must be on disk
            requester.waiting(ticket)
        yield from self._carry_out(plan, warnings, appliers[0].by, carried)
        if trial:
            trial.begin(plan, ticket)

    def lay_over(self, laid: Overlay, name: str, requester: Requester) -> None:
        """Apply what operators lay over one program from now on; no plan is being applied. `requester` gets the answers."""
        self._current.apply(begun=True)
        steps = _lay_over(self._supervisor, self._bus, self._current.config, (laid, name), requester)
        self._reactor.rounds.begin(self.alone(steps))

    def _carry_out(self, plan: ReloadPlan, warnings: tuple[str, ...], by: str, ticket: Ticket) -> Steps[None]:
        """Log the plan and apply it, for `by`."""
        for name, fields in plan_records(plan, by):
            self._log.note(name, "reload", **fields)
            yield
        for warning in warnings:
            self._log.write("warning", f"reload: {warning.replace(': warning: ', ': ', 1)}")
            yield
        for line in plan_lines(plan):
            self._log.write("info", f"reload: {line}")
            yield
        if self._supervisor.stopping:
            ticket.failed = True
            ticket.seal()
            return
        yield from apply(self._supervisor, plan, f"a reload ({by})", ticket)
        yield from self._bus.applied(plan)

    # -- a reload on trial

    def _begin_trial(self, plan: ReloadPlan, requester: Requester) -> trying.Trial | None:
        """End the trial that is under way, since a newer plan holds; return one for this plan, if it needs one."""
        trial, self._trial, self._concluding = self._trial, None, None
        if trial:
            trial.overtake()
        if requester.rollback and any(program.start or program.restart for program in plan.programs):
            at = time.strftime("%H:%M")
            tried = trying.Tried(self._current.config, plan.config, requester.by, at, self._begun)
            self._trial = trying.Trial(self._effects(), tried)
        return self._trial

    def _effects(self) -> trying.TrialEffects:
        return trying.TrialEffects(self._reactor, self._supervisor, self._conclude, self._concluded)

    def _conclude(self, config: Config, requester: Requester) -> None:
        self._concluding = (config, requester)
        self._begin_if_asked()

    def _concluded(self, tried: trying.Tried, failure: str) -> None:
        self._trial = None
        if failure:
            self._log.note("", "reload-failed", reason=failure, by=by_of(tried.by))
            self._log.write("error", f"reload: {failure}")
            self._current.refuse(tried.stamps)
            _note(self._current, self._bus, (failure,))

    def trial_row(self) -> object:
        """Return the trial as a fact for the next daemon."""
        return self._trial.to_data() if self._trial else None

    def settle(self, row: Mapping[str, Any]) -> None:
        """Let the newer configuration hold of a trial that was interrupted by the death of a daemon."""
        self._conclude(trying.Tried.from_data(row["tried"]).new, Requester())

    def resume(self, row: Mapping[str, Any]) -> None:
        """Go on with the trial of the daemon before."""
        self._trial = trying.Trial(self._effects(), trying.Tried.from_data(row["tried"]))
        self._trial.resume(row)


def _ticket_of(requesters: list[Requester]) -> Ticket:
    """Return a ticket whose news all of these get."""

    def result(entry: Entry, outcome: Outcome) -> None:
        for requester in requesters:
            requester.result(entry, outcome)

    def tried(entry: Entry) -> None:
        for requester in requesters:
            requester.tried(entry)

    def said(name: str, text: str, final: bool) -> None:
        for requester in requesters:
            requester.said(name, text, final)

    def done() -> None:
        for requester in requesters:
            requester.settled(ticket)

    ticket = Ticket(result, done, tried, said)
    return ticket


def _note(current: Current, bus: PlanNews, problems: tuple[str, ...]) -> None:
    """Note the problems of the last reload."""
    if current.note(problems):
        bus.refused()


def _end_scales(table: Table, config: Config) -> None:
    """End what a configuration ends of what operators have laid over the file."""
    if table.overlay:
        table.lay_over(overlay.in_force(table.overlay, config))


def _lay_over(
    supervisor: Supervisor, bus: PlanNews, config: Config, change: tuple[Overlay, str], requester: Requester
) -> Steps[None]:
    """Apply the overlay for the program of this name."""
    laid, name = change
    if supervisor.stopping:
        requester.failed(("the daemon is being shut down",), "stopping")
        return
    plan, refused = yield from bus.preparing(laying.plan_for(supervisor.table, config, laid, name))
    if refused:
        requester.failed(tuple(f"{each}: {text}; it stays as it is" for each, text in refused.items()), "failed")
        return
    supervisor.table.lay_over(laid)
    yield from requester.planned(plan, ())
    ticket = _ticket_of([requester])
    yield from bus.applying(plan)
    requester.waiting(ticket)
    yield from apply(supervisor, plan, requester.by, ticket)
    yield from bus.applied(plan)
