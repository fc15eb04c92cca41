"""The UNIX listener and its connections: peer credentials, lines in, objects out, ceilings everywhere.

It knows bytes, lines and objects, not verbs. Each connection is served by *sources*: iterators of reply objects that are
pulled while the client reads, so that a client that does not read holds back only itself. A source yields None when it has
nothing to say yet and is pulled again after `poke`.
"""

from __future__ import annotations

import errno
import os
import socket

from taskmaster_common.errors import ProtocolError, RequestError
from taskmaster_common.protocol import HALF_LINE_TIMEOUT_S, MAX_QUEUED, MAX_REQUEST, LineDecoder, encode, refusal
from taskmasterd.system.peers import Peer, peer_of
from taskmasterd.system.reactor import READ, WRITE, Reactor, Timer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

USAGE, NO_PERMISSION = 2, 4
"""Exit codes of what is refused here."""
BACKLOG = 1024
MAX_CONNECTIONS = 1000
ACCEPTS_PER_TURN = 64
RESERVE = 8
"""Descriptors kept for clients: without them nobody could stop anything once the programs have taken all others."""
MAX_WAITING_REQUESTS = 64
PATIENCE_S = 5.0
AGAIN_S = 0.5
"""So long the listener rests after an error of ours: at once could be for ever."""
FILL_TO = 256 * 1024
"""A source is pulled until so much waits to be read."""


