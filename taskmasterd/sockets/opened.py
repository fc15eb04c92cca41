"""One open socket: its descriptor, its file, its holder after the daemon's death, and the row of the state that tells of it."""

from __future__ import annotations

import os

from taskmaster_common.config.sockets import Socket
from taskmaster_common.errors import SystemFailure, system_reason
from taskmasterd.core.programs.sockets import SocketUse
from taskmasterd.ondemand import on_demand
from taskmasterd.sockets import listeners
from taskmasterd.sockets.listeners import FileRights
from taskmasterd.system.spawner import SetupError, is_shortage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping
    from typing import Any

    from taskmasterd.keeping.keeping import Keeping
    from taskmasterd.system import users
    from taskmasterd.system.paths.held import Inode
    from taskmasterd.system.users import Account
else:
    users = on_demand("taskmasterd.system.users")

STEP = "sockets"
"""The step of a start that fails where there is no socket."""


class OpenSocket:
    """A socket on which the daemon listens. `key` is that of the keeper, "" where it has none; `inode` that of its file.

    `socket` is the inode by which processes that have it are found.
    """

    __slots__ = ("claim", "fd", "inode", "key", "socket")

    def __init__(self, claim: SocketUse, fd: int, inode: Inode | None, key: str = "") -> None:
        self.claim = claim
        self.fd = fd
        self.inode = inode
        self.key = key
        self.socket = os.fstat(fd).st_ino

    def kept_as(self, key: str) -> None:
        """Know by which key the keeper holds it, too."""
        self.key = key

    @property
    def has_file(self) -> bool:
        """Whether clients still find it: its file is the one that we have made."""
        return self.inode is None or listeners.inode_at(self.claim.address) == self.inode

    def follow(self, claim: SocketUse) -> None:
        """Take other options. Raises SetupError, OSError for a shortage."""
        if claim.socket.replace(name="", listen="") == self.claim.socket.replace(name="", listen=""):
            self.claim = claim
            return
        try:
            listeners.change(self.fd, claim.address, self.inode, claim.socket.backlog, rights_of(claim.socket))
        except (OSError, SystemFailure) as error:
            raise setup_error(claim, error) from None
        self.claim = claim

    def close(self) -> None:
        """Close it, and remove its file: nobody listens there any more."""
        if self.inode is not None:
            listeners.remove(self.claim.address, self.inode)
        os.close(self.fd)

    def to_data(self) -> dict[str, Any]:
        """Return what a later daemon has to know of it."""
        return {
            "address": self.claim.address,
            "key": self.key,
            "socket": self.socket,
            "inode": list(self.inode) if self.inode else [],
            "options": self.claim.socket.to_data(),
        }


def claim_in(row: Mapping[str, Any]) -> SocketUse:
    """Return the claim of a socket of an earlier daemon."""
    options = {name: value for name, value in row["options"].items() if name in Socket.fields_}
    return SocketUse(row["address"], Socket(**options))


def inode_in(row: Mapping[str, Any]) -> Inode | None:
    """Return the inode of the file of a socket of an earlier daemon, None for an address without a file."""
    return (row["inode"][0], row["inode"][1]) if row["inode"] else None


def open_for(claim: SocketUse, owner: Account | None = None) -> OpenSocket:
    """Open the socket of a claim; its file is `owner`'s where nothing else is written. Raises SetupError, OSError for a shortage."""
    try:
        made = listeners.open_listener(claim.address, claim.socket.backlog, rights_of(claim.socket, owner))
    except (OSError, SystemFailure) as error:
        raise setup_error(claim, error) from None
    return OpenSocket(claim, made.fd, made.inode)


def setup_error(claim: SocketUse, error: OSError | SystemFailure) -> Exception:
    """Return how a start fails without this socket: as a failed step, or as a shortage of the system."""
    if isinstance(error, OSError) and is_shortage(error):
        return error
    return SetupError(STEP, f"{claim.shown}: {listeners.reason_of(error, claim.address)}")


