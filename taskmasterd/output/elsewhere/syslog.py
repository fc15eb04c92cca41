"""Syslog: each line of a program is a message, sent without blocking.

To a UNIX socket in the old local form, since log daemons misread RFC 5424 there; by UDP and TCP as RFC 5424 has it. What is in the
daemon, a line that has begun and messages that were not taken yet, is lost if the daemon is killed.
"""

from __future__ import annotations

import errno
import os
import select
import time

from taskmaster_common.config.elsewhere import elsewhere_of, udp_address
from taskmaster_common.errors import system_reason
from taskmaster_common.records import Record
from taskmaster_common.text.lineformat import split_level
from taskmaster_common.text.syslog import CUT, ENTERPRISE, MOST_LOCAL, MOST_UDP, local_head, priority
from taskmasterd.output.log.stamp import Stamp
from taskmasterd.output.sink import LogSink
from taskmasterd.system.loop.cmodules import deque
from taskmasterd.system.loop.sockets import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config.elsewhere import Elsewhere

CHUNK = 65_536
"""Most bytes that are read of a pipe at once."""
MOST_LINES = 256
"""Most lines that are sent in one turn."""
PATIENCE_S = 0.5
"""Longest time that a log daemon which does not read holds up a program, seconds."""
FULL = (errno.EAGAIN, errno.ENOBUFS)
TCP = "tcp:"
GONE = (errno.ECONNREFUSED, errno.ENOTCONN, errno.EPIPE, errno.ECONNRESET)
"""Errors after which a new connection is made: the log daemon was restarted."""


class Sender(Record):
    """What all messages of a stream say: the target, the pid of the program, 0 where it is not known, and the host."""

    target: Elsewhere
    pid: int
    host: str

    def message(self, severity: int, line: bytes, now: float, stamp: str) -> bytes:
        """Return one message; `stamp` is the time `now`. Source: RFC 5424, 6."""
        target, pid = self.target, self.pid
        number = priority(target.facility, severity)
        if target.address.startswith("unix:"):
            head, most = local_head(number, time.localtime(now)[1:6], target.tag, pid), MOST_LOCAL
        else:
            whose = f'program="{target.program}" instance="{target.instance}" stream="{target.stream}"'
            head = f"<{number}>1 {stamp} {self.host} {target.tag} {pid or '-'} - [{ENTERPRISE} {whose}] "
            most = MOST_LOCAL if target.address.startswith(TCP) else MOST_UDP
        begin = head.encode("utf-8", "surrogateescape")
        room = most - len(begin)
        return begin + (line if len(line) <= room else line[: room - len(CUT)] + CUT)


