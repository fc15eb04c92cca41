"""What follows when the daemon follows another configuration, besides what happens to processes.

It is remembered before, and afterwards its live keys hold, open logs have their limits, and those who look on are told. A
reload and the daemon's start share it.
"""

from __future__ import annotations

from taskmaster_common.config import LOG_LEVELS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.configuration.loading import Loading
    from taskmasterd.control.subscriptions import Subscriptions
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Table
    from taskmasterd.core.steps import Steps
    from taskmasterd.output.streams import Outputs
    from taskmasterd.shutdown import Stopping
    from taskmasterd.survival.state_writer import Journal
    from taskmasterd.telling.eventlog import EventLog
    from taskmasterd.telling.systemd import Systemd


class Following:
    """The reloader's hands. `begin_loading(path)` forks the child that reads; `stopping` and the others are set once they are there."""

    def __init__(
        self, begin_loading: Callable[[str], Loading], journal: Journal, log: EventLog, table: Table, outputs: Outputs
    ) -> None:
        self.begin_loading = begin_loading
        self._journal = journal
        self._log = log
        self._table = table
        self._outputs = outputs
        self.stopping: Stopping | None = None
        self.subscriptions: Subscriptions | None = None
        self.systemd: Systemd | None = None

    def applying(self, plan: ReloadPlan) -> Steps[None]:
        """A plan is about to be applied."""
        yield from self._journal.reloading(plan)

    def problems_changed(self) -> None:
        """The last reload has failed, or a good one has followed."""
        self._journal.facts_changed()

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """The supervisor has been given a plan; do the rest of it."""
        yield from self._journal.reloaded(plan)
        daemon = plan.config.daemon
        if "loglevel" in plan.live_keys and daemon.loglevel in LOG_LEVELS:
            self._log.level = daemon.loglevel
        if self.stopping:
            self.stopping.timeout_s = daemon.shutdown_timeout
        for program in plan.programs:
            if "log_maxbytes" in program.keys or "log_backups" in program.keys:
                for entry in self._table.slots(program.name):
                    self._outputs.limits_changed(entry)
                    yield
        if plan.changes and self.subscriptions and self.systemd:
            self.subscriptions.reloaded()
            self.systemd.counts_changed()
