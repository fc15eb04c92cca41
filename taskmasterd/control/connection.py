"""One client: lines in, objects out, ceilings everywhere.

It knows bytes, lines and objects, not verbs. A request is answered by sending objects, or by a source that is pulled while
the client reads (see `replies`), so that a client that does not read holds back only itself. What takes longer than that is
an *operation*, which can say what the daemon needs after an upgrade to go on with it.
"""

from __future__ import annotations

from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import refusal
from taskmasterd.control.replies import ReplyQueue, ReplySource
from taskmasterd.control.requests import READ_AT_ONCE, RequestLines
from taskmasterd.system.loop.cmodules import partial
from taskmasterd.system.loop.reactor import READ, WRITE
from taskmasterd.system.peers import has_left

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from taskmasterd.control.replies import Source
    from taskmasterd.control.requests import Intake
    from taskmasterd.control.rights import Claim
    from taskmasterd.system.loop.lanes import Lane
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.loop.rounds import Rounds
    from taskmasterd.system.peers import Peer

    class Server(Protocol):
        """What a connection belongs to."""

        @property
        def reactor(self) -> Reactor:
            """The loop."""

        def on_request(self, connection: Connection, line: bytes, /) -> None:
            """Answer a request."""

        def before_answer(self) -> None:
            """Write what a client that gets an answer may know."""

        def forget(self, connection: Connection, /) -> None:
            """Drop a connection that has closed itself."""

    class Operation(Protocol):
        """What a client waits for."""

        def to_data(self) -> dict[str, Any]:
            """Return what the daemon needs after an upgrade to go on with it."""


USAGE = 2
"""Exit code of what is refused here."""


