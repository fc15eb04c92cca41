"""The orderly stop of the daemon: programs, dependents before what they need, then strays, then answers to waiting clients.

A stop cannot be undone: a second request only adds a client that waits. The first cause decides with which code the daemon
exits: a client or a signal asks for 0, a program or `exit_when` for the code in its `Cause`. What cannot be ended is logged, and
makes a 1 of a 0 only.
"""

from __future__ import annotations

from taskmaster_common.errors import RequestError, system_reason
from taskmaster_common.protocol import end, refusal
from taskmaster_common.states import STOPPING
from taskmasterd.core.process.stopping import KILL_GRACE_S
from taskmasterd.core.programs.operations import kill_all, shutdown
from taskmasterd.core.programs.ticket import Ticket
from taskmasterd.core.words.describe import NAMED_LEFT, not_allowed
from taskmasterd.core.words.history import by_of
from taskmasterd.core.words.view import slot_detail
from taskmasterd.processes.stop_signals import name_with_owner
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.loop.slices import Looks, in_bursts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.programs.ticket import Outcome
    from taskmasterd.processes.members.groups import Groups
    from taskmasterd.survival.state import Cause
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
    """The orderly stop. `cause` is None unless the daemon ends by itself."""

    def __init__(self, context: Context, notifier: Notifier) -> None:
        self.cause: Cause | None = None
        self._context = context
        self._strays = Strays(context, self._end)
        self._notifier = notifier
        self._waiting: list[Connection] = []
        self._by = ""
        self._alive = 0
        self._begun = self._over = False
        self._unended: list[str] = []

    @property
    def failed(self) -> bool:
        """Whether something could not be ended."""
        return bool(self._unended)

    @property
    def exit_code(self) -> int:
        """The exit code of the daemon."""
        return (self.cause.code if self.cause else 0) or int(self.failed)

    def cause_row(self) -> object:
        """Return the cause as a fact for the next daemon."""
        return self.cause and self.cause.to_row()

    def resume(self, cause: Cause) -> None:
        """Adopt the cause of a stop that an earlier daemon had begun."""
        self.cause = cause

    def stop_for(self, cause: Cause) -> None:
        """Begin the orderly stop soon, because the daemon ends by itself; has no effect if a stop has a cause already.

        Not at once: this may be asked for in the midst of a take-over, which goes on as if nothing had happened.
        """
        if not (self.cause or self._begun):
            self.cause = cause
            self._context.reactor.call_soon(lambda: self.begin(cause.by, None))

    def begin(self, by: str, connection: Connection | None) -> None:
        """Begin the orderly stop, or join it; answer `connection` once everything has ended."""
        if connection is not None:
            self._waiting.append(connection)
        if self._begun:
            return
        self._begun = True
        self._by = by = self.cause.by if self.cause else by
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
        ticket = Ticket(self._stopped, self._end_loggers, lambda _entry: None)
        reactor.rounds.begin(shutdown(self._context.supervisor, by, ticket))

    def _end_loggers(self) -> None:
        """Let what reads output have all of it, then look for strays."""
        loggers = self._context.performer.outputs.commands
        if loggers and loggers.made:
            loggers.made.end_all(self._strays.sweep)
        else:
            self._strays.sweep()

    def urge(self, by: str) -> None:
        """Begin the orderly stop; if it has begun already, end everything at once."""
        if self._begun:
            self.kill(by)
        else:
            self.begin(by, None)

    def kill(self, by: str) -> None:
        """End everything at once, with SIGKILL."""
        self.begin(by, None)
        if self._strays.sweeping:
            return
        self._context.log.write("warning", f"killing all programs, asked by {by}")
        kill_all(self._context.supervisor, by)

    def look(self) -> None:
        """Look whether the strays are gone; call this when children have ended."""
        if self._strays.sweeping and not self._over:
            self._strays.sweep()

    def answer(self) -> None:
        """Answer all waiting clients, as the last act of the daemon. They asked for the stop, whatever the exit code is."""
        error = None
        if self.failed:
            named = "; ".join(self._unended[:NAMED_LEFT])
            error = RequestError("failed", f"could not be ended: {named}; the event log names all", 1)
        done = {"type": "shutdown", "by": self._by, "stopped": self._alive, "pid": self._context.identity.pid}
        for connection in self._waiting:
            if not connection.closed:
                if not error:
                    connection.send(done)
                connection.end(end(int(self.failed), error))

    def farewell(self) -> dict[str, Any]:
        """Return the `end` of endless replies, such as `logs --follow`."""
        return refusal(RequestError("stopping", f"taskmasterd was shut down by {self._by}", NO_DAEMON_ANY_MORE))

    def _stopped(self, entry: Entry, outcome: Outcome) -> None:
        if not outcome.ok:
            name = self._context.supervisor.table.name(entry)
            why = slot_detail(
                self._context.supervisor.table, entry, self._context.reactor.now(), self._context.identity.signals
            )
            self._context.log.write("error", f"{name} could not be ended: {why}")
            self._unended.append(f"{name} ({why})")

    def _end(self, unended: Sequence[str]) -> None:
        """Everything is down but for what could not be ended: say so, then let alerts have their last moment."""
        if self._over:
            return
        self._over = True
        self._unended += unended
        log, alerts = self._context.log, self._context.alerts.made
        log.history.sum_up()
        log.note("", "daemon-stop", by=by_of(self._by), code=self.exit_code)
        log.flush()
        if self._context.schedules.made:
            self._context.schedules.made.close()
        if alerts:
            alerts.finish(self._context.reactor.stop)
        else:
            self._context.reactor.stop()

    def leave_alone(self) -> bool:
        """Remember the processes that this stop leaves alone on purpose; returns whether there are any."""
        return self._strays.leave_alone()

    def last_line(self) -> tuple[str, str]:
        """Return level and text of the daemon's last line in the event log."""
        code = self.exit_code
        if self.cause is None:
            return "info", f"taskmasterd stopped (exit {code})"
        return "error" if code else "info", f"exiting {code}: {self.cause.text}"

    def log_end(self) -> None:
        """Write the last line of the event log."""
        self._context.log.write(*self.last_line())

    def _progress(self) -> None:
        """Send a sign of life to the waiting clients, and to systemd."""
        self._context.reactor.call_later(PROGRESS_EVERY_S, self._progress)
        self._notifier.extend(EXTEND_S)
        busy = [entry for entry in self._context.supervisor.table if entry.process.state == STOPPING]
        name = self._context.supervisor.table.name(busy[0]) if busy else ""
        text = f"waiting for {len(busy)} process{'es' if len(busy) != 1 else ''}"
        text = "delivering alerts" if self._over else text
        for connection in self._waiting:
            connection.send({"type": "progress", "name": name, "text": text, "heartbeat": True})


