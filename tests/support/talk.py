"""A conversation with a real daemon on one connection, object by object, that goes on whatever happens to the daemon."""

from __future__ import annotations

import json
import socket
from contextlib import suppress

from tests.support.wire import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

    from typing_extensions import Self

    from tests.support.daemon import Daemon


class Talk:
    """One connection. `heard` are all objects received, the greeting first; with `greeted` it waits for the greeting."""

    def __init__(self, daemon: Daemon, *lines: str, greeted: bool = True) -> None:
        self.channel = connect(daemon)
        self.heard: list[dict[str, Any]] = []
        self._buffer = b""
        if greeted:
            self.next()
        for line in lines:
            self.say(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.channel.close()

    def say(self, line: str) -> None:
        """Send a request."""
        self.channel.sendall(line.encode() + b"\n")

    def next(self) -> dict[str, Any]:
        """Return the next object."""
        while b"\n" not in self._buffer:
            received = self.channel.recv(65_536)
            assert received, f"the connection has ended after {self.heard[-3:]}"
            self._buffer += received
        line, _, self._buffer = self._buffer.partition(b"\n")
        self.heard.append(json.loads(line))
        return self.heard[-1]

    def until(self, kind: str) -> list[dict[str, Any]]:
        """Return all objects up to the next one of this type."""
        found = [self.next()]
        while found[-1]["type"] != kind:
            found.append(self.next())
        return found

    def ask(self, line: str) -> list[dict[str, Any]]:
        """Send a request; return its answer from `ack` to `end`."""
        self.say(line)
        return self.until("end")

    def output(self, wanted: int) -> bytes:
        """Return at least so many bytes of the output of `logs`."""
        text = b""
        while len(text) < wanted:
            message = self.next()
            if message["type"] == "output":
                text += message["text"].encode("utf-8", "surrogateescape")
            else:
                assert message["type"] == "ack", message
        return text

    @property
    def ended(self) -> bool:
        """Whether an unread `end` has arrived; reads everything that is there."""
        patience = self.channel.gettimeout()
        self.channel.settimeout(0)
        with suppress(BlockingIOError):
            while received := self.channel.recv(1 << 20):
                self._buffer += received
        self.channel.settimeout(patience)
        return b'{"type":"end"' in self._buffer

    @property
    def silent(self) -> bool:
        """Whether nothing unread has arrived."""
        if self._buffer:
            return False
        try:
            return not self.channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return True


def upgrade(daemon: Daemon) -> dict[str, Any]:
    """Make the daemon execute the installed code; return its `upgraded` object."""
    with Talk(daemon) as talk:
        answer = talk.ask("upgrade")
        assert answer[-1] == {"type": "end", "exit": 0}, answer
        return answer[-2]
