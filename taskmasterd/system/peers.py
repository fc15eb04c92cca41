"""Who is at the other end of a connection: the kernel's answer, not the client's."""

from __future__ import annotations

import socket
import struct

from taskmaster_common.records import Record

MOST_GROUPS_BYTES = 1024
"""What Python's getsockopt takes: 256 groups; a peer with more counts by its primary group alone."""
SO_PEERGROUPS = getattr(socket, "SO_PEERGROUPS", 59)
"""Source: asm-generic/socket.h; Python has no name for it."""


class Peer(Record):
    """Who is at the other end, from the kernel. `pid` is 0 where the system does not tell."""

    uid: int
    gid: int
    pid: int
    groups: tuple[int, ...] = ()


def peer_of(channel: socket.socket) -> Peer:
    """Return the credentials of the process that connected. Source: unix(7) SO_PEERCRED; unix(4) of the BSDs."""
    if hasattr(socket, "SO_PEERCRED"):
        pid, uid, gid = struct.unpack("iII", channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        try:
            raw = channel.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, MOST_GROUPS_BYTES)
        except OSError:
            raw = b""
        return Peer(uid, gid, pid, struct.unpack(f"{len(raw) // 4}I", raw))
    raw = channel.getsockopt(0, 1, 76)  # SOL_LOCAL, LOCAL_PEERCRED: struct xucred
    _version, uid, count, *groups = struct.unpack("IIh2x16I", raw.ljust(76, b"\0"))
    return Peer(uid, groups[0], 0, tuple(groups[:count]))
