"""What a daemon may set, what it takes itself for the length of a spawn, and what the kernel will refuse."""

from __future__ import annotations

from typing import Any

import pytest

from taskmaster_common.config import MayUse, ProgramConfig
from taskmaster_common.config.limits import RLIMITS, UNLIMITED, Rlimit
from taskmaster_common.config.program import RunAs
from taskmasterd.core.limits import (
    PUT_BACK,
    Can,
    changed_rlimits,
    impossible,
    needs_fork,
    oom_around,
    refused,
    rlimit_around,
)

OWN = {"nofile": (1024, 4096), "core": (0, UNLIMITED), "nice": (0, 0)}
ORDINARY = Can(1000, resource=False, nicer=False, rlimits=OWN, nice=0, cpus=(0, 1), oom_score_adj=0, files=1_048_576)
ROOT = ORDINARY.replace(uid=0, resource=True, nicer=True)


def reasons(can: Can = ORDINARY, **keys: Any) -> list[tuple[str, str]]:
    return list(impossible(MayUse(**keys), can))


# -- at a spawn


@pytest.mark.parametrize("name", RLIMITS)
def test_only_limits_that_hinder_no_spawn_are_taken_by_the_daemon_and_only_where_it_can_put_them_back(
    name: str,
) -> None:
    soft, both = Rlimit(name, 1, None), Rlimit(name, 1, 1)
    assert rlimit_around(soft, ORDINARY) == rlimit_around(both, ROOT) == (name in PUT_BACK)
    assert not rlimit_around(both, ORDINARY), "a hard limit does not come back"
    assert PUT_BACK.isdisjoint(("as", "data", "stack", "nproc", "cpu", "rttime"))


def test_a_score_below_the_daemons_own_is_set_by_a_child_of_an_ordinary_user() -> None:
    assert [oom_around(score, ORDINARY) for score in (0, 500, -1)] == [True, True, False]
    assert oom_around(-1, ROOT)


def test_the_keys_that_force_a_fork_are_named_as_this_daemon_has_to_fork_for_them() -> None:
    rows = ("nofile 64 64", "core 0 -", "nproc 9 -")
    program = ProgramConfig(
        "web",
        ("run",),
        env={"A": "b", "KEY": {"file": "key"}},
        env_file=("web.env",),
        sockets=("http 127.0.0.1:80",),
        ready={"fd": 3},
        may_use=MayUse(rlimits=rows, nice=5, cpu_affinity=(0,), oom_score_adj=-5, limits=("memory 100",)),
        run_as=RunAs(user="www"),
    )
    ours = ["limits", "env_file", "env.KEY", "sockets", "ready"]
    assert list(needs_fork(program, ROOT, grouped=True)) == ["rlimits.nproc", *ours, "user"]
    ordinary = ["rlimits.nofile", "rlimits.nproc", "nice", "oom_score_adj"]
    assert list(needs_fork(program, ORDINARY, grouped=True)) == [*ordinary, *ours], "another user is refused"
    assert list(needs_fork(program, ORDINARY, grouped=False)) == [*ordinary, *ours[1:]], (
        "without a group, none is joined"
    )
    assert list(needs_fork(ProgramConfig("web", ("run",)), ORDINARY, grouped=True)) == []


# -- what cannot be set


@pytest.mark.parametrize(
    ("can", "row", "reason"),
    [
        (ORDINARY, "nofile 512 512", ""),
        (ORDINARY, "nofile 4096 4096", ""),
        (ORDINARY, "core unlimited -", ""),
        (ORDINARY, "as 1 1", ""),
        (
            ORDINARY,
            "nofile 65536 65536",
            "cannot set rlimits.nofile to 65536: the hard limit is 4096 and the daemon runs as uid 1000",
        ),
        (
            ROOT.replace(resource=False),
            "nofile 65536 65536",
            "cannot set rlimits.nofile to 65536: the hard limit is 4096 and the daemon runs as uid 0 without CAP_SYS_RESOURCE",
        ),
        (ROOT, "nofile 65536 65536", ""),
        (ROOT, "nofile 5000 -", "cannot set rlimits.nofile to 5000, hard untouched: the hard limit is 4096"),
        (
            ROOT,
            "nofile 1048577 1048577",
            "cannot set rlimits.nofile to 1048577: the most of this kernel is 1048576 (fs.nr_open)",
        ),
    ],
)
def test_why_a_limit_cannot_be_set(can: Can, row: str, reason: str) -> None:
    assert [text for _key, text in reasons(can, rlimits=(row,))] == ([reason] if reason else [])


def test_what_else_cannot_be_set() -> None:
    assert reasons(nice=5, cpu_affinity=(0, 1), oom_score_adj=500) == []
    assert [key for key, _ in reasons(nice=-1, cpu_affinity=(1, 9), oom_score_adj=-1)] == [
        "nice",
        "cpu_affinity",
        "oom_score_adj",
    ]
    assert reasons(ROOT, nice=-20, oom_score_adj=-1000) == []
    assert reasons(cpu_affinity=(1, 9)) == [("cpu_affinity", "cannot set cpu_affinity to 1,9: the daemon may use 0-1")]
    allowed = ORDINARY.replace(rlimits={**OWN, "nice": (25, 25)})
    assert reasons(allowed, nice=-5) == []
    assert reasons(allowed, nice=-6)


# -- while it runs


def test_what_was_taken_out_gets_the_daemons_own_again() -> None:
    before, wanted = MayUse(rlimits=("as 9 9", "core 5 5", "nofile 512 512")), MayUse(rlimits=("core 5 5", "rss 1 1"))
    assert changed_rlimits(before, wanted, ORDINARY) == [Rlimit("rss", 1, 1), Rlimit("nofile", 1024, 4096)]


@pytest.mark.parametrize(
    ("before", "wanted", "late"),
    [
        ({"rlimits": ("nofile 512 512",)}, {"rlimits": ("nofile 256 256",)}, []),
        ({"rlimits": ("nofile 512 512",)}, {"rlimits": ("nofile 513 513",)}, ["rlimits"]),
        ({"rlimits": ("nofile 512 512",)}, {}, ["rlimits"]),
        ({"rlimits": ("nofile 512 -",)}, {"rlimits": ("nofile 4096 -",)}, []),
        ({"rlimits": ("nofile 512 -",)}, {"rlimits": ("nofile 4097 -",)}, ["rlimits"]),
        ({}, {"nice": 5, "oom_score_adj": 5, "cpu_affinity": (1,)}, []),
        ({"nice": 5, "oom_score_adj": 5, "cpu_affinity": (1,)}, {}, ["nice"]),
        ({"nice": 5}, {"nice": 4}, ["nice"]),
        ({"oom_score_adj": 500}, {"oom_score_adj": 0}, []),
        ({"oom_score_adj": 500}, {"oom_score_adj": -1}, ["oom_score_adj"]),
    ],
)
def test_an_ordinary_user_only_lowers_what_runs(
    before: dict[str, Any], wanted: dict[str, Any], late: list[str]
) -> None:
    assert list(refused(MayUse(**before), MayUse(**wanted), ORDINARY)) == late
    untouched = "4097 -" in str(wanted)
    assert refused(MayUse(**before), MayUse(**wanted), ROOT) == (("rlimits",) if untouched else ())
