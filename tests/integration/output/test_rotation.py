"""Rotation in pieces: bounded work however many files are kept, and no file lost wherever it stops."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from taskmasterd.output.log.file import ERRORS_OF_THE_FILE
from taskmasterd.output.log.room import STEPS, Room
from taskmasterd.output.log.rotation import BURST_S, Allowance
from taskmasterd.output.pipe import LogPipe
from taskmasterd.output.read import Follower, find_lines, last_lines
from taskmasterd.output.safe.open import Spot
from taskmasterd.output.sink import LogSink
from taskmasterd.system.loop.reactor import Reactor
from taskmasterd.system.spawner import child_pipe
from tests.support.sinks import lone_sink

MANY = 3 * STEPS


def fill(directory: Path, numbers: range) -> None:
    for number in numbers:
        (directory / f"log.{number}").write_text(f"{number}\n")


def rotated(directory: Path) -> list[str]:
    """Return what the rotated files hold, by number."""
    names = sorted(directory.glob("log.*"), key=lambda path: int(path.suffix[1:]))
    return [path.read_text() for path in names]


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield read, write
    os.close(read)
    os.close(write)


def turns_until_rotated(sink: LogSink) -> int:
    turns = 0
    while sink.busy():
        turns += 1
    return turns


def test_one_turn_renames_a_bounded_number_of_files_and_the_order_is_kept(
    tmp_path: Path, pipe: tuple[int, int]
) -> None:
    fill(tmp_path, range(1, MANY + 1))
    sink = lone_sink(str(tmp_path / "log"), 4, MANY, None, print)
    read, write = pipe
    os.write(write, b"new\n")
    assert sink.move(read, 65_536) == 4
    assert turns_until_rotated(sink) >= 2 * MANY // STEPS - 2
    os.write(write, b"next\n")
    sink.move(read, 65_536)
    assert rotated(tmp_path) == ["new\n", *(f"{number}\n" for number in range(1, MANY))]
    sink.log.close()


def test_a_daemon_that_dies_in_the_middle_of_a_rotation_loses_nothing_and_the_next_goes_on(
    tmp_path: Path, pipe: tuple[int, int]
) -> None:
    kept = MANY - 10
    fill(tmp_path, range(1, kept + 1))
    (tmp_path / "log").write_text("0\n")
    for pieces in (3, 1):
        sink = lone_sink(str(tmp_path / "log"), 2, MANY, None, print)
        begin_rotation(sink, pipe[0])
        assert [sink.busy() for _ in range(pieces)] == [True] * pieces, "it has not come to its end"
        sink.log.close()
        assert sorted(map(int, [*rotated(tmp_path), (tmp_path / "log").read_text()])) == list(range(kept + 1))
    read_back = last_lines(str(tmp_path / "log"), 10_000, 1 << 20)
    assert read_back.split() == [b"%d" % number for number in range(kept, -1, -1)], "a gap hides nothing from a reader"
    sink = lone_sink(str(tmp_path / "log"), 2, MANY, None, print)
    begin_rotation(sink, pipe[0])
    turns_until_rotated(sink)
    begin_rotation(sink, pipe[0])
    sink.log.close()
    assert list(map(int, rotated(tmp_path))) == list(range(kept + 1))
    assert (tmp_path / "log").read_text() == ""


def begin_rotation(sink: LogSink, empty: int) -> None:
    """Have a file that is over its limit rotated, as before each move."""
    with suppress(BlockingIOError):
        sink.move(empty, 1)


def test_a_gap_that_is_taken_between_two_turns_is_looked_for_again(tmp_path: Path) -> None:
    fill(tmp_path, range(1, MANY + 1))
    room = Room(MANY + 1)
    with Spot(str(tmp_path / "log")) as spot:
        while not (tmp_path / f"log.{MANY + 1}").exists():
            room.make(spot, needed=True)
        gap = next(n for n in range(MANY, 0, -1) if not (tmp_path / f"log.{n}").exists())
        (tmp_path / f"log.{gap}").write_text("somebody's\n")
        while not room.make(spot, needed=True):
            continue
    assert sorted(rotated(tmp_path)) == sorted([*(f"{number}\n" for number in range(1, MANY)), "somebody's\n"])


def test_all_rotations_together_take_a_burst_and_then_a_share_of_the_time() -> None:
    now = [0.0]
    allowance = Allowance(lambda: now[0])
    for _ in range(4):
        assert allowance.permits()
        began = now[0]
        now[0] += BURST_S / 2
        allowance.charge(began)
        if not allowance.permits():
            break
    assert not allowance.permits()
    now[0] += BURST_S
    assert allowance.permits()


def test_a_program_that_floods_waits_for_a_rotation_and_its_last_output_does_not(tmp_path: Path) -> None:
    fill(tmp_path, range(1, MANY + 1))
    reactor = Reactor(print)
    sink = lone_sink(str(tmp_path / "log"), 10, MANY, None, print)
    read, child = child_pipe(None)
    pipe = LogPipe(reactor, read, sink, lambda _pipe: None)
    os.write(child, b"line\n" * 1000)
    reactor.turn(0)
    size = (tmp_path / "log").stat().st_size
    assert size == 10, "it waits in the pipe, not in an ever larger file"
    pipe.drain()
    assert (tmp_path / "log").stat().st_size == 5000
    os.close(child)
    pipe.close()
    sink.log.close()
    reactor.close()


def test_a_follower_of_thousands_of_small_files_looks_at_few_of_them_for_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, range(1, 1001))
    (tmp_path / "log").write_text("0\n")
    looks = [0]
    follower = Follower(str(tmp_path / "log"), find_lines(str(tmp_path / "log"), 900, 1 << 20))
    stat = os.stat

    def counted(*args: Any, **named: Any) -> os.stat_result:
        looks[0] += 1
        return stat(*args, **named)

    monkeypatch.setattr(os, "stat", counted)
    got = b""
    while block := follower.read(100)[0]:
        got += block
    follower.close()
    assert got.split() == [b"%d" % number for number in range(899, -1, -1)]
    assert looks[0] < 10 * 900


# -- the kernel refuses to move bytes


@pytest.mark.parametrize(
    "number", [errno.EPERM, errno.ENOSYS, errno.EACCES, errno.EINVAL, errno.EOPNOTSUPP, errno.EBADF]
)
def test_bytes_are_read_and_written_where_splice_is_refused_for_whatever_reason(
    tmp_path: Path, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_args: object, **_named: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "splice", refused, raising=False)
    sink = lone_sink(str(tmp_path / "log"), 0, 0, None, print)
    read, write = pipe
    for word in (b"one ", b"two"):
        os.write(write, word)
        sink.move(read, 65_536)
    assert (tmp_path / "log").read_bytes() == b"one two"
    assert sink.ledger.trouble.dropped == 0
    sink.log.close()


@pytest.mark.parametrize("number", sorted(ERRORS_OF_THE_FILE - {errno.EAGAIN, errno.EINTR}))
def test_what_the_target_refuses_is_dropped_and_counted(
    tmp_path: Path, pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refused(*_args: object, **_named: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "splice", refused, raising=False)
    told: list[str] = []
    sink = lone_sink(str(tmp_path / "log"), 0, 0, None, told.append)
    os.write(pipe[1], b"one")
    with suppress(BlockingIOError):
        sink.move(pipe[0], 65_536)
    assert sink.ledger.trouble.dropped == 3
    assert "cannot write" in told[0]
    sink.log.close()
