"""Those who get alerts: a mail server with TLS and passwords, an HTTP server, servers that say what a test wants, certificates."""

from __future__ import annotations

import email.policy
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

PASSWORD = "correct horse battery"
USER = "taskmaster"
HOST = "127.0.0.1"


class Certificate:
    """A certificate for this host, signed by itself, which so serves as `ca`, too."""

    def __init__(self, directory: Path, name: str) -> None:
        self.path = directory / f"{name}.pem"
        key = directory / f"{name}.key"
        words = (
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        )
        names = ("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:localhost,IP:{HOST}")
        subprocess.run([*words, "-keyout", str(key), "-out", str(self.path), *names], check=True, capture_output=True)
        self._key = key

    def context(self) -> ssl.SSLContext:
        """Return the context of a server that shows it."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path, self._key)
        return context


class Mailbox:
    """A mail server's handler: `mails` are what has arrived; `refusal` is the answer to the next messages, if there is one."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.secure: list[bool] = []
        self.refusal = ""

    async def handle_DATA(self, _server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 - its name
        if self.refusal:
            return self.refusal
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        self.recipients += envelope.rcpt_tos
        self.secure.append(session.ssl is not None)
        self.mails.append(parsed)  # last: for this a test waits
        return "250 OK"


def _authenticated(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
    return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()), handled=False)


@contextmanager
def free_port() -> Iterator[int]:
    """Reserve a port on which nobody listens: the kernel gives it to no one else, and who asks for it by number can listen there.

    Source: socket(7), SO_REUSEADDR; the one who listens needs it, too.
    """
    with socket.socket() as keeper:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind((HOST, 0))
        yield keeper.getsockname()[1]


@contextmanager
def mail_server(certificate: Certificate | None = None, *, auth: bool = False) -> Iterator[tuple[int, Mailbox]]:
    """Run a mail server; with a certificate it has STARTTLS, with `auth` it wants USER and PASSWORD."""
    more: dict[str, Any] = {"tls_context": certificate.context()} if certificate else {}
    more |= {"authenticator": _authenticated, "auth_required": True} if auth else {}
    with free_port() as port:
        box = Mailbox()
        controller = Controller(box, hostname=HOST, port=port, ready_timeout=20, **more)
        controller.start()
        try:
            yield port, box
        finally:
            controller.stop()


class Request:
    """A request that has arrived: path, headers in lower case, body, and when, in monotonic seconds."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body
        self.at = time.monotonic()


class Web:
    """An HTTP server: `answers` are the next (status, headers), then it is always 200."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self.requests: list[Request] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        self.port: int = server.server_address[1]

    @property
    def url(self) -> str:
        """A URL with a path that nobody may see."""
        return f"http://{HOST}:{self.port}/services/T0/SECRET"


@contextmanager
def web_server(certificate: Certificate | None = None, port: int = 0) -> Iterator[Web]:
    """Run an HTTP server, or an HTTPS server."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            web.requests.append(Request(self.command, self.path, headers, body))
            status, more = web.answers.pop(0) if web.answers else (200, {})
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.end_headers()

        do_PUT = do_POST  # noqa: N815 - its name

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((HOST, port), Handler)
    server.daemon_threads = False
    web = Web(server)
    if certificate:
        server.socket = certificate.context().wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_arguments: None  # type: ignore[method-assign]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield web
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def server_that(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """Run a server that does `talk` with each connection; yields its port."""
    listener = socket.create_server((HOST, 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                try:
                    talk(connection)
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
