"""Applies the parts of a new configuration that concern no process: the log level, the limits of open logs and of the history, who follows ends."""

from __future__ import annotations

from taskmaster_common.config import LIKE_THE_DAEMON, LOG_LEVELS, NEVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskmaster_common.config import Config
    from taskmasterd.alerts.rules import Alerts
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Table
    from taskmasterd.core.steps import Steps
    from taskmasterd.ondemand import Made
    from taskmasterd.output.streams import Outputs
    from taskmasterd.sockets.holder import ProgramSockets
    from taskmasterd.telling.bus import Bus, BusMember
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
        if "history" in plan.live_keys:
            self._log.history.limit(daemon.history)
        for program in plan.programs:
            if "log_maxbytes" in program.keys or "log_backups" in program.keys:
                for entry in self._table.slots(program.name):
                    self._outputs.limits_changed(entry)
                    yield


class HealthKey:
    """Has health checks made with the first configuration that has `health`; `make()` makes them, once."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Have them made: they look by themselves at what runs already."""
        if any(program.health for program in plan.config.programs):
            self._make()
        yield from ()


class SocketKey:
    """Has sockets opened before a reload stops anything; `made` is made with the first configuration that has one."""

    def __init__(self, made: Made[ProgramSockets]) -> None:
        self._made = made

    def preparing(self, plan: ReloadPlan) -> Steps[tuple[ReloadPlan, Mapping[str, str]]]:
        """Have them opened; return the plan without the programs for which that is impossible, and why it is."""
        if any(program.wanted and program.wanted.sockets for program in plan.programs):
            return (yield from self._made().prepare(plan))
        return plan, {}


class LimitKeys:
    """Has what running instances may use looked after with the first program that says something about it; `make()` makes that, once."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    def applying(self, plan: ReloadPlan) -> Steps[None]:
        """Have it made before anything of the plan starts."""
        if any(program.may_use != LIKE_THE_DAEMON for program in plan.config.programs):
            self._make()
        yield from ()


class AlertRules:
    """Has alert rules follow a reload; `made` is made with the first configuration that has a rule."""

    def __init__(self, made: Made[Alerts]) -> None:
        self._made = made

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Follow."""
        if plan.config.alerts or self._made.made:
            self._made().follow(plan.config)
        yield from ()


class ScheduleKey:
    """Has schedules made with the first configuration that has one; `make()` makes them, once."""

    def __init__(self, make: Callable[[], object]) -> None:
        self._make = make

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Have them made: they look by themselves at the programs that are there already."""
        if any(program.schedule for program in plan.config.programs):
            self._make()
        yield from ()


class EndingKeys:
    """Has a member on the change bus while the configuration uses `essential` or `exit_when`; follows the bus itself.

    `make(applying)` returns the member, and is told whether a plan is about to be applied.
    """

    def __init__(self, bus: Bus, make: Callable[[bool], BusMember]) -> None:
        self._bus = bus
        self._make = make
        self._member: BusMember | None = None

    def join(self, config: Config, *, applying: bool = False) -> None:
        """Have the member join if this configuration uses a key."""
        if self._member is None and _uses_ending(config):
            self._member = self._make(applying)
            self._bus.join(self._member)

    def applying(self, plan: ReloadPlan) -> Steps[None]:
        """Join before the plan is applied, because its programs may end meanwhile."""
        self.join(plan.config, applying=True)
        yield from ()

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Leave if the new configuration uses neither key."""
        if self._member is not None and not _uses_ending(plan.config):
            self._bus.leave(self._member)
            self._member = None
        yield from ()


def _uses_ending(config: Config) -> bool:
    return config.daemon.exit_when != NEVER or any(program.essential for program in config.programs)
