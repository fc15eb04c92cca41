"""The daemon's side of the channel to its guardian; `taskmasterd.guardian` describes the protocol.

Except for `bye` and `tell` nothing here waits: packets that the guardian does not take at once are sent later, in order.
"""

from __future__ import annotations

import os

from taskmaster_common.records import Record
from taskmasterd.keeping.packets import Packets
from taskmasterd.system.loop.reactor import WRITE
from taskmasterd.system.loop.sockets import socket
from taskmasterd.system.peers import peer_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from taskmasterd.system.loop.reactor import Reactor

    End = tuple[int, int, int]
    """(pid, wait status, start time of a session leader, or 0)."""

LONGEST_PACKET = 8192
BYE_WITHIN_S = ANSWER_WITHIN_S = 1.0
AGAIN_S = 0.5
"""Pause before the next try to acknowledge, seconds."""
TOLD = b"told"


class Kept(Record):
    """What a guardian hands to a daemon that it starts: the channel, what it has kept, and whether an earlier daemon has died.

    `pipes` maps inodes to (read end, path), `ends` pids to (wait status, start time of a session leader, or 0).
    """

    channel: int
    again: bool
    pipes: Mapping[int, tuple[int, str]]
    ends: Mapping[int, tuple[int, int]]


def read_kept(fd: int) -> Kept:
    """Read and close the descriptor that the guardian has passed; return what it holds."""
    with open(fd, "rb") as file:
        first, *lines = file.read().split(b"\0")
    channel, again = map(int, first.split())
    pipes: dict[int, tuple[int, str]] = {}
    ends: dict[int, tuple[int, int]] = {}
    for text in lines:
        kind, *words = text.split(b" ", 3)
        if kind == b"pipe":
            pipes[int(words[0])] = (int(words[1]), os.fsdecode(words[2]))
        else:
            ends[int(words[0])] = int(words[1]), int(words[2])
    for each in (channel, *(pipe for pipe, _path in pipes.values())):
        os.set_inheritable(each, False)
    return Kept(channel, bool(again), pipes, ends)


class Guard:
    """The guardian, as the daemon sees it: keeps pipes for us, and reports the orphans that it has reaped.

    `on_ends` gets (pid, status) of these orphans; the guardian's death calls `on_lost()`. `handed` are the pids of orphans whose
    ends it has handed over already (`Kept.ends`). `pid` is the guardian's, 0 once it is dead; then all methods do nothing.
    """

    def __init__(
        self,
        reactor: Reactor,
        fd: int,
        handed: Iterable[int],
        on_ends: Callable[[list[tuple[int, int]]], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._channel = socket.socket(fileno=fd)
        self._channel.setblocking(False)
        self._on_ends = on_ends
        self._on_lost = on_lost
        self._packets = Packets(reactor, self._channel, self._ready)
        self._noted = list(handed)
        # the kernel knows who made the channel; after the guardian's death our parent is a process whose children are not ours
        guardian = peer_of(self._channel).pid
        self.pid = guardian if guardian == os.getppid() else 0

    @property
    def fd(self) -> int:
        """Our end of the channel, -1 once the guardian is dead."""
        return self._channel.fileno()

    @property
    def idle(self) -> bool:
        """Whether the guardian has received everything."""
        return not self._packets.waiting and not self._noted

    def keep(self, inode: int, fd: int, path: str) -> None:
        """Ask the guardian to hold a pipe whose bytes go to `path`."""
        self._send(b"keep %d %s" % (inode, os.fsencode(path)), fd)

    def drop(self, inode: int) -> None:
        """Ask the guardian to close a pipe."""
        key, waiting = b"keep %d " % inode, self._packets.waiting
        kept = [each for each in waiting if each[0].startswith(key)]
        for each in kept:
            waiting.remove(each)
        if kept:
            return
        self._send(b"drop %d" % inode)

    def listener(self, fd: int) -> None:
        """Ask the guardian to hold another listening socket."""
        self._send(b"listener", fd)

    def up(self) -> None:
        """Report that the daemon serves clients."""
        self._send(b"up")

    def bye(self, exit_code: int) -> None:
        """Report that the daemon ends on purpose. Waits until the guardian has received this, the last packet."""
        if self.fd >= 0:
            self._channel.settimeout(BYE_WITHIN_S)
            self._send(b"bye %d" % exit_code)

    def tell(self) -> list[End]:
        """Return all ends up to now that the guardian has not reported yet.

        Waits for the guardian, ANSWER_WITHIN_S at most, so the list is incomplete if it is stopped or dead. The ends are also
        passed to `on_ends`.
        """
        ended: list[End] = []
        self._send(b"tell")
        self._channel.settimeout(0 if self._packets.waiting else ANSWER_WITHIN_S)
        while True:
            try:
                packet = self._channel.recv(LONGEST_PACKET)
            except OSError:
                break
            if packet in (TOLD, b""):  # b"": the guardian is dead, which the next turn notices, too
                break
            ended.append(_end(packet))
        self._channel.setblocking(False)
        self._heard(ended)
        return ended

    def noted(self) -> None:
        """Acknowledge that all ends reported so far are in the state."""
        noted, self._noted = self._noted, []
        for pid in noted:
            self._send(b"noted %d" % pid)

    def _send(self, packet: bytes, fd: int | None = None) -> None:
        if self.fd >= 0:  # the guardian is alive
            self._packets.send(packet, () if fd is None else (fd,))

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._packets.writable()
        ended: list[End] = []
        lost = False
        while not lost:
            try:
                packet = self._channel.recv(LONGEST_PACKET)
            except BlockingIOError:
                break
            except OSError:
                packet = b""
            if packet and packet != TOLD:
                ended.append(_end(packet))
            lost = not packet
        self._heard(ended)
        if lost:
            self._lost()

    def _heard(self, ended: list[End]) -> None:
        if ended:
            self._noted += [pid for pid, _status, _since in ended]
            self._on_ends([(pid, status) for pid, status, _since in ended])

    def _lost(self) -> None:
        self._reactor.remove(self.fd)
        self._channel.close()
        self._packets.clear()
        self._noted.clear()
        self.pid = 0
        self._on_lost()


class Acknowledgement:
    """Acknowledges the ends that the guardian has reported once they are in the state, so that it can forget them.

    `flush()` writes the state. `settled()` returns whether every end seen so far was handled and delivered. Without a guardian
    this does nothing.
    """

    def __init__(
        self, reactor: Reactor, guard: Guard | None, flush: Callable[[], None], settled: Callable[[], bool]
    ) -> None:
        self._reactor = reactor
        self._guard = guard
        self._flush = flush
        self._settled = settled

    def send_later(self) -> None:
        """Handle the ends in this turn, and acknowledge them in the next one."""
        guard = self._guard
        if guard is not None:
            self._reactor.call_soon(lambda: self._reactor.call_soon(lambda: self._send(guard)))

    def _send(self, guard: Guard) -> None:
        self._flush()
        if self._settled():
            guard.noted()
        else:
            self._reactor.call_later(AGAIN_S, self.send_later)


def _end(packet: bytes) -> End:
    _word, pid, status, since = packet.split()
    return int(pid), int(status), int(since)
