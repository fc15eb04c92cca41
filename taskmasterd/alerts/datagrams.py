"""Sends to a log daemon by a UNIX socket, or by UDP to a numeric address: from the daemon itself, and without ever blocking.

A full socket is tried again after 10 ms, 50 times; then its first message is dropped and counted. A refusal drops the message, and
each message makes a new connection: a log daemon that was restarted has another socket.
"""

from __future__ import annotations

import errno
import time

from taskmaster_common.errors import system_reason
from taskmaster_common.text.syslog import MOST_UDP
from taskmasterd.core.words.alerts import headline, missing
from taskmasterd.core.words.syslog import LogSender, local_message, network_message
from taskmasterd.system.loop.cmodules import deque
from taskmasterd.system.loop.sockets import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.config.alerts.rule import AlertRule
    from taskmasterd.alerts.context import AlertContext

    Event = Mapping[str, Any]

AGAIN_S, TRIES = 0.01, 50
MOST_WAITING = 1000
"""Most messages that wait for a full socket; what is beyond is dropped at once."""
FULL = (errno.EAGAIN, errno.ENOBUFS)


def is_direct(rule: AlertRule) -> bool:
    """Return whether the daemon itself sends this rule's messages: no name has to be looked up, no connection opened."""
    to = str(rule.syslog.get("to", ""))
    return to.startswith("unix:") or (to.startswith("udp:") and _family(_host(to)) is not None)


def _host(to: str) -> str:
    return to.partition(":")[2].rpartition(":")[0].strip("[]")


def _family(host: str) -> int | None:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return family
    return None


class Datagrams:
    """The sender of one rule. `dropped` messages were lost, `error` says why the last one was, "" after a success."""

    def __init__(self, context: AlertContext, rule: AlertRule) -> None:
        self._context = context
        self._place = place = rule.syslog
        facility, tag = place.get("facility", "daemon"), place.get("tag", "taskmaster")
        self._sender = LogSender(facility, tag, context.pid, context.host)
        self._waiting: deque[bytes] = deque()
        self._tries = 0
        self._timed = False
        self.dropped = 0
        self.error = ""
        self.last = 0.0

    def send(self, event: Event) -> None:
        """Send what happened, or how many events were left out; or let it wait for a moment."""
        if event.get("left_out") and not event["event"]:
            for line in missing(int(event["left_out"]), 0):
                self._add(self._message({"name": "", "event": "alert"}, line))
            return
        self._add(self._message(event, headline(event, self._context.signals)))

    @property
    def trouble(self) -> str:
        """Why messages do not arrive, or how many did not, "" where all did."""
        count = f"{self.dropped} message{'s' if self.dropped != 1 else ''} dropped" if self.dropped else ""
        return self.error or count

    def _add(self, message: bytes) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self.dropped += 1
            return
        self._waiting.append(message)
        if not self._timed:
            self._send()

    def _message(self, event: Event, text: str) -> bytes:
        wall, sender = self._context.wall(), self._sender
        if self._place["to"].startswith("unix:"):
            return local_message(sender, event, text, time.localtime(wall)[1:6])
        when = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(wall))}.{int(wall % 1 * 1_000_000):06d}Z"
        return network_message(sender, event, text, when, MOST_UDP)

    def _send(self) -> None:
        self._timed = False
        while self._waiting:
            try:
                self._send_first(self._waiting[0])
            except OSError as error:
                if error.errno in FULL and self._tries < TRIES:
                    self._tries += 1
                    self._timed = True
                    self._context.reactor.call_later(AGAIN_S, self._send)
                    return
                self.dropped += 1
                self.error = "nobody reads it" if error.errno in FULL else system_reason(error)
            else:
                self.error, self.last = "", self._context.wall()
            self._tries = 0
            self._waiting.popleft()

    def _send_first(self, message: bytes) -> None:
        """Send a message over a new connection. Raises OSError."""
        to = self._place["to"]
        local = to.startswith("unix:")
        host = "" if local else _host(to)
        family = socket.AF_UNIX if local else _family(host) or socket.AF_INET
        address = to.partition(":")[2] if local else (host, int(to.rpartition(":")[2]))
        sender = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sender.setblocking(False)
            sender.connect(address)
            sender.send(message)
        finally:
            sender.close()