class Connection:
    """One client. `access` says what has let him in, `claim` for what the present request was allowed by a role.

    A client that has gone is still read to its end: what it asked for is done. `deaf` means that it reads no more. `share` is
    that of the loop's time in which it is served.
    """

    def __init__(
        self, server: Server, channel: socket.socket, peer: Peer, access: str, share: Rounds | Lane | None = None
    ) -> None:
        self.peer = peer
        self.access = access
        self._server = server
        self._reactor = server.reactor
        self.share = share or server.reactor.rounds
        self._channel = channel
        self._requests = RequestLines(
            self._reactor, lambda text: self.end_and_close(refusal(RequestError("too-long", text, USAGE)))
        )
        self._queue = ReplyQueue(self._reactor)
        self._source = ReplySource(
            self._reactor, self.send, lambda: not self.closed and not self._queue.filled, self.broken, self.share
        )
        self._events = 0
        self._closing = False
        self._peer_done = False
        self._on_gone: Callable[[], None] | None = None
        self.operation: Operation | None = None
        self.intake: Intake | None = None
        self._took_input = False
        self.claim: Claim | None = None
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
        if self._queue.stuck:
            self.close()
            return
        self._queue.add(message)
        self._server.before_answer()
        self._write()

    def end(self, message: dict[str, Any], *, drop_input: bool = False) -> None:
        """Send the `end` of the present request and go on with the next one; with `drop_input`, what follows is no input of that."""
        self._took_input = self._took_input or drop_input
        self.send(message)
        self._request_is_over()

    def when_gone(self, callback: Callable[[], None]) -> None:
        """Call `callback` when the client goes before the `end` of this request, at once when it has gone already.

        The request is over then: nothing more may be sent for it.
        """
        self._on_gone = callback
        if self.deaf or self.closed:
            self._tell_gone()

    def pull(self, source: Source, *, endless: bool = False) -> None:
        """Take objects from `source` while the client reads them; the source must call `end` itself.

        Where the client has gone already, the source is not asked and the request is over.
        """
        if self.deaf or self.closed:
            if self.busy:
                self._request_is_over()
            return
        self._source.begin(source, endless=endless)
        if self._peer_done and endless:
            self._tell_gone()

    def poke(self) -> None:
        """Pull the source again: it may have something new. Give the operation more input, too."""
        self._source.poke()
        if self.intake:
            self._next_request()

    def dismiss(self, message: dict[str, Any], *, forbidden: bool = False) -> None:
        """End an endless reply with this `end`; as `forbidden` also a wait, and at once: nothing more of it is sent."""
        if forbidden and self._on_gone:
            callback, self._on_gone = self._on_gone, None
            self._source.drop()
            callback()
            self.end(message)
        elif self._source.endless and not forbidden:
            self._source.send_ready()
            self.end(message)

    def end_and_close(self, message: dict[str, Any]) -> None:
        """Send a last object and close once it has been written."""
        self._closing = True
        self._queue.add(message)
        self._write()

    def broken(self) -> None:
        """Answer a request that an error of ours has ended, so that the client does not wait for ever."""
        error = RequestError("internal", "internal error; the daemon's event log has the details", 1)
        self.end_and_close(refusal(error))

    def _request_is_over(self) -> None:
        self._source.drop()
        self._took_input = self._took_input or self.intake is not None
        self._on_gone, self.operation, self.intake, self.claim = None, None, None, None
        self.busy = False
        self.last_active = self._reactor.now()
        self._reactor.call_soon(self._next_request, self.broken)

    def _tell_gone(self, *, deaf: bool = False) -> None:
        """Call the callback of `when_gone`. `deaf`: the client reads no more, but its queued requests are still served."""
        if deaf:
            heard, self.deaf = not self.deaf, True
            self._queue.clear()
            if self._closing:
                return
            if heard and self.intake:
                self._requests.take_rest(self._channel, self.intake)
        callback, self._on_gone = self._on_gone, None
        had_source = self._source.drop()
        if callback:
            callback()
        if callback or had_source:
            self._request_is_over()

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
        elif not received:
            self._peer_done = True
            if has_left(self._channel):
                self._tell_gone(deaf=True)
            self._finish_when_idle()
        else:
            self.last_active = self._reactor.now()
            if self._requests.feed(received):
                self._next_request()
                self._listen()

    def _finish_when_idle(self) -> None:
        """Answer what was asked by a client that sends no more (nc -N ends its sending at once), then close.

        An endless stream stops. Queued requests are still served.
        """
        if not self.busy and not self._requests:
            self._closing = True
            if not self._queue:
                self.close()
                return
        if self.busy and self._source.endless:
            self._tell_gone()
        elif self.intake and not self._requests:
            self.intake.no_more()
        self._listen()

    def _next_request(self) -> None:
        if self.intake:
            try:
                self._requests.give(self.intake)
            except RequestError as error:
                self.end_and_close(refusal(error))
            if self._peer_done and self.intake and not self._requests:
                self.intake.no_more()
            self._listen()
        if self.closed or self._closing or self.busy or self._queue.filled:
            return
        while (
            self._took_input and self._requests.is_input
        ):  # it was sent before the client knew that nothing waits for it
            self._requests.pop()
        if self._requests:
            self.busy, self._took_input = True, False
            line = self._requests.pop()
            self._listen()
            self._server.on_request(self, line)
        elif self._peer_done:
            self._finish_when_idle()

    # -- the descriptor

    def _write(self) -> None:
        try:
            self._queue.write(self._channel)
        except BlockingIOError:
            pass
        except OSError:
            self._tell_gone(deaf=True)
        if self._closing and not self._queue:
            self.close()
        else:
            self._listen()

    def _listen(self) -> None:
        """Watch for what can be used now; while many requests wait, nothing is read."""
        wants_read = not self._peer_done and not self._requests.crowded
        events = (READ if wants_read else 0) | (WRITE if self._queue else 0)
        if events == self._events or self.closed:
            return
        self._events = events
        if events:
            self._reactor.watch(self._channel.fileno(), events, self._ready, self.broken)
        else:
            self._reactor.remove(self._channel.fileno())

    def close(self) -> None:
        """Close at once, and call what `when_gone` was given. An operation goes on."""
        if self.closed:
            return
        self.closed = True
        self._requests.close()
        self._reactor.remove(self._channel.fileno())
        self._channel.close()
        self._server.forget(self)
        self._tell_gone()

    # -- an upgrade

    def to_data(self, *, looking: bool = False) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade to serve this client on; the descriptor has to be inherited.

        First drain a pending bounded reply into the queue, unless `looking`: nothing may change then.
        """
        if not looking and self.operation is None:
            for message in self._source.drain():
                self._queue.add(message)
        return {
            "fd": self._channel.fileno(),
            "queue": self._queue.to_data(),
            **self._requests.to_data(),
            "peer_done": self._peer_done,
            "took_input": self._took_input,
            "closing": self._closing,
            "deaf": self.deaf,
            "access": self.access,
            "claim": self.claim,
            "operation": self.operation.to_data() if self.operation else None,
        }

    def resume(self, row: Mapping[str, Any], resume_request: Callable[[Connection, Any], None]) -> None:
        """Go on where `to_data` was taken; `resume_request` is given the operation that was under way."""
        self._queue.resume(row["queue"])
        self._requests.resume(row)
        self._peer_done, self._closing, self.deaf = row["peer_done"], row["closing"], row["deaf"]
        self._took_input = row.get("took_input", False)
        if row["operation"] is not None:
            self.busy, self.claim = True, row.get("claim")
            resume_request(self, row["operation"])
        self._reactor.call_soon(partial(self._ready, WRITE), self.broken)
