"""The one way to a new configuration: loading, plan, apply. On any problem the old one stays, untouched.

Loading and applying are serial: requests that arrive meanwhile are merged into one more reading, because the file may have
changed since. A plan is applied at once, though a large one in steps, and never waits for the stops of an earlier one.
"""

from __future__ import annotations

import os

from taskmaster_common.records import Record
from taskmasterd.core.programs.plan import KEPT, diffing
from taskmasterd.core.programs.ticket import Ticket
from taskmasterd.system.loop.reactor import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from taskmaster_common.config import Config, DaemonConfig
    from taskmasterd.configuration.loading import Loading, Outcome
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.programs.ticket import Outcome as TicketOutcome
    from taskmasterd.core.steps import Steps
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.telling.eventlog import EventLog
    from taskmasterd.telling.notify_socket import Notifier

    class PlanNews(Protocol):
        """Where plans go: the change bus."""

        def applying(self, plan: ReloadPlan, /) -> Steps[None]:
            """A plan is about to be applied."""

        def applied(self, plan: ReloadPlan, /) -> Steps[None]:
            """The supervisor has carried out a plan."""

        def refused(self) -> None:
            """A reload was refused, with other problems than the one before."""


class Listener:
    """Somebody who asked for a reload. This one listens to nothing.

    `sees_values` says whether it may be given lines of the file, which can hold values of env.
    """

    dry_run = False
    by = "SIGHUP"
    sees_values = False

    def failed(self, problems: tuple[str, ...], code: str) -> None:
        """Nothing was changed: called once, instead of all others. `code` is that of the wire: config, busy, failed, stopping."""

    def planned(self, plan: ReloadPlan, warnings: tuple[str, ...]) -> Steps[None]:
        """The plan is there; called once. A dry run ends here."""
        del plan, warnings
        yield from ()

    def result(self, entry: Entry, outcome: TicketOutcome) -> None:
        """One process that the plan touched has settled."""

    def tried(self, entry: Entry) -> None:
        """A start has failed and will be tried again."""

    def settled(self, ticket: Ticket) -> None:
        """All that the plan touched has settled; called once."""

    def waiting(self, ticket: Ticket) -> None:
        """The plan has been applied; `ticket` knows what has not settled yet."""


