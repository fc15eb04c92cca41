"""Reading logs back: last lines, a failed start's words, and following over rotations."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmaster_common.errors import SystemFailure
from taskmasterd.output.read import Follower, Past, find_lines, last_lines, tail_since
from taskmasterd.output.sink import LogSink
from taskmasterd.output.sinks import Sinks

PLENTY = 1 << 22


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def test_the_last_lines_are_read_over_rotated_files(log: Path) -> None:
    log.with_suffix(".2").write_bytes(b"1\n2\n")
    log.with_suffix(".1").write_bytes(b"3\n4\n")
    log.write_bytes(b"5\n6\n")
    assert last_lines(str(log), 2, PLENTY) == b"5\n6\n"
    assert last_lines(str(log), 3, PLENTY) == b"4\n5\n6\n"
    assert last_lines(str(log), 99, PLENTY) == b"1\n2\n3\n4\n5\n6\n"
    log.unlink()
    assert last_lines(str(log), 1, PLENTY) == b"4\n"


def test_what_is_not_finished_counts_as_a_line(log: Path) -> None:
    log.write_bytes(b"one\ntwo\nthr")
    assert last_lines(str(log), 1, PLENTY) == b"thr"
    assert last_lines(str(log), 2, PLENTY) == b"two\nthr"


def test_no_file_and_no_count_give_nothing(log: Path) -> None:
    assert last_lines(str(log), 5, PLENTY) == b""
    log.write_bytes(b"one\n")
    assert last_lines(str(log), 0, PLENTY) == b""


def test_a_bound_in_bytes_cuts_at_a_line_and_cuts_a_line_only_where_none_fits(log: Path) -> None:
    log.write_bytes(b"one\ntwo\nthree\n")
    assert last_lines(str(log), 9, 8) == b"three\n"
    assert last_lines(str(log), 9, 4) == b"ree\n"
    log.write_bytes(b"x" * 200_000)
    assert last_lines(str(log), 9, 1000) == b"x" * 1000


@given(text=st.lists(st.sampled_from([b"\n", b"a", b"\xff" * 70_000, b"line\n"]), max_size=12), count=st.integers(1, 9))
def test_the_last_lines_are_those_of_the_whole_text(
    tmp_path_factory: pytest.TempPathFactory, text: list[bytes], count: int
) -> None:
    log = tmp_path_factory.mktemp("x") / "log"
    whole = b"".join(text)
    log.write_bytes(whole)
    assert last_lines(str(log), count, PLENTY) == b"".join(whole.splitlines(keepends=True)[-count:])


def test_what_cannot_be_read_back_is_said(log: Path) -> None:
    os.mkfifo(log)
    for path in (str(log), "/dev/null", "/dev/stdout", str(log.parent)):
        for attempt in (lambda path=path: last_lines(path, 1, 1), lambda path=path: Follower(path)):
            with pytest.raises(SystemFailure, match="it is not a regular file"):
                attempt()
    assert tail_since(str(log), 0) == []


def test_the_last_words_are_only_what_was_written_since(log: Path) -> None:
    log.write_bytes(b"of before\n")
    began = log.stat().st_size
    assert tail_since(str(log), began) == []
    with log.open("ab") as file:
        file.write(b"1\n2\n3\n4\n5\n\xff6")
    assert tail_since(str(log), began) == ["2", "3", "4", "5", "\udcff6"]
    log.rename(log.with_suffix(".1"))
    log.write_bytes(b"7\n")
    assert tail_since(str(log), began) == ["2", "3", "4", "5", "\udcff67"]


class Scene:
    """A sink that rotates, as the daemon has it, and who follows it."""

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self.path = str(path)
        self.sinks = Sinks(print, None)
        self.sink: LogSink = self.sinks.acquire(self.path, max_bytes, backups, None)
        self.followers: list[Follower] = []

    def follow(self) -> Follower:
        follower = Follower(self.path, retired=lambda: self.sinks.retired(self.path))
        self.sinks.watch(self.path, lambda: None)
        self.followers.append(follower)
        return follower

    def close(self) -> None:
        self.sinks.close()
        for follower in self.followers:
            follower.close()
            follower.close()


@pytest.fixture
def scene(log: Path) -> Iterator[Scene]:
    made = Scene(log, 8, 2)
    yield made
    made.close()


def read_all(follower: Follower, most: int = 100) -> tuple[bytes, int]:
    got, missed = b"", 0
    while True:
        block, gap = follower.read(most)
        got, missed = got + block, missed + gap
        if not block:
            return got, missed


def test_a_follower_reads_what_is_added_and_only_that(scene: Scene) -> None:
    scene.sink.append(b"old")
    follower = scene.follow()
    assert follower.read(10) == (b"", 0)
    scene.sink.append(b" new")
    assert follower.read(2) == (b" n", 0)
    assert follower.read(10) == (b"ew", 0)
    assert follower.read(10) == (b"", 0)


def test_a_follower_that_keeps_up_loses_nothing_over_rotations(scene: Scene) -> None:
    follower = scene.follow()
    got = b""
    for number in range(50):
        scene.sink.append(b"%d\n" % number)
        if number % 3 == 0:
            got += read_all(follower, 3)[0]
    block, missed = read_all(follower)
    assert got + block == b"".join(b"%d\n" % number for number in range(50))
    assert missed == 0


def test_a_follower_that_lags_reads_all_that_is_kept(scene: Scene) -> None:
    follower = scene.follow()
    for number in range(3):
        scene.sink.append(b"line %d.\n" % number)
    assert os.listdir(os.path.dirname(scene.path)) != ["log"]
    assert read_all(follower) == (b"line 0.\nline 1.\nline 2.\n"[0:24], 0)


@pytest.mark.parametrize("backups", [0, 1, 2, 5])
def test_a_follower_is_told_exactly_how_much_it_missed(log: Path, backups: int) -> None:
    scene = Scene(log, 8, backups)
    follower = scene.follow()
    lines = [b"line %2d\n" % number for number in range(20)]
    scene.sink.append(b"first")
    assert follower.read(100) == (b"first", 0)
    for line in lines:
        scene.sink.append(line)
    scene.sink.append(b"end")
    got, missed = read_all(follower)
    written = b"".join(lines) + b"end"
    assert len(got) + missed == len(written)
    assert got.endswith(written[-3 - 8 * backups :])
    assert (missed > 0) == (backups < 20)
    scene.close()


def test_a_follower_waits_for_a_file_that_is_not_there_and_for_one_that_was_deleted(log: Path) -> None:
    follower = Follower(str(log))
    assert follower.read(10) == (b"", 0)
    log.write_bytes(b"one")
    assert follower.read(10) == (b"one", 0)
    log.unlink()
    assert follower.read(10) == (b"", 0)
    log.write_bytes(b"two")
    assert follower.read(10) == (b"two", 0)
    follower.close()


def test_a_follower_begins_anew_where_somebody_truncated_the_file(log: Path) -> None:
    log.write_bytes(b"a long line")
    follower = Follower(str(log))
    log.write_bytes(b"short")
    assert follower.read(10) == (b"short", 0)
    follower.close()


def test_a_follower_may_begin_at_a_position(log: Path) -> None:
    log.write_bytes(b"0123456789")
    follower = Follower(str(log), Past(str(log), str(log), 7, 3))
    assert follower.read(10) == (b"789", 0)
    follower.close()


def test_a_follower_that_asked_for_no_earlier_lines_gets_none(log: Path) -> None:
    for earlier in (b"", b"earlier\n"):
        log.write_bytes(earlier)
        follower = Follower(str(log), find_lines(str(log), 0, 0))
        assert follower.read(100) == (b"", 0)
        with log.open("ab") as file:
            file.write(b"later\n")
        assert follower.read(100) == (b"later\n", 0)
        follower.close()
    log.unlink()
    follower = Follower(str(log), find_lines(str(log), 0, 0))
    log.write_bytes(b"first\n")
    assert follower.read(100) == (b"first\n", 0)
    follower.close()


def test_a_follower_is_told_what_was_in_files_that_others_took_away(scene: Scene) -> None:
    follower = scene.follow()
    scene.sink.append(b"1 ")
    os.unlink(scene.path)
    scene.sink.append(b"2 ")
    os.rename(scene.path, f"{scene.path}-old")
    scene.sink.append(b"3 ")
    scene.sink.log.reopen()
    scene.sink.append(b"4 ")
    assert read_all(follower) == (b"1 4 ", 4)


def test_a_line_that_begins_exactly_at_the_bound_is_kept_and_one_that_is_cut_is_not(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"before\none\ntwo\n")
    assert last_lines(str(path), 100, len(b"one\ntwo\n")) == b"one\ntwo\n"
    assert last_lines(str(path), 100, len(b"e\none\ntwo\n")) == b"one\ntwo\n"
    assert last_lines(str(path), 100, len(path.read_bytes())) == b"before\none\ntwo\n"
    assert last_lines(str(path), 1, len(b"one\ntwo\n")) == b"two\n"
    assert last_lines(str(path), 0, 1000) == b""
