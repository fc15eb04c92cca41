"""The lower half of the composition root (`daemon`): log, loop and guardian, and the parts above that supervise programs."""

from __future__ import annotations

import os

from taskmaster_common.config import EVENT_LOG_BACKUPS, EVENT_LOG_MAXBYTES
from taskmaster_common.errors import system_reason
from taskmaster_common.records import Record
from taskmasterd import ondemand
from taskmasterd.core.process.events import HOOK
from taskmasterd.core.process.state import HOOKS, PRE_RESTART
from taskmasterd.core.programs.supervisor import Supervisor, SupervisorEffects
from taskmasterd.core.programs.table import WATCHDOG
from taskmasterd.core.words.history import by_of
from taskmasterd.limiting import build_cgroups, build_limits
from taskmasterd.ondemand import Made, on_demand
from taskmasterd.output.ledger.trouble import Over
from taskmasterd.output.log.rotation import Allowance
from taskmasterd.output.sinks import Sinks
from taskmasterd.output.streams import Outputs, Ways
from taskmasterd.processes.deadlines import Deadlines
from taskmasterd.processes.instance import Instances
from taskmasterd.processes.members.groups import Groups
from taskmasterd.processes.members.proofs import Proofs, key_at, spare_key
from taskmasterd.processes.performer import Outlets, Performer
from taskmasterd.processes.preparation import inherited_by_children
from taskmasterd.reading import Piping, Reading, ReadingParts, build_piping, build_reading
from taskmasterd.survival.disk.file import StateFile
from taskmasterd.survival.disk.rows import Rows
from taskmasterd.survival.disk.writer import StateWriter
from taskmasterd.survival.holdings import Holdings
from taskmasterd.survival.state import Registry
from taskmasterd.system.loop.reactor import Reactor
from taskmasterd.system.loop.signals import signal_numbers
from taskmasterd.system.paths.rundir import RuntimeDirectory
from taskmasterd.system.procfs import boot_id, keep_reserve
from taskmasterd.telling.bus import REACT, BusMember
from taskmasterd.telling.eventlog import EventLog
from taskmasterd.telling.history import History
from taskmasterd.telling.notify_socket import Notifier, stderr_is_journal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskmasterd import piping
    from taskmasterd.core.process.events import Action, Signalled
    from taskmasterd.core.programs import restarting, rolling
    from taskmasterd.core.programs.checks import Refusal
    from taskmasterd.core.programs.rollnews import RollNews
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.words import rolls
    from taskmasterd.output.elsewhere import events
    from taskmasterd.output.formatted import spools
    from taskmasterd.output.formatted.spools import Spools
    from taskmasterd.probing import children, health, hook, hooks, leftovers, readiness, ways
    from taskmasterd.probing.children import Children
    from taskmasterd.probing.health import HealthChecks
    from taskmasterd.probing.hooks import Hooks
    from taskmasterd.probing.leftovers import Mark
    from taskmasterd.probing.readiness import Readiness
    from taskmasterd.probing.tries import queue
    from taskmasterd.probing.ways import Asking
    from taskmasterd.processes import errand
    from taskmasterd.processes.errand import Errands
    from taskmasterd.survival import guardian_channel
    from taskmasterd.survival.guardian_channel import Guard
    from taskmasterd.survival.start_state import Origin
    from taskmasterd.survival.state import Saved
    from taskmasterd.telling.bus import Bus
else:
    piping = on_demand("taskmasterd.piping")
    restarting = on_demand("taskmasterd.core.programs.restarting")
    rolling = on_demand("taskmasterd.core.programs.rolling")
    rolls = on_demand("taskmasterd.core.words.rolls")
    events = on_demand("taskmasterd.output.elsewhere.events")
    spools = on_demand("taskmasterd.output.formatted.spools")
    errand = on_demand("taskmasterd.processes.errand")
    children = on_demand("taskmasterd.probing.children")
    queue = on_demand("taskmasterd.probing.tries.queue")
    leftovers = on_demand("taskmasterd.probing.leftovers")
    health = on_demand("taskmasterd.probing.health")
    hook = on_demand("taskmasterd.probing.hook")
    hooks = on_demand("taskmasterd.probing.hooks")
    readiness = on_demand("taskmasterd.probing.readiness")
    ways = on_demand("taskmasterd.probing.ways")
    guardian_channel = on_demand("taskmasterd.survival.guardian_channel")


