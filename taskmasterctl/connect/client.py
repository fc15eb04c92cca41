"""One connection to the daemon: connect, greeting, one request, its replies. Every wait has a limit; nothing is retried.

It shows nothing and decides no exit code. Each way to fail has an exception of its own.
"""

from __future__ import annotations

import errno
import os
import time

from taskmaster_common.commands.table import COMMANDS, DAEMON_SIDE, USAGE
from taskmaster_common.errors import ProtocolError, RequestError, TaskmasterError
from taskmaster_common.paths import MAX_SOCKET_PATH
from taskmaster_common.protocol import (
    FROZEN_AFTER_S,
    MAX_REPLY,
    OLDEST_VERSION,
    PROTOCOL_VERSION,
    LineDecoder,
    decode_reply,
    request_line,
)
from taskmasterctl.connect.trust import check_names, listener_of, stranger, stranger_who_made

try:
    import _socket as socket  # the module socket costs 6 ms, for enums
except ImportError:
    import socket  # type: ignore[no-redef]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmasterctl.connect.sockets import Sockets

    Attempt = tuple[str, int]
    Message = dict[str, Any]

CHUNK = 65_536
UNENDED = "failed"
"""Error of an `end` of `shutdown` after which the daemon ends all the same: something could not be ended."""
BACKLOG_PAUSE_S = 0.02
"""Pause between two tries while the queue of connections is full, seconds."""
STRANGER_PATIENCE_S = 0.5
"""Longest wait at a full queue of connections whose socket a stranger made, seconds."""
NEXT_CANDIDATE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED, errno.EACCES, errno.EPERM})
"""The errors after which the next candidate is tried: no daemon of ours is behind this path."""


class UnreachableError(TaskmasterError):
    """No daemon of ours listens at any candidate.

    `attempts` are (path, errno) in the order tried, at least one. `strangers` are the uids of the daemons that were refused,
    by path.
    """

    def __init__(self, attempts: Sequence[Attempt], strangers: Mapping[str, int]) -> None:
        super().__init__(", ".join(f"{path}: {os.strerror(number)}" for path, number in attempts))
        self.attempts = tuple(attempts)
        self.strangers = strangers


class FrozenError(TaskmasterError):
    """The daemon accepted the connection but sent nothing for FROZEN_AFTER_S. `pid` is the daemon's, 0 if unknown."""

    def __init__(self, path: str, pid: int) -> None:
        super().__init__(f"no answer within {FROZEN_AFTER_S:g} s")
        self.path = path
        self.pid = pid


class StrangerError(TaskmasterError):
    """The user `uid` listens, who is neither root nor this user."""

    def __init__(self, uid: int) -> None:
        super().__init__(f"uid {uid} listens")
        self.uid = uid


class TimedOutError(TaskmasterError):
    """The deadline of --timeout has passed."""


class LostError(TaskmasterError):
    """The daemon closed the connection before the end of its answer."""


def connect(sockets: Sockets, deadline: float | None = None) -> DaemonConnection:
    """Return a connection to the first of these sockets whose daemon is trusted, with its greeting read.

    `deadline` is on the monotonic clock. Raises UnreachableError, FrozenError, TimedOutError, LostError, and ProtocolError
    if no daemon of our protocol answers.
    """
    attempts: list[Attempt] = []
    strangers: dict[str, int] = {}
    for path in sockets.paths:
        connection = DaemonConnection(path, deadline)
        try:
            connection.open(anybody=sockets.named)
            connection.greet()
        except StrangerError as error:
            connection.close()
            attempts.append((path, errno.EACCES))
            strangers[path] = error.uid
        except OSError as error:
            connection.close()
            attempts.append((path, error.errno or errno.EIO))
            if error.errno not in NEXT_CANDIDATE:
                break
        except TaskmasterError:
            connection.close()
            raise
        else:
            return connection
    raise UnreachableError(attempts, strangers)


