"""The UNIX listener: it serves a peer or refuses it, and always answers.

It knows descriptors and peers, not verbs; what is said on a connection is the business of `connection`.
"""

from __future__ import annotations

import errno
import os

from taskmaster_common.errors import RequestError
from taskmaster_common.records import Record
from taskmasterd.control.rights import BY_ROLE, MOST_CONNECTIONS
from taskmasterd.ondemand import on_demand
from taskmasterd.reserve import Reserve
from taskmasterd.system.loop.cmodules import partial
from taskmasterd.system.loop.reactor import READ, Reactor
from taskmasterd.system.loop.sockets import accept, socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Protocol

    from taskmaster_common import protocol
    from taskmasterd.control import connection as client
    from taskmasterd.control.connection import Connection
    from taskmasterd.core.steps import Steps
    from taskmasterd.system import peers
    from taskmasterd.system.loop import lanes
    from taskmasterd.system.loop.rounds import Rounds
    from taskmasterd.system.peers import Peer

    class TurnAway(Protocol):
        """What a peer hears that is not let in."""

        def __call__(self, peer: Peer, /, *, too_many: bool) -> RequestError:
            """Return it."""

else:
    client = on_demand("taskmasterd.control.connection")
    lanes = on_demand("taskmasterd.system.loop.lanes")
    peers = on_demand("taskmasterd.system.peers")
    protocol = on_demand("taskmaster_common.protocol")

WIDEST = "admin"
"""`access` of a client that an older version has handed over without one: it knew no other."""
BACKLOG = 1024
MAX_CONNECTIONS = 1000
ACCEPTS_PER_TURN = 64
AGAIN_S = 0.5
"""Pause of the listener after an error of ours, seconds: without one it could fail for ever."""


class Doorkeeper(Record):
    """What looks after clients.

    `admit(peer)` returns the `access` of a peer, "" to refuse it. `ends(connection)` returns why what it is being sent must end,
    None where it may go on. `turn_away(peer, too_many)` returns what a peer hears that was refused, or is one of too many of its
    user. `before_answer()` is called before anything is sent: what a client learns must be in the state file. `reserve`
    has descriptors for clients.
    """

    admit: Callable[[Peer], str]
    ends: Callable[[Connection], RequestError | None]
    turn_away: TurnAway
    before_answer: Callable[[], None]
    reserve: Reserve


