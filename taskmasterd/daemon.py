"""Composition root of the resident daemon: builds the wings, from the lowest one up, connects them, and runs the loop.

Each object gets what it needs when it is made; where two need each other, the one that is made first gets a function.
"""

from __future__ import annotations

import os

from taskmaster_common import __version__
from taskmasterd.by_signal import SignalRequests
from taskmasterd.configuration.effects import LiveKeys
from taskmasterd.configuration.loading import Loading
from taskmasterd.configuration.reload import Begun, Reloader
from taskmasterd.control.access import Access, Bound, Clients
from taskmasterd.control.call import DaemonActions
from taskmasterd.control.context import Context, identity_of
from taskmasterd.control.handlers import Handlers
from taskmasterd.fallbacks import POWER_SIGNALS
from taskmasterd.foundation import build_programs, lay_foundation, register_facts
from taskmasterd.shutdown import Stopping
from taskmasterd.survival.guardian_channel import Acknowledgement
from taskmasterd.survival.guardian_loss import GuardianLoss
from taskmasterd.survival.handover import Handover, ProcessParts
from taskmasterd.survival.takeover import Takeover
from taskmasterd.survival.upgrade import Upgrade
from taskmasterd.system.loop.cmodules import partial, signal
from taskmasterd.system.loop.signals import Signals, hold_back
from taskmasterd.system.reaper import reap
from taskmasterd.telling.audience import Audience
from taskmasterd.telling.bus import REACT, REMEMBER, TELL, Bus, BusMember
from taskmasterd.telling.eventlog import Announcer
from taskmasterd.telling.systemd import Systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.foundation import Foundation, Programs
    from taskmasterd.installed import Installed
    from taskmasterd.survival.disk.writer import StateWriter
    from taskmasterd.survival.start_state import Origin


def build_context(origin: Origin, base: Foundation, programs: Programs, bus: Bus, installed: Installed) -> Context:
    """Return what requests work with."""
    handed = origin.handed
    options = {"daemonized": not handed.foreground, "pid1": handed.pid1, "lenient_users": False}
    read = partial(Loading, programs.errands, environment=os.environ, options=options, installed=installed)
    begun = Begun(origin.config, origin.configured, origin.facts.problems)
    return Context(
        identity_of(handed.places, handed.life.started if handed.life else base.reactor.now()),
        base.reactor,
        programs.supervisor,
        programs.performer,
        Reloader(base.reactor, programs.supervisor, base.log, begun, bus, read),
        base.log,
        programs.writer,
        installed,
    )


def join_bus(bus: Bus, context: Context, writer: StateWriter, audience: Audience) -> None:
    """Say who gets to know of changes, in this order."""
    log, table, outputs = context.log, context.supervisor.table, context.performer.outputs
    announcer = Announcer(log, table, outputs, context.reactor.now, context.identity.signals)
    changed, gone, applying, applied = writer.changed, writer.gone, writer.applying, writer.applied
    bus.join(BusMember(REMEMBER, changed, changed, gone, applying, applied, writer.flush_soon))
    bus.join(BusMember(TELL, announcer.changed))
    bus.join(BusMember(TELL, audience.changed, applied=audience.applied))
    bus.join(BusMember(REACT, gone=outputs.last_words.forget, applied=LiveKeys(log, table, outputs).applied))


