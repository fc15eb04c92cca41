"""The parts of the daemon that requests are about, and what does not change while it lives."""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Protocol

    from taskmasterd.configuration.reload import Reloader
    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.installed import Installed
    from taskmasterd.processes.performer import Performer
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.telling.eventlog import EventLog

    class StateKeeper(Protocol):
        """Writes what a later daemon has to know."""

        @property
        def trouble(self) -> str:
            """Why it cannot be written as it should be, "" where it can."""

        def flush(self) -> None:
            """Write what has changed."""


class About(Record):
    """What does not change while the daemon lives. `signals` maps numbers to names, `numbers` names to numbers."""

    version: str
    pid: int
    started: float
    socket: str
    logfile: str | None
    owner: int
    signals: Mapping[int, str]
    numbers: Mapping[str, int]


class Parts(Record):
    """What handlers and answers work with."""

    about: About
    reactor: Reactor
    supervisor: Supervisor
    performer: Performer
    reloader: Reloader
    log: EventLog
    state: StateKeeper
    installed: Installed
