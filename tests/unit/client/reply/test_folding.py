"""A table that has to fit into a terminal."""

from __future__ import annotations

import pytest

from taskmasterctl.reply.folding import folded
from taskmasterctl.reply.render import Look, status_table
from tests.support.fakedaemon import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def names(*processes: dict[str, Any]) -> list[str]:
    return [row["name"] for row in folded(processes)]


def test_instances_that_are_well_are_one_row_and_the_others_have_their_own() -> None:
    web = [process(f"web:{index}", uptime_s=100.0 + index, restarts=index) for index in range(4)]
    web[2] = process("web:2", "BACKOFF", wanted=False)
    (sick, well) = folded(web)
    assert (sick["name"], well["name"]) == ("web:2", "web 3/4")
    assert (well["state"], well["pid"], well["uptime_s"], well["restarts"]) == ("RUNNING", None, 100.0, 4)


def test_the_worst_comes_first_and_what_should_be_down_last() -> None:
    assert names(
        process("off", "STOPPED"),
        process("fine"),
        process("slow", "STARTING"),
        process("flaps", "BACKOFF", wanted=False),
        process("dead", "FATAL", wanted=False),
        process("job", "EXITED"),
    ) == ["dead", "flaps", "slow", "fine", "off", "job"]


@pytest.mark.parametrize(
    "of",
    [
        {"state": "STARTING"},
        {"wanted": False},
        {"outdated": True},
        {"phase": "held"},
        {"health": {"verdict": "unhealthy"}},
    ],
)
def test_what_needs_a_look_is_never_folded_away(of: dict[str, Any]) -> None:
    odd = {**process("web:1"), **of}
    assert "web:1" in names(process("web:0"), odd, process("web:2"))


def test_one_that_is_well_keeps_its_own_row() -> None:
    assert names(process("web:0"), process("web:1", "STOPPED")) == ["web:0", "web:1"]


def test_a_table_is_folded_only_where_it_does_not_fit() -> None:
    many = [process(f"web:{index}") for index in range(5)]
    assert len(status_table(many, Look(height=6)).splitlines()) == 6
    _head, row = status_table(many, Look(height=5)).splitlines()
    assert row.split()[:3] == ["web", "5/5", "RUNNING"]


def test_a_narrow_terminal_does_without_pids_and_restarts() -> None:
    table = status_table([process("web", detail="healthy")], Look(width=50)).splitlines()
    assert [line.split() for line in table] == [
        ["NAME", "STATE", "UPTIME", "DETAIL"],
        ["web", "RUNNING", "12m", "healthy"],
    ]
