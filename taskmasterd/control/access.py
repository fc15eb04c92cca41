"""The control socket of this daemon: who may connect, what he may do, and a new socket where its file was removed."""

from __future__ import annotations

import os

from taskmaster_common import __version__
from taskmaster_common.commands.table import ACCESS, ADMIN
from taskmaster_common.errors import TaskmasterError
from taskmaster_common.protocol import PROTOCOL_VERSION
from taskmasterd.control.listener import ControlServer
from taskmasterd.control.socket_file import listen_on
from taskmasterd.system.loop.cmodules import socket
from taskmasterd.system.paths.held import inode_of, unlink_own
from taskmasterd.system.users import group_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmaster_common.config import Config
    from taskmasterd.control.connection import Connection
    from taskmasterd.survival.guardian_channel import Guard
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.peers import Peer
    from taskmasterd.telling.eventlog import EventLog


def granted(peer: Peer, owner: int, group: int | None) -> str:
    """Return the widest access class of a peer, "" for none: root, the daemon's user and members of socket_group may do all."""
    return ADMIN if peer.uid in (0, owner) or group in (peer.gid, *peer.groups) else ""


def allowed(access: str, needed: str) -> bool:
    """Return whether a peer whose widest class is `access` may make a request that needs the class `needed`."""
    return access in ACCESS and ACCESS.index(needed) <= ACCESS.index(access)


class Door:
    """Serves the listening socket `fd`, whose file is `path`, by the rules of `config`.

    `on_request(connection, line)` is called with each request.
    `inode` is that of our socket: who knows better than what is at `path` by now has to set it. `guard` is told of a socket
    anew, if there is one.
    """

    def __init__(
        self,
        reactor: Reactor,
        fd: int,
        path: str,
        config: Config,
        log: EventLog,
        on_request: Callable[[Connection, bytes], None],
    ) -> None:
        self.path = path
        self._config = config.daemon
        self._log = log
        self.guard: Guard | None = None
        self.inode = inode_of(path)
        greeting = {
            "type": "hello",
            "name": "taskmasterd",
            "version": __version__,
            "protocol": PROTOCOL_VERSION,
            "pid": os.getpid(),
            "config": config.path,
        }
        self.server = ControlServer(reactor, socket.socket(fileno=fd), greeting, self._admit, on_request, self._refused)

    def mend(self) -> None:
        """Create the socket anew if its file was removed or replaced."""
        if self.inode is not None and inode_of(self.path) == self.inode:
            return
        group = self._config.socket_group
        try:
            listener = listen_on(self.path, self._config.socket_mode, group_id(group) if group else None, None)
        except (TaskmasterError, LookupError) as error:
            self._log.write("error", f"the control socket is gone, and a new one failed: {error}")
            return
        if self.guard:
            self.guard.listener(listener.fileno())
        self.server.replace_listener(listener)
        self.inode = inode_of(self.path)
        self._log.write("warning", f"the control socket {self.path} had been removed; created anew")

    def close(self) -> None:
        """Accept no more clients and remove the file; connections go on."""
        self.server.close_listener()
        unlink_own(self.path, self.inode)

    def _admit(self, peer: Peer) -> str:
        group = self._config.socket_group
        try:
            return granted(peer, os.geteuid(), group_id(group) if group else None)
        except LookupError:
            return granted(peer, os.geteuid(), None)

    def _refused(self, peer: Peer) -> None:
        self._log.write("warning", f"client refused: uid {peer.uid}, pid {peer.pid}")
