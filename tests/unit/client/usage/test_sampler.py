"""Figures from two looks at all processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from taskmasterctl.reply.figures import WithTree, WithUsage
from taskmasterctl.usage.cgroups import Cgroups, exclusive
from taskmasterctl.usage.once import add_figures
from taskmasterctl.usage.proc import Row
from taskmasterctl.usage.sampler import COST_SHARE, Figures, Sampler, grown

Message = dict[str, Any]


def row(cpu_s: float = 0.0, parent: int = 1, session: int = 10, started: int = 1) -> Row:
    return Row(parent, session, cpu_s, started, 0, 1)


class FakeProc:
    """Processes as a test wants them."""

    least_s = 0.0

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.groups: dict[int, str] = {}
        self.fds: dict[int, int] = {}
        self.bytes: dict[int, int] = {}

    def everybody(self) -> dict[int, Row]:
        return self.rows

    def memory(self, pid: int, _row: Row) -> int:
        return pid * 100

    def descriptors(self, pid: int) -> int | None:
        return self.fds.get(pid)

    def storage(self, pid: int) -> int | None:
        return self.bytes.get(pid)

    def command(self, pid: int) -> str:
        return str(pid)

    def cgroup(self, pid: int) -> str:
        return self.groups.get(pid, "")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Rig:
    """A sampler of one leader, 10, and what it is shown."""

    def __init__(self, cgroups: Cgroups | None = None) -> None:
        self.source, self.clock = FakeProc(), Clock()
        self.sampler = Sampler(self.source, cgroups or Cgroups("/nonexistent"), self.clock)

    def look(self, rows: dict[int, Row], *, after_s: float = 1.0, more: bool = False) -> Figures | None:
        self.clock.now += after_s
        self.source.rows = rows
        return self.sampler.sample([10], 5, more=more).get(10)


def percent(*looks: dict[int, Row]) -> float | None:
    """Return the processor of the last of these looks, one a second."""
    rig = Rig()
    found = [rig.look(each) for each in looks][-1]
    assert found is not None
    return None if found.cpu_percent is None else round(found.cpu_percent, 6)


def test_the_first_look_knows_memory_and_no_share_of_a_core() -> None:
    found = Rig().look({10: row(5.0), 11: row(1.0, parent=10)})
    assert found is not None
    assert (found.cpu_percent, found.cpu_s, found.memory, found.processes) == (None, 6.0, 2100, 2)


def test_a_core_is_100_for_all_processes_of_a_leader_together() -> None:
    assert percent({10: row(5.0), 11: row(1.0, 10)}, {10: row(5.5), 11: row(2.0, 10)}) == 150.0


def test_a_child_that_was_reaped_gives_its_time_to_its_parent_once() -> None:
    assert percent({10: row(5.0), 11: row(9.0, 10)}, {10: row(14.5)}) == 50.0


def test_an_orphan_that_somebody_else_reaps_takes_nothing_away() -> None:
    assert percent({10: row(5.0), 11: row(9.0, parent=1)}, {10: row(5.25)}) == 25.0


def test_a_whole_branch_that_ended_gave_its_time_to_the_living_above_it() -> None:
    assert percent({10: row(1.0), 11: row(2.0, 10), 12: row(3.0, 11)}, {10: row(6.5)}) == 50.0


def test_time_of_children_that_nobody_waits_for_is_lost_and_never_counts_below_nothing() -> None:
    assert percent({10: row(1.0), 11: row(2.0, 10)}, {10: row(1.0)}) == 0.0


def test_a_new_process_counts_with_all_its_time_and_another_one_with_an_old_pid_as_well() -> None:
    assert percent({10: row(1.0)}, {10: row(1.0), 11: row(0.5, 10)}) == 50.0
    assert grown({10: row(1.0), 11: row(3.0, 1, started=1)}, {10: row(1.0), 11: row(0.5, 1, started=2)}) == 0.5


def test_another_leader_with_the_same_pid_begins_anew() -> None:
    rig = Rig()
    rig.look({10: row(5.0)})
    found = rig.look({10: row(1.0, started=2)})
    assert found is not None
    assert found.cpu_percent is None


def test_processor_time_since_the_start_never_falls_while_one_looks() -> None:
    rig = Rig()
    used = []
    for rows in ({10: row(1.0), 11: row(9.0, parent=1)}, {10: row(2.0)}, {10: row(2.5)}):
        found = rig.look(rows)
        assert found is not None
        used.append(found.cpu_s)
    assert used == [10.0, 11.0, 11.5]


def test_a_leader_that_cannot_be_seen_has_no_figures() -> None:
    assert Rig().look({11: row()}) is None


def test_descriptors_and_storage_come_on_request_and_one_refusal_makes_the_sum_unknown() -> None:
    rig = Rig()
    rows = {10: row(), 11: row(parent=10)}
    assert (found := rig.look(rows)) is not None
    assert (found.descriptors, found.io) == (None, None)
    rig.source.fds, rig.source.bytes = {10: 3, 11: 4}, {10: 1000, 11: 0}
    rig.look(rows, more=True)
    rig.source.bytes = {10: 1500, 11: 500}
    assert (found := rig.look(rows, after_s=2.0, more=True)) is not None
    assert (found.descriptors, found.io) == (7, 500.0)
    del rig.source.fds[11]
    assert (found := rig.look(rows, more=True)) is not None
    assert found.descriptors is None


def test_the_pause_grows_with_what_a_sample_costs() -> None:
    rig = Rig()
    rig.sampler.cost_s = 0.5
    assert rig.sampler.pause_s(1.0) == 0.5 * COST_SHARE
    rig.sampler.cost_s = 0.01
    assert rig.sampler.pause_s(1.0) == 1.0
    rig.source.least_s = 2.0
    assert rig.sampler.pause_s(1.0) == 2.0


# -- control groups


def hierarchy(root: Path, **files: str) -> Cgroups:
    """Write a hierarchy with the group /own."""
    (root / "own" / "below").mkdir(parents=True, exist_ok=True)
    (root / "cgroup.controllers").touch()
    for name, text in files.items():
        (root / "own" / name.replace("_", ".")).write_text(text)
    return Cgroups(str(root))


def test_with_a_group_of_its_own_the_kernel_counts(tmp_path: Path) -> None:
    files = {"memory.stat": "anon 1000\nfile 77\n", "memory.swap.current": "24\n", "cgroup.procs": "10\n11\n"}
    rig = Rig(hierarchy(tmp_path, **files, **{"cpu.stat": "usage_usec 3000000\nuser_usec 1\n"}))
    (tmp_path / "own" / "below" / "cgroup.procs").write_text("12\n")
    rig.source.groups = {10: "/own", 5: "/"}
    rows = {10: row(9.0), 11: row(9.0, 1, 11), 12: row(9.0, 1, 12)}
    rig.look(rows)
    (tmp_path / "own" / "cpu.stat").write_text("usage_usec 3250000\n")
    assert (found := rig.look(rows)) is not None
    assert (found.memory, found.processes, found.cpu_s) == (1024, 3, 3.25)
    assert found.cpu_percent == 25.0


def test_a_group_that_counts_nothing_leaves_it_to_the_processes(tmp_path: Path) -> None:
    rig = Rig(hierarchy(tmp_path))
    rig.source.groups = {10: "/own"}
    assert (found := rig.look({10: row(2.0)})) is not None
    assert (found.memory, found.cpu_s) == (1000, 2.0)


def test_a_group_is_a_program_s_own_only_if_nobody_else_is_in_it_or_below_it() -> None:
    assert exclusive({1: "/a", 2: "/b"}, "/d") == {1: "/a", 2: "/b"}
    assert exclusive({1: "/a", 2: "/a"}, "/d") == {}
    assert exclusive({1: "/a", 2: "/a/b"}, "/d") == {2: "/a/b"}
    assert exclusive({1: "/d", 2: "/", 3: "", 4: "/x"}, "/d") == {4: "/x"}
    assert exclusive({1: "/d"}, "/d/daemon") == {}
    assert exclusive({1: "/d", 2: "/dx"}, "/e") == {1: "/d", 2: "/dx"}


# -- into the objects of the wire


def test_figures_go_into_the_objects_and_unknown_ones_are_null() -> None:
    process: Message = {"pid": 10}
    add_figures(process, {10: Figures(12.345, 1.0, 500)})
    assert (process["cpu_percent"], process["memory_bytes"]) == (12.3, 500)
    for unknown in ({"pid": 11}, {"pid": None}):
        add_figures(unknown, {10: Figures(1.0, 1.0, 1)})
        assert (unknown["cpu_percent"], unknown["memory_bytes"]) == (None, None)


class Noted:
    def __init__(self) -> None:
        self.messages: list[Message] = []

    def take(self, message: Message) -> list[tuple[int, str]]:
        self.messages.append(message)
        return [(1, message["type"])]


def test_processes_are_held_until_all_are_there_and_are_measured_once() -> None:
    noted, measured = Noted(), []
    reply = WithUsage(noted, lambda processes, daemon: measured.append((len(processes), daemon)))
    shown = [reply.take(each) for each in (
        {"type": "daemon", "pid": 4}, {"type": "processes", "processes": [{}]}, {"type": "processes", "processes": [{}, {}]},
        {"type": "end", "exit": 0},
    )]  # fmt: skip
    assert measured == [(3, 4)]
    assert [[text for _, text in each] for each in shown] == [["daemon"], [], [], ["processes", "processes", "end"]]


def test_an_answer_without_processes_is_measured_by_nobody() -> None:
    noted: Noted = Noted()
    WithUsage(noted, lambda *_: 1 / 0).take({"type": "end", "exit": 4})
    assert noted.messages == [{"type": "end", "exit": 4}]


def test_a_program_gets_the_tree_of_what_runs_of_it() -> None:
    noted = Noted()
    reply = WithTree(noted, lambda leaders: [{"pid": pid} for pid in leaders])
    reply.take({"type": "program", "processes": [{"pid": 7}, {"pid": None}]})
    assert noted.messages[0]["tree"] == [{"pid": 7}]
