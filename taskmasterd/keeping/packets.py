"""Packets to a guardian or a keeper: sent at once where the channel takes them, later and in order where it does not."""

from __future__ import annotations

import errno
import os
import sys

from taskmasterd.system.loop.cmodules import deque
from taskmasterd.system.loop.reactor import READ, WRITE
from taskmasterd.system.loop.sockets import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.system.loop.reactor import Reactor

FD_BYTES = 4


class Packets:
    """What is on its way to the other end of `channel`, a non-blocking socket of packets. `ready(events)` is called by the loop.

    `waiting` are the packets that are not sent yet, each with its descriptors, which have to stay open until then; with `owns`
    they are closed here.
    """

    def __init__(
        self, reactor: Reactor, channel: socket.socket, ready: Callable[[int], None], *, owns: bool = False
    ) -> None:
        self._reactor = reactor
        self._channel = channel
        self._ready = ready
        self._owns = owns
        self.waiting: deque[tuple[bytes, tuple[int, ...]]] = deque()
        reactor.watch(channel.fileno(), READ, ready)

    def send(self, packet: bytes, fds: tuple[int, ...] = ()) -> None:
        """Send a packet after those that wait."""
        self.waiting.append((packet, fds))
        self.flush()

    def flush(self) -> None:
        """Send what the channel takes."""
        while self.waiting:
            packet, fds = self.waiting[0]
            data = b"".join(fd.to_bytes(FD_BYTES, sys.byteorder) for fd in fds)
            extra = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, data)] if fds else []
            try:
                self._channel.sendmsg([packet], extra)
            except BlockingIOError:
                self._reactor.watch(self._channel.fileno(), READ | WRITE, self._ready)
                return
            except OSError as error:
                if error.errno != errno.ETOOMANYREFS:
                    self.clear()  # the other end is dead, which the next read of the channel shows
                    return
                # the other end is stopped and too many descriptors are in flight: it does not get these
            self.waiting.popleft()
            self._sent(fds)

    def unsend(self, packet: bytes) -> bool:
        """Forget one that waits; return whether it did."""
        found = next((each for each in self.waiting if each[0] == packet), None)
        if found:
            self.waiting.remove(found)
            self._sent(found[1])
        return found is not None

    def clear(self) -> None:
        """Forget what waits."""
        while self.waiting:
            self._sent(self.waiting.popleft()[1])

    def _sent(self, fds: tuple[int, ...]) -> None:
        for fd in fds if self._owns else ():
            os.close(fd)

    def writable(self) -> None:
        """Send what waits: the channel takes more."""
        self._reactor.watch(self._channel.fileno(), READ, self._ready)
        self.flush()
