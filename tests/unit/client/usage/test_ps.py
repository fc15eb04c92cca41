"""Processes as `ps` lists them."""

from __future__ import annotations

import os
import shutil

import pytest

from taskmasterctl.usage.ps import COMMAND, PsSource, seconds
from taskmasterctl.usage.sampler import Sampler


@pytest.mark.parametrize(
    ("text", "expected"), [("00:00:07", 7), ("01:02:03", 3723), ("2-00:00:01", 172_801), ("0:00.25", 0.25)]
)
def test_times_of_ps_are_seconds(text: str, expected: float) -> None:
    assert seconds(text) == expected


def test_lines_that_make_no_sense_are_left_out() -> None:
    source = PsSource(("printf", "%s\n", " 7 1 7 0:01.50 12 sh -c x", "no process", "8 1 8 ? 1 y", "9"))
    found = source.everybody()
    assert list(found) == [7]
    assert (found[7].parent, found[7].session, found[7].cpu_s, found[7].rss) == (1, 7, 1.5, 12 * 1024)
    assert (source.command(7), source.memory(7, found[7])) == ("sh -c x", 12 * 1024)
    assert (source.descriptors(7), source.storage(7), source.cgroup(7)) == (None, None, "")


def test_without_ps_there_are_no_figures() -> None:
    assert PsSource(("/nonexistent/ps",)).everybody() == {}


@pytest.mark.skipif(not shutil.which("ps"), reason="needs ps")
def test_the_real_ps_lists_this_process() -> None:
    sampler = Sampler(PsSource(COMMAND))
    (found,) = sampler.sample([os.getpid()]).values()
    assert found.memory
    assert found.threads is None
    assert sampler.pause_s(1.0) >= 2.0
