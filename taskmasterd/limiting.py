"""The part of the composition root for what programs may use."""

from __future__ import annotations

from taskmaster_common.config import LIKE_THE_DAEMON
from taskmasterd.configuration.effects import LimitKeys
from taskmasterd.ondemand import Made, on_demand
from taskmasterd.telling.bus import REACT, BusMember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.processes.limits import cgroups, living
    from taskmasterd.processes.limits.cgroups import ControlGroups
    from taskmasterd.processes.limits.living import LiveLimits, LiveParts
    from taskmasterd.survival.start_state import Origin
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.telling.bus import Bus
    from taskmasterd.telling.eventlog import EventLog
else:
    cgroups = on_demand("taskmasterd.processes.limits.cgroups")
    living = on_demand("taskmasterd.processes.limits.living")


def build_cgroups(origin: Origin, reactor: Reactor, write: Callable[[str, str], None]) -> Made[ControlGroups]:
    """Return what makes control groups; their root is found when the first program wants one."""
    configured, socket = origin.configured.cgroup_root, origin.handed.places["socket"]
    return Made(lambda: cgroups.ControlGroups(reactor, configured, socket, write))


def build_limits(origin: Origin, bus: Bus, log: EventLog, parts: LiveParts) -> Made[LiveLimits]:
    """Return what has running instances follow the keys of what they may use; it is made with the first program that has one."""
    table = parts[-1]

    def make() -> LiveLimits:
        made: LiveLimits = living.LiveLimits(
            parts,
            lambda entry, text: log.write("warning", f"{table.name(entry)}: {text}"),
            lambda entry, event, reason: log.note(table.name(entry), event, reason=reason),
        )
        bus.join(BusMember(REACT, changed=made.happened, added=made.added))
        return made

    made = Made(make)
    bus.join(BusMember(REACT, applying=LimitKeys(made).applying))
    configs = (origin.config, *([origin.saved.config] if origin.saved else []))
    if any(program.may_use != LIKE_THE_DAEMON for config in configs for program in config.programs):
        made()
    return made
