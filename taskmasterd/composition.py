"""The middle of the composition root (`daemon`): what requests work with, who gets to know of changes, and the live upgrade."""

from __future__ import annotations

import os
import time

from taskmaster_common.records import Record
from taskmaster_common.states import RUNNING, STOPPED
from taskmasterd.configuration.current import Current
from taskmasterd.configuration.effects import (
    AddressKey,
    AlertRules,
    EndingKeys,
    HealthKey,
    LiveKeys,
    ScheduleKey,
    SocketKey,
)
from taskmasterd.control.context import Context, identity_of
from taskmasterd.installed import CHANGED
from taskmasterd.ondemand import Made, on_demand
from taskmasterd.processes.preparation import child_environment
from taskmasterd.system.loop.signals import signal_numbers
from taskmasterd.telling.bus import REACT, REMEMBER, TELL, Bus, BusMember
from taskmasterd.telling.eventlog import Announcer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from taskmaster_common.config import Config
    from taskmasterd import renewing, scheduling
    from taskmasterd.alerts import context as alerting
    from taskmasterd.alerts import rules
    from taskmasterd.alerts.rules import Alerts
    from taskmasterd.configuration import loading, overlays, reload
    from taskmasterd.configuration.loading import Loading, LoadResult
    from taskmasterd.control import rights
    from taskmasterd.control.access import Access
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps
    from taskmasterd.foundation import Foundation, Programs
    from taskmasterd.installed import Installed
    from taskmasterd.probing.leftovers import Mark
    from taskmasterd.renewing import Renewing
    from taskmasterd.survival import execute, handover, upgrade
    from taskmasterd.survival.start_state import Origin
    from taskmasterd.survival.state import Registry
    from taskmasterd.survival.upgrade import Upgrade
    from taskmasterd.telling import audit
    from taskmasterd.telling.audience import Audience
else:
    scheduling = on_demand("taskmasterd.scheduling")
    alerting = on_demand("taskmasterd.alerts.context")
    renewing = on_demand("taskmasterd.renewing")
    audit = on_demand("taskmasterd.telling.audit")
    rules = on_demand("taskmasterd.alerts.rules")
    loading = on_demand("taskmasterd.configuration.loading")
    overlays = on_demand("taskmasterd.configuration.overlays")
    reload = on_demand("taskmasterd.configuration.reload")
    rights = on_demand("taskmasterd.control.rights")
    execute = on_demand("taskmasterd.survival.execute")
    handover = on_demand("taskmasterd.survival.handover")
    upgrade = on_demand("taskmasterd.survival.upgrade")


def build_context(origin: Origin, base: Foundation, programs: Programs, bus: Bus, installed: Installed) -> Context:
    """Return what requests work with."""
    handed = origin.handed
    place, runs_place = origin.overrides_place, origin.runs_place
    earlier = scheduling.earlier_runs(origin) if origin.has_schedules else None
    options = {"daemonized": not handed.foreground, "pid1": handed.pid1, "lenient_users": False}
    current = Current(origin.config, origin.configured, origin.facts.problems)

    def read(path: str, done: Callable[[LoadResult], None]) -> Loading:
        return loading.Loading(
            programs.errands(), path, done, environment=os.environ, options=options, installed=installed
        )

    def read_again(done: Callable[[Config | None], None]) -> Loading:
        return read(current.config.path, lambda result: done(result.config))

    return Context(
        identity_of(handed.places, handed.life.started if handed.life else base.reactor.now()),
        base.reactor,
        programs.supervisor,
        programs.performer,
        current,
        Made(lambda: reload.Reloader(base.reactor, programs.supervisor, base.log, current, bus, read)),
        base.log,
        programs.writer,
        programs.probes.health,
        installed,
        Made(lambda: rights.Judge(current, programs.supervisor.table)),
        Made(lambda: audit.Audit(base.reactor, base.log, os.geteuid())),
        programs.reading.inputs,
        programs.reading.sockets,
        _alerts(origin, base, programs, bus, (installed, read_again, current.learn)),
        programs.errands,
        Made(lambda: overlays.Overlays(programs.supervisor.table, place, bus.applied)),
        Made(lambda: scheduling.make_schedules(runs_place, earlier, base.reactor, base.log, programs.supervisor, bus)),
    )