def rights_of(socket: Socket, owner: Account | None = None) -> FileRights:
    """Return mode and owner of a socket's file. Raises OSError for an unknown user or group."""
    try:
        uid = users.account(socket.user, None).uid if socket.user else owner.uid if owner else None
        gid = users.group_id(socket.group) if socket.group else owner.gid if owner else None
    except LookupError as error:
        raise OSError(0, str(error)) from None
    return FileRights(socket.mode, uid, gid)


class OpenSockets:
    """All open sockets by address, each of them in the keeper, too.

    `keeping()` returns the keeper's list, `say(level, text)` writes to the event log. `inherited` is that of ProgramSockets: what
    is not in use yet.
    """

    def __init__(
        self,
        keeping: Callable[[], Keeping],
        say: Callable[[str, str], None],
        inherited: Mapping[str, tuple[int, Inode | None]],
    ) -> None:
        self.inherited = dict(inherited)
        self._keeping = keeping
        self._say = say
        self._made = 0
        self.by_address: dict[str, OpenSocket] = {}

    def opened(self, claim: SocketUse) -> OpenSocket:
        """Return the socket of a claim: that which was handed over, or a new one. Raises SetupError, OSError."""
        inherited = self.inherited.pop(claim.address, None)
        return OpenSocket(claim, *inherited) if inherited else open_for(claim)

    def open_all(self, claims: Iterable[SocketUse], alone: Container[str]) -> tuple[str, tuple[str, ...]]:
        """Open those of these that are not open, or none if one cannot be had; return why it cannot, or "", and the new addresses.

        What an instance has `alone` can be had once that has ended.
        """
        made: list[OpenSocket] = []
        missing = [each for each in claims if each.address not in self.by_address and each.address not in alone]
        try:
            made += (self.opened(claim) for claim in missing)
        except (SetupError, OSError) as error:
            for each in made:
                each.close()
            return error.text if isinstance(error, SetupError) else system_reason(error), ()
        for each in made:
            self.add(each)
        return "", tuple(each.claim.address for each in made)

    def add(self, made: OpenSocket) -> None:
        """Take in a socket, and have the keeper hold it."""
        self.by_address[made.claim.address] = made
        self._made += 1
        key = f"socket/{os.getpid()}.{made.socket}.{self._made}"
        try:
            self._keeping().keep(key, (made.fd,))
        except (OSError, SystemFailure) as error:
            reason = system_reason(error) if isinstance(error, OSError) else str(error)
            self._say("warning", f"{made.claim.shown} is closed if the daemon dies: nobody can keep it: {reason}")
        else:
            made.kept_as(key)

    def take_back(self, claim: SocketUse, inode: Inode | None, key: str) -> bool:
        """Take in what the keeper holds under a key; return whether it holds anything."""
        fds = self._keeping().claim(key) if key else None
        if not fds:
            return False
        self.by_address[claim.address] = OpenSocket(claim, fds[0], inode, key)
        return True

    def open_again(self, gone: OpenSocket, claim: SocketUse) -> None:
        """Open a socket whose file somebody has removed: nobody finds the old one. Raises SetupError, OSError."""
        made = open_for(claim)
        self._forget(gone)  # who has it still may go on with it
        gone.close()
        self.add(made)
        self._say("warning", f"{claim.shown} was removed by somebody; bound again")

    def close(self, one: OpenSocket) -> None:
        """Close a socket for good, at once: the keeper lets go of it a moment later."""
        listeners.refuse_clients(one.fd)
        self._forget(one)
        one.close()

    def _forget(self, one: OpenSocket) -> None:
        self.by_address.pop(one.claim.address, None)
        if one.key:
            self._keeping().drop(one.key)

    def close_all(self) -> None:
        """Close all: the daemon ends on purpose."""
        for one in tuple(self.by_address.values()):
            self.close(one)

    def to_data(self) -> list[dict[str, Any]]:
        """Return what a later daemon has to know."""
        return [one.to_data() for one in self.by_address.values()]

    def handed_over(self) -> tuple[tuple[str, int], ...]:
        """Return (address, descriptor) of each, for the code that is executed next."""
        return tuple((address, one.fd) for address, one in self.by_address.items())
