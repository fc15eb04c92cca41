"""Composition root of the resident daemon: builds every part, connects them, runs the loop, and takes it all down.

The only file that knows all others. What happens to processes is the core's, what a verb means is in `handlers`.
"""

from __future__ import annotations

import os
import sys
import time

from taskmaster_common import __version__
from taskmaster_common.config import DAEMON_LIVE_KEYS, EVENT_LOG_BACKUPS, EVENT_LOG_MAXBYTES
from taskmaster_common.errors import system_reason
from taskmasterd.configuration.effects import LiveKeys
from taskmasterd.configuration.loading import Loading
from taskmasterd.configuration.reload import Begun, HangUpRequester, Reloader
from taskmasterd.control.access import Door
from taskmasterd.control.call import DaemonActions
from taskmasterd.control.context import About, Parts
from taskmasterd.control.handlers import Handlers
from taskmasterd.core.programs.supervisor import Supervisor
from taskmasterd.fallbacks import POWER_SIGNALS
from taskmasterd.output.log.rotation import Allowance
from taskmasterd.output.sinks import Sinks
from taskmasterd.output.streams import Outputs
from taskmasterd.processes.errand import Errands
from taskmasterd.processes.instance import Instances
from taskmasterd.processes.members.groups import Groups
from taskmasterd.processes.members.marks import Marks, key_at, spare_key
from taskmasterd.processes.performer import Performer
from taskmasterd.processes.preparation import Inherited, child_environment
from taskmasterd.shutdown import Stopping
from taskmasterd.survival.claims import give_back
from taskmasterd.survival.disk.file import StateFile
from taskmasterd.survival.disk.rows import Rows
from taskmasterd.survival.disk.writer import StateWriter
from taskmasterd.survival.guardian_channel import Guard
from taskmasterd.survival.handover import Handover
from taskmasterd.survival.start_state import Origin
from taskmasterd.survival.state import Registry
from taskmasterd.survival.takeover import begin
from taskmasterd.survival.upgrade import Upgrade
from taskmasterd.system.loop.cmodules import partial, signal
from taskmasterd.system.loop.reactor import Reactor, Timer
from taskmasterd.system.loop.signals import Signals, hold_back, signal_numbers
from taskmasterd.system.paths.locks import release, report, write_pid
from taskmasterd.system.reaper import reap
from taskmasterd.system.subreaper import be_subreaper
from taskmasterd.telling.audience import Audience
from taskmasterd.telling.bus import REACT, REMEMBER, TELL, Bus, BusMember
from taskmasterd.telling.eventlog import Announcer, EventLog
from taskmasterd.telling.notify_socket import Notifier, stderr_is_journal
from taskmasterd.telling.systemd import Systemd

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from taskmaster_common.config import DaemonConfig
    from taskmasterd.configuration.loading import LoadResult
    from taskmasterd.control.connection import Connection
    from taskmasterd.core.process.events import Action, Event, Signalled
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.installed import Installed
    from taskmasterd.survival.state import Handed, ProcessState

NOTE_AGAIN_S = 0.5


