"""Questions that may block are asked by a child, and a hung one costs one answer."""

from __future__ import annotations

import os
import time

import pytest

from taskmasterd.system import child_reads
from taskmasterd.system.child_reads import HANGS_AFTER_S, ask_in_child
from taskmasterd.system.procfs import listing, read
from tests.support.wait import wait_until

OWN_STATUS = read("/proc/self/status").decode("ascii", "replace")
pytestmark = pytest.mark.skipif(not listing("/proc/self"), reason="needs /proc")


def test_each_process_has_its_answer_and_empty_ones_are_left_out() -> None:
    assert ask_in_child([1, 2, 3], lambda pid: "" if pid == 2 else f"is {pid}") == {1: "is 1", 3: "is 3"}
    assert ask_in_child([], lambda _pid: "never") == {}


def test_thousands_of_long_answers_arrive() -> None:
    pids = range(3000)
    assert ask_in_child(pids, lambda pid: f"{pid} " * 100) == {pid: f"{pid} " * 100 for pid in pids}


def test_what_hangs_or_fails_costs_its_own_answer_alone() -> None:
    killed: list[int] = []

    def ask(pid: int) -> str:
        if pid == 2:
            os.read(os.pipe()[0], 1)  # nobody will ever write
        return f"is {pid}" if pid != 4 else str(1 / 0)

    assert ask_in_child([1, 2, 3, 4, 5], ask, killed.append) == {1: "is 1", 3: "is 3", 5: "is 5"}
    (hung,) = killed  # the others are reaped already
    wait_until(lambda: os.waitpid(hung, os.WNOHANG)[0] == hung)


def test_a_child_that_works_is_not_taken_for_hung() -> None:
    def work(pid: int) -> str:
        until = time.process_time() + 1.5 * HANGS_AFTER_S  # on a busy machine that is many times as long
        while time.process_time() < until:
            pass
        return f"is {pid}"

    assert ask_in_child([7], work) == {7: "is 7"}


def nap(seconds: float) -> str:
    """Sleep a moment again and again: each look finds the process asleep, but it goes on."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.01)
    return "awake"


@pytest.mark.skipif("\nvoluntary_ctxt_switches:" not in OWN_STATUS, reason="nothing counts how often a process has run")
def test_a_child_that_is_asleep_for_just_a_moment_at_each_look_is_not_taken_for_hung(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(child_reads, "HANGS_AFTER_S", 0.4)

    assert ask_in_child([7], lambda pid: f"{pid} is {nap(0.8)}") == {7: "7 is awake"}


def test_a_child_that_only_naps_is_given_up_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child_reads, "STARVED_S", 0.1)
    killed: list[int] = []
    assert ask_in_child([7], lambda _pid: nap(600.0), killed.append) == {}
    (hung,) = killed
    wait_until(lambda: os.waitpid(hung, os.WNOHANG)[0] == hung)