class Daemon:
    """Everything that lives as long as the daemon.

    `on_error`, where it is given, gets the errors that nobody catches, instead of the event log.
    """

    def __init__(
        self, origin: Origin, installed: Installed, on_error: Callable[[BaseException], None] | None = None
    ) -> None:
        self._base = base = lay_foundation(origin, on_error, self._orphans_ended, lambda: loss())  # noqa: PLW0108 - made below
        reactor, notifier, handed, bus = base.reactor, base.notifier, origin.handed, Bus()
        programs = build_programs(origin, base, bus)
        self._context = context = build_context(origin, base, programs, bus, installed)
        self._writer, self._errands = programs.writer, programs.errands
        self._stopping = stopping = Stopping(context, notifier, origin.configured.shutdown_timeout)
        self._systemd = systemd = Systemd(reactor, notifier, programs.supervisor.table, programs.performer)
        audience = Audience(handed.life.sequence if handed.life else 0)
        handlers = Handlers(
            context,
            DaemonActions(stopping.begin, lambda: requests.reopen(), lambda asked: upgrade.begin(asked), audience),  # noqa: PLW0108
        )
        self._access = access = Access(
            context,
            Bound(base.holdings.listener, context.identity.socket, origin.door),
            origin.configured,
            Clients(handlers.handle, handlers.resume),
            base.guard.listener if base.guard else lambda _fd: None,
        )
        self._requests = requests = SignalRequests(context, access, base.sinks, notifier)
        self._signals: Signals | None = None
        handover = Handover(
            handed.replace(mark_key=base.proofs.key.hex()),
            origin.configured,
            context,
            programs.rows,
            ProcessParts(audience, base.sinks, access, base.guard),
            lambda: self._signals is not None and self._signals.unheard,
        )
        self._upgrade = upgrade = Upgrade(context, handover, programs.errands)
        loss = GuardianLoss(context, notifier, base.holdings)
        self._acknowledge = Acknowledgement(
            reactor, base.guard, programs.writer.flush, lambda: programs.performer.settled
        )
        self._takeover = Takeover(context, base.proofs, base.guard, bus.applied)
        register_facts(base.registry, context, access)
        join_bus(bus, context, programs.writer, audience)
        bus.join(BusMember(REACT, applied=stopping.applied))
        bus.join(BusMember(REACT, systemd.changed, applied=systemd.applied))

    def begin(self, origin: Origin) -> None:
        """Take over what an earlier daemon left, and set going what is to run. Raises TaskmasterError where it must not."""
        how = "goes on after an upgrade" if origin.legacy.same else "started"
        self._context.log.write("info", f"taskmasterd {__version__} {how} (pid {os.getpid()}, {origin.config.path})")
        self._takeover.begin(origin)
        self._writer.begin(origin.identity, origin.config)
        self._acknowledge.send_later()
        if origin.handed.life:
            self._access.resume(origin.handed.life.connections)
            self._base.sinks.settle()
        if origin.saved and origin.saved.facts.stopping and not origin.launched:
            self._stopping.begin("a request to an earlier daemon", None)

    def listen(self, *, pid1: bool) -> None:
        """Hear signals from now on, those too that came before."""
        stopping, names = self._stopping, self._context.identity.signals
        stops = (signal.SIGTERM, signal.SIGINT, *(POWER_SIGNALS if pid1 else ()))
        callbacks: dict[int, Callable[[], None]] = {
            **{each: partial(stopping.begin, f"SIG{names[each]}", None) for each in stops},
            signal.SIGCHLD: self._children_ended,
            signal.SIGQUIT: lambda: stopping.urge("SIGQUIT"),
            signal.SIGHUP: self._requests.hang_up,
            signal.SIGUSR1: self._requests.reopen,
            signal.SIGUSR2: self._requests.reopen,
        }
        self._signals = Signals(self._base.reactor, callbacks)

    def run(self, turns: int | None = None) -> int:
        """Work until the orderly stop is through, clean up; returns the exit code. Or only work, for so many `turns`."""
        self._children_ended()
        if self._base.guard:
            self._base.guard.up()
        # the socket is served from the next turn on, and by another daemon should this one die
        self._base.holdings.answer_launcher()
        self._systemd.begin()
        self._base.reactor.run(turns)
        if turns is not None:
            return 0
        hold_back()  # for good: while the interpreter ends it has no handlers, and one more signal would kill it
        if self._signals:
            self._signals.close()
        return self._clean_up()

    def _clean_up(self) -> int:
        base, stopping = self._base, self._stopping
        base.log.write("info", f"taskmasterd stopped (exit {stopping.exit_code})")
        if base.guard:
            base.guard.bye()
        self._writer.end(keep=stopping.leave_alone(), forget_key=stopping.exit_code == 0)
        self._access.close()
        base.holdings.release_pidfile()
        self._upgrade.give_up()
        stopping.answer()
        self._context.performer.outputs.drain()
        base.holdings.give_back_logs()
        self._access.server.close(stopping.farewell())
        base.sinks.close()
        base.notifier.close()
        return stopping.exit_code

    def _children_ended(self) -> None:
        self._context.performer.ends.children_ended(self._errands.others(reap()))
        self._stopping.look()

    def _orphans_ended(self, ended: list[tuple[int, int]]) -> None:
        self._context.performer.ends.orphans_ended(ended)
        self._stopping.look()
        self._acknowledge.send_later()