class ControlServer:
    """Accepts connections. `on_request(connection, line)` is called with each request."""

    def __init__(
        self,
        reactor: Reactor,
        listener: socket.socket,
        greeting: Callable[[], dict[str, Any]],
        doorkeeper: Doorkeeper,
        on_request: Callable[[Connection, bytes], None],
    ) -> None:
        self.reactor = reactor
        self.on_request = on_request
        self.before_answer = doorkeeper.before_answer
        self._listener = listener
        self._greeting = greeting
        self._admit = doorkeeper.admit
        self._ends = doorkeeper.ends
        self._turn_away = doorkeeper.turn_away
        self._connections: set[Connection] = set()
        self._lanes: dict[int, lanes.Lane] = {}
        self._reserve = doorkeeper.reserve
        self._reserve.fill()
        self._listen()

    def _listen(self) -> None:
        """Accept clients from now on; an error of ours costs one client and a moment, never the listener."""
        if self._listener.fileno() >= 0:
            self._listener.setblocking(False)
            self.reactor.watch(self._listener.fileno(), READ, self._accept, self._listen_again)

    def _listen_again(self) -> None:
        self.reactor.call_later(AGAIN_S, self._listen)

    @property
    def listener(self) -> int:
        """The descriptor of the listening socket."""
        return self._listener.fileno()

    def connections_to_data(self, *, looking: bool = False) -> list[dict[str, Any]]:
        """Return what the daemon needs after an upgrade to serve every client on; with `looking` nothing changes."""
        return [connection.to_data(looking=looking) for connection in tuple(self._connections) if not connection.closed]

    def resume(self, rows: Iterable[Mapping[str, Any]], resume_request: Callable[[Connection, Any], None]) -> None:
        """Serve clients on after an upgrade; `resume_request(connection, data)` gets each operation that was under way."""
        for row in rows:
            channel = socket.socket(fileno=row["fd"])
            os.set_inheritable(row["fd"], False)
            channel.setblocking(False)
            peer, access = peers.peer_of(channel), row.get("access", WIDEST)
            connection = client.Connection(self, channel, peer, access, self._share(peer, access))
            self._connections.add(connection)
            # one by one: what other code cannot go on with costs one client its answer, not all of us the daemon
            self.reactor.attempt(partial(connection.resume, row, resume_request), connection.broken)

    def replace_listener(self, listener: socket.socket) -> None:
        """Listen on another socket, since the file of the first was removed; connections go on."""
        self.reactor.remove(self._listener.fileno())
        self._listener.close()
        self._listener = listener
        self._listen()

    def forget(self, connection: Connection) -> None:
        """Drop a connection that has closed itself."""
        self._connections.discard(connection)
        for uid in [uid for uid, lane in self._lanes.items() if lane.idle and not self._count(uid)]:
            del self._lanes[uid]
        self._reserve.fill()  # the next client that goes gives some back

    def close_listener(self) -> None:
        """Accept nobody any more; connections go on."""
        self.reactor.remove(self._listener.fileno())
        self._listener.close()

    def close(self, farewell: dict[str, Any] | None = None) -> None:
        """Close every connection, and the reserve. Endless replies get the `farewell` before."""
        for connection in tuple(self._connections):
            if farewell is not None:
                connection.dismiss(farewell)
            connection.close()
        self._reserve.release(len(self._reserve))

    def _accept(self, _ready: int) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                channel = accept(self._listener)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE):
                    self.reactor.remove(self._listener.fileno())
                    self._listen_again()
                    return
                if len(self._reserve) < 2:
                    self._send_away()
                    return
                self._reserve.release(1)
                continue
            self._take(channel)

    def _take(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        try:
            peer = peers.peer_of(channel)
            access = self._admit(peer)
        except OSError:
            channel.close()
            return
        except BaseException:
            channel.close()
            raise
        too_many = access == BY_ROLE and self._count(peer.uid) >= MOST_CONNECTIONS
        if too_many or not access:
            self._end(channel, self._turn_away(peer, too_many=too_many))
            return
        if len(self._connections) >= MAX_CONNECTIONS:
            self._drop_idle()
        connection = client.Connection(self, channel, peer, access, self._share(peer, access))
        self._connections.add(connection)
        connection.send(self._greeting())

    def _share(self, peer: Peer, access: str) -> Rounds | lanes.Lane:
        """Return the share of the loop's time of a client: of those let in by a role, each user has one for all connections."""
        if access != BY_ROLE:
            return self.reactor.rounds
        if peer.uid not in self._lanes:
            self._lanes[peer.uid] = lanes.Lane(self.reactor)
        return self._lanes[peer.uid]

    def _count(self, uid: int) -> int:
        return sum(each.peer.uid == uid for each in self._connections)

    @staticmethod
    def _end(channel: socket.socket, error: RequestError) -> None:
        """Send one object, which the socket's empty buffer takes, and close."""
        try:
            channel.send(protocol.encode(protocol.refusal(error)))
        except OSError:
            pass  # it has gone already
        finally:
            channel.close()

    def judge_again(self) -> Steps[None]:
        """End the streams that roles no longer allow."""
        for connection in tuple(self._connections):
            yield
            error = self._ends(connection)
            if error is not None:
                connection.dismiss(protocol.refusal(error), forbidden=True)

    def _drop_idle(self) -> None:
        idle = [connection for connection in self._connections if not connection.busy]
        if idle:
            min(idle, key=lambda connection: connection.last_active).close()

    def _send_away(self) -> None:
        """Answer a client though no descriptor is left for it: one of the reserve is used."""
        self._reserve.release(len(self._reserve))
        try:
            channel = accept(self._listener)
            channel.setblocking(False)
            error = RequestError("busy", "the daemon has no file descriptor left; try again", 1)
            self._end(channel, error)
        except OSError:
            pass
        finally:
            self._reserve.fill()
