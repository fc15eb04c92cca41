"""The part of the composition root for schedules; loaded with the first program that has one."""

from __future__ import annotations

import os
import time

from taskmasterd.core.programs.schedule import Clocks
from taskmasterd.schedules.runs import Runs
from taskmasterd.schedules.schedules import ScheduleMeans, Schedules, kept_of
from taskmasterd.system.loop.signals import signal_numbers
from taskmasterd.system.procfs import boot_id
from taskmasterd.telling.bus import REACT, BusMember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.survival.start_state import Origin
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.telling.bus import Bus
    from taskmasterd.telling.eventlog import EventLog


def make_schedules(origin: Origin, reactor: Reactor, log: EventLog, supervisor: Supervisor, bus: Bus) -> Schedules:
    """Return the schedules, as a member of the bus; they know the slots that are there already."""
    boot, since_boot = boot_id(), getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def moment() -> Clocks:
        return Clocks(time.time(), time.clock_gettime(since_boot), boot)

    programs = {program.name: program for program in origin.config.programs}
    path, stem = origin.runs_place
    kept = Runs(path, stem, log.write)
    kept.read(lambda name: kept_of(programs, name), origin.handed.life.runs if origin.handed.life else ())
    saved = origin.saved.slots if origin.saved else ()
    means = ScheduleMeans(
        reactor,
        supervisor.table,
        lambda entry, event: supervisor.handle(entry, event, reactor.now()),
        supervisor.leave,
        lambda: supervisor.stopping,
        log.write,
        log.note,
        moment,
        {number: name for name, number in signal_numbers().items()},
        os.uname().nodename,
        frozenset(slot.entry.canonical for slot in saved),
        boot=origin.launched and origin.saved is None,
    )
    made = Schedules(means, kept)
    bus.join(BusMember(REACT, made.changed, made.added, made.gone, applied=made.applied))
    for entry in supervisor.table:
        made.added(entry)
    return made
