"""Idle logs leave the table of descriptors and stay as they were."""

from __future__ import annotations

import fcntl
import os
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from taskmasterd.output.log.parking import LOT, MOST_IN_TABLE, SHARE_AWAKE, LogDescriptor, Parking
from taskmasterd.output.sinks import Sinks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from taskmasterd.output.sink import LogSink

MANY = MOST_IN_TABLE + 6 * LOT


class Logs:
    """Many open logs, of which the first have been parked."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.before = descriptors()
        self.said: list[str] = []
        self.sinks = Sinks(self.said.append, None)
        self.each = [self.acquire(number) for number in range(MANY)]

    def acquire(self, number: int) -> LogSink:
        """Start writing a log."""
        return self.sinks.acquire(str(self.path(number)), 0, 0, None)

    def path(self, number: int) -> Path:
        """Return where a log is."""
        return self.home / f"log{number}"

    def in_table(self) -> int:
        """Return how many descriptors the logs have in the table."""
        return descriptors() - self.before


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def _table_of_a_daemon() -> Iterator[None]:
    """Raise the soft limit of descriptors to the hard one, as the launcher does."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture(name="logs")
def _logs(tmp_path: Path) -> Iterator[Logs]:
    logs = Logs(tmp_path)
    yield logs
    logs.sinks.close()
    assert not logs.in_table()
    assert not logs.said


@contextmanager
def full_table() -> Iterator[None]:
    """Leave no room in the table of descriptors."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 1, limits[1]))
    filled = []
    try:
        while True:
            filled.append(os.dup(0))
    except OSError:
        pass
    try:
        yield
    finally:
        for fd in filled:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def is_locked(path: Path) -> bool:
    """Return whether somebody holds the lock of a log."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_the_table_holds_few_of_many_logs_and_every_byte_arrives(logs: Logs) -> None:
    assert logs.in_table() <= MOST_IN_TABLE + LOT + MANY // LOT
    for number, sink in enumerate(logs.each):
        sink.append(b"%d\n" % number)
    assert [logs.path(number).read_bytes() for number in range(MANY)] == [b"%d\n" % number for number in range(MANY)]


def test_few_logs_are_never_parked(tmp_path: Path) -> None:
    before = descriptors()
    sinks = Sinks(pytest.fail, None)
    for _ in range(3):
        for number in range(MOST_IN_TABLE):
            sinks.acquire(str(tmp_path / f"log{number}"), 0, 0, None)
    assert descriptors() - before == MOST_IN_TABLE
    sinks.close()


def test_a_parked_log_keeps_its_lock_until_it_is_closed(logs: Logs) -> None:
    assert is_locked(logs.path(0))
    logs.sinks.release(logs.each[0])
    assert not is_locked(logs.path(0))
    assert is_locked(logs.path(1)), "it came back with the first one"


def test_a_parked_log_stays_the_same_file_when_it_is_renamed(logs: Logs) -> None:
    logs.path(0).rename(logs.home / "renamed")
    logs.each[0].append(b"line\n")
    assert (logs.home / "renamed").read_bytes() == b"line\n"
    logs.each[0].log.reopen()
    logs.each[0].append(b"more\n")
    assert logs.path(0).read_bytes() == b"more\n"
    assert logs.each[0].ledger.retired == 5


def test_a_log_that_was_deleted_while_it_was_parked_is_created_again(logs: Logs) -> None:
    logs.path(0).unlink()
    logs.each[0].append(b"line\n")
    assert logs.path(0).read_bytes() == b"line\n"


def test_a_log_that_was_used_since_it_came_back_is_not_parked_next(logs: Logs) -> None:
    logs.each[0].append(b"line\n")  # a whole lot comes back with it
    there = logs.in_table()
    for number in range(MANY, MANY + 1 + 6 * LOT):
        logs.acquire(number)
        logs.each[0].append(b"line\n")
    assert logs.in_table() < there + 2 * LOT, "others were parked"
    with full_table():
        assert not logs.each[0].busy(), "it never left the table"
        assert logs.each[1].busy()


