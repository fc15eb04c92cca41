"""Processes that are no children of ours: who they are, and how they end."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskmasterd.system.loop.reactor import Reactor
from taskmasterd.system.pidfds import Adopted, open_leader, status_of
from taskmasterd.system.procfs import boot_seconds, look
from tests.support.wait import wait_until

look(os.getpid())  # it keeps one descriptor in reserve from the first look on
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="pidfds are Linux's")]


class Grandchild:
    """A process whose parent is another one than ours, and reaps it when it is told."""

    def __init__(self, script: str) -> None:
        (read, write), (self._hold, self._go) = os.pipe(), os.pipe()
        self.parent = os.fork()
        if self.parent == 0:
            os.close(self._go)
            began = boot_seconds()
            pid = os.posix_spawnp("sh", ["sh", "-c", script], os.environ, setpgroup=0)
            os.write(write, f"{pid} {began} {boot_seconds()}".encode())
            os.read(self._hold, 1)
            os.waitpid(pid, 0)
            os.write(write, b"reaped")
            os._exit(0)
        os.close(write)
        os.close(self._hold)
        self._read = read
        told = os.read(read, 100).split()
        self.pid, self.birth = int(told[0]), (float(told[1]), float(told[2]))

    def reap(self) -> None:
        """Have it reaped."""
        os.write(self._go, b"x")
        assert os.read(self._read, 10) == b"reaped"

    def close(self) -> None:
        """End everything, what the script has left in its group too."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        os.kill(self.parent, signal.SIGKILL)
        os.waitpid(self.parent, 0)
        os.close(self._go)
        os.close(self._read)


def ending(go: Path, script: str) -> str:
    """Return a script that ends in this way once there is a file: it lives until a test has looked at it."""
    return f"while ! test -e {go}; do sleep 0.02; done; {script}"


@pytest.fixture
def grandchild() -> Iterator[Callable[[str], Grandchild]]:
    made: list[Grandchild] = []

    def make(script: str) -> Grandchild:
        made.append(Grandchild(script))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_a_process_is_believed_only_with_its_start_time(grandchild: Callable[[str], Grandchild]) -> None:
    child = grandchild("sleep 60 & wait")
    handle = open_leader(child.pid, child.birth)
    assert handle is not None
    os.close(handle)
    began, ended = child.birth
    assert open_leader(child.pid, (began - 5, ended - 5)) is None
    assert open_leader(child.pid, (began + 5, ended + 5)) is None
    os.kill(child.pid, signal.SIGKILL)
    child.reap()
    assert open_leader(child.pid, child.birth) is None


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7 << 8), ("kill -9 $$", 9), ("exit 0", 0)])
def test_its_status_is_known_as_a_zombie_and_once_it_was_reaped(
    grandchild: Callable[[str], Grandchild], tmp_path: Path, script: str, status: int
) -> None:
    child = grandchild(ending(tmp_path / "go", script))
    handle = open_leader(child.pid, child.birth)
    assert handle is not None
    assert status_of(handle, child.pid) is None, "it lives"
    (tmp_path / "go").touch()
    wait_until(lambda: status_of(handle, child.pid) == status)
    child.reap()
    later = status_of(handle, child.pid)
    os.close(handle)
    assert later in (status, None)
    if tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 15):
        assert later == status


def test_an_end_wakes_the_loop_once(grandchild: Callable[[str], Grandchild], tmp_path: Path) -> None:
    child = grandchild(ending(tmp_path / "go", "exit 5"))
    errors: list[BaseException] = []
    reactor = Reactor(errors.append)
    ends: list[tuple[int, int | None]] = []

    def ended(pid: int, status: int | None) -> None:
        ends.append((pid, status))
        reactor.call_later(0.05, reactor.stop)

    adopted = Adopted(reactor, ended)
    handle = open_leader(child.pid, child.birth)
    assert handle is not None
    adopted.watch(child.pid, handle)
    (tmp_path / "go").touch()
    reactor.run()
    os.close(handle)
    reactor.close()
    assert ends == [(child.pid, 5 << 8)]
    assert errors == []
    assert not adopted.told(child.pid, 0), "it is known already"


def test_what_the_guardian_has_waited_for_is_the_end_too(grandchild: Callable[[str], Grandchild]) -> None:
    child = grandchild("sleep 60 & wait")
    reactor = Reactor(lambda error: None)
    ends: list[tuple[int, int | None]] = []
    adopted = Adopted(reactor, lambda pid, status: ends.append((pid, status)))
    handle = open_leader(child.pid, child.birth)
    assert handle is not None
    adopted.watch(child.pid, handle)
    assert adopted.told(child.pid, 9)
    assert not adopted.told(child.pid, 9)
    os.close(handle)
    reactor.close()
    assert ends == [(child.pid, 9)]
