"""What one client gets: the queue of encoded objects, and the source from which the queue is filled as the client reads.

A source is an iterator of reply objects. It yields None when it has nothing to say yet and is pulled again after `poke`;
it yields MORE where it has only worked for a while and goes on in its next turn.
"""

from __future__ import annotations

from taskmaster_common.protocol import MAX_QUEUED, MAX_REQUEST, encode
from taskmasterd.core.steps import run

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator
    from typing import Any

    from taskmasterd.core.steps import Steps
    from taskmasterd.system.loop.lanes import Lane
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.loop.rounds import Rounds

    Source = Iterator[dict[str, Any] | None]

PATIENCE_S = 5.0
"""Longest time that a client with a full queue may take nothing, seconds."""
FILL_TO = 256 * 1024
"""Size of the queue up to which a source is pulled and requests are begun, bytes."""
MORE: dict[str, Any] = {}


class ReplyQueue:
    """Encoded objects that wait until the client reads."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._bytes = bytearray()
        self._taken_at = reactor.now()

    def __bool__(self) -> bool:
        return bool(self._bytes)

    @property
    def filled(self) -> bool:
        """Whether so much waits that no more should be made for this client."""
        return len(self._bytes) >= FILL_TO

    @property
    def stuck(self) -> bool:
        """Whether more than MAX_QUEUED bytes wait and the client has taken nothing for PATIENCE_S."""
        return len(self._bytes) > MAX_QUEUED and self._reactor.now() - self._taken_at > PATIENCE_S

    def add(self, message: dict[str, Any]) -> None:
        """Queue one object."""
        self._bytes += encode(message)

    def write(self, channel: socket.socket) -> None:
        """Write what the socket takes. Raises OSError, BlockingIOError where some has to wait."""
        while self._bytes:
            sent = channel.send(self._bytes[:MAX_REQUEST])
            del self._bytes[:sent]
            self._taken_at = self._reactor.now()

    def clear(self) -> None:
        """Drop everything."""
        self._bytes.clear()

    def to_data(self) -> str:
        """Return what waits, as text that JSON can carry."""
        return self._bytes.decode("latin-1")

    def resume(self, data: str) -> None:
        """Queue what `to_data` returned."""
        self._bytes += data.encode("latin-1")


class ReplySource:
    """At most one source, pulled in turns that it shares with all other work of the loop.

    `send(message)` takes each object while `has_room()` is true; `broken()` is called when the source raises. `share` is that
    of the loop's time from which it is pulled, None for one of its own.
    """

    def __init__(
        self,
        reactor: Reactor,
        send: Callable[[dict[str, Any]], None],
        has_room: Callable[[], bool],
        broken: Callable[[], None],
        share: Rounds | Lane | None = None,
    ) -> None:
        self._reactor = reactor
        self._share = share or reactor.rounds
        self._send = send
        self._has_room = has_room
        self._broken = broken
        self._source: Source | None = None
        self._endless = False
        self._pulling = self._poked = False

    def __bool__(self) -> bool:
        return self._source is not None

    @property
    def endless(self) -> bool:
        """Whether there is a source, and it has no end of its own."""
        return self._source is not None and self._endless

    def begin(self, source: Source, *, endless: bool) -> None:
        """Pull this source from now on."""
        self._source = source
        self._endless = endless
        self.poke()

    def drop(self) -> bool:
        """Forget the source; return whether there was one."""
        source, self._source = self._source, None
        return source is not None

    def poke(self) -> None:
        """Pull the source again: it may have news, even since the last look of a pull under way."""
        self._poked = True
        if self._source is not None and not self._pulling:
            self._pulling = True
            self._share.begin(self._pull(), self._broken)

    def send_ready(self) -> None:
        """Send at once what the source has and the client has room for, also in the midst of a pull."""
        self._reactor.attempt(lambda: run(self._pull()), self._broken)

    def drain(self) -> Iterator[dict[str, Any]]:
        """Yield at once what the source has to say, up to its end or to its first pause."""
        while self._source is not None and (message := next(self._source, None)) is not None:
            if message is not MORE:
                yield message

    def _pull(self) -> Steps[None]:
        """Send the source's objects, one a step, until it has none and there was no `poke` since it was asked."""
        self._poked = False
        try:
            while self._source is not None and self._has_room():
                message = next(self._source, None)
                if message is None and not self._poked:
                    return
                self._poked = self._poked and message is not None
                if message:
                    self._send(message)
                yield
        finally:
            self._pulling = False
