"""How much memory processes have for themselves, by a look at real ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from taskmasterd.renewal.memory import measuring, of_group
from taskmasterd.system.offspring import children
from taskmasterd.system.procfs import can_see, finished
from tests.support.wait import wait_until

pytestmark = pytest.mark.skipif(not can_see(), reason="/proc does not list children")

TAKES = """
import os, sys, time
amounts = sys.argv[1:]
taken = b"x" * int(amounts[0])
if amounts[1:] and os.fork() == 0:
    os.setsid()
    more = b"x" * int(amounts[1])
os.write(1, b"taken\\n")
sys.stdin.read()
"""
MB = 1_000_000


def test_a_control_group_has_the_kernels_own_count_without_its_page_cache(tmp_path: Path) -> None:
    assert of_group("") is None
    assert of_group(str(tmp_path)) is None, "the kernel does not count it"
    (tmp_path / "memory.stat").write_text("anon 73400320\nfile 900000000\nkernel 5\ninactive_anon 1\n")
    assert of_group(str(tmp_path)) == 73_400_320
    (tmp_path / "memory.swap.current").write_text("1000\n")
    assert of_group(str(tmp_path)) == 73_401_320


def test_pages_of_all_descendants_count_and_those_of_others_do_not() -> None:
    words = [sys.executable, "-S", "-c", TAKES, str(20 * MB), str(10 * MB)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert [process.stdout.readline() for _ in range(2)] == [b"taken\n"] * 2
        wait_until(lambda: children(process.pid))
        child = children(process.pid)[0]
        own, whole = finished(measuring(child)) or 0, finished(measuring(process.pid)) or 0
        again = finished(measuring(process.pid, [os.getpid()])) or 0
        assert process.stdin
        process.stdin.close()
    assert 50 * MB < whole < 90 * MB, "20 MB, and 20 MB that the child shares, and 10 MB of its own"
    assert 30 * MB < own < whole
    assert again > whole + own, "with a process that is named, and with its children"
    assert finished(measuring(process.pid)) is None, "it has ended"
