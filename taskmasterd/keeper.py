"""The keeper: a child of the daemon that holds descriptors over the daemon's death, and moves what terminals write into logs.

A terminal of a program ends when nobody has its master any more, and what a program writes to it can only be read there. The
keeper therefore has each master, always reads it, and writes what it gets into an ordinary pipe, which the daemon reads as it
reads that of any other program. The write ends of `stdin: pipe` and listening sockets it only holds. It decides nothing about programs.

It lives in a session of its own, and ends when it holds nothing and no daemon has asked for IDLE_S, or when the daemon ends on
purpose. Like the guardian it imports hardly anything, and sleeps without a timeout.

THE CHANNEL is a socket of packets (unix(7), SOCK_SEQPACKET), each a line of words, as that to a guardian; it has the same words
for the same things. A KEY is a word that the daemon has made up. From the daemon:
    keep KEY              with descriptors: hold these
    pump KEY              with the master of a terminal and, if its output is wanted, the write end of a pipe: hold these, and move
                          from the one to the other
    drop KEY              let go; of a terminal only once nobody has its other side any more, and all is moved that was written
    give                  send all that is held
    drain KEY             move what the terminal has now
    modes KEY             which modes of the terminal are on
    tap KEY               with the write end of a pipe: a copy of all output from now on; what it does not take is lost
    bye                   the daemon ends on purpose: let go of all, and end
To the daemon:
    keeper VERSION        the first packet
    keep KEY, pump KEY    with the descriptors: the answer to `give`, in the order in which they came
    given PID             the answer to `give` is complete; PID is the keeper's
    drained KEY           the answer to `drain`
    modes KEY SEQUENCE... the answer to `modes`; of each sequence the ESC is left out
The daemon starts it with one end of a channel. A later daemon connects to the listening socket; the last one who connects is
the daemon.
"""

from __future__ import annotations

import errno
import os
import select
import sys

from taskmaster_common.text.escapes import Modes

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    import socket
    from collections.abc import Callable, Sequence
else:
    import _signal as signal
    import _socket as socket

VERSION = 1
"""Number of the channel's language."""
IDLE_S = 10.0
HUNG_S = 1.0
"""Pause before another look at a terminal whose other side nobody has, though the program lives: it may open it again, seconds."""
PIECE = 4096
"""Bytes read at once: no more is ever in our memory only. A terminal gives no more."""
PIECES = 16
"""Most pieces that one terminal moves before others have their turn."""
LONGEST_PACKET = 8192
FD_BYTES = 4