class Connection:
    """One client: an incoming line buffer, an outgoing queue, and at most one source that is pulled.

    A client that has gone is still read to its end: what it asked for is done. `deaf` means that it reads no more.
    """

    def __init__(self, server: ControlServer, channel: socket.socket, peer: Peer) -> None:
        self.peer = peer
        self._server = server
        self._reactor = server.reactor
        self._channel = channel
        self._decoder = LineDecoder(MAX_REQUEST)
        self._requests: list[bytes] = []
        self._queue = bytearray()
        self._source: Iterator[dict[str, Any] | None] | None = None
        self._endless = False
        self._half_line: Timer | None = None
        self._events = 0
        self._closing = False
        self._peer_done = False
        self._on_gone: Callable[[], None] | None = None
        self._taken_at = self._reactor.now()
        self.busy = False
        self.deaf = False
        self.closed = False
        self.last_active = self._reactor.now()
        self._listen()

    # -- out

    def send(self, message: dict[str, Any]) -> None:
        """Queue one object; a client that lets more than 1 MiB wait, and takes nothing for 5 s, is disconnected."""
        if self.closed or self.deaf:
            return
        if len(self._queue) > MAX_QUEUED and self._reactor.now() - self._taken_at > PATIENCE_S:
            self.close()
            return
        self._queue += encode(message)
        self._server.before_answer()
        self._write()

    def end(self, message: dict[str, Any]) -> None:
        """Send the `end` of the present request and go on with the next one."""
        self.send(message)
        self._request_is_over()

    def when_gone(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the client goes before the `end` of this request, at once when it has gone already.

        The request counts as over then: nothing more is to be sent for it.
        """
        self._on_gone = callback
        if self.deaf or self.closed:
            self._tell_gone()

    def pull(self, source: Iterator[dict[str, Any] | None], *, endless: bool = False) -> None:
        """Take objects from `source` while the client reads them; it must call `end` itself when it is through.

        Of a client that has gone already nothing is asked: the request is over.
        """
        if self.deaf or self.closed:
            if self.busy:
                self._request_is_over()
            return
        self._source = source
        self._endless = endless
        self.poke()

    def poke(self) -> None:
        """Pull the source again: there is something new."""
        while self._source is not None and not self.closed and len(self._queue) < FILL_TO:
            message = next(self._source, None)
            if message is None:
                return
            self.send(message)

    def end_and_close(self, message: dict[str, Any]) -> None:
        """Send a last object and close once it has been written."""
        self._closing = True
        self._queue += encode(message)
        self._write()

    def _request_is_over(self) -> None:
        self._source, self._on_gone = None, None
        self.busy = False
        self.last_active = self._reactor.now()
        self._reactor.call_soon(self._next_request, self._broken)

    def _tell_gone(self) -> None:
        callback, self._on_gone = self._on_gone, None
        source, self._source = self._source, None
        if callback:
            callback()
        if callback or source is not None:
            self._request_is_over()

    def _broken(self) -> None:
        """An error of ours escaped while this client was served: it is told, instead of being left to wait."""
        error = RequestError("internal", "internal error; the daemon's event log has the details", 1)
        self.end_and_close(refusal(error))

    # -- in

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._write()
            self.poke()
            self._next_request()
        if events & READ and not self.closed:
            self._read()

    def _read(self) -> None:
        try:
            received = self._channel.recv(MAX_REQUEST)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if self._closing:
            if not received:
                self.close()
            return
        if not received:
            self._peer_done = True
            self._finish_when_idle()
            return
        self.last_active = self._reactor.now()
        try:
            self._requests += [line for line in self._decoder.feed(received) if line.strip()]
        except ProtocolError as error:
            self.end_and_close(refusal(RequestError("too-long", str(error), USAGE)))
            return
        self._watch_half_line()
        self._next_request()

    def _finish_when_idle(self) -> None:
        """The client sends no more (nc -N does so at once): answer what it asked, then close."""
        if not self.busy and not self._requests:
            self._closing = True
            if not self._queue:
                self.close()
                return
        elif self.busy and self._endless and self._source is not None:
            self.close()  # nobody would ever end a stream
            return
        self._listen()

    def _watch_half_line(self) -> None:
        if self._decoder.pending and self._half_line is None:
            self._half_line = self._reactor.call_later(HALF_LINE_TIMEOUT_S, self._half_line_timed_out)
        elif not self._decoder.pending:
            self._reactor.cancel(self._half_line)
            self._half_line = None

    def _half_line_timed_out(self) -> None:
        text = f"no complete line within {HALF_LINE_TIMEOUT_S:.0f} seconds"
        self.end_and_close(refusal(RequestError("too-long", text, USAGE)))

    def _next_request(self) -> None:
        if self.closed or self._closing or self.busy or len(self._queue) > FILL_TO:
            return
        if self._requests:
            self.busy = True
            line = self._requests.pop(0)
            self._listen()
            self._server.on_request(self, line)
        elif self._peer_done:
            self._finish_when_idle()

    # -- the descriptor

    def _write(self) -> None:
        try:
            while self._queue:
                sent = self._channel.send(self._queue[:MAX_REQUEST])
                del self._queue[:sent]
                self._taken_at = self._reactor.now()
        except BlockingIOError:
            pass
        except OSError:
            self._become_deaf()
            return
        if self._closing and not self._queue:
            self.close()
            return
        self._listen()

    def _become_deaf(self) -> None:
        """The client reads no more: drop what was for it, and go on reading what it still asks for."""
        self.deaf = True
        self._queue.clear()
        if self._closing:
            self.close()
            return
        self._tell_gone()
        self._listen()

    def _listen(self) -> None:
        """Watch for what can be used now: no reading while many requests wait."""
        wants_read = not self._peer_done and len(self._requests) < MAX_WAITING_REQUESTS
        events = (READ if wants_read else 0) | (WRITE if self._queue else 0)
        if events == self._events or self.closed:
            return
        self._events = events
        if events:
            self._reactor.watch(self._channel.fileno(), events, self._ready, self._broken)
        else:
            self._reactor.remove(self._channel.fileno())

    def close(self) -> None:
        """Close at once; whoever listens to this request is told. An operation goes on."""
        if self.closed:
            return
        self.closed = True
        self._reactor.cancel(self._half_line)
        self._reactor.remove(self._channel.fileno())
        self._channel.close()
        self._server.forget(self)
        self._tell_gone()


class ControlServer:
    """Accepts connections. `permits(peer)` decides who may control; `on_request(connection, line)` is told of each line.

    `before_answer()` is called before anything is sent: what is told must have been remembered.
    """

    def __init__(
        self,
        reactor: Reactor,
        listener: socket.socket,
        greeting: dict[str, Any],
        permits: Callable[[Peer], bool],
        on_request: Callable[[Connection, bytes], None],
        on_refused: Callable[[Peer], None],
    ) -> None:
        self.reactor = reactor
        self.on_request = on_request
        self.before_answer: Callable[[], None] = lambda: None
        self._listener = listener
        self._greeting = greeting
        self._permits = permits
        self._on_refused = on_refused
        self._connections: set[Connection] = set()
        self._reserve: list[int] = []
        self._keep_reserve()
        self._listen()

    def _listen(self) -> None:
        """Accept clients from now on; an error of ours costs one client and a moment, never the door."""
        if self._listener.fileno() >= 0:
            self._listener.setblocking(False)
            self.reactor.watch(self._listener.fileno(), READ, self._accept, self._listen_again)

    def _listen_again(self) -> None:
        self.reactor.call_later(AGAIN_S, self._listen)

    def replace_listener(self, listener: socket.socket) -> None:
        """Listen on another socket (its file had been removed); connections go on."""
        self.reactor.remove(self._listener.fileno())
        self._listener.close()
        self._listener = listener
        self._listen()

    def forget(self, connection: Connection) -> None:
        """Drop a connection that has closed itself."""
        self._connections.discard(connection)
        self._keep_reserve()

    def close_listener(self) -> None:
        """Accept nobody any more; connections go on."""
        self.reactor.remove(self._listener.fileno())
        self._listener.close()

    def close(self) -> None:
        """Close every connection, and the reserve."""
        for connection in tuple(self._connections):
            connection.close()
        while self._reserve:
            os.close(self._reserve.pop())

    def _accept(self, _ready: int) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                channel, _address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE):
                    self.reactor.remove(self._listener.fileno())
                    self._listen_again()
                    return
                if len(self._reserve) < 2:
                    self._turn_away()
                    return
                os.close(self._reserve.pop())
                continue
            self._take(channel)

    def _take(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        try:
            peer = peer_of(channel)
        except OSError:
            channel.close()
            return
        if len(self._connections) >= MAX_CONNECTIONS:
            self._drop_idle()
        connection = Connection(self, channel, peer)
        self._connections.add(connection)
        if self._permits(peer):
            connection.send(self._greeting)
            return
        self._on_refused(peer)
        text = f"uid {peer.uid} may not control this daemon"
        hint = "root, the daemon's own user and members of its socket_group may"
        connection.end_and_close(refusal(RequestError("permission", text, NO_PERMISSION, (hint,))))

    def _drop_idle(self) -> None:
        idle = [connection for connection in self._connections if not connection.busy]
        if idle:
            min(idle, key=lambda connection: connection.last_active).close()

    def _turn_away(self) -> None:
        """No descriptor is left for a client: use the last of the reserve to answer it nevertheless."""
        while self._reserve:
            os.close(self._reserve.pop())
        try:
            channel, _address = self._listener.accept()
            channel.setblocking(False)
            error = RequestError("busy", "the daemon has no file descriptor left; try again", 1)
            channel.send(encode(refusal(error)))
            channel.close()
        except OSError:
            pass
        finally:
            self._keep_reserve()

    def _keep_reserve(self) -> None:
        try:
            while len(self._reserve) < RESERVE:
                self._reserve.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:  # the next client that goes gives some back
            return
