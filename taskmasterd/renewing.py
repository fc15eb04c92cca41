"""The part of the composition root for planned restarts: loaded with the first program that has `recycle` or `watch`."""

from __future__ import annotations

import os
import time

from taskmaster_common.records import Record
from taskmasterd.ondemand import Made, on_demand
from taskmasterd.processes.members.proofs import ROLE, WATCHER
from taskmasterd.processes.preparation import child_environment
from taskmasterd.survival import execute
from taskmasterd.survival.disk.file import SUFFIX
from taskmasterd.system.loop.signals import signal_numbers
from taskmasterd.telling.bus import REACT, BusMember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from taskmaster_common.config import Config
    from taskmasterd.core.process.events import Event
    from taskmasterd.core.programs.checks import Refusal
    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.processes.errand import Errands
    from taskmasterd.processes.instance import Instances
    from taskmasterd.renewal import helper, recycling, renewals, watching
    from taskmasterd.renewal.recycling import Recycling
    from taskmasterd.renewal.renewals import Renewals
    from taskmasterd.renewal.watching import Watching
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.telling.bus import Bus
    from taskmasterd.telling.eventlog import EventLog
else:
    helper = on_demand("taskmasterd.renewal.helper")
    watching = on_demand("taskmasterd.renewal.watching")
    recycling = on_demand("taskmasterd.renewal.recycling")
    renewals = on_demand("taskmasterd.renewal.renewals")


class RenewingParts(Record):
    """What planned restarts are made from.

    `deliver(entry, event)` hands an event to the supervisor, `signal(entry, number)` signals a leader and returns whether that is allowed.
    `path` is where our packages are found. `places`, `state_path` and `below` (how paths begin) are the daemon's own files.
    """

    reactor: Reactor
    supervisor: Supervisor
    deliver: Callable[[Entry, Event], None]
    signal: Callable[[Entry, int], bool]
    instances: Instances
    log: EventLog
    bus: Bus
    errands: Made[Errands]
    path: tuple[str, ...]
    places: Mapping[str, Any]
    state_path: str | None
    below: tuple[str | None, ...]


class Renewing:
    """What restarts instances as planned, each part made with the first configuration that needs it."""

    def __init__(self, parts: RenewingParts) -> None:
        self._parts = parts
        self._waiting = Made(self._renewals)
        self._recycling = Made(self._recycle)
        self._watching = Made(self._watch)

    def load_for(self, config: Config) -> None:
        """Make what the programs of a configuration need: it looks by itself at what runs already."""
        if any(program.recycle for program in config.programs):
            self._recycling()
        if any(program.watch for program in config.programs):
            self._watching()

    def to_data(self) -> Iterable[Mapping[str, Any]]:
        """Return what the daemon after an upgrade has to know."""
        return self._recycling.made.to_data() if self._recycling.made else ()

    def resume(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Go on after an upgrade."""
        self._recycling().resume(rows)

    def _means(self) -> renewals.RenewalMeans:
        parts, supervisor = self._parts, self._parts.supervisor
        return renewals.RenewalMeans(
            parts.reactor,
            supervisor.table,
            parts.deliver,
            self._ask,
            parts.log.write,
            parts.log.note,
            lambda: supervisor.stopping,
        )

    def _ask(self, entry: Entry, reason: str, then: Callable[[Refusal | None], None]) -> None:
        self._parts.supervisor.ask_first([entry], reason, lambda refused: then(refused.get(entry)))

    def _renewals(self) -> Renewals:
        made: Renewals = renewals.Renewals(self._means())
        self._parts.bus.join(BusMember(REACT, changed=lambda entry, _before, _event, _after: made.changed(entry)))
        return made

    def _recycle(self) -> Recycling:
        made: Recycling = recycling.Recycling(
            self._means(), self._waiting(), self._parts.instances.groups.below, self._group_of
        )
        self._parts.bus.join(BusMember(REACT, made.changed, made.added, made.gone, applied=made.applied))
        return made

    def _group_of(self, entry: Entry) -> str:
        instance = self._parts.instances.of(entry)
        return instance.group.cgroup if instance else ""

    def _watch(self) -> Watching:
        made: Watching = watching.Watching(self._means(), self._waiting(), self._watch_means())
        self._parts.bus.join(BusMember(REACT, made.changed, made.added, made.gone, applied=made.applied))
        return made

    def _watch_means(self) -> watching.WatchMeans:
        parts, places, state = self._parts, self._parts.places, self._parts.state_path
        outputs = parts.instances.outputs
        own = (
            places["socket"],
            places.get("pidfile"),
            places.get("logfile"),
            state,
            state and state.removesuffix(SUFFIX),
        )
        return watching.WatchMeans(
            parts.signal,
            signal_numbers(),
            lambda entry: (outputs.log_path(entry, "stdout"), outputs.log_path(entry, "stderr")),
            tuple(filter(None, own)),
            tuple(f"{os.path.dirname(each)}/" for each in parts.below if each),
            time.time,
            helper.HelperMeans(
                parts.reactor,
                parts.errands,
                lambda words: execute.command("--watch", *words, *parts.path),
                {**child_environment(os.environ), ROLE: WATCHER},
            ),
        )