class Daemon:
    """Everything that lives as long as the daemon."""

    def __init__(self, origin: Origin, installed: Installed) -> None:
        _name_process("taskmasterd")
        handed, facts = origin.handed, origin.facts
        self._places = handed.places
        self._fds = dict(handed.fds)
        for fd in self._fds.values():
            if fd is not None:
                os.set_inheritable(fd, False)
        self._foreground = handed.foreground
        self._pid1 = handed.pid1
        self._config = _config_of(origin)
        life = handed.life
        self._started = life.started if life else time.monotonic()
        self._timers: dict[Entry, Timer] = {}
        self._numbers = signal_numbers()
        self._names = {number: name for name, number in self._numbers.items()}
        self.reactor = Reactor(self._callback_failed)
        self.notifier = Notifier(os.environ)
        self.guard = self._meet_guardian(origin)
        self._registry = registry = Registry(facts)
        key, keyless = key_at(origin.state_path, spare_key(handed.mark_key))
        self._marks = Marks(key, self._places["socket"])
        self.groups = self._build_groups(origin)
        self._errands = Errands(self.reactor, self.groups.below.ignored)
        self.log = EventLog(handed.loglevel, journal=stderr_is_journal())
        self.sinks = Sinks(self._complain, Allowance())
        self._open_log(life)
        if keyless:
            self._complain(f"{keyless}; a later daemon that has no state does not know these programs again")
        self._bus = bus = Bus()
        self.supervisor = Supervisor(self._perform, self._arm, bus)
        inherited = self._inherited(handed)
        outputs = Outputs(self.reactor, self.sinks, inherited.log_dir, inherited.null, self.guard)
        instances = Instances(self.groups, outputs)
        file = StateFile(origin.state_path, "" if keyless else key.hex()) if origin.state_path else None
        rows = Rows(self.supervisor.table, registry, instances.row)
        self.writer = StateWriter(self.reactor, self.supervisor.table, rows, file, self.log)
        self.performer = Performer(self.reactor, instances, inherited, self.writer, self._deliver, self._complain)
        self.systemd = Systemd(self.reactor, self.notifier, self.supervisor.table, self.performer)
        self.reloader = Reloader(
            self.reactor,
            self.supervisor,
            self.log,
            Begun(origin.config, self._config, facts.problems),
            bus,
            self._begin_loading,
        )
        self._parts = parts = Parts(
            self._about(),
            self.reactor,
            self.supervisor,
            self.performer,
            self.reloader,
            self.log,
            self.writer,
            installed,
        )
        self.stopping = Stopping(parts, self.groups, self.notifier, self._config.shutdown_timeout)
        self._audience = Audience(life.sequence if life else 0)
        self._handlers = Handlers(
            parts, DaemonActions(self.stopping.begin, self._reopen, self._upgrade, self._audience)
        )
        self.life = Handover(handed.replace(mark_key=key.hex()), self._config, parts, rows, self._audience, self.sinks)
        self.upgrade = Upgrade(parts, self.life, self._errands)
        self._register()
        self._join()
        self.door = Door(
            self.reactor,
            self._fds["listener"] or 0,
            self._places["socket"],
            origin.config.replace(daemon=self._config),
            self.log,
            self._handlers.handle,
        )
        self.door.inode = origin.door
        self.door.guard = self.life.guard = self.guard
        self.life.door = self.door
        self.door.server.before_answer = self.writer.flush  # what is told must have been remembered

    def _join(self) -> None:
        """Say who gets to know of changes, in this order."""
        table, outputs, writer = self.supervisor.table, self.performer.outputs, self.writer
        announcer = Announcer(self.log, table, outputs, self.reactor.now, self._names)
        for member in (
            BusMember(
                REMEMBER,
                writer.changed,
                writer.changed,
                writer.gone,
                writer.applying,
                writer.applied,
                writer.flush_soon,
            ),
            BusMember(TELL, announcer.changed),
            BusMember(TELL, self._audience.changed, applied=self._audience.applied),
            BusMember(REACT, applied=LiveKeys(self.log, table, outputs).applied),
            BusMember(REACT, applied=self.stopping.applied),
            BusMember(REACT, self.systemd.changed, applied=self.systemd.applied),
            BusMember(REACT, gone=outputs.last_words.forget),
        ):
            self._bus.join(member)

    # -- building

    def _build_groups(self, origin: Origin) -> Groups:
        facts = origin.facts
        ignored = None if origin.launched else facts.ignored
        groups = Groups(self._marks, self.guard.pid if self.guard else 0, ignored, facts.proven_since or 0)
        groups.freed_sessions, groups.left = set(facts.freed), frozenset(facts.left)
        return groups

    def _register(self) -> None:
        """Say what of the daemon itself the next one has to know, by the names of `Facts`."""
        groups, performer = self.groups, self.performer
        register = self._registry.register
        register("ignored", lambda: sorted(groups.below.ignored))
        register("freed", lambda: sorted(groups.freed_sessions))
        register("left", lambda: sorted(groups.left))
        register("proven_since", lambda: groups.below.proven_since)
        register("stopping", lambda: self.supervisor.stopping)
        register("problems", lambda: self.reloader.problems)
        register("loglevel", lambda: self.log.level, self.log.set_level)
        register("pipes", lambda: list(performer.outputs.left.items()))
        register("door", lambda: self.door.inode)
        register("occupied", performer.occupants.to_data, performer.occupants.resume)

    def _open_log(self, life: ProcessState | None) -> None:
        if life:
            self.sinks.inherit(life.sinks)
        if self._foreground:
            self.log.stderr = self.sinks.acquire("/dev/stderr", 0, 0, None)
        if self._places.get("logfile"):
            self.log.target = self.sinks.acquire(self._places["logfile"], EVENT_LOG_MAXBYTES, EVENT_LOG_BACKUPS, None)

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

    def _inherited(self, handed: Handed) -> Inherited:
        soft, hard = handed.nofile
        return Inherited(
            environment=child_environment(os.environ),
            marks=self._marks,
            umask=self._config.umask,
            log_dir=self._places.get("log_dir"),
            nofile=(soft, hard) if soft != hard else None,
            null=os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC),
        )

    def _meet_guardian(self, origin: Origin) -> Guard | None:
        if origin.channel is None:
            return None
        return Guard(self.reactor, origin.channel, origin.legacy.ends, self._orphans_ended, self._guardian_died)

    # -- life

    def begin(self, origin: Origin) -> None:
        """Take over what an earlier daemon left, and set going what is to run. Raises TaskmasterError where it must not."""
        how = "goes on after an upgrade" if origin.legacy.same else "started"
        self.log.write("info", f"taskmasterd {__version__} {how} (pid {os.getpid()}, {origin.config.path})")
        begin(origin, self._parts, self._deliver, self._bus.applied, self.guard, self._marks)
        self.writer.begin(origin.identity, origin.config)
        self._note_later()
        life = origin.handed.life
        if life:
            self.door.server.restore(life.connections, self._handlers.resume)
            self.sinks.settle()
        if origin.saved and origin.saved.facts.stopping and not origin.launched:
            self.stopping.begin("whoever had told an earlier daemon", None)

    def listen(self) -> Signals:
        """Hear signals from now on, those too that came before."""
        signals = self.life.signals = Signals(self.reactor, self._signal_callbacks())
        return signals

    def run(self, signals: Signals, turns: int | None = None) -> int:
        """Work until the orderly stop is through, clean up; returns the exit code. Or only work, for so many `turns`."""
        self._children_ended()
        self._say_ready()
        self.systemd.begin()
        self.reactor.run(turns)
        if turns is not None:
            return 0
        hold_back()  # for good: while the interpreter ends it has no handlers any more, and one signal too many would kill it
        signals.close()
        return self._clean_up()

    def _signal_callbacks(self) -> dict[int, Any]:
        stops = (signal.SIGTERM, signal.SIGINT, *(POWER_SIGNALS if self._pid1 else ()))
        return {
            **{each: partial(self.stopping.begin, f"SIG{self._names[each]}", None) for each in stops},
            signal.SIGCHLD: self._children_ended,
            signal.SIGQUIT: lambda: self.stopping.urge("SIGQUIT"),
            signal.SIGHUP: self._hang_up,
            signal.SIGUSR1: self._reopen,
            signal.SIGUSR2: self._reopen,
        }

    def _say_ready(self) -> None:
        """Let the launcher return: the socket is served from the next turn on, and by another daemon should this one die."""
        if self.guard:
            self.guard.up()
        ready = self._fds["ready"]
        if ready is not None:
            report(ready, 0, "")
            self._fds["ready"] = None

    def _clean_up(self) -> int:
        self.log.write("info", f"taskmasterd stopped (exit {self.stopping.exit_code})")
        if self.guard:
            self.guard.bye()
        self.groups.left = self.groups.left_alone(self.stopping.free())
        self.writer.end(keep=bool(self.groups.left), forget_key=self.stopping.exit_code == 0)
        self.door.close()
        release(self._places["pidfile"], self._fds["pidfile"])
        self.upgrade.give_up()
        self.stopping.answer()
        self.performer.outputs.drain()
        give_back(self._places, self._fds)
        self.door.server.close(self.stopping.farewell())
        self.sinks.close()
        self.notifier.close()
        return self.stopping.exit_code

    # -- what is remembered

    def _note(self) -> None:
        """Tell the guardian that its ends are in the state; one that could not be looked at yet is not."""
        self.writer.flush()
        if self.guard and self.performer.settled:
            self.guard.noted()
        elif self.guard:
            self.reactor.call_later(NOTE_AGAIN_S, self._note_later)

    # -- the supervisor's hands

    def _perform(self, entry: Entry, action: Action) -> Signalled | None:
        return self.performer.perform(entry, action)

    def _deliver(self, entry: Entry, event: Event) -> None:
        self.supervisor.handle(entry, event, self.reactor.now())

    def _arm(self, entry: Entry, deadline: float | None) -> None:
        self.reactor.cancel(self._timers.pop(entry, None))
        if deadline is not None:
            self._timers[entry] = self.reactor.call_at(deadline, lambda: self._deadline(entry))

    def _deadline(self, entry: Entry) -> None:
        self._timers.pop(entry, None)
        self.supervisor.deadline_reached(entry, self.reactor.now())

    def _complain(self, text: str) -> None:
        self.log.write("warning", text)

    # -- news

    def _children_ended(self) -> None:
        self.performer.ends.children_ended(self._errands.others(reap()))
        self.stopping.look()

    def _orphans_ended(self, ended: list[tuple[int, int]]) -> None:
        self.performer.ends.orphans_ended(ended)
        self.stopping.look()
        self._note_later()

    def _note_later(self) -> None:
        """Tell the guardian that its ends are remembered, once they are: looked at in this turn, told in the next one."""
        self.reactor.call_soon(lambda: self.reactor.call_soon(self._note))

    def _guardian_died(self) -> None:
        """Go on without; under systemd, which starts a new guardian, make way: the next daemon takes everything over."""
        self.guard = self.life.guard = self.door.guard = self.performer.outputs.keeper = None
        if self.notifier.wanted and not self.supervisor.stopping:
            self.log.write("error", "the guardian has died; ending, to be started anew with another one")
            self.writer.flush()
            os._exit(1)
        self.log.write("error", "the guardian has died; going on without")
        try:
            write_pid(self._fds["pidfile"])  # it has named the guardian
        except OSError as error:
            self.log.write("warning", f"cannot write {self._places['pidfile']}: {system_reason(error)}")
        be_subreaper()
        self.performer.survivors.guardian_died()

    def _hang_up(self) -> None:
        self._mend_door()
        if not self.supervisor.stopping:
            self.notifier.reloading()
            self.reloader.request(HangUpRequester(self.notifier))

    def _reopen(self) -> None:
        self.log.write("info", "opening all log files anew")
        self.sinks.reopen_all()
        self._mend_door()

    def _upgrade(self, connection: Connection) -> None:
        self.upgrade.begin(connection)

    def _mend_door(self) -> None:
        if not self.supervisor.stopping:
            self.door.mend()
            self.writer.flush_soon()

    def _begin_loading(self, path: str, done: Callable[[LoadResult], None]) -> Loading:
        """Fork the child that reads the configuration."""
        return Loading(
            self._errands,
            path,
            done,
            environment=os.environ,
            options={"daemonized": not self._foreground, "pid1": self._pid1, "lenient_users": False},
            installed=self._parts.installed,
        )

    def _callback_failed(self, error: BaseException) -> None:
        try:
            import traceback  # noqa: PLC0415 - half a megabyte that a healthy daemon never needs

            text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        except (OSError, ImportError):  # no descriptor left to read it
            text = repr(error)
        self.log.block("error", f"internal error, please report it:\n{text}")


def _config_of(origin: Origin) -> DaemonConfig:
    """Return what was configured when the daemon was launched: it holds for as long as it lives, but for the live keys."""
    live = {key: getattr(origin.config.daemon, key) for key in DAEMON_LIVE_KEYS}
    return origin.running.replace(**live)


"""The event log rotates like the others."""


def _name_process(name: str) -> None:
    """Make ps, top and pgrep show the daemon's name. Source: proc(5), /proc/pid/comm."""
    if sys.platform == "linux":
        try:
            with open("/proc/self/comm", "wb", buffering=0) as comm:
                comm.write(name.encode())
        except OSError:  # a chroot or container without /proc: then it is called python
            return
