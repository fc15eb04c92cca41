"""Probes that connect: tcp and unix (a connection will do), http (one request, one status). Source: connect(2), socket(7).

Two addresses, those of `localhost`, are tried at the same time, and the first success counts. A program's user decides what is at
the path of a socket, so root connects to it with that user's rights: a planted link leads nowhere new.
"""

from __future__ import annotations

import errno
import os

from taskmaster_common.errors import system_reason
from taskmasterd.fallbacks import SHORTAGES
from taskmasterd.probing.text.http import MOST_READ, status_in
from taskmasterd.probing.text.result import CANCELLED, Result, late_text
from taskmasterd.system.loop.cmodules import partial
from taskmasterd.system.loop.reactor import READ, WRITE
from taskmasterd.system.loop.sockets import socket
from taskmasterd.system.users import ActingAs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskmasterd.probing.text.address import Address
    from taskmasterd.probing.text.http import HttpRequest
    from taskmasterd.system.loop.reactor import Reactor, Timer
    from taskmasterd.system.users import Account

    Done = Callable[[Result], None]

FULL_FIRST_S, FULL_MOST_S = 0.05, 0.8
"""Shortest and longest pause before a UNIX socket is tried again whose queue is full: nothing reports room in it, seconds."""
ABSENT = (errno.ECONNREFUSED, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.ENETUNREACH, errno.ENOENT)
"""Errors that say only that nobody listens there; of two addresses the other one's failure says more."""
BROKEN = Result(None, "an error in taskmasterd, see its event log")


class ConnectTry:
    """One probe by a connection to any of `addresses`, with a `request` also by its answer.

    `who` is the program's user, None for the daemon's own.
    """

    def __init__(
        self,
        reactor: Reactor,
        addresses: Sequence[Address],
        timeout_s: float,
        request: HttpRequest | None = None,
        who: Account | None = None,
    ) -> None:
        self._reactor = reactor
        self._addresses = addresses
        self._timeout_s = timeout_s
        self._request = request
        self._who = who
        self._done: Done | None = None
        self._open: list[_Connection] = []
        self._failures: list[tuple[int, Result]] = []
        self._timer: Timer | None = None
        self._began = 0.0

    def begin(self, done: Done) -> None:
        """Connect; see the package for `done`."""
        reactor = self._reactor
        self._done, self._began, self._failures = done, reactor.now(), []
        self._timer = reactor.call_later(self._timeout_s, self._late)
        self._open = [_Connection(reactor, each, self._request, self._ended) for each in self._addresses]
        for connection in tuple(self._open):
            if connection in self._open:  # the one before may have succeeded
                connection.connect(self._who)

    def cancel(self) -> None:
        """Close the connection."""
        self._conclude(Result(None, CANCELLED))

    def _late(self) -> None:
        self._conclude(Result(False, late_text(self._timeout_s)))

    def _ended(self, connection: _Connection, number: int, result: Result) -> None:
        """Take the result of one address; `number` is the errno behind it, or 0."""
        if connection not in self._open:
            return
        self._open.remove(connection)
        if result.ok:
            self._conclude(result)
            return
        self._failures.append((number, result))
        if not self._open:
            self._conclude(_most_telling(self._failures))

    def _conclude(self, result: Result) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        self._reactor.cancel(self._timer)
        for connection in self._open:
            connection.close()
        self._open = []
        result = result.replace(took_s=self._reactor.now() - self._began)
        self._reactor.call_soon(partial(done, result))


class ImpossibleTry:
    """A probe of what is no address: it fails at once, and says why."""

    def __init__(self, reactor: Reactor, reason: str) -> None:
        self._reactor = reactor
        self._reason = reason

    def begin(self, done: Done) -> None:
        """Fail; see the package for `done`."""
        self._reactor.call_soon(partial(done, Result(False, self._reason)))

    def cancel(self) -> None:
        """Do nothing: the result is on its way."""


