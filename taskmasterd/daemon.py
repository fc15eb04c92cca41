"""Composition root of the resident daemon: builds the wings, from the lowest one up, connects them, and runs the loop.

Each object gets what it needs when it is made; where two need each other, the one that is made first gets a function.
"""

from __future__ import annotations

import os

from taskmaster_common import __version__
from taskmasterd.by_signal import SignalRequests
from taskmasterd.composition import Life, alert_marks, build_context, go_on, join_bus, make_upgrade, register_facts
from taskmasterd.control.access import Access, Bound, Clients
from taskmasterd.fallbacks import POWER_SIGNALS
from taskmasterd.foundation import build_programs, lay_foundation
from taskmasterd.ondemand import Made, on_demand
from taskmasterd.system.loop.cmodules import partial, signal
from taskmasterd.system.loop.signals import Signals, hold_back
from taskmasterd.system.reaper import reap
from taskmasterd.telling.audience import Audience
from taskmasterd.telling.bus import REACT, TELL, Bus, BusMember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd import by_end, shutdown
    from taskmasterd.control import call, handlers
    from taskmasterd.installed import Installed
    from taskmasterd.survival import guardian_channel, guardian_loss, takeover
    from taskmasterd.survival.start_state import Origin
    from taskmasterd.telling import systemd
else:
    call = on_demand("taskmasterd.control.call")
    handlers = on_demand("taskmasterd.control.handlers")
    guardian_channel = on_demand("taskmasterd.survival.guardian_channel")
    guardian_loss = on_demand("taskmasterd.survival.guardian_loss")
    by_end = on_demand("taskmasterd.by_end")
    shutdown = on_demand("taskmasterd.shutdown")
    systemd = on_demand("taskmasterd.telling.systemd")
    takeover = on_demand("taskmasterd.survival.takeover")


