"""The public client for Python programs: `connect` finds the daemon, a `Taskmaster` asks it. No module of ours imports this one.

    from taskmasterctl.client import connect

    taskmaster = connect()
    for process in taskmaster.status("web"):
        print(process.name, process.state, process.pid)

docs/operate/python-client.md has examples. What `__all__` names keeps its meaning within a major version; a record may get more fields,
and `data` of each has all that the daemon said, as the protocol (`taskmaster_common.protocol`) describes it.
"""

from __future__ import annotations

import os
import time

from taskmaster_common.commands.actions import with_reason
from taskmaster_common.commands.table import parse, refuse_client_flags
from taskmaster_common.errors import ConfigError, ProtocolError, RequestError, TaskmasterError
from taskmaster_common.records import Record
from taskmasterctl.connect import client as connections
from taskmasterctl.connect.client import FrozenError, LostError, TimedOutError, UnreachableError, ends_daemon, wire_line
from taskmasterctl.connect.same_config import needs_same_config, other_config_text, runs_other_config
from taskmasterctl.connect.sockets import Sockets, find_sockets
from taskmasterctl.options import Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any, TypeVar

    from taskmaster_common.commands.table import Request

    Message = dict[str, Any]
    FlagValue = str | int | float | bool | Sequence[str] | None
    Taken = TypeVar("Taken", bound=Record)

__all__ = [
    "ActionResult",
    "Change",
    "ConfigError",
    "FrozenError",
    "LogOutput",
    "LostError",
    "ProcessStatus",
    "ProtocolError",
    "RequestError",
    "Snapshot",
    "Taskmaster",
    "TaskmasterError",
    "TimedOutError",
    "UnreachableError",
    "VerbAnswer",
    "connect",
]

TYPING_VERBS = ("attach", "send")
"""The verbs that need input beside the request."""
MOMENTS = ("since", "until")
"""The flags whose number is a moment, seconds since 1970."""


class _Brief:
    """Leaves `data`, which is long, out of what is printed."""

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in vars(self).items() if name != "data")
        return f"{type(self).__name__}({fields})"


class ProcessStatus(_Brief, Record):
    """A process: a slot of a program. `pid` is None where nothing runs; `wanted` is false where something is wrong.

    `state` is STOPPED, STARTING, RUNNING, BACKOFF, STOPPING, EXITED or FATAL; `detail` says more, in words for people.
    """

    name: str
    program: str = ""
    instance: int = 0
    state: str = ""
    pid: int | None = None
    uptime_s: float | None = None
    restarts: int = 0
    detail: str = ""
    wanted: bool = True
    phase: str = ""
    data: Mapping[str, Any] = {}


class ActionResult(_Brief, Record):
    """What has become of a process, or a program, that a verb acted on. `outcome` is a word of the protocol, such as "started".

    `reason` says why it is not `ok`, `seconds` how long it took.
    """

    name: str
    ok: bool
    outcome: str
    state: str = ""
    pid: int | None = None
    seconds: float | None = None
    reason: str = ""
    data: Mapping[str, Any] = {}


class LogOutput(_Brief, Record):
    """A part of what a process has written. `stream` is "stdout" or "stderr"; bytes that are no UTF-8 are lone surrogates."""

    name: str
    stream: str
    text: str
    data: Mapping[str, Any] = {}


class Snapshot(Record):
    """All processes of a subscription, in place of everything that is known of them."""

    processes: tuple[ProcessStatus, ...]


class Change(_Brief, Record):
    """A process has changed: its state `before`, the `state` now (the same if something else has changed), and why.

    `removed`: a reload has taken it out of the configuration.
    """

    before: str
    state: str
    process: ProcessStatus
    reason: str = ""
    removed: bool = False
    data: Mapping[str, Any] = {}