def _most_telling(failures: Sequence[tuple[int, Result]]) -> Result:
    """Return the failure that stands for all: one of which nobody knows, or one of a server that is there."""
    unknown = [result for _number, result in failures if result.ok is None]
    present = [result for number, result in failures if number not in ABSENT]
    return (unknown or present or [failures[0][1]])[0]


class _Connection:
    """One socket on its way; calls `ended(self, errno, result)` once, after closing itself."""

    def __init__(
        self,
        reactor: Reactor,
        address: Address,
        request: HttpRequest | None,
        ended: Callable[[_Connection, int, Result], None],
    ) -> None:
        self._reactor = reactor
        self._address = address
        self._request = request
        self._ended = ended
        self._socket: socket.socket | None = None
        self._unsent = request.sent if request else b""
        self._answer = b""
        self._pause_s = FULL_FIRST_S
        self._timer: Timer | None = None

    def connect(self, who: Account | None) -> None:
        """Begin; ends at once where the system refuses."""
        try:
            if self._socket is None:
                self._socket = socket.socket(
                    self._address.family, socket.SOCK_STREAM
                )  # close-on-exec, like all of Python's
                self._socket.setblocking(False)
            number = self._connect(self._socket, who)
            if number == errno.EAGAIN and self._address.family == socket.AF_UNIX:
                self._timer = self._reactor.call_later(self._pause_s, partial(self.connect, who))
                self._pause_s = min(self._pause_s * 2, FULL_MOST_S)
            elif number in (0, errno.EINPROGRESS):
                self._reactor.watch(self._socket.fileno(), WRITE, self._writable, self._broken)
            else:
                self._fail(OSError(number, os.strerror(number)))
        except OSError as error:
            self._fail(error)

    def _connect(self, channel: socket.socket, who: Account | None) -> int:
        if self._address.family != socket.AF_UNIX or who is None:
            return channel.connect_ex(self._address.address)
        with ActingAs(who):
            return channel.connect_ex(self._address.address)

    def close(self) -> None:
        """Close the socket, without calling `ended`."""
        self._reactor.cancel(self._timer)
        if self._socket is not None:
            self._reactor.remove(self._socket.fileno())
            self._socket.close()
            self._socket = None

    def _end(self, result: Result, number: int = 0) -> None:
        self.close()
        self._ended(self, number, result)

    def _fail(self, error: OSError) -> None:
        number = error.errno or 0
        self._end(Result(None if number in SHORTAGES else False, system_reason(error)), number)

    def _broken(self) -> None:
        self._end(BROKEN)

    def _writable(self, _events: int) -> None:
        channel = self._socket
        if channel is None:
            return
        number = channel.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number or _is_its_own_peer(channel):
            number = number or errno.ECONNREFUSED
            self._fail(OSError(number, os.strerror(number)))
        elif self._request is None:
            self._end(Result(True, "connected"))
        else:
            self._send(channel)

    def _send(self, channel: socket.socket) -> None:
        try:
            self._unsent = self._unsent[channel.send(self._unsent) :]
            if not self._unsent:
                self._reactor.watch(channel.fileno(), READ, self._readable, self._broken)
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)

    def _readable(self, _events: int) -> None:
        if self._socket is None or self._request is None:
            return
        try:
            piece = self._socket.recv(MOST_READ - len(self._answer))
        except BlockingIOError:
            return
        except OSError as error:
            self._fail(error)
            return
        self._answer += piece
        try:
            status = status_in(self._answer)
        except ValueError as error:
            self._end(Result(False, str(error)))
            return
        if status is not None:
            self._end(Result(*self._request.verdict(status)))
        elif not piece:
            self._end(Result(False, "closed without an answer"))


def _is_its_own_peer(channel: socket.socket) -> bool:
    """Return whether the kernel gave a client the very port that it connects to, where nobody listens: then TCP joins it to itself."""
    try:
        return channel.family != socket.AF_UNIX and channel.getsockname() == channel.getpeername()
    except OSError:  # closed by the peer since
        return False