class Daemon:
    """Everything that lives as long as the daemon. `on_error` may get errors that nobody catches, instead of the event log."""

    def __init__(
        self, origin: Origin, installed: Installed, on_error: Callable[[BaseException], None] | None = None
    ) -> None:
        self._base = base = lay_foundation(origin, on_error, self._orphans_ended, self._guardian_lost)
        reactor, notifier, guard, handed, bus = base.reactor, base.notifier, base.guard, origin.handed, Bus()
        programs = build_programs(origin, base, bus)
        self._context = context = build_context(origin, base, programs, bus, installed)
        self._programs, self._bus = programs, bus
        self._stopping = stopping = Made(lambda: shutdown.Stopping(context, notifier))
        audience = Audience(handed.life.sequence if handed.life else 0)
        actions = Made(
            lambda: call.DaemonActions(
                stopping().begin, requests.reopen, lambda asked: upgrading().begin(asked), audience
            )
        )
        answering = Made(lambda: handlers.Handlers(context, actions()))
        self._access = access = Access(
            context,
            Bound(base.holdings.listener, context.identity.socket, origin.door),
            origin.configured,
            Clients(
                lambda connection, line: answering().handle(connection, line),
                lambda connection, data: answering().resume(connection, data),
            ),
            guard.listener if guard else lambda _fd: None,
        )
        self._requests = requests = SignalRequests(context, access, base.sinks, notifier)
        self._signals: Signals | None = None
        self._acknowledge = (
            guardian_channel.Acknowledgement(reactor, guard, programs.writer.flush, lambda: programs.performer.settled)
            if guard
            else None
        )
        # before subscribers: what is hidden from now on is not shown again
        bus.join(BusMember(TELL, applying=access.applying, applied=access.applied))
        register_facts(base.registry, context, access)
        base.registry.register("cause", self._cause, lambda cause: stopping().resume(cause))
        self._planned = join_bus(bus, origin, context, programs, audience, self._follow_ends)
        self._upgrade = upgrading = make_upgrade(
            origin,
            Life(base, programs, context, audience, access, self._planned),
            lambda: bool(self._signals and self._signals.unheard),
        )
        self._systemd = None
        if notifier.wanted:
            self._systemd = status = systemd.Systemd(reactor, notifier, programs.supervisor.table, programs.performer)
            bus.join(BusMember(REACT, status.changed, applied=status.applied))

    def begin(self, origin: Origin) -> None:
        """Take over what an earlier daemon left, and set going what is to run. Raises TaskmasterError where it must not."""
        how = "goes on after an upgrade" if origin.legacy.same else "started"
        self._context.log.write("info", f"taskmasterd {__version__} {how} (pid {os.getpid()}, {origin.config.path})")
        takeover.Takeover(self._context, self._base.proofs, self._base.guard, self._bus).begin(origin)
        self._programs.begin()
        self._programs.probes.resume_hooks(origin.saved)
        self._programs.write_left()
        self._programs.writer.begin(origin.identity, origin.config)
        self._acknowledge_later()
        if origin.handed.life:
            self._access.resume(origin.handed.life.connections)
            self._planned.resume(origin.handed.life.renewing)
            self._base.sinks.settle()
        go_on(self._context, self._programs, origin)
        if origin.stop_goes_on:
            self._stopping().begin("a request to an earlier daemon", None)

    def end_orphans(self) -> None:
        """Kill the probes, hooks and alerts that an earlier daemon has left."""
        trouble = self._programs.probes.end_orphans(self._base.proofs, alert_marks(self._context))
        if trouble:
            self._context.log.write("warning", trouble)

    def listen(self, *, pid1: bool) -> None:
        """Hear signals from now on, those too that came before."""
        stopping, names = self._stopping, self._context.identity.signals
        stops = (signal.SIGTERM, signal.SIGINT, *(POWER_SIGNALS if pid1 else ()))
        callbacks: dict[int, Callable[[], None]] = {
            **{each: partial(self._stop, f"SIG{names[each]}") for each in stops},
            signal.SIGCHLD: self._children_ended,
            signal.SIGQUIT: lambda: stopping().urge("SIGQUIT"),
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
        if self._systemd:
            self._systemd.begin()
        self._base.reactor.run(turns)
        if turns is not None:
            return 0
        hold_back()  # for good: while the interpreter ends it has no handlers, and one more signal would kill it
        if self._signals:
            self._signals.close()
        return self._clean_up()

    def _clean_up(self) -> int:
        base, stopping = self._base, self._stopping()
        stopping.log_end()
        self._programs.reading.bye()
        # while the socket is ours: a successor has spools and logs of its own, at the same paths
        self._context.performer.outputs.drain()
        base.holdings.give_back_logs()
        self._programs.leave()
        if base.guard:
            base.guard.bye(stopping.exit_code)
        self._programs.writer.end(keep=stopping.leave_alone(), forget_key=not stopping.failed)
        self._access.close()
        base.holdings.release_pidfile()
        if self._upgrade.made:
            self._upgrade.made.give_up()
        stopping.answer()
        self._access.dismiss(stopping.farewell())
        base.log.close()
        base.sinks.close()
        base.notifier.close()
        return stopping.exit_code

    def _children_ended(self) -> None:
        errands, ended = self._programs.errands.made, reap()
        self._context.performer.ends.children_ended(errands.others(ended) if errands else ended)
        self._look_for_strays()

    def _orphans_ended(self, ended: list[tuple[int, int]]) -> None:
        self._context.performer.ends.orphans_ended(ended)
        self._look_for_strays()
        self._acknowledge_later()

    def _stop(self, by: str) -> None:
        self._stopping().begin(by, None)

    def _cause(self) -> object:
        return self._stopping.made.cause_row() if self._stopping.made else None

    def _follow_ends(self, applying: bool) -> BusMember:
        return by_end.EndRequests(self._context, lambda cause: self._stopping().stop_for(cause), applying).member

    def _look_for_strays(self) -> None:
        if self._stopping.made:
            self._stopping.made.look()

    def _guardian_lost(self) -> None:
        guardian_loss.GuardianLoss(self._context, self._base.notifier, self._base.holdings)()

    def _acknowledge_later(self) -> None:
        if self._acknowledge:
            self._acknowledge.send_later()
