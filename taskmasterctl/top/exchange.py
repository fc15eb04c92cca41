"""One request on a connection of its own that never blocks: its messages arrive while the screen lives."""

from __future__ import annotations

import os
import socket

from taskmaster_common.errors import ProtocolError, system_reason
from taskmaster_common.protocol import MAX_REPLY, LineDecoder, decode_reply
from taskmasterctl.connect.client import wire_line
from taskmasterctl.connect.trust import check_names, stranger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmaster_common.commands.table import Request as Command

    Message = dict[str, Any]

CHUNK = 65_536
LOST = {"code": "lost", "message": "the connection to taskmasterd is lost", "hints": []}


class Exchange:
    """A request to the daemon at `path`; `anybody`: trust any daemon that listens there, because the user has named the place.

    `step` returns the messages that have arrived, the last of them an `end`, made here if the daemon cannot send it. Raises
    RequestError for words that do not travel.
    """

    def __init__(self, path: str, command: Command, *, anybody: bool) -> None:
        self.over = False
        self._decoder = LineDecoder(MAX_REPLY)
        self._failure = ""
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line = wire_line(command)
        try:
            self._channel.setblocking(False)
            self._channel.connect(path)
            if not anybody and stranger(self._channel) is not None:
                self._failure = "another user's daemon listens there"
            else:
                self._channel.send(line)
        except OSError as error:
            self._failure = f"cannot reach taskmasterd: {system_reason(error)}"

    @property
    def fd(self) -> int:
        """The descriptor to watch for reading, -1 once it is closed."""
        return self._channel.fileno()

    def step(self) -> list[Message]:
        """Return what has arrived, without waiting."""
        if self.over:
            return []
        if self._failure:
            return [self._end({**LOST, "message": self._failure})]
        try:
            received = self._channel.recv(CHUNK)
            lines = self._decoder.feed(received)
            messages = [check_names(decode_reply(line)) for line in lines]
        except BlockingIOError:
            return []
        except (OSError, ProtocolError):
            return [self._end(LOST)]
        for at, message in enumerate(messages):
            if message["type"] == "end":
                self.close()
                return messages[: at + 1]
        return messages if received else [self._end(LOST)]

    def _end(self, error: Message) -> Message:
        self.close()
        return {"type": "end", "exit": os.EX_UNAVAILABLE, "error": error}

    def close(self) -> None:
        """Close the connection; an action goes on in the daemon."""
        self.over = True
        self._channel.close()