class VerbAnswer(Record):
    """A whole answer: the exit code that taskmasterctl would have, and the messages, as the protocol describes them."""

    exit_code: int
    messages: tuple[Message, ...]

    @property
    def ok(self) -> bool:
        """Whether all went as it was wanted."""
        return self.exit_code == 0

    @property
    def results(self) -> tuple[ActionResult, ...]:
        """What has become of each process that the verb acted on."""
        return tuple(_taken(ActionResult, message) for message in self.messages if message["type"] == "result")

    @property
    def processes(self) -> tuple[ProcessStatus, ...]:
        """The processes that were asked about."""
        lists = (message["processes"] for message in self.messages if message["type"] == "processes")
        return tuple(_taken(ProcessStatus, row) for rows in lists for row in rows)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the daemon warned of."""
        return tuple(str(message["text"]) for message in self.messages if message["type"] == "warning")


class Taskmaster:
    """Asks one daemon. Each call has a connection of its own, so calls of several threads do not meet.

    A verb raises RequestError where the daemon refuses it (its `code` is a word of the protocol, `hints` are next steps and the
    problems of a configuration), UnreachableError where no daemon listens, LostError where it died meanwhile, FrozenError where
    it says nothing for 5 s, TimedOutError after the time of `within`, and ProtocolError where something else answers. All
    are TaskmasterErrors. `hello` is the greeting of the daemon that `connect` found.
    """

    def __init__(self, sockets: Sockets, hello: Mapping[str, Any], timeout_s: float | None = None) -> None:
        self.hello = hello
        self._sockets = sockets
        self._timeout_s = timeout_s

    def within(self, seconds: float) -> Taskmaster:
        """Return a client whose calls raise TimedOutError after so many seconds; the daemon goes on with what it was asked."""
        return Taskmaster(self._sockets, self.hello, seconds)

    def call(self, verb: str, /, *targets: str, **flags: FlagValue) -> VerbAnswer:
        """Ask for any verb of taskmasterctl that the daemon answers, and return the whole answer.

        A flag is a name without its dashes: `no_wait=True`, `lines=20`, `for_="healthy"`; a list repeats it. Where some
        processes fail, that is in the answer and no exception.
        """
        request = _request(verb, targets, flags)
        connection = self._open(request)
        try:
            messages = [*connection.ask(wire_line(request))]
            if ends_daemon(request, messages[-1]):
                connection.wait_closed()
        finally:
            connection.close()
        last = messages.pop()
        _raise_refusal(last, messages)
        return VerbAnswer(int(last["exit"]), tuple(messages))

    def stream(self, verb: str, /, *targets: str, **flags: FlagValue) -> Iterator[Message]:
        """Yield the messages of an answer one by one, which may have no end: `stream("events", follow=True)`.

        It ends when the daemon is shut down; close the iterator, or leave it to the collector, to end it before.
        """
        return self._stream(_request(verb, targets, flags))

    def status(self, *targets: str) -> tuple[ProcessStatus, ...]:
        """Return the processes of these targets, without one of all programs."""
        return self.call("status", *targets).processes

    def start(self, *targets: str, **flags: FlagValue) -> tuple[ActionResult, ...]:
        """Start programs and wait until they are up."""
        return self.call("start", *targets, **flags).results

    def stop(self, *targets: str, **flags: FlagValue) -> tuple[ActionResult, ...]:
        """Stop programs and wait until nothing of them runs."""
        return self.call("stop", *targets, **flags).results

    def restart(self, *targets: str, **flags: FlagValue) -> tuple[ActionResult, ...]:
        """Restart programs and wait until they are up again."""
        return self.call("restart", *targets, **flags).results

    def reload(self, **flags: FlagValue) -> VerbAnswer:
        """Apply the edited configuration; RequestError "config" has its problems as hints."""
        return self.call("reload", **flags)

    def logs(self, *targets: str, **flags: FlagValue) -> Iterator[LogOutput]:
        """Yield what is in the logs, and with `follow=True` what is written from then on."""
        for message in self.stream("logs", *targets, **flags):
            if message["type"] == "output":
                yield _taken(LogOutput, message)

    def subscribe(self, *targets: str) -> Iterator[Snapshot | Change]:
        """Yield how everything is, and then every change as it happens.

        Another snapshot follows a reload, and whenever changes came faster than they were read.
        """
        awaited, rows = -1, list[ProcessStatus]()
        for message in self.stream("subscribe", *targets):
            kind = message["type"]
            if kind == "snapshot":
                awaited, rows = int(message["count"]), []
            elif kind == "processes":
                rows += [_taken(ProcessStatus, row) for row in message["processes"]]
            elif kind == "change":
                yield _taken(Change, {**message, "process": _taken(ProcessStatus, message["process"])}, message)
            if awaited == len(rows):
                awaited = -1
                yield Snapshot(tuple(rows))

    def _stream(self, request: Request) -> Iterator[Message]:
        connection = self._open(request)
        endless = request.verb == "subscribe" or request.has("follow")
        try:
            for message in connection.ask(wire_line(request), endless=endless):
                if message["type"] != "end":
                    yield message
                elif not (endless and (message.get("error") or {}).get("code") == "stopping"):
                    _raise_refusal(message, ())
        finally:
            connection.close()

    def _open(self, request: Request) -> connections.DaemonConnection:
        deadline = None if self._timeout_s is None else time.monotonic() + self._timeout_s
        connection = connections.connect(self._sockets, deadline)
        if needs_same_config(request) and runs_other_config(connection.hello, self._sockets):
            connection.close()
            raise RequestError("other-config", other_config_text(connection.path), 1)
        return connection


def connect(socket: str = "", *, config: str = "", environment: Mapping[str, str] | None = None) -> Taskmaster:
    """Return a client of the daemon at `socket`, of the one that runs the file `config`, or of the usual places.

    `environment` (the process's own by default) names these places, as for taskmasterctl: TASKMASTER_SOCKET, XDG_RUNTIME_DIR.
    Unless you name the socket, the kernel has to confirm that root or this user listens there.
    Raises UnreachableError, FrozenError, LostError, ProtocolError, ConfigError, RequestError "permission".
    """
    sockets = find_sockets(Options(socket=socket, config=config), os.environ if environment is None else environment)
    connection = connections.connect(sockets)
    connection.close()
    if connection.refusal:
        _raise_refusal(connection.refusal, ())
    return Taskmaster(sockets, connection.hello)


def _request(verb: str, targets: Sequence[str], flags: Mapping[str, FlagValue]) -> Request:
    """Return a request. Raises RequestError "usage" or "unknown-verb"."""
    words = [verb]
    for key, value in flags.items():
        name = f"--{key.rstrip('_').replace('_', '-')}"
        if value is True:
            words.append(name)
        elif value is not None and value is not False:
            values = [value] if isinstance(value, str | int | float) else value
            moment = key in MOMENTS and not isinstance(value, str)
            words += [f"{name}={'@' if moment else ''}{each}" for each in values]
    request = with_reason(parse([*words, "--", *targets]))
    refuse_client_flags(request)
    if request.verb in TYPING_VERBS:
        raise RequestError("usage", f"{request.verb} needs input: run taskmasterctl {request.verb}", 2)
    return request


def _raise_refusal(last: Mapping[str, Any], messages: Sequence[Message]) -> None:
    """Raise RequestError if the `end` of an answer has an error."""
    error = last.get("error")
    if error:
        problems = [str(message["text"]) for message in messages if message["type"] == "problem"]
        hints = (*problems, *map(str, error.get("hints") or ()))
        raise RequestError(str(error.get("code")), str(error.get("message")), int(last.get("exit", 1)), hints)


def _taken(kind: type[Taken], message: Mapping[str, Any], data: Mapping[str, Any] | None = None) -> Taken:
    """Return a message as a record: the fields that it has, and as `data` all of it."""
    fields = {name: message[name] for name in kind.fields_ if message.get(name) is not None}
    return kind(**{**fields, "data": message if data is None else data})
