"""Where control groups may be, what of `limits` is in force there, and what is written into which file."""

from __future__ import annotations

from typing import Any

import pytest

from taskmaster_common.config import MayUse
from taskmasterd.core.cgroups import (
    CgroupFacts,
    CgroupRoot,
    changes,
    choose,
    contents,
    equals,
    is_required,
    lacking,
    shown,
    wants_group,
)

HOST = CgroupFacts(
    uid=0,
    pid=71,
    mount="/sys/fs/cgroup",
    own="/sys/fs/cgroup/system.slice/tm.service",
    configured="",
    delegated=False,
    booted=False,
    read_only=False,
    writable=True,
    name="taskmaster-1",
)
ALL = ("memory 512000000", "memory_high 400000000", "swap 0", "cpu 1.5", "cpu_weight 50", "tasks 200", "oom group")


@pytest.mark.parametrize(
    ("facts", "root"),
    [
        ({"delegated": True, "booted": True}, ("/sys/fs/cgroup/system.slice/tm.service", True, False)),
        (
            {"delegated": True, "booted": True, "own": "/sys/fs/cgroup/system.slice/tm.service/supervisor"},
            ("/sys/fs/cgroup/system.slice/tm.service", True, False),
        ),
        ({"booted": True}, "not delegated: add Delegate=yes to the unit"),
        ({}, ("/sys/fs/cgroup/taskmaster-1", False, True)),
        ({"mount": "/sys/fs/cgroup/unified"}, ("/sys/fs/cgroup/unified/taskmaster-1", False, True)),
        ({"mount": ""}, "this system has no cgroup v2"),
        ({"read_only": True, "writable": False}, "read-only file system; the container's own limits hold"),
        ({"pid": 1}, ("/sys/fs/cgroup", True, False)),
        ({"uid": 1000, "writable": False}, "the daemon (uid 1000) may not write /sys/fs/cgroup"),
        ({"configured": "/sys/fs/cgroup/x", "booted": True}, ("/sys/fs/cgroup/x", False, False)),
        (
            {"configured": "/tmp", "writable": False, "uid": 5},
            "/tmp is no cgroup v2 that uid 5 may write",
        ),
    ],
)
def test_groups_are_below_one_that_is_ours_or_nowhere(
    facts: dict[str, Any], root: str | tuple[str, bool, bool]
) -> None:
    found = choose(HOST.replace(**facts))
    if isinstance(root, str):
        assert (found.path, found.reason) == ("", root)
    else:
        assert (found.path, found.moved, found.ours) == root


def test_each_limit_has_its_file() -> None:
    assert [(file, content) for _name, file, content in contents(MayUse(limits=ALL))] == [
        ("memory.max", "512000000"),
        ("memory.high", "400000000"),
        ("memory.swap.max", "0"),
        ("memory.oom.group", "1"),
        ("cpu.max", "150000 100000"),
        ("cpu.weight", "50"),
        ("pids.max", "200"),
    ]
    assert list(contents(MayUse(limits=("oom process",)))) == [("oom", "memory.oom.group", "0")]


def test_a_reload_writes_what_has_changed_and_takes_away_what_is_gone() -> None:
    before, wanted = MayUse(limits=("memory 5", "cpu 1", "tasks 7")), MayUse(limits=("memory 6", "tasks 7"))
    assert list(changes(before, wanted)) == [("memory", "memory.max", "6"), ("cpu", "cpu.max", "max 100000")]


def test_what_is_not_in_force_is_said_with_the_reason() -> None:
    root, may_use = CgroupRoot("/sys/fs/cgroup/x"), MayUse(limits=("memory 5", "memory_high 4", "cpu 1", "tasks 7"))
    assert lacking(may_use, root, {}) == ""
    assert lacking(may_use, root, {"cpu": "cpu is not delegated"}) == "limits.cpu not in force: cpu is not delegated"
    nowhere = CgroupRoot(reason="why")
    assert lacking(may_use, nowhere, {}) == (
        "limits.memory, limits.memory_high, limits.cpu, limits.tasks not in force: why"
    )
    assert lacking(MayUse(cgroup=True), nowhere, {}) == "cgroup not in force: why"
    assert lacking(MayUse(), nowhere, {}) == ""


def test_a_program_has_a_group_if_it_asks_for_one_or_has_limits() -> None:
    asks = [MayUse(cgroup=True), MayUse(limits=("memory 5",))]
    assert [wants_group(each) for each in (*asks, MayUse(), MayUse(cgroup=False))] == [True, True, False, False]
    assert is_required(MayUse(limits=("memory 5", "required true")))
    assert not is_required(asks[1])


def test_what_a_file_has_is_shown_as_one_writes_it() -> None:
    rows = [
        ("memory", "512000000"),
        ("memory", "max"),
        ("cpu", "150000 100000"),
        ("oom", "1"),
        ("oom", "0"),
        ("tasks", "7"),
    ]
    assert [shown(*row) for row in rows] == ["512MB", "max", "1.5", "group", "process", "7"]
    assert equals("499998720", "500000000"), "the kernel counts pages"
    assert not equals("500000001", "500000000")
    assert not equals("max", "500000000")
    assert equals("150000 100000", "150000 100000")
