"""Real servers under Taskmaster: Debian's nginx and redis, Python's web server."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sys
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, marked
from tests.support.listening import own_host
from tests.support.talk import Talk
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
HOST = own_host()
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
REDIS = shutil.which("redis-server", path="/usr/bin:/usr/local/bin")


def _free_port() -> int:
    """Return a port of this test's own address, which nobody else takes meanwhile."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _answers(port: int, path: str = "/") -> str:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=2) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def _group(pgid: int) -> list[int]:
    """Return the live members of a process group (nginx overwrites its environment, so its mark is gone)."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            try:
                fields = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == pgid and fields[0] not in "ZX":
                found.append(int(entry))
    return found


def _nginx_config(home: Path, port: int) -> Path:
    (home / "www").mkdir()
    (home / "www" / "index.html").write_text("hello from nginx\n")
    config = home / "nginx.conf"
    config.write_text(
        f"pid {home}/nginx.pid; worker_processes 2; error_log stderr info;\n"
        "events { worker_connections 64; }\n"
        f"http {{ access_log /dev/stdout; client_body_temp_path {home}/b; proxy_temp_path {home}/p;\n"
        f"fastcgi_temp_path {home}/f; uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;\n"
        f"server {{ listen {HOST}:{port}; root {home}/www; }} }}\n"
    )
    os.chmod(home.parent, 0o755)
    os.chmod(home, 0o755)
    return config


@pytest.mark.skipif(NGINX is None, reason="Debian's nginx is not installed")
def test_nginx_is_served_killed_restarted_reloaded_and_leaves_nothing(daemon: Daemon) -> None:
    port = _free_port()
    config = _nginx_config(daemon.home, port)
    text = (
        f"programs:\n  nginx:\n    cmd: {NGINX} -p {daemon.home} -c {config} -g 'daemon off;'\n    starttime: 0.3\n"
        "    stopsignal: QUIT\n    env: {GREETING: one}\n  other: {cmd: sleep 300, starttime: 0}\n"
    )
    daemon.write(text)
    daemon.start()
    first = daemon.wait_for("nginx", "RUNNING")["pid"]
    wait_until(lambda: "hello from nginx" in _answers(port))
    wait_until(lambda: b"GET / HTTP/1.1" in daemon.log("nginx"))
    wait_until(lambda: len(_group(first)) == 3)  # the master and two workers
    other = daemon.status()["other"]["pid"]

    os.kill(first, signal.SIGKILL)
    wait_until(lambda: daemon.status()["nginx"]["pid"] not in (None, first))
    second = daemon.wait_for("nginx", "RUNNING")["pid"]
    wait_until(lambda: "hello from nginx" in _answers(port))
    assert _group(first) == [], "the workers of the killed master are gone"

    daemon.write(text.replace("GREETING: one", "GREETING: two"))
    assert daemon.ctl("reload").returncode == 0
    third = daemon.status()["nginx"]["pid"]
    assert third != second
    assert daemon.status()["other"]["pid"] == other
    assert daemon.ctl("signal", "HUP", "nginx").returncode == 0
    wait_until(lambda: "hello from nginx" in _answers(port))
    assert daemon.status()["nginx"]["pid"] == third

    assert daemon.ctl("stop", "nginx").returncode == 0
    assert _group(third) == []
    assert _answers(port) == ""


@pytest.mark.sweep
@pytest.mark.skipif(NGINX is None, reason="Debian's nginx is not installed")
def test_nginx_with_a_broken_configuration_is_not_restarted(daemon: Daemon) -> None:
    port = _free_port()
    config = _nginx_config(daemon.home, port)
    command = f"{NGINX} -p {daemon.home} -c {config}"
    daemon.write(
        f"programs:\n  nginx:\n    cmd: {command} -g 'daemon off;'\n    ready: {{tcp: '{HOST}:{port}'}}\n    stopsignal: QUIT\n"
        f"    pre_restart: {command} -t\n    stop_cmd: {command} -s quit\n"
    )
    daemon.start()
    first = daemon.wait_for("nginx", "RUNNING")["pid"]
    good = config.read_text()
    config.write_text(good.replace("root ", "roooot "))
    answer = daemon.ctl("restart", "nginx")
    assert answer.returncode == 1
    assert "not restarted: pre_restart: exit 1: " in answer.stderr
    assert "unknown directive" in answer.stderr
    assert daemon.status()["nginx"]["pid"] == first
    assert "hello from nginx" in _answers(port)
    config.write_text(good)
    assert daemon.ctl("restart", "nginx").returncode == 0
    second = daemon.status()["nginx"]["pid"]
    assert second != first
    wait_until(lambda: "hello from nginx" in _answers(port))
    assert _group(first) == []
    assert "nginx stop_cmd done" in daemon.events()
    assert daemon.ctl("stop", "nginx").returncode == 0
    assert _group(second) == []


@pytest.mark.sweep
@pytest.mark.skipif(NGINX is None, reason="Debian's nginx is not installed")
def test_nginx_that_daemonizes_is_told_to_stay_in_the_foreground(daemon: Daemon) -> None:
    config = _nginx_config(daemon.home, _free_port())
    daemon.write(
        f"programs: {{nginx: {{cmd: {NGINX} -p {daemon.home} -c {config}, starttime: 60, startretries: 0, stoptime: 3}}}}"
    )
    daemon.start()
    detail = daemon.wait_for("nginx", "FATAL")["detail"]
    assert "put itself in the background (nginx (" in detail
    assert marked(daemon.socket) == []


@pytest.mark.sweep
@pytest.mark.skipif(REDIS is None, reason="Debian's redis-server is not installed")
def test_redis_is_served_killed_restarted_and_keeps_its_neighbours(daemon: Daemon) -> None:
    ports = [_free_port(), _free_port()]
    programs = "".join(
        f"  redis{n}: {{cmd: {REDIS} --port {port} --bind {HOST} --save '' --dir {daemon.home}, starttime: 0.3}}\n"
        for n, port in enumerate(ports)
    )
    daemon.write(f"programs:\n{programs}")
    daemon.start()
    wait_until(lambda: all(_ping(port) == b"+PONG\r\n" for port in ports))
    before = daemon.status()
    os.kill(before["redis0"]["pid"], signal.SIGKILL)
    wait_until(lambda: daemon.status()["redis0"]["pid"] not in (None, before["redis0"]["pid"]))
    wait_until(lambda: _ping(ports[0]) == b"+PONG\r\n")
    assert daemon.status()["redis1"]["pid"] == before["redis1"]["pid"]
    daemon.write(f"programs:\n{programs.replace('redis0: {', 'redis0: {workingdir: /tmp, ')}")
    assert daemon.ctl("reload").returncode == 0
    after = daemon.status()
    assert os.readlink(f"/proc/{after['redis1']['pid']}/exe").endswith(("redis-server", "redis-check-rdb"))
    assert after["redis1"]["pid"] == before["redis1"]["pid"]
    assert b"Ready to accept connections" in daemon.log("redis0")
    assert daemon.ctl("stop", "all").returncode == 0
    assert b"ready to exit" in daemon.log("redis1")
    assert marked(daemon.socket) == []


def _ping(port: int) -> bytes:
    try:
        with socket.create_connection((HOST, port), timeout=2) as channel:
            channel.sendall(b"PING\r\n")
            return channel.recv(100)
    except OSError:
        return b""


@pytest.mark.sweep
def test_a_python_web_server_answers_and_logs_its_requests_unbuffered(daemon: Daemon) -> None:
    port = _free_port()
    (daemon.home / "page").write_text("hello from python\n")
    daemon.write(f"programs: {{web: {{cmd: {sys.executable} -m http.server --bind {HOST} {port}}}}}")
    daemon.start()
    wait_until(lambda: "hello from python" in _answers(port, "/page"))
    wait_until(lambda: b'"GET /page HTTP/1.1" 200' in daemon.log("web"))
    assert daemon.ctl("stop", "web").returncode == 0
    assert _answers(port, "/page") == ""


@pytest.mark.sweep
@pytest.mark.skipif(REDIS is None, reason="Debian's redis is not installed")
def test_redis_is_ready_when_it_answers_and_what_needs_it_starts_then_and_stops_first(daemon: Daemon) -> None:
    port = _free_port()
    ping = shutil.which("redis-cli") or "redis-cli"
    daemon.write(
        "programs:\n"
        f"  redis: {{cmd: '{REDIS} --port {port} --bind {HOST} --save \"\"', ready: {{exec: [sh, -c, '{ping} -h {HOST} -p {port} ping | grep -q PONG'],"
        " interval: 0.2}}\n"
        f'  web: {{cmd: \'{sys.executable} -S -c "import socket, time; socket.create_connection((\\"{HOST}\\", {port}));'
        " time.sleep(300)\"', starttime: 0.5, startretries: 0, depends_on: [redis]}\n"
    )
    daemon.start()
    assert daemon.ctl("wait", "all").returncode == 0
    assert daemon.events().index("redis ready after") < daemon.events().index("web started")
    assert daemon.ctl("stop", "all").returncode == 0
    assert daemon.events().index("web stopped") < daemon.events().index("redis stopping")


@pytest.mark.skipif(shutil.which("systemd-notify") is None, reason="systemd-notify is not installed")
def test_systemd_notify_makes_a_program_ready(daemon: Daemon) -> None:
    daemon.write(
        "programs:\n  p: {cmd: 'sleep 0.3; systemd-notify --ready --status=serving; exec sleep 300', shell: true, ready: notify}\n"
    )
    daemon.start()
    assert daemon.ctl("wait", "p").returncode == 0
    wait_until(lambda: daemon.status()["p"]["detail"] == "serving")


APPLICATION = """
import os
def application(environ, respond):
    respond("200 OK", [("Content-Type", "text/plain")])
    return [os.environ["VERSION"].encode()]