def _alerts(
    origin: Origin,
    base: Foundation,
    programs: Programs,
    bus: Bus,
    code: tuple[Installed, Callable[..., Loading], Callable[..., None]],
) -> Made[Alerts]:
    """Return the alert rules, which hear the history from when they are made; they are made with the first rule."""
    installed, read_again, learned = code
    log, signals = base.log, {number: name for name, number in signal_numbers().items()}
    path, socket, place = origin.handed.path, origin.handed.places["socket"], origin.alerts_place

    def make() -> Alerts:
        context = alerting.AlertContext(
            reactor=base.reactor,
            errands=programs.errands,
            children=programs.probes.children,
            command=execute.command("--alert", "0", *path),
            environment=child_environment(os.environ),
            host=os.uname().nodename,
            pid=os.getpid(),
            signals=signals,
            say=log.write,
            failed=lambda rule, text: log.note("", "alert-failed", rule=rule, reason=text),
            outdated=lambda: CHANGED if installed.changed() else "",
            wall=time.time,
            name=programs.supervisor.table.name,
            read=read_again,
            learned=learned,
            socket=socket,
            log=lambda entry: programs.performer.outputs.log_path(entry, "stderr"),
        )
        made: Alerts = rules.Alerts(context, place)
        bus.join(BusMember(REMEMBER, changed=made.moved))
        log.history.watch(made)
        log.history.listen(made.heard)
        return made

    return Made(make)


def _begin_alerts(context: Context, origin: Origin) -> None:
    """Go on with what an earlier daemon has left of its alerts, where there is a rule; before anything happens here.

    Troubles of which nobody will hear that they are over end in the first turn, when it is known how each process is.
    """
    if not origin.config.alerts:
        return
    table, made, launched = context.supervisor.table, context.alerts(), origin.launched
    made.begin(origin.config, origin.saved.facts.alerts if origin.saved else ())

    def settle() -> None:
        entries = {table.name(entry): entry for entry in table}
        made.reconcile(lambda name: _state(entries.get(name)) if name else "started" if launched else "")

    context.reactor.call_soon(settle)


def alert_marks(context: Context) -> Sequence[Mark]:
    """Return what identifies the children for alerts of an earlier daemon that go on."""
    return context.alerts.made.marks if context.alerts.made else ()


def _state(entry: Entry | None) -> str:
    """Return the state of a process that is as somebody wants it, "" of any other one; of one that is gone, "removed".

    A job of a schedule that runs may be what holds up all later runs.
    """
    if entry is None:
        return "removed"
    fine = (STOPPED,) if entry.wanted.schedule else (RUNNING, STOPPED)
    return entry.process.state if entry.process.as_wanted and entry.process.state in fine else ""


def join_bus(
    bus: Bus,
    origin: Origin,
    context: Context,
    programs: Programs,
    audience: Audience,
    follow_ends: Callable[[bool], BusMember],
) -> PlannedRestarts:
    """Say who gets to know of changes, in this order; `follow_ends(applying)` returns a member for `EndingKeys`.

    Returns what restarts instances as planned, for those who have to know what it knows.
    """
    log, table, outputs = context.log, context.supervisor.table, context.performer.outputs
    announcer = Announcer(log, table, outputs, context.reactor.now, context.identity.signals)
    writer = programs.writer
    changed, gone, applying, applied = writer.changed, writer.gone, writer.applying, writer.applied
    bus.join(BusMember(REMEMBER, changed, changed, gone, applying, applied, writer.flush_soon))
    bus.join(BusMember(TELL, announcer.changed))
    bus.join(BusMember(TELL, audience.changed, applied=audience.applied))
    bus.join(BusMember(REACT, gone=outputs.last_words.forget, applied=LiveKeys(log, table, outputs).applied))
    bus.join(BusMember(REACT, applied=HealthKey(programs.probes.health).applied))
    bus.join(BusMember(REACT, preparing=AddressKey(table).preparing))
    bus.join(BusMember(REACT, preparing=SocketKey(context.sockets).preparing))
    bus.join(BusMember(REACT, applied=ScheduleKey(context.schedules).applied))
    bus.join(BusMember(REACT, applied=AlertRules(context.alerts).applied))
    keys = EndingKeys(bus, follow_ends)
    bus.join(BusMember(REACT, applying=keys.applying, applied=keys.applied))
    for config in (origin.config, *([origin.saved.config] if origin.saved else [])):
        keys.join(config)
    _begin_alerts(context, origin)
    if origin.has_schedules:
        context.schedules()
    handed = origin.handed
    places = (handed.path, handed.places, origin.state_path, (origin.history_place, origin.alerts_place))
    performer, errands = programs.performer, programs.errands
    acting = (performer.deliver, performer.signal_leader, performer.instances)
    parts = (context.reactor, context.supervisor, *acting, log, bus, errands, *places)
    planned = PlannedRestarts(Made(lambda: renewing.Renewing(renewing.RenewingParts(*parts))))
    for config in (origin.config, *([origin.saved.config] if origin.saved else [])):
        planned.load_for(config)
    bus.join(BusMember(REACT, applied=planned.applied))
    return planned


