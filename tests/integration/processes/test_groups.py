"""What is left of a program when its leader is gone; a real subreaper in a child of the test."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from taskmasterd.processes.members.group import Group
from taskmasterd.processes.members.groups import Groups
from taskmasterd.processes.members.proofs import Proofs
from taskmasterd.system.procfs import Survivor, ticks_now
from tests.support.daemon import PROGRAMS
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="subreapers are Linux's"),
]
PROOFS = Proofs(bytes(16), "/s")
MARK = {**PROOFS.variables("p", 0), "PATH": os.environ["PATH"]}


def in_subreaper(body: Callable[[], Any]) -> Any:
    """Run `body` in a forked child that is a subreaper; returns what it returns, by JSON."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
            os.write(write, json.dumps(body()).encode())
        except BaseException as error:
            os.write(write, json.dumps(f"{type(error).__name__}: {error}").encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, "rb") as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    return json.loads(said)


def _spawn(*argv: str, environment: dict[str, str] = MARK) -> int:
    return os.posix_spawnp(argv[0], argv, environment, setsid=True)


def _dead_leader(groups: Groups, script: str, *, stop_group: bool = True, pipes: frozenset[int] = frozenset()) -> Group:
    """Run `script` as the program p to its end; return its group, with whatever it left behind."""
    leader = _spawn("sh", "-c", script)
    group = Group(leader, ("p", 0), stop_group=stop_group, pipes=tuple(pipes))
    groups.add(group)
    os.waitpid(leader, 0)
    groups.reaped(leader)
    return group


def _found(groups: Groups, group: Group, *names: str) -> list[Survivor]:
    """Return the survivors once they are these: each shows what it was forked from until it has executed its program."""
    left: list[Survivor] = []

    def are_these() -> bool:
        left[:] = groups.survivors([group]).get(group, [])
        return sorted(f"{survivor.name} {survivor.session == group.pid}" for survivor in left) == sorted(names)

    wait_until(are_these)
    return left


def test_members_of_the_group_and_escaped_descendants_are_survivors_and_nobody_else_is() -> None:
    def body() -> list[Any]:
        groups = Groups(PROOFS)
        other = _spawn("sleep", "60", environment={**MARK, **PROOFS.variables("q", 0)})
        groups.add(Group(other, ("q", 0), stop_group=True))
        group = _dead_leader(groups, "sleep 60 & setsid -f sleep 61")
        left = _found(groups, group, "sleep False", "sleep True")
        group.signal_each(left, signal.SIGKILL)
        wait_until(lambda: _drained(groups, {other}))
        empty = groups.survivors([group]) == {}
        os.kill(other, signal.SIGKILL)
        return [len(left), empty]

    assert in_subreaper(body) == [2, True]


def _drained(groups: Groups, keep: set[int]) -> bool:
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return True
        if pid == 0:
            return not [s for s in groups.strays([]) if s.pid not in keep]
        groups.reaped(pid)


def test_an_orphan_of_another_daemon_or_without_a_mark_is_not_attributed_but_is_a_stray() -> None:
    def body() -> list[Any]:
        groups = Groups(PROOFS)
        group = _dead_leader(groups, "env -i setsid -f sleep 60; TASKMASTER_MARK=0 setsid -f sleep 61")
        _found(groups, group)  # before its setsid(2) each is in the leader's session
        left = groups.survivors([group])
        strays = groups.strays([])
        groups.signal_all(strays, signal.SIGKILL)
        return [len(left), len(strays)]

    assert in_subreaper(body) == [0, 2]


def test_what_a_program_without_stopasgroup_leaves_is_neither_survivor_nor_stray() -> None:
    def body() -> list[Any]:
        groups = Groups(PROOFS)
        group = _dead_leader(groups, "sleep 60 & sleep 0.2", stop_group=False)
        found = [len(groups.survivors([group])), len(groups.strays(["p"]))]
        os.killpg(group.pid, signal.SIGKILL)
        return found

    assert in_subreaper(body) == [0, 0]


def test_zombies_do_not_count() -> None:
    def body() -> int:
        groups = Groups(PROOFS)
        group = _dead_leader(groups, "sleep 0.1 & exit 0")
        wait_until(lambda: not groups.survivors([group]))
        return len(groups.survivors([group]))

    assert in_subreaper(body) == 0


