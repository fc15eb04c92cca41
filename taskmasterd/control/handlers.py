"""One method for each verb: a request becomes calls on the supervisor, and replies now or later.

Handlers touch no descriptor and never block; what they say goes out through the connection.
"""

from __future__ import annotations

from taskmaster_common.commands.table import Request, command, parse, refuse_client_flags
from taskmaster_common.errors import RequestError, shortened
from taskmaster_common.protocol import PROCESSES_PER_OBJECT, PROTOCOL_VERSION, end, refusal
from taskmaster_common.states import RUNNING, STARTING, STOPPING
from taskmaster_common.text.units import parse_signal
from taskmasterd.control.connection import MORE
from taskmasterd.control.logrequest import answer_logs
from taskmasterd.control.logs import go_on
from taskmasterd.control.subscriptions import Subscriptions
from taskmasterd.control.waits import ReloadAnswer, Wait
from taskmasterd.core.programs.ticket import Ticket
from taskmasterd.core.words.view import as_wanted, process_view, settings_view
from taskmasterd.output.streams import MOST_WORD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from typing import Any

    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Parts
    from taskmasterd.core.programs.supervisor import Clock
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps

MOST_LOGGED = 1000
"""Characters of a request in the event log."""
UNKNOWN_WHEN_LOOKING = 4
UNKNOWN_WHEN_ACTING = 5
MOST_EXPLAINED = 20
"""Processes of one answer whose last words are read."""


