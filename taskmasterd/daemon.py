"""Composition root of the resident daemon: builds every part, connects them, runs the loop, and takes it all down.

The only file that knows all others. What happens to processes is the core's, what a verb means is in `handlers`.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time

from taskmaster_common import __version__
from taskmaster_common.config import LOG_LEVELS, Config
from taskmaster_common.errors import TaskmasterError
from taskmaster_common.protocol import PROTOCOL_VERSION
from taskmaster_common.states import FATAL, RUNNING
from taskmasterd.core.supervisor import Supervisor
from taskmasterd.eventlog import EventLog, lines
from taskmasterd.handlers import Handlers
from taskmasterd.loading import Loading
from taskmasterd.parts import About, Parts
from taskmasterd.performer import Performer
from taskmasterd.preparation import Surroundings, child_environment
from taskmasterd.reload import Listener, Reloader
from taskmasterd.stopping import Stopping
from taskmasterd.system.control import ControlServer, Peer
from taskmasterd.system.groups import Groups
from taskmasterd.system.logsink import Sinks
from taskmasterd.system.notify import Notifier
from taskmasterd.system.places import inode_of, listen_on, report, unlink_own
from taskmasterd.system.reactor import Reactor, Timer
from taskmasterd.system.reaper import reap
from taskmasterd.system.signals import Signals, signal_numbers
from taskmasterd.system.users import group_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmasterd.core.events import Action, Event
    from taskmasterd.core.plan import ReloadPlan
    from taskmasterd.core.process import Process
    from taskmasterd.core.table import Entry

STATUS_EVERY_S = 0.5
"""systemd's status line follows changes at most so often."""


def resident(state_fd: int) -> int:
    """Be the daemon until it is told to stop; returns the exit code. `state_fd` holds the state as JSON."""
    with open(state_fd, "rb") as file:
        state = json.load(file)
    ready = state["fds"]["ready"]
    try:
        daemon = Daemon(state)
    except Exception as error:
        # main()'s broad except: the launcher waits for an answer, and nobody else would tell it
        if ready is not None:
            report(ready, 1, f"cannot start: {error!r}")
        for path in (state["places"]["socket"], state["places"]["pidfile"]):
            unlink_own(path, inode_of(path))
        raise
    return daemon.run()