class Foundation(Record):
    """The parts that exist before the daemon knows any program. `state_file` is None without a directory for it."""

    registry: Registry
    holdings: Holdings
    guard: Guard | None
    sinks: Sinks
    log: EventLog
    reactor: Reactor
    notifier: Notifier
    proofs: Proofs
    state_file: StateFile | None


def lay_foundation(
    origin: Origin,
    on_error: Callable[[BaseException], None] | None,
    on_ends: Callable[[list[tuple[int, int]]], None],
    on_lost: Callable[[], None],
) -> Foundation:
    """Return the foundation; `on_ends` and `on_lost` are for `Guard`. Raises SystemFailure if the log cannot be opened."""
    handed, channel = origin.handed, origin.channel
    keep_reserve()
    ondemand.keep_reserve()
    key, keyless = key_at(origin.state_path, spare_key(handed.mark_key))
    log: EventLog | None = None
    unsaid: list[str] = []  # opening the log's own file may cause the first warning
    sinks = Sinks(lambda text: log_trouble(log, text) if log else unsaid.append(text), Allowance())
    if handed.life:
        sinks.inherit(handed.life.sinks)
    stderr = sinks.acquire("/dev/stderr", 0, 0, None) if handed.foreground else None
    logfile = handed.places.get("logfile")

    def later(seconds: float, callback: Callable[[], None]) -> None:
        reactor.call_later(seconds, callback)

    target = sinks.acquire(logfile, EVENT_LOG_MAXBYTES, EVENT_LOG_BACKUPS, None) if logfile else None
    elsewhere = handed.places.get("events")
    messages = events.EventMessages(elsewhere, later) if elsewhere else None
    history = History(origin.history_place, origin.configured.history, boot_id(), later)
    log = EventLog(handed.loglevel, target, stderr, journal=stderr_is_journal(), history=history, messages=messages)
    if messages and messages.native:
        history.listen(messages.noted)
    for text in unsaid:
        log_trouble(log, text)
    reactor = Reactor(on_error or log.bug)
    if keyless:
        log.write("warning", f"{keyless}; a later daemon that has no state does not know these programs again")
    return Foundation(
        Registry(origin.facts),
        Holdings(handed.places, handed.fds),
        guardian_channel.Guard(reactor, channel, origin.legacy.ends, on_ends, on_lost) if channel is not None else None,
        sinks,
        log,
        reactor,
        Notifier(os.environ),
        Proofs(key, handed.places["socket"]),
        StateFile(origin.state_path, "" if keyless else key.hex()) if origin.state_path else None,
    )


def log_trouble(log: EventLog, text: str) -> None:
    """Say that a log cannot be written, or can be again."""
    log.note("", "log-trouble", reason=text, over=isinstance(text, Over) or None)
    log.write("warning", text)


class Probes(Record):
    """What asks programs, listens to them and runs their hooks, with the `children` of all of it. Made once a program needs it."""

    children: Made[Children]
    readiness: Made[Readiness]
    health: Made[HealthChecks]
    hooks: Made[Hooks]

    def load_for(self, origin: Origin) -> None:
        """Make what the programs of this daemon need, or those of an earlier one that may have asked."""
        programs = (*origin.config.programs, *(origin.saved.config.programs if origin.saved else ()))
        if any(program.ready or WATCHDOG in program.health for program in programs):
            self.readiness()
        if any(program.health for program in programs):
            self.health()
        if any(getattr(program.policy, key) for program in programs for key in (*HOOKS, PRE_RESTART)):
            self.hooks()

    def resume_hooks(self, saved: Saved | None) -> None:
        """Go on with the hooks of an earlier life, once the table has its processes."""
        for slot in saved.slots if saved else ():
            if slot.entry.process.hook:
                self.hooks().resume(slot.entry, slot.hook)

    def resume(self, table: Table, origin: Origin) -> None:
        """Go on with what was known of readiness and health, and with what the guardian has kept."""
        life = origin.handed.life
        if life and life.announced:
            self.readiness().resume(table, life.announced)
        if life and life.health:
            self.health().resume(life.health)
        if origin.legacy.announced:
            self.readiness().resume_kept(table, origin.legacy.announced)

    def end_orphans(self, proofs: Proofs, alerts: Sequence[Mark] = ()) -> str:
        """Kill the probes, hooks and alerts of an earlier daemon, but for those that go on; return why that was impossible, or ""."""
        try:
            if self.children.made:
                leftovers.end_orphans(proofs, (*(self.hooks.made.marks if self.hooks.made else ()), *alerts))
        except OSError as error:
            return f"cannot look for probes and hooks of an earlier daemon: {system_reason(error)}"
        return ""


