"""The control socket of this daemon: who may connect, what he may do, and a new socket where its file was removed."""

from __future__ import annotations

import os

from taskmaster_common import __version__
from taskmaster_common.errors import TaskmasterError
from taskmaster_common.records import Record
from taskmasterd.control.listener import ControlServer, Doorkeeper
from taskmasterd.ondemand import on_demand
from taskmasterd.system.loop.cmodules import partial, socket
from taskmasterd.system.paths.held import inode_of, unlink_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from taskmaster_common import protocol
    from taskmaster_common.config import DaemonConfig
    from taskmasterd.control import rights, socket_file
    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.system import users
    from taskmasterd.system.paths.held import Inode
    from taskmasterd.system.peers import Peer
else:
    protocol = on_demand("taskmaster_common.protocol")
    rights = on_demand("taskmasterd.control.rights")
    socket_file = on_demand("taskmasterd.control.socket_file")
    users = on_demand("taskmasterd.system.users")


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
        self._log = context.log
        self._clients = clients
        self._on_listener = on_listener
        self.server = ControlServer(
            context.reactor,
            socket.socket(fileno=bound.fd),
            partial(greeting, context),
            Doorkeeper(self._admit, self._refused, context.state.flush),
            clients.on_request,
        )

    def resume(self, connections: Iterable[Mapping[str, Any]]) -> None:
        """Serve clients on after an upgrade."""
        self.server.resume(connections, self._clients.resume)

    def mend(self) -> None:
        """Create the socket again if its file was removed or replaced."""
        if self.inode is not None and inode_of(self.path) == self.inode:
            return
        group = self._rules.socket_group
        try:
            listener = socket_file.listen_on(
                self.path, self._rules.socket_mode, users.group_id(group) if group else None, None
            )
        except (TaskmasterError, LookupError) as error:
            self._log.write("error", f"the control socket is gone, and a new one failed: {error}")
            return
        self._on_listener(listener.fileno())
        self.server.replace_listener(listener)
        self.inode = inode_of(self.path)
        self._log.write("warning", f"the control socket {self.path} had been removed; created anew")

    def close(self) -> None:
        """Accept no more clients and remove the file; connections go on."""
        self.server.close_listener()
        unlink_own(self.path, self.inode)

    def _admit(self, peer: Peer) -> str:
        group = self._rules.socket_group
        try:
            return rights.granted(peer, os.geteuid(), users.group_id(group) if group else None)
        except LookupError:
            return rights.granted(peer, os.geteuid(), None)

    def _refused(self, peer: Peer) -> None:
        self._log.write("warning", f"client refused: uid {peer.uid}, pid {peer.pid}")


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
