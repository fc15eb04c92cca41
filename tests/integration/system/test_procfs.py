"""What /proc tells of odd but legal processes."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress

import pytest

from taskmasterd.system.procfs import (
    is_ending,
    listing,
    look,
    may_be_read,
    pipe_among,
    variables_of,
    zombie_status,
)
from tests.support.daemon import PROGRAMS
from tests.support.wait import wait_until

# the first look opens the descriptor that is kept in reserve for all later ones
PR_SET_DUMPABLE = 4
pytestmark = pytest.mark.skipif(not listing("/proc/self"), reason="needs /proc")


@pytest.fixture
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """A process whose main thread has ended, and another thread works on."""
    words = [sys.executable, "-S", str(PROGRAMS / "ends_its_main_thread.py")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, env={**os.environ, "TASKMASTER_PROGRAM": "p"}) as process:
        assert process.stdout
        assert process.stdout.readline() == b"worker %d\n" % process.pid
        yield process
        process.kill()


def test_a_process_lives_as_long_as_one_of_its_threads(worker: subprocess.Popen[bytes]) -> None:
    assert look(worker.pid)
    assert not is_ending(worker.pid)
    assert zombie_status(worker.pid) is None, "its main thread's status is not the process's"
    os.kill(worker.pid, signal.SIGKILL)
    wait_until(lambda: look(worker.pid) is None)
    assert is_ending(worker.pid)
    assert zombie_status(worker.pid) == signal.SIGKILL


def test_variables_and_pipes_are_those_of_a_thread_that_lives(worker: subprocess.Popen[bytes]) -> None:
    assert b"TASKMASTER_PROGRAM=p" in variables_of(worker.pid).split(b"\0")
    assert worker.stdout
    inode = os.fstat(worker.stdout.fileno()).st_ino
    assert pipe_among(worker.pid, {inode}) == inode


def test_a_process_that_is_not_dumpable_may_not_be_read_by_its_own_user() -> None:
    def seen_by_the_parent(number: int) -> bool:
        asleep, awake = os.pipe()
        child = os.fork()
        if child == 0:
            if os.geteuid() == 0:
                os.setresgid(65534, 65534, 65534)
                os.setresuid(65534, 65534, 65534)
            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, number, 0, 0, 0)
            os.write(awake, b"1")
            signal.pause()
        os.read(asleep, 1)
        try:
            return may_be_read(child)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(asleep)
            os.close(awake)

    assert seen_by_the_parent(1)
    assert not seen_by_the_parent(0)


def test_looks_in_a_full_table_go_on_and_leave_no_place_that_a_client_could_take() -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    kept = listing("/proc/self/fd")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, kept)) + 1, limits[1]))
    filled: list[int] = []
    try:
        with suppress(OSError):
            while True:
                filled.append(os.dup(0))
        for _ in range(3):
            assert look(os.getpid())
            with pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
                filled.append(os.dup(0))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        for fd in filled:
            os.close(fd)
