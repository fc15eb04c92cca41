"""One client: lines in, objects out, ceilings everywhere.

It knows bytes, lines and objects, not verbs. A request is answered by sending objects, or by a *source*: an iterator of reply
objects that is pulled while the client reads, so that a client that does not read holds back only itself. A source yields
None when it has nothing to say yet and is pulled again after `poke`, MORE where it has only worked for a while. What takes longer than that is an *operation*, which can
tell what another life of this process needs to go on with it.
"""

from __future__ import annotations

from taskmaster_common.errors import ProtocolError, RequestError
from taskmaster_common.protocol import HALF_LINE_TIMEOUT_S, MAX_QUEUED, MAX_REQUEST, LineDecoder, encode, refusal
from taskmasterd.system.loop.cmodules import deque
from taskmasterd.system.loop.reactor import READ, WRITE

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Protocol

    from taskmasterd.control.listener import ControlServer
    from taskmasterd.system.loop.reactor import Timer
    from taskmasterd.system.peers import Peer

    class Operation(Protocol):
        """What a client waits for."""

        def to_data(self) -> dict[str, Any]:
            """Return what another life needs to go on with it."""


USAGE = 2
"""Exit code of what is refused here."""
MAX_WAITING_REQUESTS = 64
PATIENCE_S = 5.0
READ_AT_ONCE = 4096
"""So much is taken from one client in one turn: thousands of short requests of each of hundreds must not stall an answer."""
MAX_WAITING_BYTES = MAX_REQUEST
FILL_TO = 256 * 1024
"""A source is pulled until so much waits to be read."""
MORE: dict[str, Any] = {}
"""What a source yields that has nothing to send yet, and goes on in its next turn by itself."""


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
        self._requests: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._queue = bytearray()
        self._source: Iterator[dict[str, Any] | None] | None = None
        self._endless = False
        self._pulling = False
        self._half_line: Timer | None = None
        self._events = 0
        self._closing = False
        self._peer_done = False
        self._on_gone: Callable[[], None] | None = None
        self.operation: Operation | None = None
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
        if self._peer_done:
            self._end_stream()

    def poke(self) -> None:
        """Pull the source again: there is something new."""
        if self._source is not None and not self._pulling:
            self._pulling = True
            self._reactor.rounds.begin(self._pull_some(), self.broken)

    def _pull_some(self) -> Iterator[None]:
        """Send what the source has, message by message, until enough waits to be read."""
        try:
            while self._source is not None and not self.closed and len(self._queue) < FILL_TO:
                message = next(self._source, None)
                if message is None:
                    return
                if message is not MORE:
                    self.send(message)
                yield
        finally:
            self._pulling = False

    def dismiss(self, message: dict[str, Any]) -> None:
        """Send what can be sent at once of an answer without an end, and then this as its `end`."""
        if self._endless and self._source is not None:
            self.poke()
            self.end(message)

    def end_and_close(self, message: dict[str, Any]) -> None:
        """Send a last object and close once it has been written."""
        self._closing = True
        self._queue += encode(message)
        self._write()

    def _request_is_over(self) -> None:
        self._source, self._on_gone, self.operation = None, None, None
        self.busy = False
        self.last_active = self._reactor.now()
        self._reactor.call_soon(self._next_request, self.broken)

    def _tell_gone(self) -> None:
        callback, self._on_gone = self._on_gone, None
        source, self._source = self._source, None
        if callback:
            callback()
        if callback or source is not None:
            self._request_is_over()

    def broken(self) -> None:
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
            received = self._channel.recv(READ_AT_ONCE)
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
            self._take([line for line in self._decoder.feed(received) if line.strip()])
        except ProtocolError as error:
            self.end_and_close(refusal(RequestError("too-long", str(error), USAGE)))
            return
        self._watch_half_line()
        self._next_request()
        self._listen()

    def _take(self, lines: list[bytes]) -> None:
        self._requests += lines
        self._waiting_bytes += sum(map(len, lines))

    def _finish_when_idle(self) -> None:
        """The client sends no more (nc -N does so at once): answer what it asked, then close."""
        if not self.busy and not self._requests:
            self._closing = True
            if not self._queue:
                self.close()
                return
        self._end_stream()
        self._listen()

    def _end_stream(self) -> None:
        """End what is endless, for a client that sends no more: nobody else would; what was asked after it is done."""
        if self.busy and self._endless and self._source is not None:
            self._tell_gone()

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
            line = self._requests.popleft()
            self._waiting_bytes -= len(line)
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
        crowded = len(self._requests) >= MAX_WAITING_REQUESTS or self._waiting_bytes >= MAX_WAITING_BYTES
        wants_read = not self._peer_done and not crowded
        events = (READ if wants_read else 0) | (WRITE if self._queue else 0)
        if events == self._events or self.closed:
            return
        self._events = events
        if events:
            self._reactor.watch(self._channel.fileno(), events, self._ready, self.broken)
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

    # -- another life

    def to_data(self, *, looking: bool = False) -> dict[str, Any]:
        """Return what another life needs to serve this client on; the descriptor has to be inherited.

        An answer that is no operation is told to its end first, but not for those who are only `looking`: it is bounded,
        and the queue carries it.
        """
        while (
            not looking
            and self._source is not None
            and self.operation is None
            and (message := next(self._source, None)) is not None
        ):
            self._queue += encode(message) if message is not MORE else b""
        return {
            "fd": self._channel.fileno(),
            "queue": self._queue.decode("latin-1"),
            "requests": [line.decode("latin-1") for line in self._requests],
            "pending": self._decoder.rest.decode("latin-1"),
            "peer_done": self._peer_done,
            "closing": self._closing,
            "deaf": self.deaf,
            "operation": self.operation.to_data() if self.operation else None,
        }

    def restore(self, row: Mapping[str, Any], resume: Callable[[Connection, Any], None]) -> None:
        """Go on where `to_data` was taken; `resume` is given the operation that was under way."""
        self._queue += row["queue"].encode("latin-1")
        self._take([line.encode("latin-1") for line in row["requests"]])
        self._decoder.feed(row["pending"].encode("latin-1"))
        self._peer_done, self._closing, self.deaf = row["peer_done"], row["closing"], row["deaf"]
        self._watch_half_line()
        if row["operation"] is not None:
            self.busy = True
            resume(self, row["operation"])
        self._reactor.call_soon(self._go_on, self.broken)

    def _go_on(self) -> None:
        self._write()
        self.poke()  # what had waited for the queue to empty waits no longer: perhaps that was all written just now
        self._next_request()
