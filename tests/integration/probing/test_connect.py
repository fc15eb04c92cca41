"""Probes by a connection, against real servers on this host that behave well or badly."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from taskmasterd.probing.text.address import tcp_addresses, unix_address
from taskmasterd.probing.text.http import http_request
from taskmasterd.probing.text.result import Result
from taskmasterd.probing.tries.connect import ConnectTry
from taskmasterd.probing.tries.queue import Queue
from tests.support.errands import ErrandLoop
from tests.support.listening import IPV6

PROMPT_S = 20.0


class Probing:
    """A loop, and the results of the probes in it."""

    def __init__(self) -> None:
        self.loop = ErrandLoop()
        self.results: list[Result] = []

    def begin(self, probe: ConnectTry) -> None:
        """Begin a try; its result must not come within the call."""
        before = len(self.results)
        probe.begin(self.results.append)
        assert len(self.results) == before

    def result_of(self, probe: ConnectTry) -> Result:
        """Begin a try and return its one result."""
        self.begin(probe)
        result: Result = self.loop.take(self.results)
        return result

    def tcp(self, where: str, timeout_s: float = PROMPT_S) -> Result:
        return self.result_of(ConnectTry(self.loop.reactor, tcp_addresses(where), timeout_s))

    def unix(self, path: Path, timeout_s: float = PROMPT_S) -> Result:
        return self.result_of(ConnectTry(self.loop.reactor, unix_address(str(path)), timeout_s))

    def http(self, url: str, timeout_s: float = PROMPT_S, **options: Any) -> Result:
        request = http_request(url, **options)
        return self.result_of(ConnectTry(self.loop.reactor, request.addresses, timeout_s, request))


@pytest.fixture
def probing() -> Iterator[Probing]:
    """A loop that has no more descriptors and timers after the test than before."""
    before = len(os.listdir("/dev/fd"))
    probing = Probing()
    yield probing
    probing.loop.reactor.close()
    assert probing.loop.errors == []
    assert len(os.listdir("/dev/fd")) == before


Serve = Callable[[socket.socket], object]


class Server:
    """A server that does `serve` with each connection; `requests` are what was sent to it."""

    def __init__(self, serve: Serve, listener: socket.socket) -> None:
        self.requests: list[bytes] = []
        self._serve = serve
        self._listener = listener
        self._listener.listen(8)
        self.address = self._listener.getsockname()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        port: int = self.address[1]
        return port

    def _run(self) -> None:
        while True:
            try:
                channel, _address = self._listener.accept()
            except OSError:  # closed
                return
            with channel:
                try:
                    self._serve(channel)
                except OSError:
                    continue

    def close(self) -> None:
        """End it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(PROMPT_S)
        self._listener.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    """Start servers, which end with the test."""
    servers: list[Server] = []

    def start(serve: Serve, at: Any = ("127.0.0.1", 0), family: int = socket.AF_INET) -> Server:
        """Serve at an address, or by a socket that has one."""
        listener = at if isinstance(at, socket.socket) else socket.socket(family)
        if listener is not at:
            listener.bind(at)
        servers.append(Server(serve, listener))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def answering(text: bytes) -> Serve:
    def serve(channel: socket.socket) -> None:
        channel.recv(4096)
        channel.sendall(text)

    return serve


def of_both_loopbacks(stack: ExitStack) -> tuple[socket.socket, socket.socket]:
    while True:
        four = stack.enter_context(socket.socket())
        four.bind(("127.0.0.1", 0))
        if not IPV6:
            return four, four
        six = stack.enter_context(socket.socket(socket.AF_INET6))
        with suppress(OSError):  # somebody has it there
            six.bind(("::1", four.getsockname()[1]))
            return four, six


