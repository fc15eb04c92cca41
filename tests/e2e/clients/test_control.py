"""The socket: by hand, with garbage, by many, by those who never read."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.daemon import PROGRAMS, Daemon
from tests.support.wait import wait_until
from tests.support.wire import rss_mb

pytestmark = pytest.mark.slow
CONFIG = "programs: {web: {cmd: sleep 300, starttime: 0, numprocs: 2}, off: {cmd: sleep 300, autostart: false}}"


@contextmanager
def _connected(daemon: Daemon) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(20)
        channel.connect(str(daemon.socket))
        yield channel


def _replies(channel: socket.socket) -> Iterator[dict[str, Any]]:
    with channel.makefile("rb") as lines:
        for line in lines:
            yield json.loads(line)


def _until_end(replies: Iterator[dict[str, Any]]) -> list[dict[str, Any]]:
    got = []
    for message in replies:
        got.append(message)
        if message["type"] == "end":
            break
    return got


@pytest.fixture
def running(daemon: Daemon) -> Daemon:
    daemon.write(CONFIG)
    return daemon.start()


@pytest.fixture(scope="module")
def shared(share_daemon: Callable[[str], Daemon]) -> Daemon:
    """A daemon that no test changes."""
    return share_daemon(CONFIG).start()


def test_it_can_be_used_by_hand_and_answers_in_order(running: Daemon) -> None:
    with _connected(running) as channel:
        replies = _replies(channel)
        hello = next(replies)
        assert (hello["type"], hello["name"], hello["protocol"], hello["pid"], hello["config"]) == (
            "hello",
            "taskmasterd",
            2,
            running.pid,
            str(running.config),
        )
        channel.sendall(b"status web\r\n\npid\nfrobnicate\nstop web:1 off\n")
        kinds = [[message["type"] for message in _until_end(replies)] for _ in range(3)]
        assert kinds == [["ack", "daemon", "processes", "end"], ["ack", "daemon", "end"], ["end"]]
        stop = _until_end(replies)
        assert [(m["name"], m["outcome"]) for m in stop if m["type"] == "result"] == [
            ("off", "already-stopped"),
            ("web:1", "stopped"),
        ]
        assert stop[-1] == {"type": "end", "exit": 0}


def test_half_lines_are_put_together_and_several_lines_at_once_are_cut(shared: Daemon) -> None:
    with _connected(shared) as channel:
        replies = _replies(channel)
        next(replies)
        for byte in b"version\n":
            channel.sendall(bytes([byte]))
        assert [message["type"] for message in _until_end(replies)] == ["ack", "daemon", "end"]


def test_a_line_that_is_too_long_is_an_error_and_the_end(shared: Daemon) -> None:
    with _connected(shared) as channel:
        replies = _replies(channel)
        next(replies)
        try:
            for _ in range(160):
                channel.sendall(b"x" * 65_536)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            last = list(replies)
        except ConnectionResetError:
            last = []
        assert not last or last[-1]["error"]["code"] == "too-long"
    assert shared.ctl("status").returncode == 0


@pytest.mark.parametrize(
    "garbage", [b"\x00\xff\xfe\n", b"status \xff\n", b'{"verb": "stop"}\n', b"stop;status\n", b"-- --\n"]
)
def test_garbage_is_answered_with_an_error_and_harms_nothing(shared: Daemon, garbage: bytes) -> None:
    before = shared.status()["web:0"]["pid"]
    with _connected(shared) as channel:
        replies = _replies(channel)
        next(replies)
        channel.sendall(garbage)
        assert "error" in _until_end(replies)[-1]
        channel.sendall(b"pid\n")
        assert _until_end(replies)[-1]["exit"] == 0
    assert shared.status()["web:0"]["pid"] == before


def test_a_client_that_goes_away_does_not_undo_its_command(running: Daemon) -> None:
    with _connected(running) as channel:
        channel.sendall(b"start off\n")
        channel.recv(10)
    running.wait_for("off", "RUNNING")


def test_five_hundred_connections_are_served_and_one_more_too(shared: Daemon) -> None:
    channels = [socket.socket(socket.AF_UNIX) for _ in range(500)]
    try:
        for channel in channels:
            channel.connect(str(shared.socket))
        for channel in channels[::50]:
            channel.settimeout(20)
            assert channel.recv(1000).startswith(b'{"type":"hello"')
        assert shared.ctl("status", "web:0").returncode == 0
    finally:
        for channel in channels:
            channel.close()
    wait_until(lambda: len(os.listdir(f"/proc/{shared.pid}/fd")) < 50)


@pytest.mark.sweep
def test_a_follower_that_never_reads_costs_no_memory_and_nobody_else(daemon: Daemon) -> None:
    daemon.write(
        f"programs: {{flood: {{cmd: {sys.executable} -S {PROGRAMS}/writes_lines.py 600007 linger, log_maxbytes: 1MB, autostart: false}}}}"
    )
    daemon.start()
    with _connected(daemon) as channel:
        channel.sendall(b"logs -f flood\n")
        daemon.ctl("start", "flood")
        before = rss_mb(daemon.pid)
        wait_until(lambda: b"000000600006" in daemon.log("flood"), within_s=60)
        assert daemon.ctl("status").returncode == 0
        assert rss_mb(daemon.pid) < before + 20


@pytest.mark.sweep
def test_a_slow_follower_is_told_what_it_missed(daemon: Daemon) -> None:
    daemon.write(
        f"programs: {{flood: {{cmd: {sys.executable} -S {PROGRAMS}/writes_lines.py 300007 linger, log_maxbytes: 1MB, log_backups: 1, autostart: false}}}}"
    )
    daemon.start()
    with _connected(daemon) as channel:
        channel.sendall(b"logs -f -n 0 flood\n")
        replies = _replies(channel)
        assert next(replies)["type"] == "hello"
        assert next(replies)["type"] == "ack"
        daemon.ctl("start", "flood")
        wait_until(lambda: b"000000300006" in daemon.log("flood"), within_s=60)
        seen = missed = 0
        for message in replies:
            seen += len(message.get("text", ""))
            missed += message.get("bytes", 0)
            if seen + missed >= 300_007 * 100:
                break
        assert missed > 0
        assert seen + missed == 300_007 * 100


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_another_user_is_refused_by_the_kernels_credentials(running: Daemon) -> None:
    os.chmod(running.home.parent, 0o755)
    os.chmod(running.home, 0o755)
    os.chmod(running.socket, 0o666)
    pid = os.fork()
    if pid == 0:
        try:
            os.setuid(65_534)
            with socket.socket(socket.AF_UNIX) as channel:
                channel.connect(str(running.socket))
                said = channel.recv(65_536)
                os._exit(0 if b'"code":"permission"' in said and b"hello" not in said else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    wait_until(lambda: "client refused: uid 65534" in running.events())


def test_the_socket_is_private_from_the_first_moment_whatever_the_umask(daemon: Daemon) -> None:
    daemon.write("programs: {}")
    words = [sys.executable, "-m", "taskmasterd", "-c", str(daemon.config)]  # with another umask no fork can run it
    subprocess.run(words, env=daemon.environment, cwd=daemon.home, umask=0, check=True, capture_output=True, timeout=30)
    assert os.stat(daemon.socket).st_mode & 0o777 == 0o600
    for path in daemon.home.rglob("*"):
        if path.name != "taskmaster.yaml":
            assert path.stat().st_mode & 0o022 == 0, path
