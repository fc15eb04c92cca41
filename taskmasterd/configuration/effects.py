"""Applies the parts of a new configuration that concern no process: the log level, and the limits of open logs."""

from __future__ import annotations

from taskmaster_common.config import LOG_LEVELS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Table
    from taskmasterd.core.steps import Steps
    from taskmasterd.output.streams import Outputs
    from taskmasterd.telling.eventlog import EventLog


class LiveKeys:
    """Follows the live keys; a member of the change bus."""

    def __init__(self, log: EventLog, table: Table, outputs: Outputs) -> None:
        self._log = log
        self._table = table
        self._outputs = outputs

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Apply what has changed."""
        daemon = plan.config.daemon
        if "loglevel" in plan.live_keys and daemon.loglevel in LOG_LEVELS:
            self._log.set_level(daemon.loglevel)
        for program in plan.programs:
            if "log_maxbytes" in program.keys or "log_backups" in program.keys:
                for entry in self._table.slots(program.name):
                    self._outputs.limits_changed(entry)
                    yield
