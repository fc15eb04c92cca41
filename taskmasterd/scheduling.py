"""The part of the composition root for schedules; loaded with the first program that has one."""

from __future__ import annotations

import os
import time

from taskmaster_common.config.schedule import schedule_of
from taskmaster_common.records import Record
from taskmasterd.core.programs.schedule import Clocks
from taskmasterd.schedules.runs import Runs
from taskmasterd.schedules.schedules import ScheduleMeans, Schedules
from taskmasterd.system.loop.signals import signal_numbers
from taskmasterd.system.procfs import boot_id
from taskmasterd.telling.bus import REACT, BusMember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.schedules.runs import Row
    from taskmasterd.survival.start_state import Origin
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.telling.bus import Bus
    from taskmasterd.telling.eventlog import EventLog


class EarlierRuns(Record):
    """What a daemon that begins with schedules has of earlier ones.

    `kept` is how many runs of a program are kept, by its name; `rows` are those that an upgrade has handed over, `restored` the slots
    of which a state says how they were. `boot`: there is no such state, and an operator has started this daemon.
    """

    kept: Mapping[str, int] = {}
    rows: Sequence[Row] = ()
    restored: frozenset[str] = frozenset()
    boot: bool = False


def earlier_runs(origin: Origin) -> EarlierRuns:
    """Return what this daemon begins with."""
    saved, life, programs = origin.saved, origin.handed.life, origin.config.programs
    return EarlierRuns(
        {program.name: schedule_of(program.schedule).history for program in programs if program.schedule},
        life.runs if life else (),
        frozenset(slot.entry.canonical for slot in saved.slots) if saved else frozenset(),
        boot=origin.launched and saved is None,
    )


def make_schedules(
    place: tuple[str | None, str],
    earlier: EarlierRuns | None,
    reactor: Reactor,
    log: EventLog,
    supervisor: Supervisor,
    bus: Bus,
) -> Schedules:
    """Return the schedules, as a member of the bus; they know the slots that are there already.

    `place` is the directory of the files of runs, and the name of this daemon's; `earlier` is None where a reload brings the first one.
    """
    earlier = earlier or EarlierRuns()
    boot, since_boot = boot_id(), getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

    def moment() -> Clocks:
        return Clocks(time.time(), time.clock_gettime(since_boot), boot)

    runs = Runs(*place, log.write)
    runs.read(lambda slot: earlier.kept.get(slot.rpartition(":")[0]), earlier.rows)
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
        earlier.restored,
        boot=earlier.boot,
    )
    made = Schedules(means, runs)
    bus.join(BusMember(REACT, made.changed, made.added, made.gone, applied=made.applied))
    for entry in supervisor.table:
        made.added(entry)
    return made
