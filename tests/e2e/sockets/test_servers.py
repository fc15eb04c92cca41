"""Servers that people run, on passed sockets: the examples of docs/programs/sockets.md."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import struct
import sys
import threading
from importlib.util import find_spec

import pytest

from tests.support.daemon import ROOT, Daemon
from tests.support.guarded import kill_daemon
from tests.support.listening import own_host
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
PAGE = (ROOT / "docs" / "programs" / "sockets.md").read_text()
ASGI = """
import os
async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % os.getpid()})
"""
WSGI = """
import os
def app(environ, respond):
    respond("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getppid()]
"""
FASTCGI = """
import os
from flup.server.fcgi import WSGIServer
def app(environ, respond):
    respond("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % os.getpid()]
WSGIServer(app, multiplexed=False).run()
"""
needs = pytest.mark.skipif(
    not all(map(find_spec, ("uvicorn", "gunicorn", "flup"))), reason="uvicorn, gunicorn and flup are not all installed"
)


class ByPath(http.client.HTTPConnection):
    """A connection to a UNIX socket."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.host)


def fetched(connection: http.client.HTTPConnection, path: str = "/") -> bytes:
    """Return the body of an answer."""
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        return connection.getresponse().read()
    finally:
        connection.close()


def by_fastcgi(address: tuple[str, int]) -> bytes:
    """Return the body that a FastCGI program answers. Source: the FastCGI specification 1.0, 3.3 and 8."""

    def record(kind: int, content: bytes) -> bytes:
        return struct.pack("!BBHHBx", 1, kind, 1, len(content), 0) + content

    variables = {"REQUEST_METHOD": "GET", "SERVER_NAME": "s", "SERVER_PORT": "1", "SERVER_PROTOCOL": "HTTP/1.1"}
    pairs = b"".join(bytes((len(name), len(text))) + f"{name}{text}".encode() for name, text in variables.items())
    begin = struct.pack("!HB5x", 1, 0)
    output = b""
    with socket.create_connection(address, 20) as server, server.makefile("rb") as answers:
        server.sendall(record(1, begin) + record(4, pairs) + record(4, b"") + record(5, b""))
        while (head := answers.read(8)) and head[1] != 3:
            _version, kind, _id, length, padding = struct.unpack("!BBHHBx", head)
            content = answers.read(length + padding)[:length]
            output += content if kind == 6 else b""
    return output.partition(b"\r\n\r\n")[2]


def page(daemon: Daemon, host: str) -> str:
    """Write the example of the page with addresses of this test; return its text."""
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (files,) = re.findall(r"```text\n(import http.*?)```", PAGE, re.DOTALL)
    for name, content in (("app.py", ASGI), ("wsgi.py", WSGI), ("fastcgi.py", FASTCGI), ("files.py", files)):
        (daemon.home / name).write_text(content)
    (daemon.home / "run").mkdir()
    text = str(text).replace("127.0.0.1:", f"{host}:").replace("cmd: python", f"cmd: {sys.executable}")
    for server in ("uvicorn", "gunicorn"):
        text = text.replace(f"cmd: {server}", f"cmd: {sys.executable} -m {server}")
    return text


@pytest.mark.sweep
@needs
def test_the_servers_of_the_page_serve_on_what_they_are_passed(daemon: Daemon) -> None:
    host = own_host()
    daemon.write(page(daemon, host))
    daemon.start()
    wait_until(lambda: all(process["pid"] for process in daemon.status().values()))
    pids = {name: process["pid"] for name, process in daemon.status().items()}
    served = {
        "api": fetched(http.client.HTTPConnection(host, 8000, timeout=20)),
        "web": fetched(http.client.HTTPConnection(host, 8001, timeout=20)),
        "fcgi": by_fastcgi((host, 9000)),
    }
    assert served == {name: b"%d" % pids[name] for name in served}
    assert fetched(ByPath(str(daemon.home / "run" / "files.sock")), "/wsgi.py") == WSGI.encode()
    for name in pids:
        os.kill(pids[name], signal.SIGKILL)
    assert fetched(http.client.HTTPConnection(host, 8000, timeout=20)) != served["api"]
    assert fetched(ByPath(str(daemon.home / "run" / "files.sock")), "/app.py") == ASGI.encode()
    assert by_fastcgi((host, 9000)) not in (served["fcgi"], b"")


class Requests:
    """Requests without a pause, each on a connection of its own; `failed` has what went wrong."""

    def __init__(self, host: str, port: int) -> None:
        self.answered: list[bytes] = []
        self.failed: list[str] = []
        self._over = threading.Event()
        self._address = host, port
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.wait(0.005):
            try:
                self.answered.append(fetched(http.client.HTTPConnection(*self._address, timeout=30)))
            except (OSError, http.client.HTTPException) as error:
                self.failed.append(repr(error))

    def by(self) -> bytes:
        """Return who has answered last."""
        wait_until(lambda: self.answered, within_s=30)
        return self.answered[-1]

    def by_another(self, before: bytes) -> None:
        """Wait until another instance than the one before has answered."""
        wait_until(lambda: self.by() != before, within_s=30)

    def end(self) -> None:
        """Stop asking."""
        self._over.set()
        self._thread.join(60)


@pytest.mark.sweep  # test_keeping has the same with a server that starts faster
@needs
def test_gunicorn_answers_every_request_through_crash_restart_reload_upgrade_and_kill(daemon: Daemon) -> None:
    host = own_host()
    text = page(daemon, host).partition("  fcgi:")[0].replace("  api:", "  api:\n    autostart: false")
    text = f"{text}    starttime: 0\n    autorestart: always\n"
    daemon.write(text)
    daemon.start("--guard")
    requests = Requests(host, 8001)
    before = requests.by()
    os.kill(daemon.status()["web"]["pid"], signal.SIGKILL)
    requests.by_another(before)
    for _ in range(2):
        before = requests.by()
        assert daemon.ctl("restart", "web").returncode == 0
        requests.by_another(before)
    daemon.write(f"{text}    env: {{A: 1}}\n")
    before = requests.by()
    assert daemon.ctl("reload").returncode == 0
    requests.by_another(before)
    assert daemon.ctl("upgrade").returncode == 0
    kill_daemon(daemon)
    before = requests.by()
    assert daemon.ctl("restart", "web").returncode == 0
    requests.by_another(before)
    requests.end()
    assert requests.failed == []
    assert len(set(requests.answered)) >= 6
