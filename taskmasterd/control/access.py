"""The control socket of this daemon: who may connect, what he may do, and a new socket where its file was removed."""

from __future__ import annotations

import os

from taskmaster_common import __version__
from taskmaster_common.config import mode_of_socket
from taskmaster_common.errors import TaskmasterError
from taskmaster_common.records import Record
from taskmasterd.ondemand import Made, on_demand
from taskmasterd.reserve import Reserve
from taskmasterd.system.loop.cmodules import partial
from taskmasterd.system.loop.reactor import READ
from taskmasterd.system.paths.held import inode_of, unlink_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from taskmaster_common import protocol
    from taskmaster_common.config import DaemonConfig
    from taskmaster_common.errors import RequestError
    from taskmasterd.control import listener, rights, socket_file
    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.control.listener import ControlServer
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.steps import Steps
    from taskmasterd.system import users
    from taskmasterd.system.loop import sockets
    from taskmasterd.system.paths.held import Inode
    from taskmasterd.system.peers import Peer
else:
    protocol = on_demand("taskmaster_common.protocol")
    listener = on_demand("taskmasterd.control.listener")
    rights = on_demand("taskmasterd.control.rights")
    sockets = on_demand("taskmasterd.system.loop.sockets")
    socket_file = on_demand("taskmasterd.control.socket_file")
    users = on_demand("taskmasterd.system.users")

RESERVE = 8
"""Descriptors kept for clients: without them nobody could stop anything once the programs have taken all others."""
AGAIN_S = 0.5
"""Pause after an error of ours, seconds."""


class Bound(Record):
    """The listening socket: its descriptor, the path of its file, and (device, inode) of that: another may be there by now."""

    fd: int
    path: str
    inode: Inode | None


class Clients(Record):
    """What serves clients: `on_request(connection, line)` gets each request, `resume(connection, data)` one of before an upgrade."""

    on_request: Callable[[Connection, bytes], None]
    resume: Callable[[Connection, Any], None]


class Access:
    """Serves the listening socket by the rules of the configuration that the daemon was started with, `rules`.

    `on_listener(fd)` gets each new listening socket. Before anything is sent the state is written: no client learns of what a
    daemon that dies now would have forgotten.
    """

    def __init__(
        self, context: Context, bound: Bound, rules: DaemonConfig, clients: Clients, on_listener: Callable[[int], None]
    ) -> None:
        self.path = bound.path
        self.inode = bound.inode
        self._rules = rules
        self._mode = mode_of_socket(rules)
        self._group: int | None = None
        self._group_is_known = False
        self._log = context.log
        self._clients = clients
        self._on_listener = on_listener
        self._context = context
        self._fd = bound.fd
        self._reserve = Reserve(RESERVE)
        self._reserve.fill()
        self.server = Made(self._serve)
        os.set_blocking(bound.fd, False)
        self._listen()

    def _listen(self) -> None:
        """Wait for the first client; an error of ours costs it a moment."""
        self._context.reactor.watch(self._fd, READ, self._first_client, self._listen_later)

    def _listen_later(self) -> None:
        self._context.reactor.call_later(AGAIN_S, self._listen)

    def _first_client(self, _ready: int) -> None:
        self.server()

    def _serve(self) -> ControlServer:
        """Return what serves clients, now that there is one; it watches the socket from now on."""
        return listener.ControlServer(
            self._context.reactor,
            sockets.socket.socket(fileno=self._fd),
            partial(greeting, self._context),
            listener.Doorkeeper(
                self._admit, self._may_go_on, self._turned_away, self._context.state.flush, self._reserve
            ),
            self._clients.on_request,
        )

    @property
    def listener(self) -> int:
        """The descriptor of the listening socket."""
        return self.server.made.listener if self.server.made else self._fd

    def connections_to_data(self, *, looking: bool = False) -> list[dict[str, Any]]:
        """Return what the daemon needs after an upgrade to serve every client on; with `looking` nothing changes."""
        return self.server.made.connections_to_data(looking=looking) if self.server.made else []

    def resume(self, connections: Sequence[Mapping[str, Any]]) -> None:
        """Serve clients on after an upgrade."""
        if connections:
            self.server().resume(connections, self._clients.resume)

    def mend(self) -> None:
        """Create the socket again if its file was removed or replaced."""
        if self.inode is not None and inode_of(self.path) == self.inode:
            return
        server, group = self.server(), self._rules.socket_group
        try:
            made = socket_file.listen_on(self.path, self._mode, users.group_id(group) if group else None, None)
        except (TaskmasterError, LookupError) as error:
            self._log.write("error", f"the control socket is gone, and a new one failed: {error}")
            return
        self._on_listener(made.fileno())
        server.replace_listener(made)
        self.inode = inode_of(self.path)
        self._log.write("warning", f"the control socket {self.path} had been removed; created again")

    def close(self) -> None:
        """Accept no more clients and remove the file; connections go on."""
        if self.server.made:
            self.server.made.close_listener()
        else:
            self._context.reactor.remove(self._fd)
            os.close(self._fd)
        unlink_own(self.path, self.inode)

    def dismiss(self, farewell: dict[str, Any]) -> None:
        """Close every connection, and the reserve. Endless replies get the `farewell` before."""
        if self.server.made:
            self.server.made.close(farewell)
        self._reserve.release(RESERVE)

    def applying(self, plan: ReloadPlan) -> Steps[None]:
        """Follow the roles of a new configuration before anybody hears of it: they decide the socket's mode, and which streams go on."""
        self._group_is_known = False
        mode = mode_of_socket(self._rules.replace(roles=self._context.configuration.running.roles))
        if mode != self._mode:
            self._mode = mode
            try:
                socket_file.change_mode(self.path, self.inode, mode)
            except (TaskmasterError, OSError) as error:
                self._log.write(
                    "error", f"cannot give the control socket the mode 0{mode:o}: {error}; USR1 creates it again"
                )
        yield from self.applied(plan)

    def applied(self, _plan: ReloadPlan) -> Steps[None]:
        """Judge streams again: roles name groups and patterns, which have other programs now."""
        if self.server.made:
            yield from self.server.made.judge_again()

    def _admit(self, peer: Peer) -> str:
        return self._context.judge().admit(peer, os.geteuid(), self._gid())

    def _gid(self) -> int | None:
        """Return the gid of socket_group, looked up once and after each reload: that may take long, and strangers may be many."""
        if not self._group_is_known:
            group, self._group_is_known = self._rules.socket_group, True
            try:
                self._group = users.group_id(group) if group else None
            except LookupError:
                self._group = None
        return self._group

    def _may_go_on(self, connection: Connection) -> RequestError | None:
        return self._context.judge().ends(connection.peer, connection.access, connection.claim)

    def _turned_away(self, peer: Peer, *, too_many: bool) -> RequestError:
        if too_many:
            error = rights.too_many_text(peer.uid)
        else:
            error = rights.stranger_text(peer.uid, by_roles=bool(self._context.configuration.running.roles))
        self._context.audit().turned_away(peer, error.message)
        return error


def greeting(context: Context) -> dict[str, Any]:
    """Return the first object that a client gets."""
    return {
        "type": "hello",
        "name": "taskmasterd",
        "version": __version__,
        "protocol": protocol.PROTOCOL_VERSION,
        "pid": os.getpid(),
        "config": context.configuration.config.path,
    }
