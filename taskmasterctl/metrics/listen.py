"""`--listen`: answers GET /metrics on a UNIX socket or on the loopback interface, and nothing else.

One thread, bounded in everything: MOST connections, PATIENCE_S for each, MOST_BYTES of a request. It speaks as much of HTTP/1.1 as a
scraper needs (RFC 9112), closes after each answer, and shares a look at everything among requests within SHARED_S.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
import time
from contextlib import suppress

from taskmaster_common.errors import RequestError, SystemFailure, system_reason
from taskmasterctl.metrics.text import CONTENT_TYPE, OPENMETRICS, PROMETHEUS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Text = Callable[[str], str]
    """Returns the exposition in a format."""

MOST = 16
PATIENCE_S = 5.0
MOST_BYTES = 16_384
CHUNK = 65_536
SHARED_S = 1.0
UNIX = "unix:"
SOCKET_MODE = 0o660
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed"}
Address = tuple[int, object]
"""Family of the socket, and what to bind it to."""


def address_of(text: str) -> Address:
    """Return the address that --listen means. Raises RequestError for one that is wrong, or reaches beyond this host."""
    if text.startswith(UNIX):
        path = text.removeprefix(UNIX)
        if not path:
            raise _usage(f"--listen: {text} lacks the path of the socket")
        return socket.AF_UNIX, path
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 1 << 16):
        raise _usage(f'--listen: "{text}" is neither unix:PATH nor 127.0.0.1:PORT')
    host = "127.0.0.1" if host == "localhost" else host
    family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
    host = host.removeprefix("[").removesuffix("]")
    try:
        packed = socket.inet_pton(family, host)
    except OSError:
        raise _usage(f'--listen: "{text}" is neither unix:PATH nor 127.0.0.1:PORT') from None
    if packed != socket.inet_pton(socket.AF_INET6, "::1") and not (len(packed) == 4 and packed[0] == 127):
        raise _usage(f"--listen: {host} is not of the loopback interface", "for other hosts put a proxy before it")
    return family, (host, int(port))


def _usage(text: str, hint: str = "") -> RequestError:
    return RequestError("usage", text, 2, (hint,) if hint else ())


class Client:
    """One connection: what has come of its request, and what is left of the answer."""

    def __init__(self, channel: socket.socket, until: float) -> None:
        self.channel = channel
        self.until = until
        self.request = b""
        self.answer = b""


class MetricsServer:
    """Listens from the start on. Raises SystemFailure where it cannot. `text(format)` returns the exposition."""

    def __init__(self, address: Address, text: Text, now: Callable[[], float] = time.monotonic) -> None:
        self._text = text
        self._now = now
        self._path = str(address[1]) if address[0] == socket.AF_UNIX else ""
        self._inode = (0, 0)
        self._channel = socket.socket(address[0], socket.SOCK_STREAM)
        try:
            self._bind(address)
        except OSError as error:
            self._channel.close()
            where = self._path or "{}:{}".format(*address[1])  # type: ignore[misc]
            raise SystemFailure("listen on", where, system_reason(error), error.errno or 0) from None
        self._poll = select.poll()
        self._clients: dict[int, Client] = {}

    def _bind(self, address: Address) -> None:
        if self._path:
            _remove_dead(self._path)
            before = os.umask(0o777 & ~SOCKET_MODE)
            try:
                self._channel.bind(self._path)
            finally:
                os.umask(before)
            found = os.lstat(self._path)
            self._inode = found.st_dev, found.st_ino
        else:
            self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._channel.bind(address[1])  # type: ignore[arg-type]
        self._channel.listen(MOST)
        self._channel.setblocking(False)

    def serve(self) -> None:
        """Serve for ever; an exception of a signal ends it."""
        while True:
            self.turn(None)

    def turn(self, longest_s: float | None) -> None:
        """Wait at most so long for something to do, and do it."""
        full = len(self._clients) >= MOST
        if full:
            with suppress(KeyError):
                self._poll.unregister(self._channel)
        else:
            self._poll.register(self._channel, select.POLLIN)
        waits = [client.until - self._now() for client in self._clients.values()]
        waits += [] if longest_s is None else [longest_s]
        ready = self._poll.poll(max(0, 1000 * min(waits)) if waits else None)
        for fd, _events in ready:
            if fd == self._channel.fileno():
                self._accept()
            elif fd in self._clients:
                self._serve(self._clients[fd])
        for client in [each for each in self._clients.values() if each.until <= self._now()]:
            self._drop(client)

    def close(self) -> None:
        """Close everything, and remove the socket's file."""
        for client in tuple(self._clients.values()):
            self._drop(client)
        self._channel.close()
        with suppress(OSError):
            found = os.lstat(self._path) if self._path else None
            if found and (found.st_dev, found.st_ino) == self._inode:
                os.unlink(self._path)

    def _accept(self) -> None:
        try:
            channel, _from = self._channel.accept()
        except OSError:
            return  # it has gone already, or no descriptor is left: the next turn tries again
        channel.setblocking(False)
        self._clients[channel.fileno()] = Client(channel, self._now() + PATIENCE_S)
        self._poll.register(channel, select.POLLIN)

    def _drop(self, client: Client) -> None:
        self._poll.unregister(client.channel)
        del self._clients[client.channel.fileno()]
        client.channel.close()

    def _serve(self, client: Client) -> None:
        try:
            if client.answer:
                client.answer = client.answer[client.channel.send(client.answer) :]
                if not client.answer:
                    self._drop(client)
                return
            received = client.channel.recv(CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)
            return
        if not received:
            self._drop(client)
            return
        client.request += received
        head, found, _body = client.request.partition(b"\r\n\r\n")
        if found or len(client.request) > MOST_BYTES:
            client.answer = self._answer(head if found else b"")
            self._poll.modify(client.channel, select.POLLOUT)

    def _answer(self, head: bytes) -> bytes:
        status, form = judged(head)
        body = self._text(form).encode() if status == 200 else f"{status} {REASONS[status]}\n".encode()
        kind = CONTENT_TYPE[form] if status == 200 else "text/plain; charset=utf-8"
        allow = "Allow: GET\r\n" if status == 405 else ""
        lines = f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{allow}"
        return f"{lines}Connection: close\r\n\r\n".encode() + body


def judged(head: bytes) -> tuple[int, str]:
    """Return the status of the answer to a request, and the format that it asks for."""
    first, *rest = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return 400, PROMETHEUS
    if words[1].partition("?")[0] != "/metrics":
        return 404, PROMETHEUS
    if words[0] != "GET":
        return 405, PROMETHEUS
    accepted = [line.partition(":")[2] for line in rest if line.lower().startswith("accept:")]
    return 200, OPENMETRICS if any("application/openmetrics-text" in each for each in accepted) else PROMETHEUS


def _remove_dead(path: str) -> None:
    """Remove a socket at which nobody listens any more; anything else stays, and binding fails. Raises OSError."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except FileNotFoundError:
        return
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.setblocking(False)
        probe.connect(path)
    except OSError as error:
        if error.errno == errno.ECONNREFUSED:
            os.unlink(path)
    finally:
        probe.close()
