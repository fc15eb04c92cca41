"""What health checks cost: a thousand programs asked by http every ten seconds, and how their first checks spread."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

from tests.bench.contestants import Ours
from tests.bench.stage import cpu_s, rss_kb, settle
from tests.bench.standing import MANY
from tests.bench.table import Limit, Row
from tests.bench.tools import Tools

MEASURED_S = 20.0
FIRST_WITHIN_S = 3.0
MOST_CPU, LEAST_SPREAD_S = 5.0, 0.9
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Server:
    """Answers every request with 200 in a thread of its own; `first` has the moment of the first request for each path."""

    def __init__(self) -> None:
        self.first: dict[bytes, float] = {}
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with client:
                path = client.recv(4096).partition(b" HTTP")[0]
                self.first.setdefault(path, time.monotonic())
                client.sendall(ANSWER)

    def close(self) -> None:
        """End it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Checked(Ours):
    """Programs that are asked, each for a path of its own."""

    server: Server

    def configure(self, count: int) -> None:
        """Let each program have a check, every ten seconds as is the default."""
        command = f"{self.tools.program}, {self.births.path}"
        health = f"health: {{http: 'http://127.0.0.1:{self.server.port}/%d'}}"
        entry = f"  p%d: {{cmd: [{command}, p%d], {self.settings}, {health}}}\n"
        self.write_text("".join(entry % (number, number, number) for number in range(count)))


def health(tools: Tools) -> list[Row]:
    """Measure with one daemon that boots, is killed and started again, and is upgraded."""
    with Ours(tools) as plain:
        plain.start(MANY)
        settle(plain.pid)
        without = rss_kb(plain.pid)
    server = Server()
    with Checked(tools) as ours:
        ours.server = server
        ours.start(MANY)
        spreads = {"boot": _spread(server)}
        before, began = cpu_s(ours.pid), time.monotonic()
        time.sleep(MEASURED_S)
        busy = 100 * (cpu_s(ours.pid) - before) / (time.monotonic() - began)
        grown = rss_kb(ours.pid) - without
        os.kill(ours.pid, signal.SIGKILL)
        server.first.clear()
        ours.launch()
        ours.find()
        spreads["take-over"] = _spread(server)
        server.first.clear()
        ours.ctl("upgrade")
        spreads["upgrade"] = _spread(server)
    server.close()
    asked = f"health by http, {MANY} programs each 10 s"
    return [
        Row(f"{asked}: processor time", "%", busy, None, None, Limit(MOST_CPU)),
        Row(f"{asked}: memory, code included", "KB", grown),
        *(
            Row(
                f"{asked}: first checks after {what} spread over",
                "s",
                spread,
                None,
                None,
                Limit(LEAST_SPREAD_S, most=False),
            )
            for what, spread in spreads.items()
        ),
    ]


def _spread(server: Server) -> float:
    """Return the time from the first of the first checks to the last of them: each program is asked by then."""
    time.sleep(FIRST_WITHIN_S)
    return max(server.first.values()) - min(server.first.values())
