"""Why the daemon cannot be reached: what was tried, why it failed, what to do."""

from __future__ import annotations

import errno
import os
import pwd
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from taskmasterctl.connect.diagnose import frozen, unreachable
from tests.support.daemon import ROOT
from tests.support.wait import wait_until

START = "Start it:  taskmasterd -c FILE       Other socket:  taskmasterctl -c FILE status, or -s PATH"


def test_a_missing_socket_tells_what_was_tried_and_how_to_start() -> None:
    found = unreachable([("/nowhere/a", errno.ENOENT), ("/nowhere/b", errno.ENOENT)], "")
    assert found.message == "cannot reach taskmasterd at /nowhere/a: no such file"
    assert found.hints == ("The daemon is not running or uses another socket (also tried /nowhere/b).", START)
    assert not found.denied
    assert "taskmasterd -c 'my own.yaml' " in unreachable([("/nowhere/a", errno.ENOENT)], "", "'my own.yaml'").hints[-1]


def test_who_named_the_path_is_told() -> None:
    assert unreachable([("/nowhere/a", errno.ENOENT)], "$TASKMASTER_SOCKET").hints[0] == (
        "The path comes from $TASKMASTER_SOCKET."
    )


def test_a_stale_socket_is_one_where_nobody_listens(short_dir: Path) -> None:
    path = str(short_dir / "s")
    with socket.socket(socket.AF_UNIX) as channel:
        channel.bind(path)
    found = unreachable([(path, errno.ECONNREFUSED)], "")
    assert found.message == f"cannot reach taskmasterd at {path}: nobody listens"
    assert "A new one with its configuration takes over what still runs." in found.hints


@pytest.mark.parametrize("number", [errno.ECONNREFUSED, errno.EACCES])
@pytest.mark.parametrize("kind", ["a regular file", "a directory", "a FIFO"])
def test_something_else_than_a_socket_is_named(kind: str, number: int, short_dir: Path) -> None:
    path = short_dir / "s"
    if kind == "a directory":
        path.mkdir()
    elif kind == "a FIFO":
        os.mkfifo(path)
    else:
        path.touch()
    assert unreachable([(str(path), number)], "").message.endswith(f"{path}: it is {kind}, not a socket")


def test_a_path_that_is_too_long_is_told_with_both_numbers() -> None:
    path = "/" + "x" * 150
    message = unreachable([(path, errno.ENAMETOOLONG)], "").message
    assert message.endswith("the path has 151 bytes; a socket's path has at most 107")


def test_a_part_that_is_no_directory_is_told(short_dir: Path) -> None:
    (short_dir / "file").touch()
    assert "not a directory" in unreachable([(f"{short_dir}/file/s", errno.ENOTDIR)], "").message


def test_the_socket_that_one_may_not_use_is_told_before_one_that_is_missing(short_dir: Path) -> None:
    path = str(short_dir / "s")
    with socket.socket(socket.AF_UNIX) as channel:
        channel.bind(path)
    os.chmod(path, 0o600)
    found = unreachable([("/nowhere/a", errno.ENOENT), (path, errno.EACCES)], "")
    user = pwd.getpwuid(os.geteuid()).pw_name
    assert found.denied
    assert found.message == f"cannot reach taskmasterd at {path}: permission denied"
    assert found.hints[0].startswith(f"The socket is {user}:")
    assert found.hints[0].endswith(" srw-------.")
    assert found.hints[1].startswith(f"You are {user} (uid {os.geteuid()}), in the groups ")
    assert "socket_mode: 0660 and socket_group: NAME" in found.hints[2]
    assert "/nowhere/a" in found.hints[3]


DENIED = """
import errno, os, sys
from taskmasterctl.connect.diagnose import unreachable
os.setgroups([]); os.setgid(65534); os.setuid(65534)
found = unreachable([(sys.argv[1], errno.EACCES)], "")
print(found.message, *found.hints, sep="\\n")
"""


def as_nobody(path: str) -> str:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT}/common"}
    done = subprocess.run(
        [sys.executable, "-c", DENIED, path], capture_output=True, text=True, env=environment, check=True, cwd="/"
    )
    return done.stdout


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_somebody_outside_the_group_is_told_which_group_to_join(short_dir: Path) -> None:
    os.chmod(short_dir, 0o755)
    path = str(short_dir / "s")
    with socket.socket(socket.AF_UNIX) as channel:
        channel.bind(path)
    os.chown(path, 0, 4)
    os.chmod(path, 0o660)
    out = as_nobody(path)
    assert "The socket is root:adm srw-rw----." in out
    assert "Join the group, then log in again:  sudo usermod -aG adm nobody" in out


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_a_directory_that_may_not_be_entered_is_named(short_dir: Path) -> None:
    out = as_nobody(str(short_dir / "s"))
    assert f"The directory {short_dir} is root:root drwx------." in out
    assert "Only root and root may" not in out
    assert "Only root may use it." in out


def test_a_stopped_daemon_is_told_with_how_to_let_it_go_on() -> None:
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        sleeper.send_signal(signal.SIGSTOP)
        wait_until(lambda: "kill -CONT" in frozen("/s", sleeper.pid).hints[0])
        found = frozen("/s", sleeper.pid)
    finally:
        sleeper.kill()
        sleeper.wait()
    assert found.message == "taskmasterd at /s accepted the connection but did not answer within 5s"
    assert found.hints == (f"Its process is stopped by a signal. Let it go on:  kill -CONT {sleeper.pid}",)


def test_a_busy_daemon_is_told_with_how_to_look_at_it() -> None:
    assert f"-p {os.getpid()}" in frozen("/s", os.getpid()).hints[0]
    assert frozen("/s", 0).hints == ("It is stopped by a signal, or too busy to answer.",)


def test_the_diagnosis_starts_nothing(short_dir: Path) -> None:
    unreachable([(str(short_dir / "s"), errno.ENOENT)], "")
    assert list(short_dir.iterdir()) == []
