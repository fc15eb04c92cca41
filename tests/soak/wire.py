"""One connection to the daemon's socket, as the protocol describes it, and how long it was silent at most.

A silence of `FROZEN_AFTER_S` while an answer is due is what the protocol calls a frozen daemon: `Silence`. A connection
that the daemon ended is `Gone`.
"""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

from taskmaster_common.protocol import FROZEN_AFTER_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Self

Reply = list[dict[str, Any]]


class Silence(Exception):
    """The daemon said nothing for so long that it must be frozen."""


class Gone(Exception):
    """The daemon has ended the connection, or there is none."""


class Wire:
    """A connection; use it with `with`."""

    def __init__(self, path: Path, *, patience_s: float = FROZEN_AFTER_S) -> None:
        self._channel = socket.socket(socket.AF_UNIX)
        self._channel.settimeout(patience_s)
        self._held = b""
        try:
            self._channel.connect(str(path))
            hello = self.read()
        except OSError as error:
            self._channel.close()
            raise Gone(str(error)) from None
        except BaseException:
            self._channel.close()
            raise
        assert hello["type"] == "hello", hello

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection, whatever the daemon is doing."""
        self._channel.close()

    def fileno(self) -> int:
        """The descriptor, for select."""
        return self._channel.fileno()

    def patience(self, seconds: float | None) -> None:
        """Wait so long for each piece from now on; None: for ever."""
        self._channel.settimeout(seconds)

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        try:
            self._channel.sendall(data)
        except TimeoutError:
            raise Silence("the daemon does not read") from None
        except OSError as error:
            raise Gone(str(error)) from None

    def end_sending(self) -> None:
        """Say that nothing more will be asked."""
        self._channel.shutdown(socket.SHUT_WR)

    def read(self) -> dict[str, Any]:
        """Return the next object."""
        while b"\n" not in self._held:
            try:
                piece = self._channel.recv(65_536)
            except TimeoutError:
                raise Silence(f"silent for {self._channel.gettimeout()} s") from None
            except OSError as error:
                raise Gone(str(error)) from None
            if not piece:
                raise Gone("ended")
            self._held += piece
        line, _, self._held = self._held.partition(b"\n")
        message = json.loads(line)
        assert isinstance(message, dict)
        return message

    def ask(self, *words: str) -> Reply:
        """Send a request and return all of its answer; the last object is the `end`."""
        self.send(" ".join(words).encode() + b"\n")
        reply = [self.read()]
        while reply[-1]["type"] != "end":
            reply.append(self.read())
        return reply

    def timed(self, *words: str) -> tuple[Reply, float]:
        """Ask; returns the answer and the seconds that it took."""
        began = time.monotonic()
        reply = self.ask(*words)
        return reply, time.monotonic() - began


def processes(reply: Reply) -> dict[tuple[str, int], dict[str, Any]]:
    """Return the processes of an answer by program and instance."""
    found = (process for message in reply if message["type"] == "processes" for process in message["processes"])
    return {(process["program"], process["instance"]): process for process in found}
