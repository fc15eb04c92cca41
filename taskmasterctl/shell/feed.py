"""The shell's subscription: a connection that never blocks, and that is made again after it was lost.

It keeps the mirror up to date and returns the changes. It sends no other request.
"""

from __future__ import annotations

import socket

from taskmaster_common.errors import ProtocolError
from taskmaster_common.protocol import MAX_REPLY, OLDEST_VERSION, PROTOCOL_VERSION, LineDecoder, decode_reply
from taskmasterctl.connect.trust import check_names, stranger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmasterctl.connect.sockets import Sockets
    from taskmasterctl.reply.mirror import Mirror

    Message = dict[str, Any]

CHUNK = 256 * 1024
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 5.0
"""Pauses between two tries to connect, seconds; each is twice the one before."""
FAREWELLS = ("stopping", "permission")
"""Errors by which the daemon says why it ends a subscription: it ends itself, or a reload has taken the user's role away."""
SILENCE_S = 5.0
"""Longest wait for the snapshot of a daemon that accepted the connection, seconds; then the feed connects again."""


class Feed:
    """The subscription. `connected` is true from the end of a connection's first snapshot until that connection is lost."""

    def __init__(self, sockets: Sockets, mirror: Mirror) -> None:
        self.mirror = mirror
        self.connected = False
        self.path = sockets.paths[0]
        self._sockets = sockets
        self._channel: socket.socket | None = None
        self._decoder = LineDecoder(MAX_REPLY)
        self._pause_s = FIRST_PAUSE_S
        self._due = 0.0
        self._farewell = ""

    @property
    def anybody(self) -> bool:
        """Whether any user's daemon is trusted, because the user has named its place."""
        return self._sockets.named

    @property
    def fd(self) -> int:
        """The descriptor to watch for reading, -1 without a connection."""
        return self._channel.fileno() if self._channel else -1

    def wait_s(self, now: float) -> float | None:
        """Return the seconds until `step` must be called although nothing was received, None for never."""
        return None if self.connected else max(0.0, self._due - now)

    def step(self, now: float) -> list[Message]:
        """Do what can be done without waiting; return changes, {"type": "connected"} and {"type": "lost"}.

        "lost" has a `reason`: what the daemon said before it ended, "" after an accident. Each call reads at most one chunk, so
        that many changes do not hold up the keyboard. `now` is monotonic.
        """
        if self._channel is None:
            if now >= self._due:
                self._connect(now)
            return []
        try:
            received = self._channel.recv(CHUNK)
            messages = [check_names(decode_reply(line)) for line in self._decoder.feed(received)]
            if received:
                return [each for message in messages for each in self._take(message, now)]
        except BlockingIOError:
            if self.connected or now < self._due:
                return []
        except (OSError, ProtocolError):
            pass
        return self._lose(now)

    def close(self) -> None:
        """Close the connection."""
        if self._channel:
            self._channel.close()
            self._channel = None

    def _connect(self, now: float) -> None:
        self._retry_later(now)
        for path in self._sockets.paths:
            channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            channel.setblocking(False)
            try:
                channel.connect(path)
                if self._sockets.named or stranger(channel) is None:
                    channel.send(b"subscribe\n")
                else:
                    channel.close()
                    continue
            except OSError:
                channel.close()
                continue
            self.path = path
            self._channel, self._decoder, self._due = channel, LineDecoder(MAX_REPLY), now + SILENCE_S
            return

    def _retry_later(self, now: float) -> None:
        self._due = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    def _take(self, message: Message, now: float) -> list[Message]:
        """Raises ProtocolError if no daemon of our protocol answers, or if the daemon ends the subscription."""
        kind = message["type"]
        error: Message = message.get("error") or {}
        if kind == "end" and error.get("code") in FAREWELLS and self.connected:
            self._farewell = str(error.get("message"))
        spoken = range(OLDEST_VERSION, PROTOCOL_VERSION + 1)
        if kind == "end" or (kind == "hello" and message.get("protocol") not in spoken):
            raise ProtocolError("cannot follow what changes: the daemon refuses")
        complete = self.mirror.take(message, now)
        if complete and not self.connected and kind != "change":
            self.connected = True
            self._pause_s = FIRST_PAUSE_S
            return [{"type": "connected"}]
        return [message] if kind in ("change", "missed", "upgraded") else []

    def _lose(self, now: float) -> list[Message]:
        self.close()
        self._retry_later(now)
        was, self.connected = self.connected, False
        farewell, self._farewell = self._farewell, ""
        return [{"type": "lost", "reason": farewell}] if was else []
