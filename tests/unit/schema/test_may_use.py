"""`rlimits`, `nice`, `cpu_affinity` and `oom_score_adj` in a configuration."""

from __future__ import annotations

from typing import Any

import pytest

from taskmaster_common.config import MayUse
from taskmaster_common.config.limits import rlimit_of, written_limits, written_rlimits
from taskmaster_common.config.written import in_one_line
from taskmasterd.core.words.settings import settings_view
from tests.support.host import load, problems, program, program_problems


@pytest.mark.parametrize(
    ("written", "row"),
    [
        ("nofile: 512", "nofile 512 512"),
        ("nofile: [512, 1024]", "nofile 512 1024"),
        ("core: [0, null]", "core 0 -"),
        ("core: unlimited", "core unlimited unlimited"),
        ("as: 64MB", "as 64000000 64000000"),
        ("stack: 8MiB", "stack 8388608 8388608"),
        ("cpu: 1m30s", "cpu 90 90"),
        ("rttime: [500ms, null]", "rttime 500000 -"),
    ],
)
def test_a_limit_is_one_value_or_two_in_the_unit_of_its_kind(written: str, row: str) -> None:
    rows = program(f"rlimits: {{{written}}}").may_use.rlimits
    assert rows == (row,)
    again = program(f"rlimits: {written_rlimits(rows)}".replace("None", "null").replace("'", '"')).may_use.rlimits
    assert again == rows
    assert rlimit_of(row).row() == row


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("nofile: unlimited", "programs that close all descriptors at their start then take minutes; write a number"),
        ("nofile: [512, unlimited]", "write a number, such as 65536"),
        ("nofile: -1", 'nofile: "-1" is neither a whole number nor unlimited'),
        ("nofile: [1024, 512]", "nofile: the soft limit is above the hard one"),
        ("core: [unlimited, 5]", "core: the soft limit is above the hard one"),
        ("nofile: [1, 2, 3]", "a list of two: [soft, hard]"),
        ("as: 64M", "could mean two sizes"),
        ("cpu: 0.5", "no whole number of seconds"),
        ("rttime: 5s", "taskmasterd marks the processes of a program by the hard limit of rttime; write [5s, null]"),
        ("nofiles: 5", 'unknown limit "nofiles"; did you mean nofile?'),
        ("LimitNOFILE: 5", "did you mean nofile?"),
        ("open_files: 5", "did you mean nofile?"),
    ],
)
def test_a_wrong_limit_is_refused_with_the_reason(written: str, reason: str) -> None:
    (found,) = program_problems(f"rlimits: {{{written}}}")
    assert reason in found


def test_limits_of_defaults_and_of_a_program_are_merged_name_by_name() -> None:
    text = "defaults: {rlimits: {nofile: 100, core: 0}}\nprograms: {a: {cmd: x, rlimits: {nofile: 200}}, b: {cmd: x}}"
    a, b = load(text).config.programs
    assert a.may_use.rlimits == ("core 0 0", "nofile 200 200")
    assert b.may_use.rlimits == ("core 0 0", "nofile 100 100")


@pytest.mark.parametrize(
    ("written", "cpus"),
    [("0", (0,)), ('"0-3,8"', (0, 1, 2, 3, 8)), ("[0, 2-3]", (0, 2, 3)), ('"3,1,1"', (1, 3))],
)
def test_processors_are_runs_or_a_list(written: str, cpus: tuple[int, ...]) -> None:
    assert program(f"cpu_affinity: {written}").may_use.cpu_affinity == cpus


@pytest.mark.parametrize("written", ["all", "[]", '"3-1"', "-1", '"0-99999"', '"8192"', "0x3"])
def test_what_is_no_list_of_processors_is_refused(written: str) -> None:
    assert len(program_problems(f"cpu_affinity: {written}")) == 1


def test_nice_and_the_score_have_the_bounds_of_the_kernel() -> None:
    found = program("nice: -20\noom_score_adj: 1000").may_use
    assert found == MayUse(nice=-20, oom_score_adj=1000)
    for text in ("nice: -21", "nice: 20", "oom_score_adj: -1001", "oom_score_adj: 1001"):
        assert "is not between" in program_problems(text)[0]


def test_the_settings_of_a_program_are_as_one_writes_them() -> None:
    shown = settings_view(program('rlimits: {as: 64MB, nofile: [5, null]}\ncpu_affinity: "0-3"'), {}, values=False)
    assert (shown["rlimits"], shown["cpu_affinity"]) == ({"as": "64MB", "nofile": [5, None]}, "0-3")
    assert (shown["nice"], shown["oom_score_adj"]) == (None, None)
    plain = settings_view(program(""), {}, values=False)
    assert (plain["rlimits"], plain["cpu_affinity"]) == (None, None)


# -- control groups


