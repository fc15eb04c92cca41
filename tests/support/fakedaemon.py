"""A fake daemon: sends prepared replies over a real UNIX socket, from a thread."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress

from taskmaster_common.protocol import MAX_REQUEST, LineDecoder, encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from typing_extensions import Self

    Said = Mapping[str, Any] | bytes | str

HELLO: dict[str, Any] = {"type": "hello", "name": "taskmasterd", "version": "9.9", "protocol": 1, "pid": 4711}
HOLD = "hold"  # say nothing more until the client has gone
CLOSE = "close"  # hang up in the middle


class FakeDaemon:
    """Listens at `path` while entered. `replies` maps a request line to the objects that answer it, after an `ack`.

    With `hello` None it sends nothing at all. `requests` are the lines received. `uid` is its user; another user needs root.
    """

    def __init__(
        self,
        path: str,
        replies: Mapping[str, Sequence[Said]] | None = None,
        hello: Said | None = HELLO,
        uid: int | None = None,
    ) -> None:
        self.path = path
        self.requests: list[str] = []
        self._replies = replies or {}
        self._hello = hello
        self._uid = uid
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Self:
        self._listener.bind(self.path)
        if self._uid is None:
            self._listener.listen(16)
        else:
            os.chown(self.path, self._uid, -1)
            os.seteuid(self._uid)  # the kernel notes the effective user of listen(2)
            try:
                self._listener.listen(16)
            finally:
                os.seteuid(0)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(10)
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                channel, _address = self._listener.accept()
            except OSError:
                return
            with channel, suppress(ConnectionError):
                self._talk(channel)

    def _talk(self, channel: socket.socket) -> None:
        if self._hello is not None:
            self._say(channel, self._hello)
        decoder = LineDecoder(MAX_REQUEST)
        while received := channel.recv(MAX_REQUEST):
            for line in decoder.feed(received):
                request = line.decode("utf-8", "surrogateescape")
                self.requests.append(request)
                self._say(channel, {"type": "ack", "verb": request.split()[0]})
                for said in self._replies.get(request, ()):
                    if said == CLOSE:
                        return
                    if said != HOLD:
                        self._say(channel, said)

    @staticmethod
    def _say(channel: socket.socket, said: Said) -> None:
        channel.sendall(said if isinstance(said, bytes) else encode(dict(said)) if not isinstance(said, str) else b"")


def end(exit_code: int = 0, code: str = "", message: str = "", hints: Sequence[str] = ()) -> dict[str, Any]:
    """Return an `end` object, with an error if a code is given."""
    if not code:
        return {"type": "end", "exit": exit_code}
    return {"type": "end", "exit": exit_code, "error": {"code": code, "message": message, "hints": list(hints)}}


def process(name: str, state: str = "RUNNING", **fields: Any) -> dict[str, Any]:
    """Return a PROCESS object."""
    program, _, instance = name.partition(":")
    plain = {
        "name": name,
        "program": program,
        "instance": int(instance or 0),
        "state": state,
        "pid": 2001 if state == "RUNNING" else None,
        "uptime_s": 720.5 if state == "RUNNING" else None,
        "since_s": 720.5,
        "restarts": 0,
        "restarted_s": None,
        "tries": 0,
        "detail": "",
        "wanted": state not in ("BACKOFF", "FATAL"),
        "description": "",
        "exit": None,
    }
    return {**plain, **fields}


def result(name: str, outcome: str, *, ok: bool = True, **fields: Any) -> dict[str, Any]:
    """Return a result object."""
    return {"type": "result", "name": name, "ok": ok, "outcome": outcome, **fields}
