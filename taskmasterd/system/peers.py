"""Identifies the process at the other end of a connection by what the kernel says, not the client."""

from __future__ import annotations

import errno
import os
import select
import sys

from taskmaster_common.records import Record
from taskmasterd.system.loop.sockets import socket

MOST_GROUPS_BYTES = 1024
"""Largest buffer that Python's getsockopt takes, bytes: 256 groups. Of a peer with more only the primary group counts."""
SO_PEERGROUPS = getattr(socket, "SO_PEERGROUPS", 59)
"""The socket option that returns the peer's groups. Source: asm-generic/socket.h; Python has no name for it."""
CONSOLES, PTS_FIRST, PTS_LAST, SERIAL_LINES = 4, 136, 143, 64
"""Major numbers of terminals, and the minor number at which consoles end. Source: devices.txt of Linux."""


class Peer(Record):
    """The credentials of the process at the other end. `pid` is 0 where the kernel does not report it."""

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


def has_left(channel: socket.socket) -> bool:
    """Return whether the peer has closed its end; shutting down its sending side alone does not count. False where that is unknown.

    Source: unix_poll of Linux: POLLHUP where both directions are shut; elsewhere one is enough.
    """
    if not hasattr(select, "epoll"):
        return False
    poll = select.poll()
    poll.register(channel, 0)
    return any(events & select.POLLHUP for _fd, events in poll.poll(0))


def groups_are_told() -> bool:
    """Return whether the kernel says in which groups the process at the other end is. Source: Linux 4.13, SO_PEERGROUPS."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # those of the BSDs come with the other credentials
    here, there = socket.socketpair()
    try:
        here.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, MOST_GROUPS_BYTES)
    except OSError as error:
        return error.errno == errno.ERANGE  # it would say so of somebody in fewer groups
    finally:
        here.close()
        there.close()
    return True


def _numbers(raw: bytes) -> tuple[int, ...]:
    """Return the numbers of a C array of 32-bit integers."""
    return tuple(memoryview(raw).cast("I"))


def terminal_of(pid: int) -> str:
    """Return the controlling terminal of a process, "pts/3" or "tty1"; "" for none. Source: proc(5), tty_nr; devices.txt."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:
            number = int(file.read(1024).rpartition(b")")[2].split()[4])
    except (OSError, ValueError, IndexError):
        return ""
    major, minor = os.major(number), os.minor(number)
    if PTS_FIRST <= major <= PTS_LAST:
        return f"pts/{minor + 256 * (major - PTS_FIRST)}"
    return f"tty{minor}" if major == CONSOLES and 0 < minor < SERIAL_LINES else ""