@pytest.fixture
def loopbacks() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Sockets that have the same port of 127.0.0.1 and ::1, and do not listen: nobody else can take it meanwhile."""
    with ExitStack() as stack:
        yield of_both_loopbacks(stack)


def until_closed(channel: socket.socket) -> None:
    """Wait until the probe has closed its side."""
    while channel.recv(4096):
        continue


OK = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
has_ipv6 = pytest.mark.skipif(not IPV6, reason="needs IPv6")


def test_a_connection_is_success_for_tcp(probing: Probing, serve: Callable[..., Server]) -> None:
    result = probing.tcp(str(serve(until_closed).port))
    assert (result.ok, result.text) == (True, "connected")
    assert 0 < result.took_s < PROMPT_S


def test_a_port_where_nobody_listens_is_a_failure(
    probing: Probing, loopbacks: tuple[socket.socket, socket.socket]
) -> None:
    port = loopbacks[0].getsockname()[1]
    result = probing.tcp(str(port))
    assert (result.ok, result.text) == (False, "connection refused")
    assert probing.tcp(f"localhost:{port}").text == "connection refused"


@has_ipv6
@pytest.mark.parametrize("number", [0, 1], ids=["127.0.0.1", "::1"])
def test_localhost_is_reached_on_either_of_its_addresses(
    probing: Probing, loopbacks: tuple[socket.socket, socket.socket], serve: Callable[..., Server], number: int
) -> None:
    server = serve(OK, loopbacks[number])
    assert probing.tcp(f"localhost:{server.port}").ok is True
    assert probing.http(f"http://localhost:{server.port}/").text == "http 200"


@has_ipv6
def test_a_silent_server_on_one_address_of_localhost_does_not_hide_a_good_one_on_the_other(
    probing: Probing, loopbacks: tuple[socket.socket, socket.socket], serve: Callable[..., Server]
) -> None:
    silent = serve(until_closed, loopbacks[0])
    serve(OK, loopbacks[1])
    assert probing.http(f"http://localhost:{silent.port}/").text == "http 200"


@has_ipv6
def test_of_two_failures_the_one_of_a_server_that_is_there_is_told(
    probing: Probing, loopbacks: tuple[socket.socket, socket.socket], serve: Callable[..., Server]
) -> None:
    server = serve(answering(b"HTTP/1.1 503 Busy\r\n\r\n"), loopbacks[1])
    assert probing.http(f"http://localhost:{server.port}/").replace(took_s=0.0) == Result(False, "http 503")


def test_the_status_decides_and_nothing_after_it_is_read(probing: Probing, serve: Callable[..., Server]) -> None:
    for status, ok in ((200, True), (302, True), (404, False), (503, False)):
        server = serve(answering(b"HTTP/1.1 %d X\r\nLocation: /other\r\n\r\n" % status))
        result = probing.http(f"http://127.0.0.1:{server.port}/x")
        assert (result.ok, result.text) == (ok, f"http {status}")


def test_statuses_and_headers_are_those_of_the_probe(probing: Probing, serve: Callable[..., Server]) -> None:
    seen: list[bytes] = []

    def answer(channel: socket.socket) -> None:
        seen.append(channel.recv(4096))
        channel.sendall(b"HTTP/1.1 204 None\r\n\r\n")

    url = f"http://127.0.0.1:{serve(answer).port}/a?b"
    assert probing.http(url, statuses=[204], headers={"X-Probe": "1"}).ok is True
    assert probing.http(url, statuses=[200]).ok is False
    head = seen[0].decode().split("\r\n")
    assert head[0] == "GET /a?b HTTP/1.1"
    assert {f"Host: {url[7:-4]}", "X-Probe: 1", "Connection: close"} <= set(head)


def test_http_goes_through_a_unix_socket(probing: Probing, serve: Callable[..., Server], short_dir: Path) -> None:
    serve(OK, str(short_dir / "s"), socket.AF_UNIX)
    assert probing.http(f"unix:{short_dir}/s:/ready").text == "http 200"
    assert probing.unix(short_dir / "s").ok is True


def test_a_unix_socket_may_be_reached_by_a_link_and_a_fifo_is_none(
    probing: Probing, serve: Callable[..., Server], short_dir: Path
) -> None:
    serve(until_closed, str(short_dir / "s"), socket.AF_UNIX)
    (short_dir / "link").symlink_to("s")
    assert probing.unix(short_dir / "link").ok is True
    os.mkfifo(short_dir / "fifo")
    assert probing.unix(short_dir / "fifo").text == "connection refused"
    assert probing.unix(short_dir / "none").text == "no such file or directory"
    assert probing.unix(short_dir / ("x" * 200)).ok is False


def test_a_unix_socket_whose_queue_is_full_fails_only_at_the_time_limit(probing: Probing, short_dir: Path) -> None:
    path = str(short_dir / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        waiting = []
        while True:
            waiting.append(socket.socket(socket.AF_UNIX))
            waiting[-1].setblocking(False)
            if waiting[-1].connect_ex(path) == errno.EAGAIN:
                break
        result = probing.unix(Path(path), 0.3)
        assert (result.ok, result.text) == (False, "timed out after 0.3s")
        probing.begin(ConnectTry(probing.loop.reactor, unix_address(path), PROMPT_S))
        probing.loop.turn()
        listener.accept()[0].close()
        assert probing.loop.wait(probing.results).ok is True, "it was tried again"
        for each in waiting:
            each.close()


@pytest.mark.slow
@pytest.mark.parametrize("drip", [b"", b"H", b"HTTP/1.1 200 O"])
def test_a_server_that_does_not_answer_in_time_is_late(
    probing: Probing, serve: Callable[..., Server], drip: bytes
) -> None:
    def serve_slowly(channel: socket.socket) -> None:
        channel.sendall(drip)
        until_closed(channel)

    began = time.monotonic()
    result = probing.http(f"http://127.0.0.1:{serve(serve_slowly).port}/", 0.5)
    assert (result.ok, result.text) == (False, "timed out after 0.5s")
    assert time.monotonic() - began >= 0.5


def test_a_server_that_drips_gets_no_more_time_for_each_byte(probing: Probing, serve: Callable[..., Server]) -> None:
    def drip(channel: socket.socket) -> None:
        for number in range(100):
            channel.sendall(b"HTTP/1.1 200 OK"[number % 15 : number % 15 + 1])
            channel.settimeout(0.05)
            try:
                channel.recv(4096)
            except TimeoutError:
                continue

    assert probing.http(f"http://127.0.0.1:{serve(drip).port}/", 0.3).text == "timed out after 0.3s"


def test_of_an_endless_answer_only_the_first_bytes_are_read(probing: Probing, serve: Callable[..., Server]) -> None:
    sent = [0, 0]

    def flood(kind: int, first: bytes) -> Serve:
        def endless(channel: socket.socket) -> None:
            channel.sendall(first)
            while sent[kind] < 1 << 30:
                sent[kind] += channel.send(b"x" * 65_536)

        return endless

    good, bad = serve(flood(0, b"HTTP/1.1 200 OK\r\n\r\n")), serve(flood(1, b"HTTP/1.1 200 "))
    assert probing.http(f"http://127.0.0.1:{good.port}/").text == "http 200"
    assert probing.http(f"http://127.0.0.1:{bad.port}/").text == "the answer is no HTTP"
    assert max(sent) < 1 << 26, "what the kernel's buffers hold, and no more"


@pytest.mark.parametrize(
    ("answer", "text"), [(b"", "closed without an answer"), (b"SSH-2.0-x\r\n", "the answer is no HTTP")]
)
def test_a_server_that_speaks_something_else_is_a_failure(
    probing: Probing, serve: Callable[..., Server], answer: bytes, text: str
) -> None:
    result = probing.http(f"http://127.0.0.1:{serve(answering(answer)).port}/")
    assert (result.ok, result.text) == (False, text)


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN])
def test_a_shortage_is_no_result(probing: Probing, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    import _socket

    def refuse(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(_socket, "socket", refuse)
        assert probing.tcp("localhost:80").ok is None


def test_a_cancelled_try_has_one_result_that_knows_nothing(probing: Probing, serve: Callable[..., Server]) -> None:
    request = http_request(f"http://127.0.0.1:{serve(until_closed).port}/")
    probe = ConnectTry(probing.loop.reactor, request.addresses, PROMPT_S, request)
    probing.begin(probe)
    probing.loop.turn()
    probe.cancel()
    probe.cancel()
    assert probing.results == []
    assert probing.loop.wait(probing.results).ok is None


def test_the_same_try_may_begin_again(probing: Probing, serve: Callable[..., Server]) -> None:
    probe = ConnectTry(probing.loop.reactor, tcp_addresses(str(serve(until_closed).port)), PROMPT_S)
    assert [probing.result_of(probe).ok for _ in range(3)] == [True] * 3


class Asked:
    """A try that ends when the test says so."""

    def __init__(self) -> None:
        self.done: Callable[[Result], None] | None = None
        self.cancelled = False

    def begin(self, done: Callable[[Result], None]) -> None:
        self.done = done

    def cancel(self) -> None:
        self.cancelled = True


def test_a_queue_begins_so_many_tries_and_the_next_when_one_has_ended(probing: Probing) -> None:
    queue, tries = Queue(probing.loop.reactor, 2), [Asked() for _ in range(4)]
    queued = [queue.begin(each, probing.results.append) for each in tries]
    assert [each.done is not None for each in tries] == [True, True, False, False]
    assert queue.longest_wait_s() > 0
    queued[2].cancel()
    queued[2].cancel()
    queued[0].cancel()
    assert (tries[0].cancelled, tries[3].done) == (True, None), (
        "room comes with the end of a try, not with its cancelling"
    )
    assert tries[0].done is not None
    tries[0].done(Result(None, "cancelled"))
    assert (tries[2].done, tries[3].done is not None) == (None, True)
    assert queue.longest_wait_s() == 0
    probing.loop.turn()
    assert [result.ok for result in probing.results] == [None, None]
    queued[0].cancel()


def test_a_raising_listener_does_not_cost_the_queue_its_room(probing: Probing) -> None:
    queue, tries = Queue(probing.loop.reactor, 1), [Asked() for _ in range(2)]

    def fail(_result: Result) -> None:
        raise ValueError("cannot use this")

    queue.begin(tries[0], fail)
    queue.begin(tries[1], probing.results.append)
    assert tries[0].done is not None
    with pytest.raises(ValueError, match="cannot use this"):
        tries[0].done(Result(True, "x"))
    assert tries[1].done is not None