class Keeper:
    """Everything that is held, and the channel to the daemon. `listener` is -1 where no later daemon can come."""

    def __init__(self, channel: int, listener: int) -> None:
        self._poll = select.poll()
        self._ready: dict[int, Callable[[int], None]] = {}
        self._held: dict[bytes, tuple[int, ...]] = {}
        self._pumps: dict[bytes, Pump] = {}
        self._released: list[Pump] = []
        self._hung: list[Pump] = []
        self._unsent: list[tuple[bytes, tuple[int, ...]]] = []
        self._channel: socket.socket | None = None
        self._listener = socket.socket(fileno=listener) if listener >= 0 else None
        self._ending = False
        if self._listener:
            self._listener.setblocking(False)
            self._listener.listen(4)  # who connects learns our pid and not the daemon's: SO_PEERCRED, unix(7)
            self.watch(self._listener.fileno(), select.POLLIN, self._accept)
        self._adopt(socket.socket(fileno=channel))

    def run(self) -> None:
        """Work until there is nothing to do any more."""
        while not self._ending:
            pause_s = HUNG_S if self._hung else None if self._held or self._pumps or self._released else IDLE_S
            found = self._poll.poll(None if pause_s is None else pause_s * 1000)
            if not found and pause_s == IDLE_S:
                return
            for fd, events in found:
                ready = self._ready.get(fd)
                if ready:
                    ready(events)
            if self._hung:
                self._look_again()

    def watch(self, fd: int, events: int, ready: Callable[[int], None]) -> None:
        """Call `ready(events)` whenever the descriptor is ready for one of these."""
        self._ready[fd] = ready
        self._poll.register(fd, events)

    def unwatch(self, fd: int) -> None:
        """Undo `watch`."""
        if self._ready.pop(fd, None):
            self._poll.unregister(fd)

    def hung(self, pump: Pump) -> None:
        """Take note of a terminal whose other side nobody has: with a daemon that has let go of it, this is its end."""
        if pump in self._released:
            self._released.remove(pump)
            pump.close()
        else:
            self._hung.append(pump)

    def _look_again(self) -> None:
        hung, self._hung = self._hung, []
        for pump in hung:
            pump.move()
            pump.listen()

    # -- the daemon

    def _accept(self, _events: int) -> None:
        try:
            fd, _address = self._listener._accept()  # type: ignore[union-attr]  # noqa: SLF001 - what the module's own accept calls
        except OSError:
            return
        channel = socket.socket(fileno=fd)
        raw = channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        if memoryview(raw).cast("I")[1] == os.geteuid():
            self._adopt(channel)
        else:
            channel.close()

    def _adopt(self, channel: socket.socket) -> None:
        """Serve this daemon from now on."""
        self._leave()
        channel.setblocking(False)
        self._channel = channel
        self._send(b"keeper %d" % VERSION)
        self._listen()

    def _leave(self) -> None:
        if self._channel:
            self.unwatch(self._channel.fileno())
            self._channel.close()
            self._channel = None
        for _packet, fds in self._unsent:
            _close(fds)
        self._unsent.clear()

    def _listen(self) -> None:
        if self._channel:
            events = select.POLLIN | (select.POLLOUT if self._unsent else 0)
            self.watch(self._channel.fileno(), events, self._talk)

    def _talk(self, _events: int) -> None:
        """Take what the daemon says, and send what waits."""
        while self._channel:
            try:
                packet, extra, _flags, _address = self._channel.recvmsg(LONGEST_PACKET, 1024)
            except BlockingIOError:
                break
            except OSError:
                packet, extra = b"", []
            if not packet:
                self._leave()
                return
            fds = [fd for _level, _kind, data in extra for fd in memoryview(data).cast("i")]
            word, _, key = packet.partition(b" ")
            self._take(word, key, fds)
        self._flush()

    def _take(self, word: bytes, key: bytes, fds: list[int]) -> None:
        if word == b"keep" and fds:
            self._forget(key)
            self._held[key], fds = tuple(fds), []
        elif word == b"pump" and fds:
            self._forget(key)
            self._pumps[key] = Pump(self, fds[0], fds[1] if len(fds) > 1 else -1)
            fds = []
        elif word == b"drop":
            self._forget(key)
        elif word == b"tap" and fds and key in self._pumps:
            self._pumps[key].tap(fds.pop())
        elif word == b"bye":
            self._end()
        else:
            self._answer(word, key)
        _close(fds)

    def _answer(self, word: bytes, key: bytes) -> None:
        """Answer a question of the daemon."""
        pump = self._pumps.get(key)
        if word == b"give":
            for each, held in self._held.items():
                self._send(b"keep " + each, held)
            for each, kept in self._pumps.items():
                self._send(b"pump " + each, kept.fds)
            self._send(b"given %d" % os.getpid())
        elif word == b"drain":
            if pump:
                pump.move()
                pump.listen()
            self._send(b"drained " + key)
        elif word == b"modes":
            said = " ".join(pump.modes.on()).encode("ascii") if pump else b""
            self._send(b"modes %s %s" % (key, said))

    def _forget(self, key: bytes) -> None:
        """Let go of what is held under a key."""
        _close(self._held.pop(key, ()))
        pump = self._pumps.pop(key, None)
        if pump is None:
            return
        if pump in self._hung:
            self._hung.remove(pump)
            pump.close()
        else:
            self._released.append(pump)
            pump.move()
            pump.listen()

    def _end(self) -> None:
        """Let go of everything."""
        self._ending = True
        for pump in (*self._pumps.values(), *self._released):
            pump.move()
            pump.close()

    def _send(self, packet: bytes, fds: Sequence[int] = ()) -> None:
        """Send a packet, as soon as the channel takes it. Keeps the descriptors open until then, even if their owner drops them."""
        self._unsent.append((packet, tuple(os.dup(fd) for fd in fds)))
        self._flush()

    def _flush(self) -> None:
        while self._unsent and self._channel:
            packet, fds = self._unsent[0]
            data = b"".join(fd.to_bytes(FD_BYTES, sys.byteorder) for fd in fds)
            try:
                self._channel.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, data)] if fds else [])
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.ETOOMANYREFS, errno.ENOBUFS):
                    break
                if error.errno in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN):
                    return  # the daemon is dead, which the next read shows
            del self._unsent[0]
            _close(fds)
        self._listen()