@pytest.mark.parametrize(
    ("written", "row"),
    [
        ("memory: 512MB", "memory 512000000"),
        ("memory_high: 1GiB", "memory_high 1073741824"),
        ("swap: 0", "swap 0"),
        ("cpu: 1.5", "cpu 1.5"),
        ("cpu: 150%", "cpu 1.5"),
        ("cpu: 2", "cpu 2"),
        ("cpu_weight: 50", "cpu_weight 50"),
        ("tasks: 200", "tasks 200"),
        ("oom: group", "oom group"),
        ("required: true", "required true"),
    ],
)
def test_a_limit_of_a_group_is_written_as_people_write_it(written: str, row: str) -> None:
    rows = program(f"limits: {{{written}}}").may_use.limits
    assert rows == (row,)
    again = written_limits(rows)
    assert program(f"limits: {in_one_line(again)}").may_use.limits == rows


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("memory: 0", "a program without memory cannot run"),
        ("memory: 1G", "could mean two sizes"),
        ("cpu: 0", "is not between 0.01 and"),
        ("cpu: fast", "is no number of processors such as 1.5 or 150%"),
        ("cpu_weight: 10001", "is not between 1 and 10000"),
        ("tasks: 0", "is no number of processes, 1 or more"),
        ("oom: all", "is not one of process, group"),
        ("pids: 5", "did you mean tasks?"),
        ("mem: 5MB", "did you mean memory?"),
    ],
)
def test_a_wrong_limit_of_a_group_is_refused(written: str, reason: str) -> None:
    (found,) = program_problems(f"limits: {{{written}}}")
    assert reason in found


def test_a_limit_that_is_required_of_nothing_is_none() -> None:
    assert program("limits: {required: false}").may_use == program("").may_use
    assert program("cgroup: true").may_use.cgroup is True


def test_what_goes_badly_together_is_said() -> None:
    (found,) = problems("programs: {a: {cmd: x, cgroup: false, limits: {memory: 5MB}}}")
    assert "limits are those of a control group; remove cgroup: false" in found
    (found,) = warnings("programs: {a: {cmd: x, limits: {memory_high: 5MB}}}")
    assert "memory_high alone slows the program down for ever and ends nothing; add memory" in found
    (found,) = warnings("programs: {a: {cmd: x, nice: 5, limits: {cpu_weight: 5}}}")
    assert "use cpu_weight" in found


def test_a_root_that_the_daemon_may_not_write_is_an_error_but_at_its_start() -> None:
    text = "taskmasterd: {cgroup_root: /x}\nprograms: {}"
    (found,) = problems(text, cgroup_problem=lambda path, uid: f"{path} and {uid}")
    assert "taskmasterd.cgroup_root: /x and 0" in found
    assert len(warnings(text, cgroup_problem=lambda path, _uid: path, lenient_users=True)) == 1


# -- what the host says


def warnings(text: str, **changes: Any) -> tuple[str, ...]:
    return load(text, **changes).warnings


def refusals(*rows: tuple[str, str]) -> dict[str, Any]:
    return {"limit_refusals": lambda _may, _uid, _root: rows}


def test_a_value_that_the_daemon_cannot_give_is_a_warning_and_a_missing_processor_an_error() -> None:
    text = "programs: {a: {cmd: x, nice: -5, cpu_affinity: 99}}"
    (found,) = warnings(text, **refusals(("nice", "cannot set nice to -5: why")))
    assert "programs.a.nice: cannot set nice to -5: why" in found
    (found,) = problems(text, **refusals(("cpu_affinity", "there is no 99")))
    assert "programs.a.cpu_affinity: there is no 99" in found
    (found,) = warnings(text, lenient_users=True, **refusals(("cpu_affinity", "there is no 99")))
    assert "there is no 99" in found, "at the daemon's start that program alone fails"


def test_the_daemons_user_is_who_gives_it() -> None:
    asked: list[int] = []

    def refused(_may: MayUse, uid: int, _root: str | None) -> tuple[tuple[str, str], ...]:
        asked.append(uid)
        return ()

    load("taskmasterd: {user: www}\nprograms: {a: {cmd: x, nice: 5}, b: {cmd: x}}", limit_refusals=refused)
    assert asked == [33], "nobody asks for a program that says nothing"


def test_nproc_counts_something_else_than_one_thinks() -> None:
    (found,) = warnings("programs: {a: {cmd: x, rlimits: {nproc: 5}}}")
    assert "nproc counts all processes of the user" in found


def test_a_daemon_that_the_kernel_spares_says_which_programs_it_spares_too() -> None:
    text = "programs: {a: {cmd: x}, b: {cmd: x, oom_score_adj: 0}, c: {cmd: x}}"
    (found,) = warnings(text, own_score=lambda: -900)
    assert "the daemon's own is -900, and " in found
    assert '"a", "c" without the key inherit it' in found
    assert warnings(text) == ()
    assert warnings("defaults: {oom_score_adj: 0}\n" + text, own_score=lambda: -900) == ()