class DaemonConnection:
    """A connection for one request. `hello` is the greeting; `sent`: the daemon may have received the request."""

    def __init__(self, path: str, deadline: float | None = None) -> None:
        self.path = path
        self.sent = False
        self.hello: Message = {}
        self._deadline = deadline
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._decoder = LineDecoder(MAX_REPLY)
        self._lines: list[bytes] = []
        self._refusal: dict[str, Any] | None = None

    def open(self, *, anybody: bool = True) -> None:
        """Connect; only to root or to this user unless `anybody`.

        Raises StrangerError, OSError, TimedOutError, and FrozenError if the queue of connections stays full.
        """
        if len(os.fsencode(self.path)) > MAX_SOCKET_PATH:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        began = time.monotonic()
        while True:
            self._channel.settimeout(self._patience(began + FROZEN_AFTER_S))
            try:
                self._channel.connect(self.path)
            except BlockingIOError:  # Linux does not wait while the queue is full; connect(2), EAGAIN
                time.sleep(BACKLOG_PAUSE_S)
                maker = stranger_who_made(self.path)
                if maker is not None and not anybody and time.monotonic() - began > STRANGER_PATIENCE_S:
                    raise StrangerError(maker) from None
            else:
                break
        uid = None if anybody else stranger(self._channel)
        if uid is not None:
            raise StrangerError(uid)

    def greet(self) -> None:
        """Read the greeting. Raises FrozenError, TimedOutError, LostError, ProtocolError."""
        hello = self._message(FROZEN_AFTER_S)
        if hello["type"] == "end":
            self._refusal = hello
        elif hello["type"] != "hello" or hello.get("name") != "taskmasterd":
            raise ProtocolError("cannot read the greeting: the process that answers is not taskmasterd")
        elif hello.get("protocol") not in range(OLDEST_VERSION, PROTOCOL_VERSION + 1):
            raise ProtocolError(
                f"cannot talk to taskmasterd {hello.get('version')}: it speaks protocol {hello.get('protocol')}, "
                f"this client {PROTOCOL_VERSION}"
            )
        else:
            self.hello = hello

    def ask(self, line: bytes, *, endless: bool = False, tick_s: float | None = None) -> Iterator[dict[str, Any]]:
        """Send the line of a request and yield its replies without the `ack`, `end` last.

        The replies of an `endless` request may pause for any time. With `tick_s` a message of the type "tick" is yielded after
        each pause of that many seconds.
        Raises FrozenError, TimedOutError, LostError, ProtocolError.
        """
        if self._refusal is not None:
            yield self._refusal
            return
        self._send(line)
        silence: float | None = FROZEN_AFTER_S
        while True:
            try:
                message = self._message(silence)
            except FrozenError:
                if silence == FROZEN_AFTER_S:
                    raise
                message = {"type": "tick"}
            if message["type"] == "ack":
                silence = tick_s if endless else FROZEN_AFTER_S
                continue
            yield message
            if message["type"] == "end":
                return

    @property
    def refusal(self) -> dict[str, Any] | None:
        """The `end` that came in the greeting's place, if it did."""
        return self._refusal

    def fileno(self) -> int:
        """Return the descriptor of the connection, to wait with."""
        return self._channel.fileno()

    def begin(self, line: bytes) -> None:
        """Send the line of a request whose input follows; its replies are taken by `arrived`."""
        self._send(line)

    def send_some(self, data: bytes) -> int:
        """Send as much of the input as the connection takes now; return how many bytes that are. Raises LostError."""
        self._channel.settimeout(0.0)
        try:
            return self._channel.send(data)
        except BlockingIOError:
            return 0
        except OSError:
            raise LostError("the daemon closed the connection before it had all input") from None

    def arrived(self) -> list[Message]:
        """Return the messages that have arrived, without waiting. Raises LostError at the end, ProtocolError."""
        self._channel.settimeout(0.0)
        while True:
            try:
                received = self._channel.recv(CHUNK)
            except BlockingIOError:
                break
            except OSError:
                received = b""
            if not received:
                if self._lines:
                    break
                raise LostError("the daemon closed the connection before the end of its answer")
            self._lines += self._decoder.feed(received)
        lines, self._lines = self._lines, []
        return [check_names(decode_reply(line)) for line in lines]

    def frozen(self) -> FrozenError:
        """Return the error for a daemon that sends nothing."""
        return FrozenError(self.path, listener_of(self._channel)[0])

    def wait_closed(self) -> None:
        """Wait until the daemon closes, which it does after it removed its files. Raises FrozenError, TimedOutError."""
        limit = time.monotonic() + FROZEN_AFTER_S
        while self._receive(limit):
            pass

    def close(self) -> None:
        """Close the connection. The daemon goes on with what it was asked to do."""
        self._channel.close()

    def _send(self, line: bytes) -> None:
        self._channel.settimeout(self._patience(time.monotonic() + FROZEN_AFTER_S))
        self.sent = True
        try:
            self._channel.sendall(line)
        except TimeoutError:
            raise FrozenError(self.path, listener_of(self._channel)[0]) from None
        except OSError:
            return  # the daemon has closed; its last message may say why

    def _message(self, silence: float | None) -> dict[str, Any]:
        """Return the next message. `silence`: seconds without a byte after which the daemon counts as frozen, None: never."""
        while not self._lines:
            limit = None if silence is None else time.monotonic() + silence
            received = self._receive(limit)
            if not received:
                raise LostError("the daemon closed the connection before the end of its answer")
            self._lines = self._decoder.feed(received)
        return check_names(decode_reply(self._lines.pop(0)))

    def _receive(self, limit: float | None) -> bytes:
        """Return the bytes that arrive before `limit`, b"" at the end of the connection. Raises FrozenError, TimedOutError.

        It reads once more before it gives up: this process itself may have been stopped (Ctrl-Z) meanwhile.
        """
        while True:
            try:
                self._channel.settimeout(0.0)
                return self._channel.recv(CHUNK)
            except BlockingIOError:
                self._channel.settimeout(self._patience(limit))
            except OSError:
                return b""
            try:
                return self._channel.recv(CHUNK)
            except TimeoutError:
                continue
            except OSError:
                return b""

    def _patience(self, limit: float | None) -> float | None:
        """Return the seconds until `limit` or the deadline, None without either. Raises FrozenError, TimedOutError if past."""
        now = time.monotonic()
        if self._deadline is not None and self._deadline <= now:
            raise TimedOutError
        if limit is not None and limit <= now:
            raise FrozenError(self.path, listener_of(self._channel)[0])
        ends = [end for end in (limit, self._deadline) if end is not None]
        return min(ends) - now if ends else None


def ends_daemon(request: Request, last: Mapping[str, Any]) -> bool:
    """Return whether the daemon ends after this `end`: it was to be shut down, and has not refused."""
    error = last.get("error")
    refused = isinstance(error, dict) and error.get("code") != UNENDED
    return request.verb == "shutdown" and not request.has("no_wait") and not refused


def wire_line(request: Request) -> bytes:
    """Return a request as a line of the wire. Raises RequestError "usage" for a word that does not fit into one."""
    try:
        return request_line(request_words(request))
    except ProtocolError as error:
        raise RequestError("usage", str(error), USAGE) from None


def request_words(request: Request) -> tuple[str, ...]:
    """Return a request as words for the daemon: aliases resolved, without the client's flags. `parse` reads them back."""
    words = [request.verb]
    verb = next(command for command in COMMANDS if command.name == request.verb)
    for flag in verb.flags:
        if flag.side == DAEMON_SIDE and flag.key in request.flags:
            value = request.flags[flag.key]
            words.append(flag.name if value is True else f"{flag.name}={value}")
    if any(target.startswith("-") for target in request.targets):
        words.append("--")
    return (*words, *request.targets)
