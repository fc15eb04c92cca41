"""A keeper as a process: started, found again by a later daemon, and the packets to and from it (`taskmasterd.keeper`).

It knows words and descriptors, not what they mean. Nothing waits here but `hear`, where it is told how long.
"""

from __future__ import annotations

import os
import stat

from taskmaster_common.errors import SystemFailure
from taskmaster_common.records import Record
from taskmasterd.fallbacks import spawn
from taskmasterd.keeping.packets import Packets
from taskmasterd.system.loop.reactor import WRITE
from taskmasterd.system.loop.sockets import socket
from taskmasterd.system.paths.held import Held
from taskmasterd.system.peers import peer_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Protocol

    from taskmasterd.system.loop.reactor import Reactor

    class ChildList(Protocol):
        """The children of the daemon that are no program's."""

        def add(self, child: Link, /) -> None:
            """Expect the end of a child."""

    Fds = tuple[int, ...]

LONGEST_PACKET = 8192
SPACE_FOR_FDS = 1024
MODE_MASK = 0o177
BACKLOG = 4


class KeeperMeans(Record):
    """What keeping needs of the daemon. `path` is where the keeper's socket is, None where no later daemon could use it.

    `command(words)` returns what executes a keeper; `errands()` expects its end, `ignore(pid)` takes one that is no child for no
    program's; `say(level, text)` writes to the event log.
    """

    reactor: Reactor
    errands: Callable[[], ChildList]
    command: Callable[[tuple[str, ...]], list[str]]
    environment: Mapping[str, str]
    path: str | None
    ignore: Callable[[int], None]
    say: Callable[[str, str], None]


class Link:
    """The channel to a keeper, and as `ChildList` has it, the child. `pid` is the keeper's, 0 where there is none.

    `take(words, fds)` is called with each packet, `lost(pid)` at the end of the channel.
    """

    def __init__(self, means: KeeperMeans, take: Callable[[list[str], Fds], None], lost: Callable[[int], None]) -> None:
        self.pid = 0
        self._means = means
        self._take = take
        self._lost = lost
        self._channel: socket.socket | None = None
        self._packets: Packets | None = None

    @property
    def up(self) -> bool:
        """Whether there is a channel."""
        return self._channel is not None

    @property
    def fd(self) -> int | None:
        """Our end of the channel, which the daemon after an upgrade inherits; None where there is none."""
        return self._channel.fileno() if self._channel else None

    @property
    def idle(self) -> bool:
        """Whether the keeper was sent everything."""
        return self._packets is None or not self._packets.waiting

    # -- the process

    def start(self) -> None:
        """Start a keeper. Raises OSError, SystemFailure."""
        means = self._means
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        listener = None
        try:
            listener = _listen(means.path) if means.path else None
            for each in (theirs, listener):
                if each:
                    os.set_inheritable(each.fileno(), True)
            words = (str(theirs.fileno()), str(listener.fileno()) if listener else "-")
            self.pid = spawn(means.command(words), means.environment, ())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            if listener:
                listener.close()
        self._talk_on(ours)
        means.errands().add(self)

    def resume(self, fd: int | None) -> bool:
        """Talk to the keeper of an earlier daemon: by the channel that was inherited, or at its socket; return whether there is one."""
        channel = socket.socket(fileno=fd) if fd is not None else self._connected()
        if channel:
            self._talk_on(channel)
        return channel is not None

    def is_child(self, pid: int) -> None:
        """Know the pid of the keeper of a daemon that was this process before an upgrade, and expect its end."""
        self.pid = pid
        self._means.errands().add(self)

    def is_no_child(self, pid: int) -> None:
        """Know the pid of the keeper of a daemon that has died."""
        self.pid = pid
        self._means.ignore(pid)

    @property
    def silent(self) -> bool:
        """Whether a child with output has closed it: a keeper has none."""
        return True

    def ended(self, _status: int) -> None:
        """Take the end of the child: the end of the channel says it, too."""

    def _talk_on(self, channel: socket.socket) -> None:
        channel.setblocking(False)
        os.set_inheritable(channel.fileno(), False)
        self._channel = channel
        self._packets = Packets(self._means.reactor, channel, self._ready, owns=True)

    def _connected(self) -> socket.socket | None:
        """Return a channel to the keeper of an earlier daemon, None where there is none of ours."""
        path = self._means.path
        if path is None:
            return None
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with Held(path, "use") as held:
                found = held.status()
                if found is None or not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid():
                    raise FileNotFoundError
                channel.connect(held.address)
            if peer_of(channel).uid == os.geteuid():
                return channel
        except (OSError, SystemFailure):
            pass
        channel.close()
        return None

    def close(self) -> None:
        """Close the channel, and remove the socket: its keeper ends. A second call does nothing."""
        if self._channel is None:
            return
        self._means.reactor.remove(self._channel.fileno())
        self._channel.close()
        if self._packets:
            self._packets.clear()
        self._channel = self._packets = None
        if self._means.path:
            try:
                with Held(self._means.path, "remove") as held:
                    held.discard()
            except SystemFailure:
                return

    # -- packets

    def send(self, packet: str, fds: Fds = ()) -> None:
        """Send a packet with descriptors, which are closed once they are sent; without a channel at once."""
        if self._packets:
            self._packets.send(packet.encode("ascii"), fds)
            return
        for fd in fds:
            os.close(fd)

    def unsend(self, packet: str) -> bool:
        """Take back a packet that a silent keeper has not got yet; return whether it was there."""
        return bool(self._packets and self._packets.unsend(packet.encode("ascii")))

    def hear(self, wait_s: float) -> str:
        """Take the next packet, for which it waits for so many seconds at most; return its words, "" where none came."""
        if self._channel is None:
            return ""
        self._channel.settimeout(wait_s)
        try:
            packet, extra, _flags, _address = self._channel.recvmsg(LONGEST_PACKET, SPACE_FOR_FDS)
        except (BlockingIOError, TimeoutError):
            return ""
        except OSError:
            packet, extra = b"", []
        finally:
            self._channel.setblocking(False)
        if not packet:
            pid, self.pid = self.pid, 0
            self.close()
            self._lost(pid)
            return ""
        fds = tuple(fd for _level, _kind, data in extra for fd in memoryview(data).cast("i"))
        for fd in fds:
            os.set_inheritable(fd, False)
        text = packet.decode("ascii", "replace")
        self._take(text.split(" "), fds)
        return text

    def _ready(self, events: int) -> None:
        if events & WRITE and self._packets:
            self._packets.writable()
        while self.hear(0.0):
            pass


def _listen(path: str) -> socket.socket:
    """Return a listening socket at a path that only we may use; replaces what is there. Raises OSError, SystemFailure."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mask = os.umask(MODE_MASK)
    try:
        with Held(path, "create") as held:
            held.discard()
            listener.bind(held.address)
        listener.listen(BACKLOG)
    except BaseException:
        listener.close()
        raise
    finally:
        os.umask(mask)
    return listener
