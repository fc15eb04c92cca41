"""The descriptors that are parked together: in a message that nobody has received. `parking` says why."""

from __future__ import annotations

import errno
import os
import sys

from taskmasterd.system.loop.sockets import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Protocol

    class Parkable(Protocol):
        """A descriptor of a log."""

        @property
        def lot(self) -> Lot | None:
            """Where it is parked, None while it is in the table."""

        def put_into(self, message: list[int], /) -> None:
            """Add it to a message."""

        def park(self, lot: Lot, /) -> None:
            """Leave the table."""

        def come_back(self, lot: Lot, fd: int, /) -> None:
            """Be `fd` again, which was in `lot`."""


CLOSE_ON_EXEC: int | None = getattr(socket, "MSG_CMSG_CLOEXEC", None)
"""The flag with which no child inherits what is received; without it nothing is parked. Source: recvmsg(2)."""
SIZE = 4
"""Bytes of a descriptor in a message. Source: cmsg(3), an array of int."""


class Lot:
    """Descriptors that are parked together."""

    __slots__ = ("_members", "_queue")

    def __init__(self, members: Sequence[Parkable]) -> None:
        """Park them. Raises OSError (ETOOMANYREFS, EMFILE) with all of them in the table."""
        fds: list[int] = []
        for member in members:
            member.put_into(fds)
        queue, sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sender.sendmsg(
                [b"."],
                [(socket.SOL_SOCKET, socket.SCM_RIGHTS, b"".join(fd.to_bytes(SIZE, sys.byteorder) for fd in fds))],
            )
        except OSError:
            queue.close()
            raise
        finally:
            sender.close()
        self._queue = queue
        self._members = members
        for member in members:
            member.park(self)

    def bring_back(self) -> None:
        """Return all of them to the table. Raises OSError (EMFILE) with all of them parked: it has no room."""
        space = socket.CMSG_SPACE(len(self._members) * SIZE)
        # a look at the message: what finds no room would be lost otherwise
        _, parts, _flags, _ = self._queue.recvmsg(1, space, socket.MSG_PEEK | (CLOSE_ON_EXEC or 0))
        block = b"".join(part for _level, _kind, part in parts)
        fds = memoryview(block)[: len(block) // SIZE * SIZE].cast("i").tolist()
        if len(fds) < len(self._members):
            for fd in fds:
                os.close(fd)
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        self._queue.close()
        for member, fd in zip(self._members, fds):
            member.come_back(self, fd)

    @property
    def empty(self) -> bool:
        """Whether all members were closed while they were parked."""
        return all(member.lot is not self for member in self._members)

    def drop(self) -> None:
        """Close all of them."""
        self._queue.close()