def test_a_parked_log_waits_for_room_in_the_table_and_loses_nothing(logs: Logs) -> None:
    read, write = os.pipe()
    os.write(write, b"line\n")
    with full_table():
        assert logs.each[0].busy()
    assert not logs.path(0).read_bytes()
    assert not logs.each[0].busy()
    assert logs.each[0].move(read, 100) == 5
    assert logs.path(0).read_bytes() == b"line\n"
    os.close(read)
    os.close(write)


def test_a_log_that_is_closed_in_a_full_table_ends_when_its_lot_returns(logs: Logs) -> None:
    with full_table():
        logs.sinks.release(logs.each[0])
    assert is_locked(logs.path(0)), "it is still in its lot"
    logs.each[1].append(b"line\n")
    assert not is_locked(logs.path(0))


def test_what_cannot_be_parked_stays_in_the_table(tmp_path: Path) -> None:
    parking = Parking()
    files = [os.open(tmp_path / "log", os.O_CREAT | os.O_RDWR) for _ in range(MOST_IN_TABLE + LOT)]
    held = [LogDescriptor(fd, parking) for fd in files]
    with full_table():
        parking.make_room()
    assert not any(each.lot for each in held)
    parking.make_room()
    assert sum(each.lot is not None for each in held) == LOT
    for each in held:
        each.close()


def test_logs_that_return_make_others_leave(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    logs = Logs(tmp_path)
    resource.setrlimit(resource.RLIMIT_NOFILE, (SHARE_AWAKE * (MANY // 3), limits[1]))
    try:
        for turn in range(2):
            for sink in logs.each:
                sink.append(b"%d\n" % turn)
        assert logs.in_table() < MANY
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert {logs.path(number).read_bytes() for number in range(MANY)} == {b"0\n1\n"}
    logs.sinks.close()


def test_no_child_inherits_what_comes_back(logs: Logs) -> None:
    logs.each[0].append(b"line\n")
    row = logs.each[0].to_data()
    assert os.get_inheritable(row["fd"]) is False


def test_after_an_upgrade_parked_logs_are_written_on(logs: Logs) -> None:
    data = logs.sinks.to_data()
    kept = {name: {**row, "fd": os.dup(row["fd"])} for name, row in data["open"].items()}
    after = Sinks(pytest.fail, None)
    after.inherit({**data, "open": kept})
    sink = after.acquire(str(logs.path(0)), 0, 0, None)
    logs.path(0).rename(logs.home / "renamed")
    sink.append(b"line\n")
    assert (logs.home / "renamed").read_bytes() == b"line\n"
    after.close()
    after.settle()


def test_a_lot_whose_logs_are_all_closed_in_a_full_table_is_closed(logs: Logs) -> None:
    there = logs.in_table()
    with full_table():
        for sink in logs.each[:LOT]:
            logs.sinks.release(sink)
    assert logs.in_table() == there - 1
    assert not is_locked(logs.path(0))


def test_what_is_handed_over_keeps_its_descriptor_until_the_next_start(logs: Logs) -> None:
    with full_table():
        rows = [row for row in logs.sinks.to_data()["open"].values() if row["fd"] is not None]
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (SHARE_AWAKE * (MANY // 3), limits[1]))
    try:
        for sink in logs.each[::LOT]:  # each brings a lot back, which makes others leave at other times
            sink.append(b"line\n")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert logs.path(0).read_bytes() == b"line\n"
    assert len(rows) >= MOST_IN_TABLE
    assert all(os.path.samestat(os.fstat(row["fd"]), os.stat(row["path"])) for row in rows)


def test_what_is_lost_in_a_full_table_is_counted_and_the_log_stays_the_same_file(logs: Logs) -> None:
    logs.path(0).rename(logs.home / "renamed")
    with full_table():
        logs.each[0].append(b"lost\n")
    logs.each[0].append(b"line\n")
    assert (logs.home / "renamed").read_bytes() == b"line\n"
    assert logs.each[0].ledger.trouble.dropped == 5
    assert [text for text in logs.said if "5 bytes dropped" in text] == logs.said
    logs.said.clear()
