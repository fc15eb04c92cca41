"""Who is at the other end of a connection: the kernel's answer, not the client's."""

from __future__ import annotations

import sys

from taskmaster_common.records import Record
from taskmasterd.system.loop.cmodules import socket

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
        pid, uid, gid = _numbers(channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        try:
            raw = channel.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, MOST_GROUPS_BYTES)
        except OSError:
            raw = b""
        return Peer(uid, gid, pid, _numbers(raw))
    raw = channel.getsockopt(0, 1, 76)  # SOL_LOCAL, LOCAL_PEERCRED: struct xucred
    raw = raw.ljust(76, b"\0")
    uid, count, groups = _numbers(raw[4:8])[0], int.from_bytes(raw[8:10], sys.byteorder), _numbers(raw[12:])
    return Peer(uid, groups[0], 0, groups[:count])


def _numbers(raw: bytes) -> tuple[int, ...]:
    """Return what a C array of 32-bit numbers holds."""
    return tuple(memoryview(raw).cast("I"))