class Programs(Record):
    """The parts that supervise programs, and save their state."""

    supervisor: Supervisor
    performer: Performer
    errands: Made[Errands]
    reading: Reading
    probes: Probes
    writer: StateWriter
    rows: Rows
    spools: Made[Spools]
    piping: Piping

    def begin(self) -> None:
        """Open what programs that are to run need, once the table is complete."""
        self.reading.begin()
        self.piping.begin()

    def write_left(self) -> None:
        """Write what an earlier daemon has left in spools of pipes that are gone."""
        if self.spools.made:
            self.spools.made.finish_left()

    def leave(self) -> None:
        """Write what is left of formatted lines, and remove control groups, at the orderly end."""
        if self.spools.made:
            self.spools.made.leave()
        if self.performer.cgroups.made:
            self.performer.cgroups.made.close()


def build_programs(origin: Origin, base: Foundation, bus: Bus) -> Programs:
    """Return the parts that supervise programs, with an empty table."""
    reactor, guard, facts = base.reactor, base.guard, origin.facts
    ignored = None if origin.launched else facts.ignored
    groups = Groups(base.proofs, guard.pid if guard else 0, ignored, facts.proven_since or 0, facts.freed, facts.left)
    deadlines = Deadlines(reactor, lambda entry: supervisor.deadline_reached(entry, reactor.now()))

    def perform(entry: Entry, action: Action) -> Signalled | None:
        if action != HOOK:
            return performer.perform(entry, action)
        probes.hooks().begin(entry)
        return None

    effects = SupervisorEffects(
        perform,
        deadlines.arm,
        lambda steps: reactor.call_soon(lambda: reactor.rounds.begin(steps())),
        lambda entry, reason, done: probes.hooks().check(entry, reason, done),
        lambda: performer.starts.hold(),  # noqa: PLW0108 - it is made below
        lambda before, wanted: inherited.limits().refused(before.may_use, wanted.may_use),
        lambda entry: live().update(entry),
    )
    supervisor = Supervisor(effects, bus, reactor.now, Made(lambda: _rolls(supervisor, base)))
    log_dir, nofile = origin.handed.places.get("log_dir"), origin.handed.nofile
    inherited = inherited_by_children(os.environ, base.proofs, origin.configured.umask, log_dir, nofile)
    formatting, log = _spools(origin, base), base.log
    reads = build_piping(
        base.registry, lambda: piping.PipingParts(reactor, born, reading.keeping, log, bus, supervisor.table, writer)
    )
    ways = Ways(formatting, reads.loggers)
    outputs = Outputs(reactor, base.sinks, inherited.log_dir, inherited.null, guard, ways)
    instances = Instances(groups, outputs)
    rows = Rows(
        supervisor.table,
        base.registry,
        lambda entry: {**instances.row(entry), **(probes.hooks.made.row(entry) if probes.hooks.made else {})},
    )
    writer = StateWriter(reactor, supervisor.table, rows, base.state_file, log)
    errands = Made(lambda: errand.Errands(reactor, groups.below.ignored))
    parts = ReadingParts(reactor, errands, instances, writer.changed, log.write, bus, supervisor.table, base.registry)
    reading = build_reading(origin, parts)
    cgroups = build_cgroups(origin, reactor, log.write)
    performer: Performer = Performer(
        reactor,
        instances,
        inherited,
        writer,
        Outlets(
            lambda entry, event: supervisor.handle(entry, event, reactor.now()),
            lambda text: log.write("warning", text),
            reading.extras(lambda entry, account: probes.readiness().announce(entry, account), cgroups),
        ),
    )
    parts_of_limits = (reactor, instances, inherited.limits, writer.changed, cgroups, supervisor.table)
    live = build_limits(origin, bus, log, parts_of_limits)
    born = Made(lambda: children.Children(reactor, errands(), groups, inherited))
    probes = _probes(base, bus, supervisor, performer, born, writer)
    probes.load_for(origin)
    return Programs(supervisor, performer, errands, reading, probes, writer, rows, formatting, reads)


