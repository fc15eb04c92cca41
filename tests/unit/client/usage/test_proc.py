"""What /proc shows of all processes, from a directory that stands in its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from taskmasterctl.usage.proc import PAGE, PSS_AGE, TICKS_PER_S, ProcSource, Row, in_order, members


def write(root: Path, pid: int, **files: str) -> None:
    """Write files of a process."""
    directory = root / str(pid)
    directory.mkdir(exist_ok=True)
    for name, text in files.items():
        (directory / name).write_text(text)


def stat(pid: int, parent: int = 1, session: int = 1, name: str = "sleep", rss: int = 10, threads: int = 1) -> str:
    """Return a line of stat; the times are 10, 20, 30 and 40 ticks."""
    return (
        f"{pid} ({name}) S {parent} {session} {session} 0 -1 0 1 2 3 4 10 20 30 40 20 0 {threads} 0 777 9 {rss} 0 0\n"
    )


def row(parent: int = 1, session: int = 1, cpu_s: float = 0.0, started: int = 1, rss: int = 0) -> Row:
    return Row(parent, session, cpu_s, started, rss, 1)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "self").mkdir()
    (tmp_path / "meminfo").write_text("no process\n")
    return tmp_path


def test_a_process_is_read_whatever_its_name_is(root: Path) -> None:
    write(root, 7, stat=stat(7, parent=3, session=5, name=") R 1 (x y", rss=4, threads=2))
    (found,) = ProcSource(str(root)).everybody().items()
    assert found[0] == 7
    assert (found[1].parent, found[1].session, found[1].started) == (3, 5, 777)
    assert (found[1].cpu_s, found[1].rss, found[1].threads) == (100 / TICKS_PER_S, 4 * PAGE, 2)


def test_what_ends_while_one_looks_or_is_refused_is_left_out(root: Path) -> None:
    write(root, 7)
    write(root, 8, stat="")
    write(root, 9, stat="9 (cut")
    assert ProcSource(str(root)).everybody() == {}


def test_memory_is_the_proportional_share_or_what_is_shared_with_no_file(root: Path) -> None:
    source = ProcSource(str(root))
    write(root, 7, smaps_rollup="55 ---p [rollup]\nRss:     99 kB\nPss:     12 kB\nPss_Anon: 3 kB\n")
    write(root, 8, statm="100 50 20 0 0 0 0\n")
    assert source.memory(7, row()) == 12 * 1024
    assert source.memory(8, row()) == 30 * PAGE
    assert source.memory(9, row()) == 0


def test_the_share_is_read_again_only_when_the_resident_size_changes_or_it_is_old(root: Path) -> None:
    source = ProcSource(str(root))
    write(root, PSS_AGE, stat=stat(PSS_AGE), smaps_rollup="x\nPss: 1 kB\n")

    def look(rss: int) -> int:
        source.everybody()
        return source.memory(PSS_AGE, row(rss=rss))

    assert look(5) == 1024
    write(root, PSS_AGE, smaps_rollup="x\nPss: 2 kB\n")
    assert look(5) == 1024
    assert look(6) == 2048
    write(root, PSS_AGE, smaps_rollup="x\nPss: 3 kB\n")
    assert [look(6) for _ in range(PSS_AGE)][-1] == 3072


def test_another_process_with_the_same_pid_has_its_own_share(root: Path) -> None:
    source = ProcSource(str(root))
    write(root, 7, smaps_rollup="x\nPss: 1 kB\n")
    assert source.memory(7, row(started=1)) == 1024
    write(root, 7, smaps_rollup="x\nPss: 2 kB\n")
    assert source.memory(7, row(started=2)) == 2048


def test_descriptors_and_storage_are_unknown_where_they_are_refused(root: Path) -> None:
    source = ProcSource(str(root))
    write(root, 7, io="rchar: 9\nread_bytes: 100\nwrite_bytes: 20\ncancelled_write_bytes: 3\n")
    (root / "7" / "fd").mkdir()
    (root / "7" / "fd" / "0").touch()
    assert (source.descriptors(7), source.storage(7)) == (1, 120)
    assert (source.descriptors(8), source.storage(8)) == (None, None)


def test_a_command_is_its_words_or_its_name_in_brackets(root: Path) -> None:
    source = ProcSource(str(root))
    write(root, 7, cmdline="sh\0-c\0echo  a\0")
    write(root, 8, cmdline="", comm="kworker\n")
    assert (source.command(7), source.command(8), source.command(9)) == ("sh -c echo  a", "[kworker]", "")


def test_the_group_is_that_of_the_unified_hierarchy(root: Path) -> None:
    write(root, 7, cgroup="9:memory:/old\n0::/new/one\n")
    write(root, 8, cgroup="9:memory:/old\n")
    source = ProcSource(str(root))
    assert (source.cgroup(7), source.cgroup(8), source.cgroup(9)) == ("/new/one", "", "")


def test_to_a_leader_belongs_what_is_below_it_or_in_its_session_and_what_is_below_that() -> None:
    rows = {
        10: row(1, 10), 11: row(10, 10), 12: row(11, 12), 13: row(1, 10), 14: row(13, 14), 15: row(1, 15), 20: row(1, 20)
    }  # fmt: skip
    found = members(rows, {10: None, 20: None, 99: None})
    assert {leader: sorted(pids) for leader, pids in found.items()} == {10: [10, 11, 12, 13, 14], 20: [20]}
    assert found[10][0] == 10


def test_a_leader_below_another_one_is_not_its_member() -> None:
    assert members({10: row(1, 10), 20: row(10, 20), 21: row(20, 20)}, {10: None, 20: None}) == {10: [10], 20: [20, 21]}


def test_a_circle_of_parents_ends() -> None:
    assert members({10: row(11, 10), 11: row(10, 10)}, {10: None}) == {10: [10, 11]}


def test_a_tree_is_listed_from_the_top_with_what_left_its_parent_below_the_leader() -> None:
    rows = {10: row(1, 10), 13: row(10, 10), 11: row(10, 10), 12: row(11, 10), 9: row(1, 10)}
    assert in_order(10, members(rows, {10: None})[10], rows) == [10, 9, 11, 12, 13]
