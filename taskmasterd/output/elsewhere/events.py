"""The event log as messages: to syslog, or to the journal with its own fields."""

from __future__ import annotations

import os
import time

from taskmaster_common.config import JOURNAL
from taskmaster_common.config.elsewhere import USUAL, elsewhere_of
from taskmasterd.output.elsewhere.syslog import FULL, Channel, Sender
from taskmasterd.output.log.stamp import Stamp
from taskmasterd.system.loop.cmodules import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

TAG = "taskmasterd"
SEVERITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3}
NATIVE = "unix:/run/systemd/journal/socket"
"""Where the journal takes messages with fields. Source: systemd.io/JOURNAL_NATIVE_PROTOCOL."""
AGAIN_S = 0.01
MOST_TRIES = 50
MOST_WAITING = 1000


class EventMessages:
    """Takes the lines of the event log. `later(seconds, callback)` calls back; what cannot be sent for long is dropped."""

    def __init__(self, text: str, later: Callable[[float, Callable[[], None]], object]) -> None:
        target = elsewhere_of(text)
        self._native = target.kind == JOURNAL
        address = NATIVE if self._native and target.address == USUAL[JOURNAL] else target.address
        self._target = target.replace(tag=target.tag or TAG, program=TAG, stream="events")
        self._channel = Channel(address)
        self._later = later
        self._stamp = Stamp()
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._tries = 0
        self.dropped = 0

    def append(self, block: bytes) -> None:
        """Send lines, and never raise."""
        for line in block.splitlines():
            _time, level, text = (*line.split(b" ", 2), b"", b"")[:3]
            self._waiting.append(self._message(SEVERITIES.get(level.decode("ascii", "replace"), 6), text))
        if not self._tries:
            self._send()

    def _message(self, severity: int, text: bytes) -> bytes:
        now = time.time()
        if not self._native:
            host = os.uname().nodename or "-"
            return Sender(self._target, os.getpid(), host).message(severity, text, now, self._stamp.of(now))
        fields = (b"MESSAGE=" + text, b"PRIORITY=%d" % severity, b"SYSLOG_IDENTIFIER=" + self._target.tag.encode())
        return b"\n".join((*fields, b""))

    def _send(self) -> None:
        while self._waiting:
            try:
                self._channel.send(self._waiting[0])
            except OSError as error:
                if error.errno in FULL and self._tries < MOST_TRIES:
                    self._tries += 1
                    self._later(AGAIN_S, self._send)
                    return
                self._channel.close()
                self.dropped += 1
            self._tries = 0
            self._waiting.popleft()
