"""What a client may do: its access class, from who it is."""

from __future__ import annotations

from taskmaster_common.commands.table import ACCESS, ADMIN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.system.peers import Peer


def granted(peer: Peer, owner: int, group: int | None) -> str:
    """Return the widest access class of a peer, "" for none: root, the daemon's user and members of socket_group may do all."""
    return ADMIN if peer.uid in (0, owner) or group in (peer.gid, *peer.groups) else ""


def allowed(access: str, needed: str) -> bool:
    """Return whether a peer whose widest class is `access` may make a request that needs the class `needed`."""
    return access in ACCESS and ACCESS.index(needed) <= ACCESS.index(access)
