"""What a program says on its NOTIFY_SOCKET. Source: sd_notify(3): a datagram of lines NAME=value."""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmasterd.probing.text.result import escaped

MOST_STATUS = 200
"""Characters kept of a status."""
MOST_DIGITS = 15
"""Digits of a time in microseconds: 31 years."""


class Message(Record):
    """One datagram, or several of them joined.

    `status`, "" too, is None where nothing was said of it. `extend_s`: the start or stop may go on for so many seconds from now.
    All other names are ignored: MAINPID, because we supervise what we started.
    """

    ready: bool = False
    stopping: bool = False
    watchdog: bool = False
    status: str | None = None
    extend_s: float | None = None

    def joined(self, later: Message) -> Message:
        """Return this message and a later one as one."""
        return Message(
            self.ready or later.ready,
            self.stopping or later.stopping,
            self.watchdog or later.watchdog,
            self.status if later.status is None else later.status,
            self.extend_s if later.extend_s is None else later.extend_s,
        )


NOTHING = Message()


def message_in(datagram: bytes) -> Message:
    """Return what a datagram says; NOTHING for one that says nothing known."""
    said = {name: value for name, _, value in (line.partition(b"=") for line in datagram.split(b"\n"))}
    status, extend = said.get(b"STATUS"), said.get(b"EXTEND_TIMEOUT_USEC", b"")
    return Message(
        said.get(b"READY") == b"1",
        said.get(b"STOPPING") == b"1",
        said.get(b"WATCHDOG") == b"1",
        None if status is None else escaped(status.decode("utf-8", "replace"))[:MOST_STATUS],
        int(extend) / 1_000_000 if extend.isdigit() and len(extend) <= MOST_DIGITS else None,
    )