class Handlers:
    """Answers requests.

    `stop_daemon(by, connection)` begins the orderly stop, `reopen()` opens all logs anew, `upgrade(connection)` executes the
    installed code.
    """

    def __init__(
        self,
        parts: Parts,
        stop_daemon: Callable[[str, Connection | None], None],
        reopen: Callable[[], None],
        upgrade: Callable[[Connection], None],
    ) -> None:
        self._parts = parts
        self._about = parts.about
        self._reactor = parts.reactor
        self._supervisor = parts.supervisor
        self._performer = parts.performer
        self._reloader = parts.reloader
        self._log = parts.log
        self._stop_daemon = stop_daemon
        self._reopen = reopen
        self._upgrade = upgrade
        self.subscriptions = Subscriptions(
            parts.reactor, parts.supervisor.table, self.view, self.daemon_view, parts.about.signals
        )

    def resume(self, connection: Connection, data: Mapping[str, Any]) -> None:
        """Go on with what a client was waiting for in an earlier life of this process."""
        kind = data["kind"]
        if kind == "subscribe":
            self.subscriptions.go_on(connection, data)
        elif kind == "upgrade":
            connection.send(self._upgraded(data))
            connection.end(end(0))
        elif kind == "logs":
            go_on(connection, self._performer.outputs, parse(data["words"]), data)
        elif (request := parse(data["words"])).verb == "reload":
            answer = ReloadAnswer(self._parts, connection, request)
            answer.go_on(answer.own_ticket(), data)
        else:
            wait = Wait(self._parts, connection, request)
            wait.go_on(wait.ticket, data)

    def handle(self, connection: Connection, line: bytes) -> None:
        """Answer one line of the wire; every error that is the client's becomes its `end`."""
        try:
            request = parse(line.decode("utf-8", "surrogateescape").split())
            refuse_client_flags(request)
            if command(request.verb).acts:
                peer = connection.peer
                text = shortened(" ".join((request.verb, *request.targets)), MOST_LOGGED)
                self._log.write("info", f"request from uid {peer.uid}, pid {peer.pid}: {text}")
            connection.send({"type": "ack", "verb": request.verb})
            steps = VERBS[request.verb](self, connection, request)
            if steps is not None:
                self._reactor.rounds.begin(_to_the_end(steps, connection), connection.broken)
        except RequestError as error:
            connection.end(refusal(error))

    def selected(self, targets: Sequence[str], unknown_exit: int) -> Steps[tuple[Entry, ...]]:
        """Return the entries of the targets. Raises RequestError "unknown-name"."""
        return self._supervisor.table.selecting(targets, unknown_exit)

    def view(self, entry: Entry) -> dict[str, Any]:
        """Return the PROCESS object of an entry."""
        return process_view(self._supervisor.table, entry, self._reactor.now(), self._about.signals)

    # -- look

    def status(self, connection: Connection, request: Request) -> Steps[None]:
        """Every process, or the named ones; the exit code tells whether all is as wanted."""
        entries = yield from self.selected(request.targets or ("all",), UNKNOWN_WHEN_LOOKING)

        def replies() -> Iterator[dict[str, Any]]:
            well, explained = True, 0
            yield self.daemon_view()
            for first in range(0, len(entries), PROCESSES_PER_OBJECT):
                some = entries[first : first + PROCESSES_PER_OBJECT]
                well = well and all(
                    each.process.state == RUNNING if request.targets else as_wanted(each.process) for each in some
                )
                views = []
                for each in some:
                    views.append(self._explained(each) if explained < MOST_EXPLAINED else self.view(each))
                    explained += "stderr" in views[-1]
                yield {"type": "processes", "processes": views}
            connection.end(end(0 if well else 3))

        connection.pull(replies())

    def _explained(self, entry: Entry) -> dict[str, Any]:
        """Return the PROCESS object of an entry, with the last line of stderr where it is not as wanted: a file is read for it."""
        view = self.view(entry)
        if not view["wanted"]:
            words = self._performer.outputs.last_words(entry)
            view["stderr"] = words[-1][:MOST_WORD] if words else ""
        return view

    def show(self, connection: Connection, request: Request) -> Steps[None]:
        """Everything about the named programs."""
        entries = yield from self.selected(request.targets, UNKNOWN_WHEN_LOOKING)
        values = request.has("env")
        if values and connection.peer.uid not in (0, self._about.owner):
            raise RequestError("permission", "values of env are shown to root and the daemon's user only", 4)
        programs: dict[str, list[Entry]] = {}
        for entry in entries:
            programs.setdefault(entry.program, []).append(entry)

        def replies() -> Iterator[dict[str, Any]]:
            for name, some in programs.items():
                yield from self._program_views(name, some, values=values)
            connection.end(end(0))

        connection.pull(replies())

    def _program_views(self, name: str, entries: list[Entry], *, values: bool) -> Iterator[dict[str, Any]]:
        """Yield one `program` object, after as many rests as it needs."""
        table = self._supervisor.table
        logs: dict[str, dict[str, str]] = {}
        processes: list[dict[str, Any]] = []
        ended: dict[str, float] = {}
        for entry in entries:
            logs[table.name(entry)] = {
                stream: self._performer.outputs.log_path(entry, stream) for stream in ("stdout", "stderr")
            }
            processes.append(self._explained(entry))
            if entry.process.end is not None:
                ended[table.name(entry)] = round(self._reactor.now() - entry.process.end.at, 3)
            yield MORE
        yield {
            "type": "program",
            "name": name,
            "settings": settings_view(entries[0].wanted, self._about.signals, values=values),
            "processes": processes,
            "ended": ended,
            "logs": logs,
        }

    def logs(self, connection: Connection, request: Request) -> Steps[None]:
        """Log lines, from now on too; or files opened anew."""
        return answer_logs(self._parts, connection, request, self._reopen)

    def pid(self, connection: Connection, request: Request) -> Steps[None]:
        """The daemon's pid, or those of processes."""
        if not request.targets:
            connection.send(self.daemon_view())
            connection.end(end(0))
            return
        entries = yield from self.selected(request.targets, UNKNOWN_WHEN_LOOKING)

        def replies() -> Iterator[dict[str, Any]]:
            well = True
            for entry in entries:
                pid = entry.process.pid
                well = well and pid is not None
                yield {"type": "pid", "name": self._supervisor.table.name(entry), "pid": pid}
            connection.end(end(0 if well else 1))

        connection.pull(replies())

    def subscribe(self, connection: Connection, request: Request) -> Steps[None]:
        """How everything is, and then every change."""
        if request.targets:
            yield from self.selected(request.targets, UNKNOWN_WHEN_LOOKING)
        self.subscriptions.subscribe(connection, request.targets)

    def version(self, connection: Connection, _request: Request) -> None:
        """The versions of daemon and protocol."""
        connection.send(self.daemon_view())
        connection.end(end(0))

    def help(self, connection: Connection, request: Request) -> None:
        """The help of the command table, for those who type by hand."""
        from taskmaster_common.commands.help import help_text  # noqa: PLC0415 - only this verb needs the texts

        text = help_text("".join(request.targets))
        connection.send({"type": "text", "text": text})
        connection.end(end(0))

    def daemon_view(self) -> dict[str, Any]:
        """Return the `daemon` object of the wire."""
        changed = self._parts.installed.changed_lately()
        return {
            "type": "daemon",
            "version": self._about.version,
            "protocol": PROTOCOL_VERSION,
            "pid": self._about.pid,
            "uptime_s": round(self._reactor.now() - self._about.started, 3),
            "config": self._reloader.config.path,
            "socket": self._about.socket,
            "stopping": self._supervisor.stopping,
            "installed_changed": changed,
            "installed_version": self._parts.installed.version() if changed else self._about.version,
            "reload_problems": list(self._reloader.problems),
            "config_changed": self._reloader.changed_since_refused(),
            "warnings": self._warnings(),
        }

    def _warnings(self) -> list[str]:
        """Return what an administrator has to know, besides of processes."""
        texts = self._performer.occupants.warnings()
        return [self._parts.journal.trouble, *texts] if self._parts.journal.trouble else texts

    # -- act

    def start(self, connection: Connection, request: Request) -> Steps[None]:
        """Start, and answer when it runs or has failed."""
        return self._act(connection, request, self._supervisor.start)

    def stop(self, connection: Connection, request: Request) -> Steps[None]:
        """Stop, and answer when nothing is left; what may be left of an earlier daemon is not known to be ours, so it is told."""

        def stop(entries: tuple[Entry, ...], by: str, ticket: Ticket, clock: Clock) -> Steps[None]:
            for entry in entries:
                there = self._performer.occupants.reason(entry.program, entry.index)
                if there:
                    name = self._supervisor.table.name(entry)
                    connection.send({"type": "warning", "text": f"{name}: {there}"})
                    ticket.failed = True
                yield
            yield from self._supervisor.stop(entries, by, ticket, clock)

        return self._act(connection, request, stop)

    def restart(self, connection: Connection, request: Request) -> Steps[None]:
        """Stop and start, and answer when it runs or has failed."""
        newer = self._reloader.newer_on_disk()
        if newer:
            text = f"{newer} has changed since it was loaded; restart uses the old configuration: run `reload`"
            connection.send({"type": "warning", "text": text})

        def restart(entries: tuple[Entry, ...], by: str, ticket: Ticket, clock: Clock) -> Steps[None]:
            return self._supervisor.restart(entries, by, ticket, clock, if_running=request.has("if_running"))

        return self._act(connection, request, restart)

    def _act(
        self,
        connection: Connection,
        request: Request,
        do: Callable[[tuple[Entry, ...], str, Ticket, Clock], Steps[None]],
    ) -> Steps[None]:
        while self._reloader.applying:  # the plan was made before, and may be about the same processes
            yield
        entries = yield from self.selected(request.targets, UNKNOWN_WHEN_ACTING)
        wait = Wait(self._parts, connection, request)
        try:
            yield from do(entries, by(connection), wait.ticket, self._reactor.now)
        except RequestError:
            wait.give_up()
            raise
        yield from wait.begin()

    def signal(self, connection: Connection, request: Request) -> Steps[None]:
        """Send a signal to leaders."""
        word, *targets = request.targets
        try:
            number = parse_signal(word, self._about.numbers)
        except ValueError as error:
            hints: tuple[str, ...] = ()
            swapped = next((target for target in targets if self._is_signal(target)), "")
            if swapped:
                others = " ".join(target for target in request.targets if target != swapped)
                hints = (f"the signal comes first: signal {swapped} {others}",)
            raise RequestError("unknown-signal", str(error), 2, hints) from None
        well = True
        for entry in (yield from self.selected(targets, UNKNOWN_WHEN_ACTING)):
            yield
            alive = entry.process.pid is not None and entry.process.state in (STARTING, RUNNING, STOPPING)
            allowed = not alive or self._performer.signal_leader(entry, number)
            done = alive and allowed
            well = well and done
            connection.send(
                {
                    "type": "result",
                    "name": self._supervisor.table.name(entry),
                    "ok": done,
                    "outcome": "signalled" if done else "failed",
                    "state": entry.process.state,
                    "pid": entry.process.pid,
                    "reason": ""
                    if done
                    else "it may not be signalled: operation not permitted"
                    if alive
                    else "nothing runs there",
                }
            )
        connection.end(end(0 if well else 1))

    def _is_signal(self, word: str) -> bool:
        try:
            parse_signal(word, self._about.numbers)
        except ValueError:
            return False
        return True

    def reload(self, connection: Connection, request: Request) -> None:
        """Read the configuration anew and apply it, or only show the plan."""
        if request.has("exit_code") and not request.has("dry_run"):
            raise RequestError("usage", "--exit-code belongs to --dry-run", 2)
        if self._supervisor.stopping:
            raise RequestError("stopping", "the daemon is being shut down", 1)
        answer = ReloadAnswer(self._parts, connection, request)
        answer.begin()
        self._reloader.request(answer)

    def upgrade(self, connection: Connection, _request: Request) -> None:
        """Execute the installed code; the end comes from there."""
        self._upgrade(connection)

    def _upgraded(self, data: Mapping[str, Any]) -> dict[str, Any]:
        gap_s = round(self._reactor.now() - data["at"], 4)
        return {
            "type": "upgraded",
            "before": data["before"],
            "version": self._about.version,
            "pid": self._about.pid,
            "seconds": gap_s,
        }

    def shutdown(self, connection: Connection, request: Request) -> None:
        """Stop everything and the daemon; the end comes when all is gone."""
        for text in self._warnings():
            connection.send({"type": "warning", "text": text})
        self._stop_daemon(by(connection), None if request.has("no_wait") else connection)
        if request.has("no_wait"):
            connection.end(end(0))


def by(connection: Connection) -> str:
    """Return who asks, in the words of the event log."""
    return f"uid {connection.peer.uid}"


def _to_the_end(steps: Steps[None], connection: Connection) -> Steps[None]:
    try:
        yield from steps
    except RequestError as error:
        connection.end(refusal(error))


VERBS: dict[str, Callable[[Handlers, Connection, Request], Steps[None] | None]] = {
    "status": Handlers.status,
    "show": Handlers.show,
    "logs": Handlers.logs,
    "pid": Handlers.pid,
    "subscribe": Handlers.subscribe,
    "version": Handlers.version,
    "help": Handlers.help,
    "start": Handlers.start,
    "stop": Handlers.stop,
    "restart": Handlers.restart,
    "signal": Handlers.signal,
    "reload": Handlers.reload,
    "upgrade": Handlers.upgrade,
    "shutdown": Handlers.shutdown,
}