class Strays:
    """Ends what is left below the daemon once all programs are down, except what `stopasgroup: false` leaves alone.

    `done(unended)` gets the names of those that could not be ended.
    """

    def __init__(self, context: Context, done: Callable[[Sequence[str]], None]) -> None:
        self.sweeping = False
        self._context = context
        self._done = done
        self._groups: Groups = context.performer.instances.groups
        self._signal, self._told = signal.SIGTERM, 0
        self._strays: Sequence[Survivor] = ()
        self._looks = Looks(
            context.reactor, lambda: self._groups.look_for_strays(self._free()), self._found, self._blind
        )

    def sweep(self) -> None:
        """Look for strays and end them; call this again when children have ended."""
        if not self.sweeping:
            self.sweeping = True
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
            self._done(())
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
        self._context.log.write("error", f"left alive, could not be ended: {', '.join(map(str, self._strays))}")
        self._done([name_with_owner(stray) for stray in self._strays] or ["something"])

    def leave_alone(self) -> bool:
        """Remember the processes that this stop leaves alone on purpose; returns whether there are any."""
        return self._groups.leave_alone(self._free())

    def _free(self) -> frozenset[str]:
        """Return the programs whose survivors are left alone."""
        return frozenset(entry.program for entry in self._context.supervisor.table if not entry.wanted.stopasgroup)