class Daemon:
    """Everything that lives as long as the daemon."""

    def __init__(self, state: Mapping[str, Any]) -> None:
        _name_process("taskmasterd")
        self._places: Mapping[str, Any] = state["places"]
        self._fds: dict[str, int | None] = state["fds"]
        for fd in self._fds.values():
            if fd is not None:
                os.set_inheritable(fd, False)
        config = Config.from_data(state["config"])
        self._config = config
        self._foreground = self._fds["ready"] is None
        self._started = time.monotonic()
        self._timers: dict[Entry, Timer] = {}
        self._status_due: Timer | None = None
        self._numbers = signal_numbers()
        self._names = {number: name for name, number in self._numbers.items()}
        self.reactor = Reactor(self._callback_failed)
        self.notifier = Notifier(os.environ)
        self.groups = Groups(self._places["socket"])
        self.log = EventLog(state["loglevel"], journal=_stderr_is_journal())
        self.sinks = Sinks(self._complain)
        if self._foreground:
            self.log.stderr = self.sinks.acquire("/dev/stderr", 0, 0, None)
        if self._places.get("logfile"):
            self.log.target = self.sinks.acquire(self._places["logfile"], LOG_MAXBYTES, LOG_BACKUPS, None)
        self.supervisor = Supervisor(self._perform, self._arm, self._announce, self._forget)
        around = self._surroundings(state)
        self.performer = Performer(self.reactor, self.groups, self.sinks, around, self._deliver, self._complain)
        self.reloader = Reloader(
            self.reactor, self.supervisor, self.log, config, self._begin_loading, self._plan_applied
        )
        parts = Parts(self._about(), self.reactor, self.supervisor, self.performer, self.reloader, self.log)
        self.stopping = Stopping(parts, self.groups, self.notifier, config.daemon.shutdown_timeout)
        self._handlers = Handlers(parts, self.stopping.begin, self._reopen)
        self._listener_inode = inode_of(self._places["socket"])
        self._pidfile_inode = inode_of(self._places["pidfile"])
        self._control = self._serve()

    # -- building

    def _about(self) -> About:
        return About(
            version=__version__,
            pid=os.getpid(),
            started=self._started,
            socket=self._places["socket"],
            logfile=self._places.get("logfile"),
            owner=os.geteuid(),
            signals=self._names,
            numbers=self._numbers,
        )

    def _surroundings(self, state: Mapping[str, Any]) -> Surroundings:
        soft, hard = state["nofile"]
        return Surroundings(
            environment=child_environment(os.environ),
            socket=self._places["socket"],
            umask=self._config.daemon.umask,
            log_dir=self._places.get("log_dir"),
            nofile=(soft, hard) if soft != hard else None,
        )

    def _serve(self) -> ControlServer:
        listener = socket.socket(fileno=self._fds["listener"])
        greeting = {
            "type": "hello",
            "name": "taskmasterd",
            "version": __version__,
            "protocol": PROTOCOL_VERSION,
            "pid": os.getpid(),
        }
        return ControlServer(self.reactor, listener, greeting, self._permits, self._handlers.handle, self._refused)

    # -- life

    def run(self) -> int:
        """Start the programs, work until the orderly stop is through, clean up; returns the exit code."""
        signals = Signals(self.reactor, self._signal_callbacks())
        self.log.write("info", f"taskmasterd {__version__} started (pid {os.getpid()}, {self._config.path})")
        self.supervisor.load(self._config, "the daemon's start", self.reactor.now())
        self._children_ended()
        self._say_ready()
        self._announce_ready()
        if self.notifier.watchdog_s:
            self._feed_watchdog()
        self.reactor.run()
        signals.close()
        return self._clean_up()

    def _signal_callbacks(self) -> dict[int, Any]:
        return {
            signal.SIGCHLD: self._children_ended,
            signal.SIGTERM: lambda: self.stopping.begin("SIGTERM", None),
            signal.SIGINT: lambda: self.stopping.begin("SIGINT", None),
            signal.SIGQUIT: lambda: self.stopping.kill("SIGQUIT"),
            signal.SIGHUP: self._hang_up,
            signal.SIGUSR1: self._reopen,
            signal.SIGUSR2: self._reopen,
        }

    def _say_ready(self) -> None:
        """Let the launcher return: the socket is served from the next turn on."""
        ready = self._fds["ready"]
        if ready is not None:
            report(ready, 0, "")
            self._fds["ready"] = None

    def _announce_ready(self) -> None:
        """Tell systemd once every program that starts by itself has been started."""
        if self.performer.spawning:
            self.reactor.call_soon(self._announce_ready)
        elif self.notifier.wanted:
            self.notifier.ready()
            self._tell_status()

    def _clean_up(self) -> int:
        self.log.write("info", f"taskmasterd stopped (exit {self.stopping.exit_code})")
        self._control.close_listener()
        unlink_own(self._places["socket"], self._listener_inode)
        unlink_own(self._places["pidfile"], self._pidfile_inode)
        os.close(self._fds["pidfile"] or 0)
        self.stopping.answer()
        self.performer.drain()
        self._control.close()
        self.sinks.close()
        self.notifier.close()
        return self.stopping.exit_code

    # -- the supervisor's hands

    def _perform(self, entry: Entry, action: Action) -> None:
        self.performer.perform(entry, action)

    def _deliver(self, entry: Entry, event: Event) -> None:
        self.supervisor.handle(entry, event, self.reactor.now())

    def _arm(self, entry: Entry, deadline: float | None) -> None:
        self.reactor.cancel(self._timers.pop(entry, None))
        if deadline is not None:
            self._timers[entry] = self.reactor.call_at(deadline, lambda: self._deadline(entry))

    def _deadline(self, entry: Entry) -> None:
        self._timers.pop(entry, None)
        self.supervisor.deadline_reached(entry, self.reactor.now())

    def _announce(self, entry: Entry, before: Process, event: Event, after: Process) -> None:
        texts = lines(entry, before, event, self.reactor.now(), self._names)
        self.log.announce(self.supervisor.table.name(entry), texts)
        self._handlers.subscriptions.changed(entry, before, after)
        self._counts_changed()

    def _counts_changed(self) -> None:
        if self.notifier.wanted and self._status_due is None:
            self._status_due = self.reactor.call_later(STATUS_EVERY_S, self._tell_status)

    def _forget(self, entry: Entry) -> None:
        self.performer.forget(entry, next(iter(self.supervisor.table.slots(entry.program)), None))

    def _tell_status(self) -> None:
        self._status_due = None
        states = [entry.process.state for entry in self.supervisor.table]
        fatal = states.count(FATAL)
        self.notifier.status(f"{states.count(RUNNING)}/{len(states)} running" + (f", {fatal} fatal" if fatal else ""))

    def _complain(self, text: str) -> None:
        self.log.write("warning", text)

    # -- news

    def _children_ended(self) -> None:
        self.performer.children_ended(list(reap()))
        self.stopping.look()

    def _hang_up(self) -> None:
        self._recreate_socket()
        if not self.supervisor.stopping:
            self.notifier.reloading()
            self.reloader.request(HangUp(self.notifier))

    def _reopen(self) -> None:
        self.log.write("info", "opening all log files anew")
        self.sinks.reopen_all()
        self._recreate_socket()

    def _recreate_socket(self) -> None:
        """Listen anew where the file of our socket has been removed."""
        path = self._places["socket"]
        if inode_of(path) == self._listener_inode or self.supervisor.stopping:
            return
        daemon = self._config.daemon
        try:
            gid = group_id(daemon.socket_group) if daemon.socket_group else None
            listener = listen_on(path, daemon.socket_mode, gid, None)
        except (TaskmasterError, LookupError) as error:
            self.log.write("error", f"the control socket is gone, and a new one failed: {error}")
            return
        self._control.replace_listener(listener)
        self._listener_inode = inode_of(path)
        self.log.write("warning", f"the control socket {path} had been removed; created anew")

    def _begin_loading(self, path: str) -> Loading:
        loading = Loading(
            path,
            environment=os.environ,
            daemonized=not self._foreground,
            pid1=os.getpid() == 1,
            lenient_users=False,
        )
        if loading.pid:
            self.groups.ignore(loading.pid)
        return loading

    def _plan_applied(self, plan: ReloadPlan) -> None:
        daemon = plan.config.daemon
        if "loglevel" in plan.live_keys and daemon.loglevel in LOG_LEVELS:
            self.log.level = daemon.loglevel
        self.stopping.timeout_s = daemon.shutdown_timeout
        for program in plan.programs:
            if "log_maxbytes" in program.keys or "log_backups" in program.keys:
                for entry in self.supervisor.table.slots(program.name):
                    self.performer.limits_changed(entry)
        if plan.changes:
            self._handlers.subscriptions.reloaded()
            self._counts_changed()

    def _permits(self, peer: Peer) -> bool:
        if peer.uid in (0, os.geteuid()):
            return True
        group = self._config.daemon.socket_group
        try:
            return group is not None and group_id(group) in (peer.gid, *peer.groups)
        except LookupError:
            return False

    def _refused(self, peer: Peer) -> None:
        self.log.write("warning", f"client refused: uid {peer.uid}, pid {peer.pid}")

    def _feed_watchdog(self) -> None:
        self.notifier.alive()
        self.reactor.call_later(self.notifier.watchdog_s, self._feed_watchdog)

    def _callback_failed(self, error: BaseException) -> None:
        try:
            import traceback  # noqa: PLC0415 - half a megabyte that a healthy daemon never needs

            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        except (OSError, ImportError):  # no descriptor left to read it
            text = repr(error)
        self.log.block("error", f"internal error, please report it:\n{text}")


class HangUp(Listener):
    """SIGHUP's reload: nobody waits but systemd."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    def failed(self, problems: tuple[str, ...], *, shortage: bool) -> None:
        """The reload is over, without effect."""
        del problems, shortage
        self._notifier.ready()

    def planned(self, plan: ReloadPlan, warnings: tuple[str, ...]) -> None:
        """The reload is over as far as systemd is concerned."""
        del plan, warnings
        self._notifier.ready()


LOG_MAXBYTES = 50_000_000
LOG_BACKUPS = 10
"""The event log rotates like the others."""


def _stderr_is_journal() -> bool:
    """Return whether stderr goes to systemd's journal. Source: systemd.exec(5), JOURNAL_STREAM."""
    found = os.fstat(2)
    return os.environ.get("JOURNAL_STREAM", "") == f"{found.st_dev}:{found.st_ino}"


def _name_process(name: str) -> None:
    """Make ps, top and pgrep show the daemon's name. Source: proc(5), /proc/pid/comm."""
    if sys.platform == "linux":
        with open("/proc/self/comm", "w", encoding="ascii") as comm:
            comm.write(name)
