"""Which sockets a program gets and nobody else, and when the daemon opens and closes them."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from typing import Any

import pytest

from tests.support.daemon import Daemon
from tests.support.guarded import config
from tests.support.listening import (
    Clients,
    ask_at,
    is_open,
    listens,
    occupied,
    own_host,
    own_port,
    said,
    wait_until_closed,
)
from tests.support.wait import wait_until

pytestmark = pytest.mark.slow
ENV = "env | grep -E '^(LISTEN|SOCKET)_'; ls -l /proc/self/fd | grep -c socket:; true"


def test_a_program_gets_its_sockets_in_order_and_others_get_nothing(daemon: Daemon) -> None:
    host, port = own_host(), own_port()
    sockets = {
        "http": f"{host}:8000",
        "both": f"localhost:{port}",
        "file": {"listen": "./web.sock", "mode": "0640"},
        "name": f"@{daemon.home}",
        "dns": f"udp:{host}:8053",
    }
    daemon.write(
        config(
            web=listens(
                "${SOCKET_http} ${SOCKET_file}", sockets=sockets, pre_start={"cmd": f"({ENV}) > hook", "shell": True}
            ),
            shell=listens("$SOCKET_a", shell=True, sockets={"a": f"{host}:8001"}),
            stdin=listens("stdin", stdin={"socket": "b"}, sockets={"a": f"{host}:8002", "b": "./stdin.sock"}),
            two=listens(numprocs=2, sockets={"shared": f"{host}:8003", "own": f"{host}:901${{TASKMASTER_INSTANCE}}"}),
            other={"cmd": ENV, "shell": True, "starttime": 0, "autorestart": "never"},
        )
    )
    daemon.environment["LISTEN_FDS"] = daemon.environment["LISTEN_PID"] = "1"
    daemon.start()
    web = said(daemon, "web")
    assert web["sockets"] == [3, 4, 5, 6, 7, 8]
    assert web["variables"] == {
        "LISTEN_FDS": "6",
        "LISTEN_FDNAMES": "http:both:both:file:name:dns",
        "LISTEN_PID": str(web["pid"]),
        **{f"SOCKET_{name}": number for name, number in zip(sockets, "34678")},
    }
    assert (web["words"], web["name"], web["blocking"]) == (["3", "6"], [host, 8000], True)
    assert said(daemon, "shell")["words"] == ["3"]
    assert said(daemon, "stdin")["name"] == str(daemon.home / "stdin.sock")
    assert {ask_at((host, 8000)), ask_at(str(daemon.home / "stdin.sock"))} == {
        daemon.status()["web"]["pid"],
        daemon.status()["stdin"]["pid"],
    }
    assert stat.S_IMODE((daemon.home / "web.sock").stat().st_mode) == 0o640
    for each in (("127.0.0.1", port), ("::1", port)):
        with socket.socket(socket.AF_INET6 if ":" in each[0] else socket.AF_INET) as client:
            client.connect(each)
    daemon.wait_for("other", "EXITED")
    assert daemon.log("other") == (daemon.home / "hook").read_bytes() == b"0\n"
    pids = {daemon.status()[name]["pid"] for name in ("two:0", "two:1")}
    assert ask_at((host, 8003)) in pids
    assert is_open((host, 9010))
    assert is_open((host, 9011))
    assert daemon.status()["web"]["sockets"][0] == {"name": "http", "address": f"{host}:8000", "state": "listening"}
    assert daemon.status()["other"]["sockets"] == []
    shown = daemon.ctl("show", "web").stdout
    assert f"web  http  {host}:8000" in shown
    assert "{listen: " in shown


def test_sockets_are_open_while_somebody_may_serve_them(daemon: Daemon) -> None:
    host = own_host()
    shared: dict[str, Any] = {"sockets": {"http": f"{host}:8000"}}
    daemon.write(
        config(
            a=listens(**shared),
            b=listens(**shared),
            late=listens(autostart=False, sockets={"file": "./late.sock"}),
            gate={"cmd": "sleep 300", "ready": {"exec": "test -e open", "interval": 0.1}},
            held=listens(depends_on=["gate"], sockets={"http": f"{host}:8001"}),
            broken={"cmd": "false", "startretries": 0, "sockets": {"http": f"{host}:8002"}, "starttime": 60},
        )
    )
    daemon.start()
    daemon.wait_for("broken", "FATAL")
    wait_until_closed((host, 8002))
    assert is_open((host, 8001))  # nobody serves it yet
    assert not (daemon.home / "late.sock").exists()
    assert daemon.status()["late"]["sockets"] == [
        {"name": "file", "address": f"{daemon.home}/late.sock", "state": "closed"}
    ]
    waiting = Clients((host, 8001))
    (daemon.home / "open").touch()
    waiting.more(1)
    assert set(waiting.end()) == {"served"}
    assert daemon.ctl("start", "late").returncode == 0
    assert ask_at(str(daemon.home / "late.sock")) == daemon.status()["late"]["pid"]
    daemon.ctl("stop", "late", "held")
    assert not (daemon.home / "late.sock").exists()
    daemon.ctl("stop", "a")
    assert ask_at((host, 8000)) == daemon.status()["b"]["pid"]
    daemon.ctl("stop", "b")
    wait_until_closed((host, 8000))
    assert daemon.ctl("start", "b").returncode == 0
    assert ask_at((host, 8000)) == daemon.status()["b"]["pid"]
    assert daemon.ctl("shutdown").returncode == 0
    wait_until_closed((host, 8000))


def test_a_taken_address_is_a_failed_start_of_that_program_alone_until_it_is_free(daemon: Daemon) -> None:
    host = own_host()
    fails: dict[str, Any] = {"restart_delay": 0.2, "restart_max_delay": 0.2, "startretries": 100}
    (daemon.home / "data").write_text("precious")
    daemon.write(
        config(
            web=listens(sockets={"http": f"{host}:8000"}, **fails),
            file=listens(sockets={"file": "./web.sock"}, **fails),
            foreign=listens(sockets={"file": "./data"}, **fails),
            nowhere=listens(sockets={"http": "192.0.2.1:80"}, **fails),
            fine=listens(sockets={"http": f"{host}:8001"}),
            half=listens(sockets={"free": f"{host}:8002", "taken": f"{host}:8000"}, startretries=0, autostart=False),
        )
    )
    with occupied((host, 8000)), occupied(str(daemon.home / "web.sock")):
        inode = (daemon.home / "web.sock").stat().st_ino
        daemon.start()
        daemon.wait_for("web", "BACKOFF")
        assert f"socket http: {host}:8000: address in use" in daemon.wait_for("web", "BACKOFF")["detail"]
        assert "web.sock: address in use" in daemon.wait_for("file", "BACKOFF")["detail"]
        assert "something that is not a socket is there" in daemon.wait_for("foreign", "BACKOFF")["detail"]
        assert "this host has no such address" in daemon.wait_for("nowhere", "BACKOFF")["detail"]
        assert daemon.ctl("start", "half").returncode == 1
        wait_until_closed((host, 8002))
        assert (daemon.home / "web.sock").stat().st_ino == inode
        assert ask_at((host, 8001)) == daemon.status()["fine"]["pid"]
    daemon.wait_for("web", "RUNNING")
    daemon.wait_for("file", "RUNNING")  # in the place of a file on which nobody answers any more
    assert ask_at(str(daemon.home / "web.sock")) == daemon.status()["file"]["pid"]
    assert (daemon.home / "data").read_text() == "precious"


@pytest.mark.sweep
def test_a_start_that_finds_its_address_taken_quotes_nothing_that_an_earlier_instance_wrote(daemon: Daemon) -> None:
    host = own_host()
    web = listens(sockets={"http": f"{host}:8000"}, stderr="./web.err", startretries=0)
    daemon.write(config(web={**web, "cmd": f"sh -c 'echo up >&2; exec {web['cmd']}'"}))
    daemon.start()
    ask_at((host, 8000))
    assert daemon.ctl("stop", "web").returncode == 0
    assert "up" in (daemon.home / "web.err").read_text()
    wait_until_closed((host, 8000))
    with occupied((host, 8000)):
        done = daemon.ctl("start", "web")
    assert done.returncode == 1
    assert "address in use" in done.stdout + done.stderr
    for text in (done.stdout + done.stderr, daemon.ctl("status").stdout, daemon.ctl("why", "web").stdout):
        assert '"up"' not in text
    assert "last line of stderr" not in daemon.events()


@pytest.mark.sweep
def test_each_instance_finds_its_socket_blocking_whatever_the_one_before_has_set(daemon: Daemon) -> None:
    host = own_host()
    keys: dict[str, Any] = {"sockets": {"http": f"{host}:8000"}, "autorestart": "always"}
    daemon.write(
        config(one=listens("nonblocking crash=1", **keys), two=listens("nonblocking", **keys, autostart=False))
    )
    daemon.start()
    ask_at((host, 8000))
    wait_until(lambda: daemon.log("one").count(b"\n") == 2)
    assert said(daemon, "one")["blocking"] is True
    assert daemon.ctl("start", "two").returncode == 0
    assert said(daemon, "two")["blocking"] is False  # `one` uses it


@pytest.mark.sweep
def test_a_file_of_a_socket_that_somebody_removes_is_there_again_before_the_next_instance(daemon: Daemon) -> None:
    web = listens("unlink", sockets={"file": "./web.sock"}, starttime=60, restart_max_delay=60)
    daemon.write(config(web={**web, "restart_delay": 60}))
    daemon.start()
    path, said_so = daemon.home / "web.sock", "web.sock was removed by somebody; bound again"
    wait_until(lambda: b"LISTEN" in daemon.log("web") and not path.exists())
    os.kill(daemon.status()["web"]["pid"], signal.SIGKILL)
    daemon.wait_for("web", "BACKOFF")
    wait_until(path.exists)
    assert daemon.events().count(said_so) == 1
    path.unlink()
    assert daemon.ctl("start", "--no-wait", "web").returncode == 0
    wait_until(lambda: daemon.log("web").count(b"\n") == 2 and not path.exists())
    assert daemon.events().count(said_so) == 2


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_the_launcher_opens_what_the_daemon_s_user_may_not(daemon: Daemon) -> None:
    host, home = own_host(), daemon.home / "nobodys"
    daemon.home.parent.chmod(0o755)
    daemon.home.chmod(0o755)
    home.mkdir()
    os.chown(home, 65_534, 65_534)
    own = {
        "user": "nobody",
        "socket": f"{home}/s",
        "logfile": f"{home}/log",
        "log_dir": str(home),
        "state_dir": str(home),
    }
    programs = {"web": listens(sockets={"http": f"{host}:81", "file": "nobodys/web.sock"})}
    daemon.write(json.dumps({"taskmasterd": own, "programs": programs}))
    daemon.config.chmod(0o644)
    done = daemon.launch("--guard")
    if "cannot use" in done.stderr:
        pytest.skip("the interpreter is out of nobody's reach")
    assert done.returncode == 0, done.stderr
    daemon.pidfile, daemon.socket = home / "s.pid", home / "s"
    daemon.environment["TASKMASTER_SOCKET"] = str(daemon.socket)
    assert ask_at((host, 81)) == daemon.status()["web"]["pid"]
    assert (home / "web.sock").stat().st_uid == 65_534
    assert daemon.ctl("restart", "web").returncode == 0
    assert ask_at((host, 81)) == daemon.status()["web"]["pid"]
    assert daemon.ctl("stop", "web").returncode == 0
    wait_until_closed((host, 81))  # the guardian holds nothing of it
    assert not (home / "web.sock").exists()
    assert daemon.ctl("start", "--no-wait", "web").returncode == 0
    wait_until(lambda: "permission denied: ports below 1024 are root's" in (home / "log").read_text())
    assert daemon.ctl("shutdown").returncode == 0