"""


def _free_tens() -> str:
    """Return the first digits of ports that end with 0, 1 and 2 and on which nobody listens."""
    for _ in range(100):
        digits = str(_free_port())[:-1]
        with contextlib.suppress(OSError), contextlib.ExitStack() as probes:
            for last in "012":
                probes.enter_context(socket.socket()).bind((HOST, int(digits + last)))
            return digits
    raise AssertionError("no three free ports")


def _first_answer(ports: list[int]) -> str:
    """Return what the first instance says that answers, as a proxy would that tries the next one."""
    return next(filter(None, map(_answers, ports)), "")


@pytest.mark.sweep
@pytest.mark.skipif(find_spec("gunicorn") is None, reason="gunicorn is not installed")
def test_gunicorn_is_updated_while_a_client_gets_an_answer_to_every_request(daemon: Daemon) -> None:
    digits = _free_tens()
    (daemon.home / "app.py").write_text(APPLICATION)
    bind = f"{HOST}:{digits}${{TASKMASTER_INSTANCE}}"
    text = (
        f"programs:\n  web:\n    cmd: {sys.executable} -m gunicorn --bind {bind} --threads 2 app\n    numprocs: 3\n"
        f"    workingdir: {daemon.home}\n    ready: {{http: 'http://{bind}/'}}\n    stopasgroup: leader\n"
        "    update: {monitor: 0.1, on_failure: rollback}\n    env: {VERSION: one}\n"
    )
    daemon.write(text)
    daemon.start()
    wait_until(lambda: all(each["state"] == "RUNNING" for each in daemon.status().values()))
    ports = [int(f"{digits}{last}") for last in "012"]
    answers: list[str] = []
    daemon.write(text.replace("one", "two"))
    with Talk(daemon, "reload") as waiting:
        while not waiting.ended:
            ports = [*ports[1:], ports[0]]
            answers.append(_first_answer(ports))
        assert waiting.until("end")[-1]["exit"] == 0
    assert set(answers) == {"one", "two"}, "not one request was without an answer"
    assert {_answers(port) for port in ports} == {"two"}
