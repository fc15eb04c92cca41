"""Keeps systemd informed: readiness, the number of running programs, and the watchdog."""

from __future__ import annotations

from taskmaster_common.states import FATAL, RUNNING

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Table
    from taskmasterd.core.steps import Steps
    from taskmasterd.processes.performer import Performer
    from taskmasterd.system.loop.reactor import Reactor, Timer
    from taskmasterd.telling.notify_socket import Notifier

STATUS_EVERY_S = 0.5
"""Shortest interval between two updates of the status line, seconds."""


class Systemd:
    """Sends ready, status and watchdog messages through `notifier`.

    Reload and stop messages are sent by the code that handles those events.
    """

    def __init__(self, reactor: Reactor, notifier: Notifier, table: Table, performer: Performer) -> None:
        self._reactor = reactor
        self._notifier = notifier
        self._table = table
        self._performer = performer
        self._status_due: Timer | None = None

    def begin(self) -> None:
        """Feed the watchdog, if there is one, and report readiness once every program with autostart has been started."""
        self._announce_ready()
        if self._notifier.watchdog_s:
            self._feed_watchdog()

    def changed(self, *_change: object) -> None:
        """Update the status line soon."""
        if self._notifier.wanted and self._status_due is None:
            self._status_due = self._reactor.call_later(STATUS_EVERY_S, self._tell_status)

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Update the status line soon, if a plan has changed anything."""
        if plan.changes:
            self.changed()
        yield from ()

    def _announce_ready(self) -> None:
        if self._performer.starts.pending:
            self._reactor.call_soon(self._announce_ready)
        elif self._notifier.wanted:
            self._notifier.ready()
            self._tell_status()

    def _tell_status(self) -> None:
        self._status_due = None
        states = [entry.process.state for entry in self._table]
        fatal = states.count(FATAL)
        self._notifier.status(f"{states.count(RUNNING)}/{len(states)} running" + (f", {fatal} fatal" if fatal else ""))

    def _feed_watchdog(self) -> None:
        self._notifier.alive()
        self._reactor.call_later(self._notifier.watchdog_s, self._feed_watchdog)
