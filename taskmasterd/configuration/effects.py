"""Applies the parts of a new configuration that concern no process: the log level, the limits of open logs and of the history, who follows ends."""

from __future__ import annotations

from taskmaster_common.config import LIKE_THE_DAEMON, LOG_LEVELS, NEVER
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskmaster_common.config import Config, ProgramConfig, sockets
    from taskmasterd.alerts.rules import Alerts
    from taskmasterd.core.programs import sockets as uses
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Table
    from taskmasterd.core.steps import Steps
    from taskmasterd.ondemand import Made
    from taskmasterd.output.streams import Outputs
    from taskmasterd.probing import ways
    from taskmasterd.sockets.holder import ProgramSockets
    from taskmasterd.telling.bus import Bus, BusMember
    from taskmasterd.telling.eventlog import EventLog
else:
    sockets = on_demand("taskmaster_common.config.sockets")
    uses = on_demand("taskmasterd.core.programs.sockets")
    ways = on_demand("taskmasterd.probing.ways")


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


class AddressKey:
    """Leaves programs as they are that are scaled to instances for which their addresses have no port; the decoder judges the file's number."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def preparing(self, plan: ReloadPlan) -> Steps[tuple[ReloadPlan, Mapping[str, str]]]:
        """Return the plan without these programs, and why."""
        refused: dict[str, str] = {}
        written: dict[str, int] = {}
        for program in plan.programs:
            wanted = program.wanted
            if not (wanted and program.changes and (wanted.ready or wanted.health or wanted.sockets)):
                continue
            written = written or {each.name: each.numprocs for each in plan.config.programs}
            if wanted.numprocs > written.get(program.name, 0) and (problem := _address_problem(wanted)):
                refused[program.name] = problem
            yield
        if not refused:
            return plan, refused
        slots = {name: self._table.slots(name) for name in refused}
        present = {each.name: each.wanted for each in plan.programs if each.name in refused and each.wanted}
        return uses.without(
            plan, refused, present | {name: some[0].wanted for name, some in slots.items() if some}
        ), refused


def _address_problem(program: ProgramConfig) -> str:
    """Return which address of a program its last instance cannot have, or ""."""
    asked = {"ready": program.ready, "health": program.health}
    listening = sockets.sockets_of(program.sockets) if program.sockets else ()
    asked |= {
        f"sockets.{each.name}": {ways.TCP: each.listen.removeprefix(sockets.UDP)}
        for each in listening
        if not each.listen.startswith(("/", "@"))
    }
    for place, value in asked.items():
        # the addresses of the file are possible, so an impossible one is that of the last instance
        if reason := ways.problem({**value}, program.numprocs):
            return f"{place}: {reason.partition('; ')[0]}"
    return ""


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
