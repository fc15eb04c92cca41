"""The children of real processes: of one thread, of several, and of one whose main thread has ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from taskmasterd.system.offspring import children, tree
from taskmasterd.system.procfs import can_see, finished, look
from tests.support.wait import wait_until

pytestmark = pytest.mark.skipif(not can_see(), reason="needs /proc with lists of children")

FORKS = """
import os, sys, threading
def work():
    child = os.fork()
    if child:
        os.write(1, b"%d\\n" % child)
    sys.stdin.read()
    os._exit(0)
if sys.argv[1] == "main":
    work()
threading.Thread(target=work).start()
if sys.argv[1] == "second":
    threading.Event().wait()
import ctypes
ctypes.CDLL(None).pthread_exit(None)
"""


@contextmanager
def parent(forks_in: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A process that has a child of one of its threads: yields both."""
    words = [sys.executable, "-c", FORKS, forks_in]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        child = int(process.stdout.readline())
        try:
            yield process, child
        finally:
            process.kill()
            os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("thread", ["main", "second", "of a dead leader"])
def test_children_of_every_thread_are_found(thread: str) -> None:
    with parent(thread) as (process, child):
        wait_until(lambda: children(process.pid) == [child])
        root = look(process.pid)
        assert root
        assert [one.pid for one in finished(tree(root))] == [process.pid, child]


def test_a_process_that_is_gone_has_none() -> None:
    with subprocess.Popen(["true"]) as process:
        process.wait()
        assert children(process.pid) == []