def _probes(
    base: Foundation, bus: Bus, supervisor: Supervisor, performer: Performer, born: Made[Children], writer: StateWriter
) -> Probes:
    """Return what asks programs, listens to them and runs their hooks; each is made when a program needs it."""
    asking = Made(lambda: _asking(base, performer, born()))
    checks = Made(lambda: _health(base, bus, supervisor, performer, asking()))
    becoming = Made(lambda: _readiness(bus, performer, asking(), checks, writer.changed, base.proofs.socket))
    return Probes(born, becoming, checks, Made(lambda: _hooks(base, bus, supervisor, performer, born(), writer)))


def _spools(origin: Origin, base: Foundation) -> Made[Spools]:
    """Return what formats logs; it exists at once where an earlier daemon has left something to write."""
    socket = origin.handed.places["socket"]
    rundir = RuntimeDirectory(os.environ, socket)
    made = Made(lambda: spools.Spools(base.reactor, base.sinks, rundir, socket))
    if rundir.has("spool"):
        made()
    return made


def _hooks(
    base: Foundation,
    bus: Bus,
    supervisor: Supervisor,
    performer: Performer,
    born: Children,
    writer: StateWriter,
) -> Hooks:
    """Return what runs hooks, as a member of the bus."""
    table, log = supervisor.table, base.log
    context = hook.HookContext(
        base.reactor,
        born,
        performer.outputs,
        {number: name for name, number in signal_numbers().items()},
        lambda entry, level, text: log.write(level, f"{table.name(entry)} {text}"),
        lambda entry, why, said: log.note(table.name(entry), "refused", reason=why, words=list(said) or None),
    )
    made: Hooks = hooks.Hooks(context, performer.deliver, writer.changed, lambda: supervisor.stopping)
    bus.join(BusMember(REACT, changed=made.changed))
    return made


def _asking(base: Foundation, performer: Performer, born: Children) -> Asking:
    """Return what probes are made from."""
    return ways.Asking(
        base.reactor,
        performer.outputs,
        born,
        {number: name for name, number in signal_numbers().items()},
        queue.Queue(base.reactor, queue.EXEC_AT_ONCE),
        queue.Queue(base.reactor, queue.CONNECTING_AT_ONCE),
    )


def _rolls(supervisor: Supervisor, base: Foundation) -> rolling.Rolls:
    """Return what restarts instances one after the other, and what it says in the event log."""
    reactor, table, signals = base.reactor, supervisor.table, {each: name for name, each in signal_numbers().items()}

    def tell(news: RollNews) -> str:
        level, text = rolls.roll_line(table, news)
        if news.kind not in rolls.UNDER_WAY:
            base.log.note(news.order.program, "rolled", reason=text, ok=level == "info", by=by_of(news.order.by))
        base.log.write(level, text)
        return text

    return rolling.Rolls(
        table,
        rolling.RollEffects(
            lambda entry, order, ask, told: reactor.rounds.begin(
                restarting.restart_in_turn(supervisor, entry, order, ask, told)
            ),
            reactor.call_soon,
            reactor.call_at,
            lambda entry, policy, fell: rolls.reason_of(table, entry, policy, fell, reactor.now(), signals),
            tell,
            reactor.now,
        ),
    )


def _readiness(
    bus: Bus,
    performer: Performer,
    asking: Asking,
    checks: Made[HealthChecks],
    remember: Callable[[Entry], None],
    socket: str,
) -> Readiness:
    """Return what finds out when instances become ready, as a member of the bus."""
    made = readiness.Readiness(asking, performer.deliver, checks, remember, socket)
    bus.join(BusMember(REACT, changed=made.changed, added=made.added, gone=made.forget))
    return made


def _health(base: Foundation, bus: Bus, supervisor: Supervisor, performer: Performer, asking: Asking) -> HealthChecks:
    """Return what checks whether instances are well, as a member of the bus."""

    def ask(entry: Entry, then: Callable[[Refusal | None], None]) -> None:
        supervisor.ask_first([entry], "unhealthy", lambda refused: then(refused.get(entry)))

    means = health.Means(
        asking, supervisor.table, performer.deliver, performer.signal_leader, base.log.write, ask, base.log.note
    )
    made = health.HealthChecks(means)
    bus.join(BusMember(REACT, made.changed, made.added, made.gone, applied=made.applied))
    return made
