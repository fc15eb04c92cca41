"""What the kernel says of control groups: killed processes are counted once, and an empty group wakes the loop."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskmasterd.processes.limits.cgroups import find_root
from taskmasterd.processes.limits.losses import FILE, SETTLE_S, Losses
from taskmasterd.system.cgroups import FileNotice, make, populated, remove, write
from taskmasterd.system.loop.reactor import Reactor
from tests.support.wait import wait_until

HERE = find_root(None, "a test of losses")


class Loop:
    """A loop whose notices and pauses a test lets happen."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.changed: dict[str, Callable[[], None]] = {}
        self.refuses = False

    def call_later(self, seconds: float, callback: Callable[[], None]) -> None:
        self.later.append((seconds, callback))

    def notice(self, _reactor: object, path: str, file: str, changed: Callable[[], None]) -> Any:
        assert file == FILE
        if self.refuses:
            raise PermissionError(path)
        self.changed[path] = changed
        return self

    def close(self) -> None:
        self.changed.clear()

    def pass_time(self) -> list[float]:
        later, self.later = self.later, []
        for _seconds, callback in later:
            callback()
        return [seconds for seconds, _callback in later]


def killed(group: Path, count: int) -> None:
    (group / FILE).write_text(f"low 0\nhigh 7\nmax 9\noom 3\noom_kill {count}\n")


@pytest.fixture
def loop() -> Any:
    return Loop()


def test_what_the_kernel_kills_together_is_said_together_and_once(tmp_path: Path, loop: Any) -> None:
    said: list[int] = []
    losses = Losses(loop, loop.notice)
    killed(tmp_path, 0)
    losses.begin(str(tmp_path), said.append)
    for count in (1, 2):
        killed(tmp_path, count)
        loop.changed[str(tmp_path)]()
    assert losses.grown(str(tmp_path)), "an end in this moment is one of these"
    assert (loop.pass_time(), said) == ([SETTLE_S, SETTLE_S], [2])
    assert not losses.grown(str(tmp_path)), "a later KILL by somebody else is not the memory's"
    loop.changed[str(tmp_path)]()
    loop.pass_time()
    assert said == [2]
    losses.end(str(tmp_path))
    assert loop.changed == {}


def test_a_later_daemon_says_what_its_group_has_lost_also_where_no_notice_can_be_had(tmp_path: Path, loop: Any) -> None:
    loop.refuses = True
    killed(tmp_path, 3)
    said: list[int] = []
    losses = Losses(loop, loop.notice)
    losses.begin(str(tmp_path), said.append)
    assert said == [3]


def test_without_the_controller_nothing_is_said(tmp_path: Path, loop: Any) -> None:
    said: list[int] = []
    losses = Losses(loop, loop.notice)
    losses.begin(str(tmp_path), said.append)
    assert (said, losses.grown(str(tmp_path))) == ([], False)


# -- a real group


@pytest.fixture
def group() -> Iterator[str]:
    make(HERE.path)
    path = f"{HERE.path}/web-0"
    make(path)
    yield path
    wait_until(lambda: remove(HERE.path))


@pytest.mark.skipif(not HERE.ours, reason=f"needs a cgroup v2 tree that may be written: {HERE.reason}")
def test_an_empty_group_wakes_the_loop_and_nothing_else_does(group: str) -> None:
    told: list[bool] = []
    reactor = Reactor(lambda error: pytest.fail(repr(error)))
    with subprocess.Popen(["sleep", "300"]) as process:
        write(group, "cgroup.procs", str(process.pid))
        notice = FileNotice(reactor, group, "cgroup.events", lambda: told.append(populated(group)))
        reactor.turn(0)
        assert False not in told, "that it is populated may be told late, and by a notice"
        process.kill()

    def is_told() -> bool:
        reactor.turn(0.1)
        return told[-1:] == [False]

    wait_until(is_told)
    turns = len(told)
    reactor.turn(0)
    assert len(told) == turns, "the file was read, so it is quiet again"
    notice.close()
    reactor.close()