class PlannedRestarts:
    """Has planned restarts made with the first configuration that needs them, and hands over what they know."""

    def __init__(self, made: Made[Renewing]) -> None:
        self._made = made

    def load_for(self, config: Config) -> None:
        """Have them made if a program needs them."""
        if any(program.recycle or program.watch for program in config.programs):
            self._made().load_for(config)

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Follow a reload."""
        self.load_for(plan.config)
        yield from ()

    def to_data(self) -> Iterable[Mapping[str, Any]]:
        """Return what the daemon after an upgrade has to know."""
        return self._made.made.to_data() if self._made.made else ()

    def resume(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Go on after an upgrade."""
        if rows:
            self._made().resume(rows)


def go_on(context: Context, programs: Programs, origin: Origin) -> None:
    """Go on with what an earlier daemon has known of readiness and health, and with the runs of schedules."""
    programs.probes.resume(context.supervisor.table, origin)
    if context.schedules.made:
        context.schedules.made.begin()


def register_facts(registry: Registry, context: Context, access: Access) -> None:
    """Register the facts about the daemon itself that the next one needs, by the names of `state.Facts`."""
    performer, groups = context.performer, context.performer.instances.groups
    registry.register("ignored", lambda: sorted(groups.below.ignored))
    registry.register("freed", lambda: sorted(groups.freed_sessions))
    registry.register("left", lambda: sorted(groups.left))
    registry.register("proven_since", lambda: groups.below.proven_since)
    registry.register("stopping", lambda: context.supervisor.stopping)
    registry.register("problems", lambda: context.configuration.problems)
    registry.register("reloaded_at", lambda: context.configuration.reloaded_at, context.configuration.resume)
    registry.register("loglevel", lambda: context.log.level, context.log.set_level)
    registry.register("alerts", lambda: made.to_data() if (made := context.alerts.made) else ())
    registry.register("rolls", lambda: made.to_data() if (made := context.supervisor.rolls.made) else ())
    registry.register(
        "scales",
        lambda: context.overlays().rows() if context.supervisor.table.overlay else (),
        lambda rows: context.overlays().resume(rows) if rows else None,
    )
    registry.register("trial", lambda: made.trial_row() if (made := context.reloading.made) else None)
    registry.register("pipes", lambda: list(performer.outputs.left.items()))
    registry.register("door", lambda: access.inode)
    registry.register("occupied", performer.occupants.to_data, performer.occupants.resume)


class Life(Record):
    """All that an upgrade hands over."""

    base: Foundation
    programs: Programs
    context: Context
    audience: Audience
    access: Access
    planned: PlannedRestarts


def make_upgrade(origin: Origin, life: Life, unheard: Callable[[], bool]) -> Made[Upgrade]:
    """Return what runs upgrades; `unheard()` returns whether a signal was noted but not handled yet."""
    base, programs, context, running = life.base, life.programs, life.context, origin.configured
    # what is handed over instead of these is of the moment; the daemon must not hold the old ones
    handed = origin.handed.replace(mark_key=base.proofs.key.hex(), config={}, life=None)

    def make() -> Upgrade:
        parts = handover.ProcessParts(
            life.audience,
            base.sinks,
            life.access,
            base.guard,
            programs.probes.readiness,
            programs.probes.health,
            programs.probes.hooks,
            programs.reading.keeping,
            programs.reading.sockets,
            life.planned.to_data,
        )
        leaving = handover.Handover(handed, running, context, programs.rows, parts, unheard)
        return upgrade.Upgrade(context, leaving, programs.errands())

    return Made(make)
