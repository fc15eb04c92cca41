"""Those who get alerts, all on this host: a file that a command writes, an HTTP server with moods, a log daemon's socket."""

from __future__ import annotations

import json
import re
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.soak.judges.alerts import Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    import random
    from pathlib import Path

HOST = "127.0.0.1"
LINE = re.compile(rb"<\d{1,3}>[A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d taskmaster\[\d+\]: [^\x00-\x1f\x7f]+")
"""What a log daemon gets at a UNIX socket: one line, with the head of RFC 3164 without a host."""
ID = "taskmaster-id: "
LIMIT = "at_most: 1000000/1h"


class Receivers:
    """All of them, for a daemon in `home`. `moody`: some requests are refused, or not answered at all.

    `lines` counts the datagrams, `wrong` are those that are no line of a log.
    """

    def __init__(self, home: Path, dice: random.Random) -> None:
        self.moody = False
        self.posted: list[Message] = []
        self.lines = 0
        self.wrong: list[bytes] = []
        self._file = home / "told"
        self._dice = dice
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._path = home / "dev-log"
        self._server = ThreadingHTTPServer((HOST, 0), _handler(self))
        self._server.daemon_threads = True

    def start(self) -> None:
        """Start listening."""
        self._socket.bind(str(self._path))
        threading.Thread(target=self._server.serve_forever, args=(0.2,), name="web", daemon=True).start()
        threading.Thread(target=self._read, name="log daemon", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._socket.shutdown(socket.SHUT_RD)
        self._socket.close()

    def command(self) -> str:
        """Return the command of a rule that writes into the file, as YAML."""
        return f"{{cmd: 'echo \"{ID}$TASKMASTER_ID\" >> {self._file}; exec cat >> {self._file}', shell: true}}"

    @property
    def url(self) -> str:
        """The URL of the HTTP server."""
        return f"http://{HOST}:{self._server.server_address[1]}/"

    @property
    def address(self) -> str:
        """The address of the log daemon."""
        return f"unix:{self._path}"

    @property
    def told(self) -> list[Message]:
        """The messages that the command has written."""
        return messages_in(self._file)

    def mood(self) -> str:
        """Return how the next request is treated: ok, refused or left."""
        return self._dice.choice(("ok", "ok", "ok", "refused", "left")) if self.moody else "ok"

    def _read(self) -> None:
        while True:
            try:
                line = self._socket.recv(65_536)
            except OSError:
                return
            if not line:
                return
            self.lines += 1
            if not LINE.fullmatch(line):
                self.wrong.append(line)


def messages_in(path: Path) -> list[Message]:
    """Return the messages in the file of the command. A run that was killed after its first line counts for nothing."""
    messages: list[tuple[str, list[dict[str, Any]]]] = []
    for line in path.read_text().splitlines() if path.exists() else ():
        if line.startswith(ID):
            messages.append((line.removeprefix(ID), []))
        else:
            messages[-1][1].append(json.loads(line))
    return [Message(name, events) for name, events in messages if events]


def _handler(receivers: Receivers) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Takes a message, whatever it answers then: the sender may not know that it has arrived."""

        timeout = 10

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            receivers.posted.append(Message(body["id"], body["events"]))
            mood = receivers.mood()
            if mood != "left":
                self.send_response(200 if mood == "ok" else 503)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Say nothing."""

    return Handler
