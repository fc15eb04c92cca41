"""`--listen`: which addresses, which requests, which answers."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskmaster_common.errors import RequestError, SystemFailure
from taskmasterctl.metrics.listen import MOST, MOST_BYTES, MetricsServer, address_of, judged
from taskmasterctl.metrics.text import OPENMETRICS, PROMETHEUS
from tests.support.wait import wait_until


@pytest.mark.parametrize(
    "text", ["0.0.0.0:9", "10.0.0.1:9", "[::]:9", "example.org:9", "9", ":9", "127.0.0.1:0", "127.0.0.1:x", "unix:", "127.0.0.1:70000", "[127.0.0.1]:9"]
)  # fmt: skip
def test_what_reaches_beyond_this_host_or_is_no_address_is_a_usage_error(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        address_of(text)
    assert caught.value.exit_code == 2


def test_loopback_and_unix_are_addresses() -> None:
    assert address_of("127.0.0.2:9") == (socket.AF_INET, ("127.0.0.2", 9))
    assert address_of("localhost:9") == (socket.AF_INET, ("127.0.0.1", 9))
    assert address_of("[::1]:9") == (socket.AF_INET6, ("::1", 9))
    assert address_of("unix:/a b") == (socket.AF_UNIX, "/a b")


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        ("GET /metrics HTTP/1.1", (200, PROMETHEUS)),
        ("GET /metrics?x=1 HTTP/1.0", (200, PROMETHEUS)),
        ("GET /metrics HTTP/1.1\r\nACCEPT: application/openmetrics-text;version=1.0.0,text/plain;q=0.5", (200, OPENMETRICS)),
        ("GET /metrics HTTP/1.1\r\nX: application/openmetrics-text", (200, PROMETHEUS)),
        ("POST /metrics HTTP/1.1", (405, PROMETHEUS)),
        ("GET / HTTP/1.1", (404, PROMETHEUS)),
        ("GET /metrics", (400, PROMETHEUS)),
        ("\xff\0 x y", (400, PROMETHEUS)),
        ("", (400, PROMETHEUS)),
    ],
)  # fmt: skip
def test_a_request_is_judged_by_its_first_line_and_accept(head: str, answer: tuple[int, str]) -> None:
    assert judged(head.encode("latin-1")) == answer


class Clock:
    """A clock that stands still until a test moves it."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Running:
    """A server in a thread; its clock is a test's."""

    def __init__(self, path: Path) -> None:
        self.path, self.clock, self.asked = path, Clock(), 0
        self.server = MetricsServer((socket.AF_UNIX, str(path)), self.text, self.clock)
        self._stop = False
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def text(self, form: str) -> str:
        self.asked += 1
        return f"{form}\n" * 50_000  # more than a socket takes at once

    def _serve(self) -> None:
        while not self._stop:
            self.server.turn(0.02)

    def end(self) -> None:
        self._stop = True
        self._thread.join()
        self.server.close()

    def connect(self) -> socket.socket:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(10)
        client.connect(str(self.path))
        return client

    def ask(self, request: bytes) -> bytes:
        with self.connect() as client:
            client.sendall(request)
            return rest_of(client)


def rest_of(client: socket.socket) -> bytes:
    """Return what comes until the end of the connection."""
    pieces = []
    while piece := client.recv(65_536):
        pieces.append(piece)
    return b"".join(pieces)


@pytest.fixture
def running(short_dir: Path) -> Iterator[Running]:
    made = Running(short_dir / "m.sock")
    yield made
    made.end()


GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_whole_answer_comes_back_and_the_connection_closes(running: Running) -> None:
    head, _, body = running.ask(GET).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
    assert f"Content-Length: {len(body)}".encode() in head
    assert body == b"prometheus\n" * 50_000


def test_a_request_may_come_in_pieces_and_a_wrong_one_is_answered(running: Running) -> None:
    with running.connect() as client:
        for byte in GET:
            client.send(bytes([byte]))
        assert rest_of(client).startswith(b"HTTP/1.1 200 ")
    assert b"405 Method Not Allowed\r\n" in running.ask(GET.replace(b"GET", b"POST"))
    assert b"Allow: GET" in running.ask(GET.replace(b"GET", b"POST"))
    assert running.ask(b"x" * (MOST_BYTES + 1)).startswith(b"HTTP/1.1 400 ")
    assert running.asked == 1


def test_a_client_that_is_slow_is_cut_and_others_are_served_meanwhile(running: Running) -> None:
    with running.connect() as slow:
        slow.send(b"GET ")
        assert running.ask(GET)
        running.clock.now += 5
        assert slow.recv(10) == b""
    with running.connect() as deaf:
        deaf.sendall(GET)
        wait_until(lambda: running.asked == 2)
        assert running.ask(GET)
        running.clock.now += 5
        wait_until(lambda: len(running.server._clients) == 0)


def test_more_connections_than_there_is_room_for_wait(running: Running) -> None:
    clients = [running.connect() for _ in range(MOST)]
    wait_until(lambda: len(running.server._clients) == MOST)
    with running.connect() as late:
        late.sendall(GET)
        assert running.asked == 0
        for client in clients:
            client.close()
        assert rest_of(late).startswith(b"HTTP/1.1 200 ")


def test_the_socket_lets_its_group_in_and_goes_with_the_server(short_dir: Path) -> None:
    path = short_dir / "m.sock"
    made = MetricsServer((socket.AF_UNIX, str(path)), str)
    assert stat.S_IMODE(os.lstat(path).st_mode) == 0o660
    made.close()
    assert not path.exists()


def test_a_dead_socket_is_replaced_and_a_living_one_and_a_file_are_not(short_dir: Path) -> None:
    path = short_dir / "m.sock"
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    dead.bind(str(path))
    dead.close()
    living = MetricsServer((socket.AF_UNIX, str(path)), str)
    refuse: Callable[[], object] = lambda: MetricsServer((socket.AF_UNIX, str(path)), str)  # noqa: E731
    with pytest.raises(SystemFailure):
        refuse()
    assert path.exists()
    living.close()
    path.write_text("mine")
    with pytest.raises(SystemFailure):
        refuse()
    assert path.read_text() == "mine"
