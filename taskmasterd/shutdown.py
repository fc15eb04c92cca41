"""The orderly stop of the daemon: it stops all programs in parallel, then strays, then answers the waiting clients.

A stop cannot be undone: a second request only adds a client that waits.
"""

from __future__ import annotations

from taskmaster_common.errors import RequestError, system_reason
from taskmaster_common.protocol import end, refusal
from taskmaster_common.states import STOPPING
from taskmasterd.core.process.machine import KILL_GRACE_S
from taskmasterd.core.programs.ticket import Ticket
from taskmasterd.core.words.describe import NAMED_LEFT, detail, not_allowed
from taskmasterd.processes.stop_signals import name_with_owner
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.loop.slices import Looks, in_bursts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.programs.ticket import Outcome
    from taskmasterd.system.procfs import Survivor
    from taskmasterd.telling.notify_socket import Notifier

LAST_WAIT_S = 5.0
"""Wait after the last SIGKILL for processes that do not end, seconds."""
NO_DAEMON_ANY_MORE = 4
"""Exit code of clients that were following something when the daemon ended."""
PROGRESS_EVERY_S = 1.0
EXTEND_S = 10.0
"""Time that each sign of life requests from systemd, seconds: a stuck loop requests none, so systemd kills it."""


class Stopping:
    """The orderly stop."""

    def __init__(self, context: Context, notifier: Notifier) -> None:
        self.exit_code = 0
        self._context = context
        self._groups = groups = context.performer.instances.groups
        self._notifier = notifier
        self._waiting: list[Connection] = []
        self._by = ""
        self._alive = 0
        self._begun = False
        self._sweeping = False
        self._signal, self._told = signal.SIGTERM, 0
        self._strays: Sequence[Survivor] = ()
        self._looks = Looks(context.reactor, lambda: groups.look_for_strays(self.free()), self._found, self._blind)
        self._unended: list[str] = []

    def begin(self, by: str, connection: Connection | None) -> None:
        """Begin the orderly stop, or join it; answer `connection` once everything has ended."""
        if connection is not None:
            self._waiting.append(connection)
        if self._begun:
            return
        self._begun = True
        self._by = by
        self._alive = sum(entry.process.pid is not None for entry in self._context.supervisor.table)
        # first of all: if this daemon dies now, the next one must not start its programs again
        self._context.supervisor.refuse_starts()
        self._context.state.flush()
        self._context.log.write("info", f"stopping all programs, asked by {by}")
        reactor = self._context.reactor
        if self._context.reloading.made:
            self._context.reloading.made.stop()
        timeout_s = self._context.configuration.config.daemon.shutdown_timeout
        self._notifier.stopping(timeout_s + LAST_WAIT_S)
        reactor.call_later(timeout_s, lambda: self.kill("shutdown_timeout"))
        reactor.call_later(PROGRESS_EVERY_S, self._progress)
        ticket = Ticket(self._stopped, self._sweep, lambda _entry: None)
        reactor.rounds.begin(self._context.supervisor.shutdown(by, ticket, reactor.now))

    def urge(self, by: str) -> None:
        """Begin the orderly stop; if it has begun already, end everything at once."""
        if self._begun:
            self.kill(by)
        else:
            self.begin(by, None)

    def kill(self, by: str) -> None:
        """End everything at once, with SIGKILL."""
        self.begin(by, None)
        if self._sweeping:
            return
        self._context.log.write("warning", f"killing all programs, asked by {by}")
        self._context.supervisor.kill_all(by, self._context.reactor.now())

    def look(self) -> None:
        """Look whether the strays are gone; call this when children have ended."""
        if self._sweeping:
            self._sweep()

    def answer(self) -> None:
        """Answer all waiting clients, as the last act of the daemon."""
        error = None
        if self.exit_code:
            named = "; ".join(self._unended[:NAMED_LEFT]) or "something"
            error = RequestError("failed", f"could not be ended: {named}; the event log names all", self.exit_code)
        done = {"type": "shutdown", "by": self._by, "stopped": self._alive, "pid": self._context.identity.pid}
        for connection in self._waiting:
            if not connection.closed:
                if not error:
                    connection.send(done)
                connection.end(end(self.exit_code, error))

    def farewell(self) -> dict[str, Any]:
        """Return the `end` of endless replies, such as `logs --follow`."""
        return refusal(RequestError("stopping", f"taskmasterd was shut down by {self._by}", NO_DAEMON_ANY_MORE))

    def _stopped(self, entry: Entry, outcome: Outcome) -> None:
        if not outcome.ok:
            name = self._context.supervisor.table.name(entry)
            why = detail(entry.process, entry.policy, self._context.reactor.now(), self._context.identity.signals)
            self._context.log.write("error", f"{name} could not be ended: {why}")
            self._unended.append(f"{name} ({why})")
            self.exit_code = 1

    def _sweep(self) -> None:
        """End the strays below us, now that all programs are down, except those that `stopasgroup: false` leaves alone."""
        if not self._sweeping:
            self._sweeping = True
            self._context.reactor.call_later(KILL_GRACE_S, self._kill_strays)
            self._context.reactor.call_later(KILL_GRACE_S + LAST_WAIT_S, self._give_up)
        self._looks.ask()

    def _kill_strays(self) -> None:
        self._signal = signal.SIGKILL
        self._looks.ask()

    def _found(self, strays: Sequence[Survivor]) -> None:
        """Send each stray each of the two signals once; end the daemon with the last of them."""
        self._strays = strays
        if not strays:
            self._context.reactor.stop()
        elif self._told != self._signal:
            self._told = self._signal
            in_bursts(self._context.reactor, self._groups.signalling_all(strays, self._told), self._signalled)

    def _signalled(self, refused: Sequence[Survivor]) -> None:
        told = [stray for stray in self._strays if stray not in refused]
        if told:
            names = ", ".join(map(str, told[:NAMED_LEFT]))
            name = "SIGKILL" if self._told == signal.SIGKILL else "SIGTERM"
            self._context.log.write("warning", f"{name} to {len(told)} left-behind: {names}")
        if refused:
            self._context.log.write("error", not_allowed(tuple(map(name_with_owner, refused))))

    def _blind(self, error: OSError) -> None:
        self._context.log.write("warning", f"cannot look for what programs left behind: {system_reason(error)}")

    def _give_up(self) -> None:
        self._unended += [name_with_owner(stray) for stray in self._strays]
        self._context.log.write("error", f"left alive, could not be ended: {', '.join(map(str, self._strays))}")
        self.exit_code = 1
        self._context.reactor.stop()

    def leave_alone(self) -> bool:
        """Remember the processes that this stop leaves alone on purpose; returns whether there are any."""
        return self._groups.leave_alone(self.free())

    def free(self) -> frozenset[str]:
        """Return the programs whose survivors are left alone."""
        return frozenset(entry.program for entry in self._context.supervisor.table if not entry.wanted.stopasgroup)

    def _progress(self) -> None:
        """Send a sign of life to the waiting clients, and to systemd."""
        self._context.reactor.call_later(PROGRESS_EVERY_S, self._progress)
        self._notifier.extend(EXTEND_S)
        busy = [entry for entry in self._context.supervisor.table if entry.process.state == STOPPING]
        name = self._context.supervisor.table.name(busy[0]) if busy else ""
        text = f"waiting for {len(busy)} process{'es' if len(busy) != 1 else ''}"
        for connection in self._waiting:
            connection.send({"type": "progress", "name": name, "text": text, "heartbeat": True})
