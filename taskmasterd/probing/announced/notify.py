"""A slot's NOTIFY_SOCKET. Source: sd_notify(3), unix(7).

Each slot has a socket of its own, bound again for each instance, that only the program's user and root may write to. So the word of
a sender that has ended counts: nobody asks for its pid. The socket outlives the daemon if the guardian or an upgrade keeps it.

It takes no descriptors: recv(2) without room for them has the kernel close all that come, which is all that BARRIER=1 wants.
"""

from __future__ import annotations

import errno
import os
import stat

from taskmaster_common.errors import SystemFailure, TaskmasterError, system_reason
from taskmaster_common.paths import MAX_SOCKET_PATH
from taskmasterd.probing.announced.kept import kept_as
from taskmasterd.probing.text.message import NOTHING, message_in
from taskmasterd.system.loop.reactor import READ
from taskmasterd.system.loop.sockets import socket
from taskmasterd.system.paths.bound import bind_path
from taskmasterd.system.paths.held import Held, unlink_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmasterd.output.streams import DescriptorKeeper
    from taskmasterd.probing.text.message import Message
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.paths.held import Inode

OP = "create socket"
MOST_DATAGRAM = 4096
"""Longest message, as in systemd; a longer one is ignored. Source: sd_notify(3), PIPE_BUF."""
MESSAGES_A_TURN = 64


class NotifySocket:
    """The socket at `row["path"]`; calls `on_message(message)` at most once a turn, with all that the turn has read joined.

    `inode` is the socket's own, under which a keeper knows it.
    """

    def __init__(
        self,
        reactor: Reactor,
        row: Mapping[str, Any],
        on_message: Callable[[Message], None],
        keeper: DescriptorKeeper | None = None,
    ) -> None:
        """Listen on a socket that `bind` has made, or another daemon (`to_data`)."""
        self._reactor = reactor
        self._row = row
        self.path: str = row["path"]
        self._file: Inode = (row["file"][0], row["file"][1])
        self._channel = socket.socket(fileno=row["fd"])
        self._channel.setblocking(False)
        os.set_inheritable(self._channel.fileno(), False)
        self._on_message = on_message
        self._keeper = keeper
        self.inode = os.fstat(self._channel.fileno()).st_ino
        if keeper:
            keeper.keep(self.inode, self.fd, kept_as(row))
        reactor.watch(self.fd, READ, self._readable)

    @property
    def fd(self) -> int:
        """The descriptor, -1 once it is closed."""
        return self._channel.fileno()

    def to_data(self) -> dict[str, Any]:
        """Return what another daemon needs to go on; the descriptor has to be inherited, or come from a keeper."""
        return {**self._row, "fd": self.fd}

    def close(self) -> None:
        """Close it for good, and remove its file. A second call does nothing."""
        if self.fd < 0:
            return
        self._reactor.remove(self.fd)
        self._channel.close()
        unlink_own(self.path, self._file)
        if self._keeper:
            self._keeper.drop(self.inode)

    def _readable(self, _events: int) -> None:
        said = NOTHING
        for _ in range(MESSAGES_A_TURN):
            try:
                datagram = self._channel.recv(MOST_DATAGRAM + 1)
            except OSError:  # nothing more
                break
            if len(datagram) <= MOST_DATAGRAM:
                said = said.joined(message_in(datagram))
        if said != NOTHING:
            self._on_message(said)


def bind(path: str, owner: tuple[int, int] | None) -> dict[str, Any]:
    """Create a socket at `path` with mode 0600 for `owner` (uid, gid; None: this process) in place of a stale one.

    Returns the row for `NotifySocket`. Raises SystemFailure; its errno tells a shortage.
    """
    length = len(os.fsencode(path))
    if length > MAX_SOCKET_PATH:
        text = f"the path has {length} bytes, the most is {MAX_SOCKET_PATH}"
        raise SystemFailure(OP, path, text, errno.ENAMETOOLONG)
    try:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    except OSError as error:
        raise SystemFailure(OP, path, system_reason(error), error.errno or 0) from None
    try:
        with Held(path, OP) as held:
            file = _bind(channel, held, owner)
    except OSError as error:
        channel.close()
        raise SystemFailure(OP, path, system_reason(error), error.errno or 0) from None
    except TaskmasterError:
        channel.close()
        raise
    return {"path": path, "fd": channel.detach(), "file": list(file)}


def _bind(channel: socket.socket, held: Held, owner: tuple[int, int] | None) -> Inode:
    """Bind, and give the file away by a descriptor: its name may lead elsewhere by now. Raises OSError, SystemFailure."""
    found = held.status()
    if found is not None:
        if not stat.S_ISSOCK(found.st_mode):
            raise SystemFailure(OP, held.path, "something that is not a socket is there", errno.EEXIST)
        held.unlink()
    umask = os.umask(0o177)
    try:
        channel.bind(bind_path(held, OP))
    finally:
        os.umask(umask)
    fd = held.open(os.O_PATH)
    try:
        found = os.fstat(fd)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink != 1:
            raise SystemFailure(OP, held.path, "it was exchanged while it was created", errno.EPERM)
        if owner and owner != (found.st_uid, found.st_gid):
            os.chown(f"/proc/self/fd/{fd}", *owner)  # fchown(2) refuses a descriptor opened with O_PATH (open(2))
        return found.st_dev, found.st_ino
    finally:
        os.close(fd)