class Pump:
    """Moves the output of one terminal from its master into `log`, the write end of a pipe, -1 for nowhere.

    It always reads, but while the pipe is full. `taps` are pipes that get a copy.
    """

    def __init__(self, keeper: Keeper, master: int, log: int) -> None:
        self._keeper = keeper
        self._master = master
        self._log = log
        self._waiting = b""
        self._hung = False
        self.taps: list[int] = []
        self.modes = Modes()
        for fd in self.fds:
            os.set_blocking(fd, False)
        self.listen()

    @property
    def fds(self) -> tuple[int, ...]:
        """The master, and the pipe if there is one; () once they are closed."""
        return tuple(fd for fd in (self._master, self._log) if fd >= 0)

    def listen(self) -> None:
        """Wait for output, or for room in the pipe."""
        if self._master < 0 or self._hung:
            return
        if self._waiting:
            self._keeper.unwatch(self._master)
            self._keeper.watch(self._log, select.POLLOUT, self._ready)
        else:
            self._keeper.unwatch(self._log)
            self._keeper.watch(self._master, select.POLLIN, self._ready)

    def _ready(self, _events: int) -> None:
        self.move()
        self.listen()

    def move(self) -> None:
        """Move what the terminal has now, as much as the pipe takes."""
        self._hung = False
        for _ in range(PIECES):
            if self._master < 0 or (self._waiting and not self._write()):
                return
            try:
                piece = os.read(self._master, PIECE)
            except BlockingIOError:
                return
            except OSError:  # EIO: nobody has the other side; what was written is read by now
                self._hang()
                return
            if not piece:
                self._hang()
                return
            self.modes.feed(piece)
            if self.taps:
                self._copy(piece)
            self._waiting = piece if self._log >= 0 else b""
        if self._waiting:
            self._write()

    def _write(self) -> bool:
        """Write what waits; return whether the pipe has taken all of it."""
        try:
            self._waiting = self._waiting[os.write(self._log, self._waiting) :]
        except BlockingIOError:
            return False
        except OSError:  # nobody will ever read it
            self._keeper.unwatch(self._log)
            os.close(self._log)
            self._log, self._waiting = -1, b""
        return not self._waiting

    def tap(self, fd: int) -> None:
        """Copy the output into this pipe, too, until nobody reads it. What does not fit is lost: a viewer holds up nobody."""
        os.set_blocking(fd, False)
        self.taps.append(fd)
        self._keeper.watch(fd, 0, lambda _events: self._untap(fd))  # POLLERR, which nobody has to ask for

    def _untap(self, fd: int) -> None:
        if fd in self.taps:
            self.taps.remove(fd)
            self._keeper.unwatch(fd)
            os.close(fd)

    def _copy(self, piece: bytes) -> None:
        for tap in tuple(self.taps):
            try:
                os.write(tap, piece)
            except BlockingIOError:
                continue
            except OSError:
                self._untap(tap)
                os.close(tap)

    def _hang(self) -> None:
        self._hung = True
        self._keeper.unwatch(self._master)
        self._keeper.unwatch(self._log)
        self._keeper.hung(self)

    def close(self) -> None:
        """Let go of the terminal and of the pipes."""
        for fd in self.fds:
            self._keeper.unwatch(fd)
        for tap in tuple(self.taps):
            self._untap(tap)
        _close(self.fds)
        self._master = self._log = -1


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


def _name_process(name: str) -> None:
    """Make ps and pgrep show this name. Source: proc(5), /proc/pid/comm."""
    try:
        with open("/proc/self/comm", "wb", buffering=0) as comm:
            comm.write(name.encode())
    except OSError:
        return


def main(arguments: Sequence[str]) -> int:
    """Run the keeper: CHANNEL is a descriptor that leads to the daemon, LISTENER the listening socket, or "-"."""
    channel, listener = arguments[:2]
    os.setsid()
    _name_process("taskmasterkeep")
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    for own in (0, 1, 2):
        os.dup2(null, own)
    os.chdir("/")
    Keeper(int(channel), -1 if listener == "-" else int(listener)).run()
    return 0