class Channel:
    """Sends messages to one address: each a datagram, or by TCP one behind the other, each with its length (RFC 6587, 3.4.1).

    What of a message a TCP connection has taken is not sent again, but by a new connection, where it begins again.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._socket: socket.socket | None = None
        self._stream = address.startswith(TCP)
        self._sent = 0

    def send(self, message: bytes) -> None:
        """Send one message, by a new connection where the old one is gone. Raises OSError; FULL means that it may be sent again later."""
        if self._stream:
            message = b"%d %s" % (len(message), message)
        try:
            self._send(message)
        except OSError as error:
            if error.errno in FULL:
                raise
            self.close()
            if error.errno not in GONE:
                raise
            self._send(message)

    def _send(self, message: bytes) -> None:
        channel = self._connected()
        if not self._stream:
            channel.send(message)
            return
        while self._sent < len(message):
            self._sent += channel.send(message[self._sent :])
        self._sent = 0

    def await_room(self, within_s: float) -> None:
        """Wait until a message may be taken. For the end of the daemon only: it blocks."""
        poll = select.poll()
        if self._socket is not None:
            poll.register(self._socket.fileno(), select.POLLOUT)
        poll.poll(within_s * 1000)

    def close(self) -> None:
        """Close the connection."""
        self._sent = 0
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connected(self) -> socket.socket:
        if self._socket is None:
            scheme, _, rest = self._address.partition(":")
            to = udp_address(rest) or rest
            family = socket.AF_UNIX if scheme == "unix" else socket.AF_INET6 if rest.startswith("[") else socket.AF_INET
            made = socket.socket(family, socket.SOCK_STREAM if self._stream else socket.SOCK_DGRAM)
            try:
                made.setblocking(False)
                made.connect(to)
            except BlockingIOError:  # by TCP: what is sent before the connection is there has to wait
                pass
            except OSError:
                made.close()
                raise
            self._socket = made
        return self._socket


class SyslogSink(LogSink):
    """Takes the bytes of one pipe and sends them, line by line, to the target that the path of `sink` is.

    A line may name its severity unless `levels` is false.
    """

    by_lines = True

    __slots__ = (
        "_channel",
        "_levels",
        "_patient",
        "_rest",
        "_sender",
        "_since",
        "_sink",
        "_stamp",
        "_target",
        "_waiting",
    )

    def __init__(self, sink: LogSink, *, levels: bool, pid: int = 0) -> None:
        super().__init__(sink.log, sink.program)
        self._sink = sink
        self._target = elsewhere_of(sink.path)
        self._levels = levels
        self._sender = Sender(self._target, pid, os.uname().nodename or "-")
        self._stamp = Stamp()
        self._channel = Channel(self._target.address)
        self._rest = b""
        self._waiting: deque[bytes] = deque()
        self._since = 0.0
        self._patient = True

    def move(self, pipe: int, most: int) -> int:
        """Send the lines that are in a pipe; return how many bytes left it, 0 at its end. Raises BlockingIOError."""
        block = os.read(pipe, min(most, CHUNK))
        self._rest += block
        self._send_some()
        return len(block)

    def busy(self, *, hurry: bool = False) -> bool:
        """Return whether messages or lines wait, after another try to send some; in a `hurry` all that are taken."""
        if self._waiting:
            self._send()
        while b"\n" in self._rest and not self._waiting:
            self._send_some()
            if not hurry:
                break
        return bool(self._waiting) or b"\n" in self._rest

    def led_by(self, pid: int) -> None:
        """Note the pid of the program."""
        self._sender = self._sender.replace(pid=pid)

    def settle(self) -> None:
        """Send all that is here and the line that has begun: its program has ended."""
        while b"\n" in self._rest:
            self._send_some()
        if self._rest:
            rest, self._rest = self._rest, b""
            self._put(rest, time.time())
        self._send()

    def hand_over(self) -> None:
        """Send what is here: the next code begins with the next line."""
        self.settle()

    def finish(self) -> LogSink:
        """End with the pipe; return the sink to release."""
        self.settle()
        self._drop("nobody reads it")
        self._channel.close()
        return self._sink

    def _send_some(self) -> None:
        """Make messages of the first lines that are here, and send them."""
        *lines, rest = self._rest.split(b"\n", MOST_LINES)
        now = time.time()
        for line in lines:
            self._put(line, now)
        whole = b"\n" in rest
        self._rest = rest if whole else rest[: MOST_LOCAL + 1]  # what follows is cut from the message anyway
        self._send()

    def _put(self, line: bytes, now: float) -> None:
        severity, text = split_level(line, self._target.severity) if self._levels else (self._target.severity, line)
        self._waiting.append(self._sender.message(severity, text, now, self._stamp.of(now)))

    def _send(self) -> None:
        """Send what waits, in order; drop it when the log daemon has taken nothing for too long."""
        trouble = self.ledger.trouble
        while self._waiting:
            try:
                self._channel.send(self._waiting[0])
            except OSError as error:
                if error.errno in FULL:
                    self._wait()
                    return
                trouble.lost(
                    f"cannot send to {self._target.address}: {system_reason(error)}", len(self._waiting.popleft())
                )
                continue
            self._waiting.popleft()
            self._since, self._patient = 0.0, True
            if trouble.present:
                trouble.over()

    def _wait(self) -> None:
        now = self.ledger.now()
        self._since = self._since or now
        if not self._patient or now - self._since >= PATIENCE_S:
            self._patient = False
            self._drop("nobody reads it")

    def _drop(self, reason: str) -> None:
        amount = sum(map(len, self._waiting))
        self._waiting.clear()
        if amount:
            self._channel.close()  # of a message that has begun the rest would be missing
            self.ledger.trouble.lost(f"cannot send to {self._target.address}: {reason}", amount)
