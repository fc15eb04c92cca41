"""The middle of the composition root (`daemon`): what requests work with, who gets to know of changes, and the live upgrade."""

from __future__ import annotations

import os

from taskmaster_common.records import Record
from taskmasterd.configuration.current import Current
from taskmasterd.configuration.effects import EndingKeys, HealthKey, LiveKeys
from taskmasterd.control.context import Context, identity_of
from taskmasterd.ondemand import Made, on_demand
from taskmasterd.telling.bus import REACT, REMEMBER, TELL, Bus, BusMember
from taskmasterd.telling.eventlog import Announcer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.configuration import loading, reload
    from taskmasterd.configuration.loading import Loading, LoadResult
    from taskmasterd.control import rights
    from taskmasterd.control.access import Access
    from taskmasterd.foundation import Foundation, Programs
    from taskmasterd.installed import Installed
    from taskmasterd.survival import handover, upgrade
    from taskmasterd.survival.start_state import Origin
    from taskmasterd.survival.upgrade import Upgrade
    from taskmasterd.telling import audit
    from taskmasterd.telling.audience import Audience
else:
    audit = on_demand("taskmasterd.telling.audit")
    loading = on_demand("taskmasterd.configuration.loading")
    reload = on_demand("taskmasterd.configuration.reload")
    rights = on_demand("taskmasterd.control.rights")
    handover = on_demand("taskmasterd.survival.handover")
    upgrade = on_demand("taskmasterd.survival.upgrade")


def build_context(origin: Origin, base: Foundation, programs: Programs, bus: Bus, installed: Installed) -> Context:
    """Return what requests work with."""
    handed = origin.handed
    options = {"daemonized": not handed.foreground, "pid1": handed.pid1, "lenient_users": False}
    current = Current(origin.config, origin.configured, origin.facts.problems)

    def read(path: str, done: Callable[[LoadResult], None]) -> Loading:
        return loading.Loading(
            programs.errands(), path, done, environment=os.environ, options=options, installed=installed
        )

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
    )


def join_bus(
    bus: Bus,
    origin: Origin,
    context: Context,
    programs: Programs,
    audience: Audience,
    follow_ends: Callable[[bool], BusMember],
) -> None:
    """Say who gets to know of changes, in this order; `follow_ends(applying)` returns a member for `EndingKeys`."""
    log, table, outputs = context.log, context.supervisor.table, context.performer.outputs
    announcer = Announcer(log, table, outputs, context.reactor.now, context.identity.signals)
    writer = programs.writer
    changed, gone, applying, applied = writer.changed, writer.gone, writer.applying, writer.applied
    bus.join(BusMember(REMEMBER, changed, changed, gone, applying, applied, writer.flush_soon))
    bus.join(BusMember(TELL, announcer.changed))
    bus.join(BusMember(TELL, audience.changed, applied=audience.applied))
    bus.join(BusMember(REACT, gone=outputs.last_words.forget, applied=LiveKeys(log, table, outputs).applied))
    bus.join(BusMember(REACT, applied=HealthKey(programs.probes.health).applied))
    keys = EndingKeys(bus, follow_ends)
    bus.join(BusMember(REACT, applying=keys.applying, applied=keys.applied))
    for config in (origin.config, *([origin.saved.config] if origin.saved else [])):
        keys.join(config)


class Life(Record):
    """All that an upgrade hands over."""

    base: Foundation
    programs: Programs
    context: Context
    audience: Audience
    access: Access


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
        )
        leaving = handover.Handover(handed, running, context, programs.rows, parts, unheard)
        return upgrade.Upgrade(context, leaving, programs.errands())

    return Made(make)
