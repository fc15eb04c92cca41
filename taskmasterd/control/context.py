"""The parts of the daemon that requests work with, and what does not change while it lives."""

from __future__ import annotations

import os
import time

from taskmaster_common import __version__
from taskmaster_common.records import Record
from taskmasterd.system.loop.signals import signal_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from taskmasterd.alerts.rules import Alerts
    from taskmasterd.configuration.current import Current
    from taskmasterd.configuration.overlays import Overlays
    from taskmasterd.configuration.reload import Reloader
    from taskmasterd.control.rights import Judge
    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.installed import Installed
    from taskmasterd.ondemand import Made
    from taskmasterd.probing.health import HealthChecks
    from taskmasterd.processes.errand import Errands
    from taskmasterd.processes.performer import Performer
    from taskmasterd.schedules.schedules import Schedules
    from taskmasterd.sockets.holder import ProgramSockets
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.telling.audit import Audit
    from taskmasterd.telling.eventlog import EventLog
    from taskmasterd.terminals.inputs import Inputs

    class StateKeeper(Protocol):
        """Writes what a later daemon has to know."""

        @property
        def trouble(self) -> str:
            """Why it cannot be written as it should be, "" where it can."""

        def changed(self, entry: Entry, /) -> None:
            """Write a slot later: it has changed."""

        def flush(self) -> None:
            """Write what has changed."""


class DaemonIdentity(Record):
    """What does not change while the daemon lives. `signals` maps numbers to names, `numbers` names to numbers."""

    version: str
    pid: int
    started: float
    socket: str
    logfile: str | None
    events: str | None
    owner: int
    signals: Mapping[int, str]
    numbers: Mapping[str, int]


def identity_of(places: Mapping[str, str], started: float) -> DaemonIdentity:
    """Return who this process is; `started` is monotonic."""
    numbers = signal_numbers()
    return DaemonIdentity(
        version=__version__,
        pid=os.getpid(),
        started=started,
        socket=places["socket"],
        logfile=places.get("logfile"),
        events=places.get("events"),
        owner=os.geteuid(),
        signals={number: name for name, number in numbers.items()},
        numbers=numbers,
    )


class Context(Record):
    """What requests, and answers that come later, work with."""

    identity: DaemonIdentity
    reactor: Reactor
    supervisor: Supervisor
    performer: Performer
    configuration: Current
    reloading: Made[Reloader]
    log: EventLog
    state: StateKeeper
    health: Made[HealthChecks]
    installed: Installed
    judge: Made[Judge]
    audit: Made[Audit]
    inputs: Made[Inputs]
    sockets: Made[ProgramSockets]
    alerts: Made[Alerts]
    errands: Made[Errands]
    overlays: Made[Overlays]
    schedules: Made[Schedules]

    @staticmethod
    def wall() -> float:
        """Return the time of the day, in seconds since 1970."""
        return time.time()
