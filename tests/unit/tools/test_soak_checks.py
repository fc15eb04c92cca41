"""The soak's own judges: each finds what it is there to find, and lets pass what may be."""

from __future__ import annotations

import random
from typing import Any

import pytest

from taskmaster_common.errors import ConfigError
from tests.soak.calm import count_lines
from tests.soak.chronicle import Chronicle
from tests.soak.population import BROKEN, KINDS, OWNED, Population
from tests.soak.transitions import EDGES, Image
from tests.support.host import load

LIFE = ("web started (pid 7)", "web running (pid 7)", "web exited: exit 1 after 2.0s (unexpected)", "web restarting")


def _told(*texts: str) -> list[str]:
    return [f"2026-01-01T00:00:0{second}.000+00:00 info {text}" for second, text in enumerate(texts)]


def _problems(*texts: str) -> list[str]:
    return [problem.partition(":")[0] for problem in Chronicle().read(_told(*texts))]


def test_whole_lives_are_possible_whatever_a_process_is_called_meanwhile() -> None:
    chronicle = Chronicle()
    lines = _told("taskmasterd 1 started (pid 1, /x)", *LIFE, "web:0 started (pid 8)", "web:0 failed to start: exit 1")
    assert list(chronicle.read(lines)) == []
    assert (chronicle.open, chronicle.ended, chronicle.started) == ({}, 2, {("web:0", 7): 1, ("web:0", 8): 1})


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (("web started (pid 7)", "web:0 started (pid 8)"), "a second instance beside 7"),
        (("web started (pid 7)", "db started (pid 7)"), "7 is that of web"),
        (("web running (pid 7)",), "running, but None was started"),
        (("web started (pid 7)", "web running (pid 8)"), "running, but 7 was started"),
        (("web exited: exit 1",), "an end without a start"),
        (("web started (pid 7)", "web exited: exit 1"), "it exited, but was not running"),
        (("web started (pid 7)", "web running (pid 7)", "web failed to start: exit 1"), "it failed to start, but was running"),
        ((*LIFE, "web exited: exit 1"), "an end without a start"),
        (("web started (pid 7)", "web restarting in 0.5s"), "nothing is alive, but 7 has not ended"),
        (("web stopping: TERM to its group, asked by x",), "told to stop, but nothing runs"),
        (("internal error, please report it",), "internal error"),
    ],
)  # fmt: skip
def test_an_impossible_life_in_the_event_log_is_found(texts: tuple[str, ...], problem: str) -> None:
    assert _problems(*texts) == [problem]


def test_a_clock_that_goes_back_and_a_torn_line_are_found() -> None:
    first, second = _told("a", "b")
    assert len(list(Chronicle().read([second, first, "torn"]))) == 2


def _change(sequence: int, before: str, state: str, **fields: Any) -> dict[str, Any]:
    process = {"program": "web", "instance": 0, "pid": 7 if state in ("RUNNING", "STARTING") else None}
    message = {"type": "change", "sequence": sequence, "before": before, "state": state, "removed": False}
    return {**message, "process": {**process, **fields}}


SNAPSHOT = {"type": "snapshot", "sequence": 4, "count": 1}


def _image(*messages: dict[str, Any]) -> list[str]:
    image = Image()
    return [problem for message in (SNAPSHOT, *messages) for problem in image.take(message)]


def test_a_subscription_along_the_edges_is_possible() -> None:
    assert _image(_change(5, "STOPPED", "STARTING"), _change(6, "STARTING", "RUNNING")) == []


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ([_change(6, "STOPPED", "STARTING")], "change 6 follows 4"),
        ([_change(5, "EXITED", "STARTING")], "was STOPPED, and is said to have been EXITED"),
        ([_change(5, "STOPPED", "RUNNING")], "cannot go from STOPPED to RUNNING"),
        ([_change(5, "STOPPED", "STOPPED", pid=7)], "is STOPPED and has pid 7"),
        ([_change(5, "STOPPED", "STARTING"), _change(6, "STARTING", "RUNNING", pid=None)], "is RUNNING without a pid"),
        ([_change(5, "STOPPED", "STARTING"), {**SNAPSHOT, "sequence": 4}], "a snapshot of 4 after change 5"),
    ],
)
def test_an_impossible_subscription_is_found(changes: list[dict[str, Any]], problem: str) -> None:
    (found,) = _image(*changes)
    assert problem in found


def test_after_missed_changes_the_next_snapshot_is_believed() -> None:
    processes = {"type": "processes", "processes": [{"program": "web", "instance": 0, "state": "FATAL"}]}
    later = {**SNAPSHOT, "sequence": 90}
    assert _image({"type": "missed", "changes": 85}, later, processes, _change(91, "FATAL", "STARTING")) == []


def test_each_state_of_the_theory_has_its_edges() -> None:
    assert set(" ".join(EDGES.values()).split()) == set(EDGES)


@pytest.mark.parametrize(
    "lines",
    [
        ("1.1 2",),
        ("1.1 1", "1.1 3"),
        ("1.1 1", "1.1 1"),
        ("1.1 1", "2.1 1", "1.1 2"),
        ("1.1 1", "1.1 "),
        ("1.1 1", "x"),
    ],
)
def test_a_line_too_many_or_too_few_or_torn_is_found(lines: tuple[str, ...]) -> None:
    assert list(count_lines(iter(lines)))


def test_instances_that_count_from_one_and_end_before_the_next_are_whole() -> None:
    assert list(count_lines(iter(("1.1 1", "1.1 2", "2.1 1", "1.2 1")))) == []


def test_each_configuration_of_a_soak_is_one_and_the_same_seed_gives_the_same() -> None:
    one, two = (Population(200, 5, random.Random("1")) for _ in range(2))
    assert {kind for kind, _ in one.programs.values()} == set(KINDS)
    for _ in range(10):
        assert one.text() == two.text()
        names = [program.name for program in load(one.text()).config.programs]
        assert names == list(one.programs)
        assert sum(name.startswith(OWNED) for name in names) == 5
        assert 190 <= len(names) <= 210
        assert one.edit() == two.edit()


@pytest.mark.parametrize("text", BROKEN)
def test_each_broken_file_of_a_soak_is_refused(text: str) -> None:
    with pytest.raises(ConfigError):
        load(text)
