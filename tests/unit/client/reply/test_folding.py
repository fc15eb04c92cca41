"""A table that has to fit into a terminal."""

from __future__ import annotations

import pytest

from taskmasterctl.reply.folding import folded
from taskmasterctl.reply.render import Look, status_table
from taskmasterctl.reply.short import shortened
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


def test_instances_that_are_down_as_they_should_be_are_one_row_and_so_are_failures_of_one_kind() -> None:
    stopped = [process(f"w:{at}", "STOPPED", detail="stopped by deploy") for at in range(3)]
    exited = [process(f"w:{at}", "EXITED", detail=f"exit 0 after {at}s") for at in range(3, 6)]
    failed = [process(f"w:{at}", "FATAL", detail="exit 1", stderr="no") for at in range(6, 8)]
    other = process("w:8", "FATAL", detail="exit 2")
    rows = folded([*stopped, *exited, *failed, other])
    assert [(row["name"], row["detail"], row.get("stderr", "")) for row in rows] == [
        ("w 2/9", "exit 1", "no"), ("w:8", "exit 2", ""), ("w 3/9", "stopped by deploy", ""), ("w 3/9", "", "")
    ]  # fmt: skip
    unwanted = [process(f"w:{at}", "EXITED", wanted=False) for at in range(2)]
    assert names(*unwanted, process("w:2", "STOPPED", outdated=True)) == ["w:0", "w:1", "w:2"]


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


def test_on_a_terminal_restarts_have_the_time_of_the_last_one_where_there_is_room() -> None:
    flap = process("flap", "BACKOFF", restarts=17, restarted_s=2.0, detail="in 15s")
    processes = [flap, process("web", restarts=1, restarted_s=540.0), process("db")]
    assert status_table(processes, Look(terminal=True, width=80)).splitlines() == [
        "NAME  STATE      PID  UPTIME  RESTARTS     DETAIL",
        "flap  BACKOFF      -  -       17 (2s ago)  in 15s",
        "web   RUNNING   2001  12m      1 (9m ago)  -",
        "db    RUNNING   2001  12m      0           -",
    ]
    long = [process("flap", "BACKOFF", restarts=17, restarted_s=2.0, detail="x" * 60), *processes[1:]]
    assert "ago" not in status_table(long, Look(terminal=True, width=80))
    assert "ago" not in status_table(processes, Look())


def test_the_sum_of_a_program_has_the_time_of_its_last_restart() -> None:
    web = [process(f"web:{index}", restarts=1, restarted_s=100.0 * index + 9) for index in range(3)]
    assert folded(web)[0]["restarted_s"] == 9
    assert folded([process("web:0"), process("web:1")])[0]["restarted_s"] is None


@pytest.mark.parametrize(
    ("detail", "short"),
    [
        ('retry 2 of 3 in 0.5s; exit 3 after 0.0s: "bind: in use"', 'in 0.5s; exit 3: "bind: in use"'),
        ("again in 15s; 3 restarts within 60s; exit 3 after 1.5s", "in 15s; exit 3; 3 restarts within 60s"),
        ('again in 9s; 3 restarts within 60s; exit 3 after 1s: "a; b"', 'in 9s; exit 3: "a; b"; 3 restarts within 60s'),
        ("exit 1 after 0.2s (try 4 of 4)", "exit 1"),
        ("exit 1 after 0.2s, before starttime", "exit 1, before starttime"),
        ("cannot execute /opt/m: no such file or directory (try 4 of 4)", "no such file or directory: /opt/m"),
        ("retry 2 of 3 in 2s; cannot execute /opt/m: not permitted", "in 2s; not permitted: /opt/m"),
        ("killed by SIGKILL after 1h2m", "killed by SIGKILL"),
        ("needs db, which is FATAL", "needs db, which is FATAL"),
        ("outdated (cmd); it came after 3", "outdated (cmd); it came after 3"),
        ("", ""),
    ],
)
def test_a_detail_without_room_says_the_most_useful_words_first(detail: str, short: str) -> None:
    assert shortened(detail) == short


def test_only_the_details_without_room_are_shortened() -> None:
    processes = [
        process("a", detail="exit 1 after 0.2s (try 4 of 4)" + "y" * 40),
        process("b", detail="exit 1 after 0.2s"),
    ]
    first, second = status_table(processes, Look(width=80)).splitlines()[1:]
    assert first.endswith("exit 1")
    assert second.endswith("exit 1 after 0.2s")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "up again after exit 3"),
        ({"exit": {"signal": "SEGV", "expected": False}}, "up again after SEGV"),
        ({"exit": {"code": 0, "expected": True}}, "-"),
        ({"exit": {"unknown": True, "expected": False}}, "-"),
        ({"exit": None}, "-"),
        ({"restarted_s": 601.0}, "-"),
        ({"restarted_s": None}, "-"),
        ({"detail": "outdated (cmd)"}, "outdated (cmd)"),
        ({"description": "the web"}, "the web"),
    ],
)
def test_what_was_restarted_lately_says_why(fields: dict[str, Any], said: str) -> None:
    flap = process("flap", restarts=2, **{"restarted_s": 5.0, "exit": {"code": 3, "expected": False}, **fields})
    assert status_table([flap], Look()).splitlines()[1].split("  ")[-1].strip() == said
