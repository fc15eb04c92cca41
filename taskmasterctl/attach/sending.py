"""`send`: a request whose text follows it as input, as fast as the programs read."""

from __future__ import annotations

import os
import select
import time

from taskmaster_common.errors import SystemFailure, system_reason
from taskmaster_common.protocol import FROZEN_AFTER_S, OLDEST_VERSION, encode, input_lines
from taskmasterctl.connect.client import TimedOutError
from taskmasterctl.conversation import Conversation, local_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from taskmasterctl.connect.client import DaemonConnection

CHUNK = 32_768
"""Bytes read of a file at once, and so the most that wait to be sent."""
TOO_OLD = "taskmasterd {version} cannot do that: it speaks protocol {protocol}, and `{verb}` came with protocol 2"


def too_old(connection: DaemonConnection, verb: str) -> dict[str, Any] | None:
    """Return the `end` for a daemon that does not know verbs with input, None for one that does."""
    hello = connection.hello
    if hello.get("protocol") != OLDEST_VERSION:
        return None
    text = TOO_OLD.format(version=hello.get("version"), protocol=hello.get("protocol"), verb=verb)
    return local_end("failed", text, ("`taskmasterctl upgrade` replaces it by the installed version",), 1)


def open_source(path: str) -> int:
    """Return a descriptor of a file, or standard input for "-". Raises SystemFailure."""
    if path == "-":
        return 0
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SystemFailure("read", path, system_reason(error), error.errno or 0) from None


class SendConversation(Conversation):
    """The conversation of one `send`. What is sent is `text`, or what can be read from `source`, -1 for none."""

    text = b""
    source = -1

    def of(self, text: bytes, source: int) -> SendConversation:
        """Say what is to be sent; returns itself."""
        self.text, self.source = text, source
        self._got: dict[str, int] = {}
        return self

    def _exchange(
        self, connection: DaemonConnection, deadline: float | None, _tick_s: float | None, /
    ) -> Iterator[dict[str, Any]]:
        refused = connection.refusal or too_old(connection, "send")
        if refused:
            yield refused
            return
        connection.begin(self._line)
        self._waiting = b"".join(input_lines(self.text))
        self._complete = False
        while True:
            for message in connection.arrived() if self._readable(connection, deadline) else ():
                if "bytes" in message:
                    self._got[message["name"]] = message["bytes"]
                if message["type"] != "ack":
                    yield message
                if message["type"] == "end":
                    return

    def _readable(self, connection: DaemonConnection, deadline: float | None) -> bool:
        """Wait, send what can be sent, and return whether something has come. Raises FrozenError, TimedOutError, LostError."""
        if not (self._waiting or self._complete) and self.source < 0:
            self._waiting, self._complete = encode({"type": "eof"}), True
        idle = self._complete and not self._waiting
        daemon, sources = connection.fileno(), [self.source] if not (self._waiting or self._complete) else []
        patience_s = _patience(deadline, time.monotonic() + FROZEN_AFTER_S if idle else None)
        readable, writable, _ = select.select([daemon, *sources], [daemon] if self._waiting else [], [], patience_s)
        if idle and not readable and patience_s and patience_s > FROZEN_AFTER_S / 2:
            raise connection.frozen()
        if writable:
            self._waiting = self._waiting[connection.send_some(self._waiting) :]
        if self.source in readable:
            self._waiting = b"".join(input_lines(self._read()))
        return daemon in readable

    def _read(self) -> bytes:
        """Return the next piece of the source; at its end there is none any more."""
        try:
            data = os.read(self.source, CHUNK)
        except OSError as error:
            raise SystemFailure("read", "the input", system_reason(error), error.errno or 0) from None
        if not data:
            self.source = -1
        return data

    def _goes_on(self) -> tuple[str, ...]:
        """Return how much has arrived: the rest never will."""
        if self._connection is None or not self._connection.sent:
            return ()
        got = ", ".join(f"{name} has got {count} bytes" for name, count in self._got.items())
        return (f"{got or 'Nothing has arrived'}; the rest is not sent.",)


def _patience(*moments: float | None) -> float | None:
    """Return the seconds until the first of these moments, None without any. Raises TimedOutError where the first has passed."""
    now = time.monotonic()
    if moments[0] is not None and moments[0] <= now:
        raise TimedOutError
    left = [moment - now for moment in moments if moment is not None]
    return max(0.0, min(left)) if left else None
