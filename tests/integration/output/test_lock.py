"""Two daemons and one log: the second one does not write it."""

from __future__ import annotations

import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from taskmaster_common.errors import SystemFailure
from tests.support.sinks import lone_sink
from tests.support.wait import wait_until


@contextmanager
def holder(path: Path, name: str) -> Iterator[int]:
    """A process of that name that has locked a file."""
    pid = os.fork()
    if pid == 0:
        Path("/proc/self/comm").write_text(name)
        fd = os.open(path, os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_EX)
        signal.pause()
    try:
        with path.open() as file:
            wait_until(lambda: _is_locked(file.fileno()))
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _is_locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


def test_a_log_that_another_daemon_writes_is_refused_with_its_pid(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    sink = lone_sink(str(path), 0, 0, None, print)
    with (
        holder(path, "taskmasterd") as pid,
        pytest.raises(SystemFailure, match=rf"another daemon \(pid {pid}\) writes"),
    ):
        sink.log.open()
    sink.log.open()
    sink.log.close()


def test_a_log_that_somebody_else_has_locked_is_written(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.touch()
    sink = lone_sink(str(path), 0, 0, None, print)
    with holder(path, "flock"):
        sink.append(b"x\n")
    sink.log.close()
    assert path.read_text() == "x\n"


def test_a_log_stays_locked_when_it_is_opened_anew_and_after_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "log"
    sink = lone_sink(str(path), 10, 1, None, print)
    sink.append(b"x\n")
    sink.log.reopen()
    for _ in range(2):
        with path.open() as file:
            assert _is_locked(file.fileno())
        sink.append(b"more than ten\n")
    sink.log.close()
    assert (tmp_path / "log.1").exists()