class HangUp(Listener):
    """SIGHUP's reload: nobody waits but systemd."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    def failed(self, problems: tuple[str, ...], code: str) -> None:
        """The reload is over, without effect."""
        del problems, code
        self._notifier.ready()

    def planned(self, plan: ReloadPlan, warnings: tuple[str, ...]) -> Steps[None]:
        """The reload is over as far as systemd is concerned."""
        del plan, warnings
        self._notifier.ready()
        yield


class Begun(Record):
    """With what a daemon begins: the configuration, what it was itself launched with, the problems of the last reload."""

    config: Config
    running: DaemonConfig
    problems: tuple[str, ...] = ()


class Reloader:
    """Reads the file again for whoever asks, and applies it."""

    def __init__(
        self,
        reactor: Reactor,
        supervisor: Supervisor,
        log: EventLog,
        begun: Begun,
        bus: PlanNews,
        begin_loading: Callable[[str], Loading],
    ) -> None:
        """`begin_loading(path)` forks the child that reads."""
        self.config = begun.config
        self.problems = begun.problems
        self._refused: tuple[tuple[str, int, int], ...] = ()
        self._begun: tuple[tuple[str, int, int], ...] = ()
        self._running = begun.running
        self._reactor = reactor
        self._supervisor = supervisor
        self._log = log
        self._bus = bus
        self._begin_loading = begin_loading
        self._asked: list[Listener] = []
        self._batch: list[Listener] = []
        self._loading: Loading | None = None
        self.applying = False

    @property
    def busy(self) -> bool:
        """Whether the file is being read, or a plan applied."""
        return self._loading is not None or self.applying

    def request(self, listener: Listener) -> None:
        """Read the file and apply it, or only plan it; answers come through the listener."""
        self._asked.append(listener)
        self._begin_if_asked()

    def _begin_if_asked(self) -> None:
        if self._asked and not self.busy:
            self._begin()

    def stop(self) -> None:
        """The daemon is being shut down: end the reading, and tell those who wait for it."""
        loading, self._loading = self._loading, None
        batch, self._batch = self._batch + self._asked, []
        self._asked = []
        if loading is not None and loading.fd >= 0:
            self._reactor.remove(loading.fd)
            loading.cancel()
        for listener in batch:
            listener.failed(("the daemon is being shut down",), "stopping")

    def newer_on_disk(self) -> str:
        """Return which file of the configuration has changed since it was loaded, or ""."""
        for path, mtime_ns, size in self.config.files:
            try:
                found = os.stat(path)
            except OSError:
                return path
            if (found.st_mtime_ns, found.st_size) != (mtime_ns, size):
                return path
        return ""

    def changed_since_refused(self) -> bool:
        """Return whether a file of the configuration that was loaded is another one than at the reload that was refused."""
        return bool(self.problems and self._refused) and self._stamps() != self._refused

    def _stamps(self) -> tuple[tuple[str, int, int], ...]:
        """Return (path, mtime_ns, size) of every file of the configuration that is loaded, as they are now."""
        stamps = []
        for path, _mtime_ns, _size in self.config.files:
            try:
                found = os.stat(path)
            except OSError:
                stamps.append((path, 0, 0))
            else:
                stamps.append((path, found.st_mtime_ns, found.st_size))
        return tuple(stamps)

    def _begin(self) -> None:
        self._batch, self._asked = self._asked, []
        batch = self._batch
        who = ", ".join(dict.fromkeys(listener.by for listener in batch))
        self._log.write("info", f"reload: reading {self.config.path}, asked by {who}")
        self._begun = self._stamps()
        self._loading = loading = self._begin_loading(self.config.path)
        fd = loading.fd

        def look() -> None:
            if self._loading is not loading:
                return  # it was ended meanwhile
            outcome = loading.feed()
            if outcome is not None:
                self._reactor.cancel(timer)
                if fd >= 0:
                    self._reactor.remove(fd)
                self._finish(outcome, batch)

        timer = self._reactor.call_at(loading.deadline if fd >= 0 else self._reactor.now(), look)
        if fd >= 0:
            self._reactor.watch(fd, READ, lambda _ready: look())

    def _finish(self, outcome: Outcome, batch: list[Listener]) -> None:
        """The file was read, or could not be: tell the batch, then serve those who asked meanwhile."""
        self._loading, self._batch = None, []
        try:
            if outcome.config is None:
                self._refuse(outcome, batch)
            else:
                self.applying = True
                self._reactor.rounds.begin(self._plan_and_apply(outcome.config, outcome, batch))
        finally:
            self._begin_if_asked()

    def _refuse(self, outcome: Outcome, batch: list[Listener]) -> None:
        obstacle = outcome.shortage or outcome.failure
        reason = (f"cannot read the configuration: {obstacle}",)
        public = reason if obstacle else outcome.public().problems
        for problem in public:
            self._log.write("error", f"reload: {problem}")
        self._log.write("error", "reload: nothing was changed")
        if any(not listener.dry_run for listener in batch) and not obstacle:
            self._refused = self._begun
            self._note(public)
        for listener in batch:
            problems = reason if obstacle else outcome.problems if listener.sees_values else public
            listener.failed(problems, "busy" if outcome.shortage else "failed" if obstacle else "config")

    def _note(self, problems: tuple[str, ...]) -> None:
        if problems != self.problems:
            self.problems = problems
            self._bus.refused()

    def _plan_and_apply(self, config: Config, outcome: Outcome, batch: list[Listener]) -> Steps[None]:
        """Do all that follows from a configuration, and then whatever a reload was asked for meanwhile."""
        try:
            yield from self._plan(config, outcome, batch)
        finally:
            self.applying = False
            self._begin_if_asked()

    def _plan(self, config: Config, outcome: Outcome, batch: list[Listener]) -> Steps[None]:
        plan = yield from diffing(self._supervisor.table, self._running, config)
        public = outcome.public().warnings
        for listener in batch:
            yield from listener.planned(plan, outcome.warnings if listener.sees_values else public)
        appliers = [listener for listener in batch if not listener.dry_run]
        if not appliers:
            return
        if self._supervisor.stopping:
            for listener in appliers:
                listener.failed(("the daemon is being shut down",), "stopping")
            return
        yield from self._apply(plan, public, appliers)

    def _apply(self, plan: ReloadPlan, warnings: tuple[str, ...], appliers: list[Listener]) -> Steps[None]:
        def result(entry: Entry, outcome: TicketOutcome) -> None:
            for listener in appliers:
                listener.result(entry, outcome)

        def tried(entry: Entry) -> None:
            for listener in appliers:
                listener.tried(entry)

        def done() -> None:
            for listener in appliers:
                listener.settled(ticket)

        ticket = Ticket(result, done, tried)
        self.config = plan.config
        self._running = self._running.replace(**{key: getattr(plan.config.daemon, key) for key in plan.live_keys})
        self.problems = ()  # `applying` has that remembered
        yield from self._bus.applying(plan)
        for (
            listener
        ) in appliers:  # one that does not wait is answered here: what it is told has to be remembered by then
            listener.waiting(ticket)
        yield from self._carry_out(plan, warnings, f"a reload ({appliers[0].by})", ticket)

    def _carry_out(self, plan: ReloadPlan, warnings: tuple[str, ...], by: str, ticket: Ticket) -> Steps[None]:
        """Say what is going to happen, and do it."""
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
        yield from self._supervisor.apply(plan, by, ticket, self._reactor.now)
        yield from self._bus.applied(plan)


def plan_lines(plan: ReloadPlan) -> list[str]:
    """Return what a plan does, a line for each program that changes and one for the rest."""
    lines = [f"{each.name} {each.change}: {each.why}" for each in plan.programs if each.change != KEPT]
    kept = len(plan.programs) - len(lines)
    lines.append(f"{kept} program{'s' if kept != 1 else ''} untouched")
    lines.extend(f"taskmasterd.{key} waits for the next start of the daemon" for key in plan.daemon_keys)
    return lines
