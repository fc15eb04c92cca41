"""The event log as messages: to syslog, or to the journal with its own fields."""

from __future__ import annotations

import os
import time

from taskmaster_common.config import JOURNAL
from taskmaster_common.config.elsewhere import EVENTS_TAG, USUAL, elsewhere_of
from taskmasterd.output.elsewhere.syslog import FULL, Channel, Sender
from taskmasterd.output.log.stamp import Stamp
from taskmasterd.system.loop.cmodules import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

SEVERITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3}
NATIVE = "unix:/run/systemd/journal/socket"
"""Where the journal takes messages with fields. Source: systemd.io/JOURNAL_NATIVE_PROTOCOL."""
AGAIN_S = 0.01
MOST_TRIES = 50
MOST_WAITING = 1000


class EventMessages:
    """Takes the lines of the event log. `later(seconds, callback)` calls back; what cannot be sent for long is dropped.

    `native`: to the journal, with fields of its own, for which it wants to know of each record of the history (`noted`).
    """

    def __init__(self, text: str, later: Callable[[float, Callable[[], None]], object]) -> None:
        target = elsewhere_of(text)
        self.native = target.kind == JOURNAL
        address = NATIVE if self.native and target.address == USUAL[JOURNAL] else target.address
        self._target = target.replace(tag=target.tag or EVENTS_TAG, program=EVENTS_TAG, stream="events")
        self._channel = Channel(address)
        self._later = later
        self._stamp = Stamp()
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._tries = 0
        self._records: dict[str, list[Mapping[str, Any]]] = {}
        self.dropped = 0

    def take(self, lines: Iterable[tuple[bytes, str]]) -> None:
        """Send lines, each with the name of the process that it is about, and never raise."""
        for line, name in lines:
            _time, level, text = (*line.rstrip(b"\n").split(b" ", 2), b"", b"")[:3]
            severity = SEVERITIES.get(level.decode("ascii", "replace"), 6)
            self._waiting.append(self._message(severity, text, self._about(name)))
        self._records.clear()
        if not self._tries:
            self._send()

    def noted(self, record: Mapping[str, Any]) -> None:
        """Know a record of the history: the next lines about its process say which event they are about."""
        self._records.setdefault(record["name"], []).append(record)

    def _about(self, name: str) -> list[bytes]:
        """Return the fields of a line about a process: its first line is about its first event, and so on."""
        if not self.native:
            return []
        program, _, index = name.partition(":")
        fields = {"PROGRAM": program, "INSTANCE": index or "0"} if name else {}
        records = self._records.get(name, [])
        if records:
            record = records[0] if name and len(records) == 1 else records.pop(0)
            by = record.get("by")
            uid = by.get("uid") if isinstance(by, dict) else None
            fields |= {"EVENT": record["event"], **({} if uid is None else {"UID": str(uid)})}
        return [f"TASKMASTER_{key}={value}".encode("utf-8", "replace") for key, value in fields.items()]

    def _message(self, severity: int, text: bytes, about: list[bytes]) -> bytes:
        now = time.time()
        if not self.native:
            host = os.uname().nodename or "-"
            return Sender(self._target, os.getpid(), host).message(severity, text, now, self._stamp.of(now))
        fields = (b"MESSAGE=" + text, b"PRIORITY=%d" % severity, b"SYSLOG_IDENTIFIER=" + self._target.tag.encode())
        return b"\n".join((*fields, *about, b""))

    def finish(self) -> None:
        """Send what waits, for as long as it is tried otherwise: nobody calls back any more."""
        until = time.monotonic() + AGAIN_S * MOST_TRIES
        while self._waiting and time.monotonic() < until:
            self._tries = 0
            self._send()
            if self._waiting:
                self._channel.await_room(AGAIN_S)
        self._channel.close()

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