def test_each_survivor_is_told_a_signal_once() -> None:
    code = (
        "import signal, os, sys\n"
        "tally = []\n"
        "signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b't'), None))\n"
        "os.write(1, b'r')\n"
        "while True: signal.pause()\n"
    )

    def body() -> str:
        groups = Groups(PROOFS)
        read, write = os.pipe()
        os.set_inheritable(write, True)
        os.dup2(write, 1)
        leader = _spawn("sh", "-c", f'{sys.executable} -S -c "$CODE" & sleep 60', environment=dict(MARK, CODE=code))
        assert os.read(read, 1) == b"r"
        group = Group(leader, ("p", 0), stop_group=True)
        groups.add(group)
        group.signal_group(signal.SIGTERM)
        os.waitpid(leader, 0)
        groups.reaped(leader)
        left = groups.survivors([group])[group]
        group.signal_each(left, signal.SIGTERM)
        group.signal_each(left, signal.SIGTERM)
        assert os.read(read, 1) == b"t"
        group.signal_each(left, signal.SIGKILL)
        os.set_blocking(read, False)
        wait_until(lambda: _drained(groups, set()))
        try:
            return os.read(read, 10).decode()
        except BlockingIOError:
            return ""

    assert in_subreaper(body) == ""


def test_searches_at_the_same_time_that_have_seen_the_same_do_not_disturb_each_other() -> None:
    def body() -> list[int]:
        groups = Groups(PROOFS)
        pid = _spawn("sleep", "60")
        searches = [groups.below.batches() for _ in range(2)]
        seen = [len(next(search)) for search in searches]
        rest = [len(list(searches[1]))]
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        groups.below.reaped(pid)
        return [*seen, *rest, len(list(searches[0]))]

    assert in_subreaper(body) == [1, 1, 0, 0]


def test_a_deep_fork_bomb_is_seen_whole() -> None:
    def body() -> int:
        groups = Groups(PROOFS)
        group = _dead_leader(groups, "(sleep 60 & (sleep 60 & (sleep 60 & exec sleep 60) & wait) & wait) & exit 0")
        left = _found(groups, group, *["sh True"] * 2, *["sleep True"] * 4)
        group.signal_each(left, signal.SIGKILL)
        return sum(survivor.name == "sleep" for survivor in left)

    assert in_subreaper(body) == 4


@pytest.mark.parametrize("looks", [5, pytest.param(100, marks=pytest.mark.sweep)])
def test_what_forks_and_ends_all_the_time_is_never_missed(short_dir: Path, looks: int) -> None:
    hops = short_dir / "hops"
    hops.touch()

    def reap() -> None:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def body() -> list[int]:
        groups = Groups(PROOFS)
        group = _dead_leader(groups, f"exec {sys.executable} {PROGRAMS}/hops.py 1000000 {hops}")
        seen: list[bool] = []
        until = time.monotonic() + 20  # a look beside it takes a second where others need the processors
        while len(seen) < looks and (len(seen) < 5 or time.monotonic() < until):
            seen.append(group in groups.survivors([group]))
            reap()
        hops.unlink()  # it need not go on
        while left := groups.survivors([group]):
            group.signal_each(left[group], signal.SIGKILL)
            reap()
        return [seen.count(False), len(groups.strays([]))]

    assert in_subreaper(body) == [0, 0]


def test_an_orphan_that_lost_its_mark_is_known_by_the_output_pipe_that_it_holds() -> None:
    def body() -> list[int]:
        groups = Groups(PROOFS)
        escape = "env -i setsid -f sleep 60; sleep 0.2"
        (read, write), (_, foreign) = os.pipe(), os.pipe()
        os.set_inheritable(write, True)
        group = _dead_leader(groups, escape, pipes=frozenset({os.fstat(read).st_ino}))
        os.set_inheritable(write, False)
        os.set_inheritable(foreign, True)
        os.waitpid(_spawn("sh", "-c", escape), 0)
        left = groups.survivors([group]).get(group, [])
        strays = groups.strays([])
        groups.signal_all(strays, signal.SIGKILL)
        return [len(left), len(strays)]

    assert in_subreaper(body) == [1, 2]


def test_a_session_whose_number_may_be_a_strangers_is_ours_only_with_a_proof() -> None:
    def body() -> list[Any]:
        stranger = _spawn("sleep", "60", environment={"PATH": os.environ["PATH"]})
        ours = _spawn("sleep", "61")
        groups = Groups(PROOFS, ignored=[stranger, ours])
        adopted = [Group(pid, ("p", 0), stop_group=True) for pid in (stranger, ours)]
        for group in adopted:
            group.leader_has_ended()
            group.sessions = frozenset({group.pid})
        wait_until(lambda: adopted[1] in groups.survivors(adopted))  # during its exec it shows no variables
        without = adopted[0] in groups.survivors(adopted)
        adopted[0].ours_until = ticks_now() + 1  # somebody was in it while the number was surely ours
        known = adopted[0] in groups.survivors(adopted)
        for pid in (stranger, ours):
            os.kill(pid, signal.SIGKILL)
        return [without, known]

    assert in_subreaper(body) == [False, True]
