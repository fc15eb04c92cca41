"""The local image of the process table: complete after a snapshot, true after each change."""

from __future__ import annotations

import pytest

from taskmasterctl.reply.mirror import Mirror, unexpected
from tests.support.fakedaemon import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

DAEMON = {"type": "daemon", "version": "9.9", "pid": 4711, "uptime_s": 60.0}


def snapshot(*names: str, sequence: int = 0) -> list[dict[str, Any]]:
    processes = [process(name) for name in names]
    return [DAEMON, {"type": "snapshot", "sequence": sequence, "count": len(names)}] + [
        {"type": "processes", "processes": [each]} for each in processes
    ]


def change(name: str, before: str, state: str, *, removed: bool = False, **fields: Any) -> dict[str, Any]:
    view = process(name, state, **fields)
    return {
        "type": "change", "sequence": 1, "name": name, "before": before, "state": state, "process": view,
        "reason": "", "removed": removed,
    }  # fmt: skip


def filled(*names: str) -> Mirror:
    mirror = Mirror()
    for message in snapshot(*names):
        mirror.take(message, 100.0)
    return mirror


def names(mirror: Mirror) -> list[str]:
    return [each["name"] for each in mirror]


def test_it_is_known_when_the_whole_snapshot_has_come_and_not_before() -> None:
    mirror = Mirror()
    *first, last = snapshot("web:0", "web:1", "db")
    assert [mirror.take(message, 0.0) for message in first] == [False] * len(first)
    seen = [mirror.known, mirror.take(last, 0.0), mirror.known]
    assert seen == [False, True, True]
    assert names(mirror) == ["web:0", "web:1", "db"]


def test_a_snapshot_of_nothing_is_complete_at_once() -> None:
    mirror = Mirror()
    assert [mirror.take(message, 0.0) for message in snapshot()] == [False, True]
    assert (mirror.known, len(mirror)) == (True, 0)


def test_a_later_snapshot_replaces_everything_at_once() -> None:
    mirror = filled("web", "db")
    *first, last = snapshot("cron", "web")
    for message in first:
        mirror.take(message, 0.0)
    assert names(mirror) == ["web", "db"]
    mirror.take(last, 0.0)
    assert names(mirror) == ["cron", "web"]


def test_a_change_replaces_its_process_and_keeps_the_order() -> None:
    mirror = filled("web", "db", "cron")
    assert mirror.take(change("db", "RUNNING", "FATAL"), 0.0)
    assert [(each["name"], each["state"]) for each in mirror] == [
        ("web", "RUNNING"),
        ("db", "FATAL"),
        ("cron", "RUNNING"),
    ]


def test_what_is_removed_is_gone_and_a_second_time_is_no_error() -> None:
    mirror = filled("web", "db")
    for _ in range(2):
        mirror.take(change("web", "STOPPING", "STOPPED", removed=True), 0.0)
    assert names(mirror) == ["db"]


def test_a_process_is_the_same_under_another_shown_name() -> None:
    mirror = filled("web:0", "web:1")
    mirror.take(change("web:1", "STOPPING", "STOPPED", removed=True), 0.0)
    mirror.take(change("web", "RUNNING", "RUNNING"), 0.0)
    assert names(mirror) == ["web"]


def test_uptimes_grow_with_the_clock() -> None:
    mirror = filled("web", "db")
    mirror.take(change("db", "STARTING", "RUNNING", uptime_s=1.0), 150.0)
    assert [row["uptime_s"] for row in mirror.table(160.0)] == [780.5, 11.0]
    assert mirror.daemon_uptime_s(160.0) == 120.0
    mirror.take(change("db", "RUNNING", "FATAL"), 170.0)
    assert mirror.table(180.0)[1]["uptime_s"] is None


def test_counts_are_of_running_ones_and_of_each_other_state() -> None:
    mirror = filled("a", "b", "c", "d")
    mirror.take(change("b", "RUNNING", "FATAL"), 0.0)
    mirror.take(change("c", "RUNNING", "BACKOFF"), 0.0)
    mirror.take(change("d", "RUNNING", "STOPPED"), 0.0)
    assert mirror.counts() == (1, [("BACKOFF", 1), ("FATAL", 1), ("STOPPED", 1)])


def test_objects_that_it_does_not_know_change_nothing() -> None:
    mirror = filled("web")
    assert not mirror.take({"type": "weather", "processes": []}, 0.0)
    assert not mirror.take({"type": "missed", "changes": 3}, 0.0)
    assert names(mirror) == ["web"]


CRASH = {"after_s": 1.0, "expected": False, "core": False, "code": 3}
FINE = {"after_s": 1.0, "expected": True, "core": False, "code": 0}


@pytest.mark.parametrize(
    ("before", "state", "fields", "told"),
    [
        ("RUNNING", "BACKOFF", {"exit": CRASH}, True),
        ("STARTING", "FATAL", {"exit": CRASH}, True),
        ("RUNNING", "EXITED", {"exit": CRASH}, True),
        ("RUNNING", "STARTING", {"exit": CRASH, "pid": None}, True),
        ("RUNNING", "STOPPING", {"exit": CRASH, "pid": None}, True),
        ("STARTING", "RUNNING", {"restarts": 2}, True),
        ("RUNNING", "EXITED", {"exit": FINE}, False),
        ("RUNNING", "STARTING", {"exit": FINE, "pid": None}, False),
        ("RUNNING", "STOPPING", {"pid": 12}, False),
        ("STOPPING", "STOPPED", {"exit": CRASH}, False),
        ("STOPPED", "STARTING", {}, False),
        ("STARTING", "RUNNING", {"restarts": 0}, False),
        ("STARTING", "STARTING", {"restarts": 2}, False),
    ],
)
def test_unexpected_is_what_nobody_asked_for(before: str, state: str, fields: dict[str, Any], told: bool) -> None:
    assert unexpected(change("web", before, state, **fields)) is told


@pytest.mark.parametrize(
    ("before", "before_phase", "state", "phase", "told"),
    [
        ("STARTING", "held", "BACKOFF", "blocked", True),
        ("BACKOFF", "blocked", "STARTING", "held", True),
        ("BACKOFF", "blocked", "STARTING", "", True),
        ("BACKOFF", "blocked", "STOPPED", "", False),
        ("STOPPING", "", "STARTING", "held", True),
        ("STOPPING", "", "STARTING", "", False),
        ("STOPPED", "", "STARTING", "held", False),
        ("STARTING", "held", "STARTING", "", False),
    ],
)
def test_who_is_blocked_or_waits_unasked_is_told_and_that_it_is_over(
    before: str, before_phase: str, state: str, phase: str, told: bool
) -> None:
    web = process("web", state, phase=phase)
    assert unexpected({**change("web", before, state), "process": web, "before_phase": before_phase}) is told


def test_a_removal_is_never_unexpected() -> None:
    assert not unexpected(change("web", "RUNNING", "FATAL", removed=True))
