"""One stream of one process: fairness, drains, ends, and the cost of being quiet."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskmaster_common.config.elsewhere import Elsewhere
from taskmaster_common.config.words import SYSLOG
from taskmasterd.output.elsewhere.syslog import MOST_LINES, SyslogSink
from taskmasterd.output.pipe import CLOSE_TURNS, LogPipe
from taskmasterd.output.sink import LogSink
from taskmasterd.output.sinks import Sinks
from taskmasterd.system.loop.reactor import Reactor
from taskmasterd.system.spawner import child_pipe
from tests.support.wait import wait_until

TURN_S = 0.05
SOON_TURNS = 300


class Stage:
    """A loop, its sinks, and pipes into them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.reactor = Reactor(self.failed)
        self.sinks = Sinks(print, None)
        self.ended: list[str] = []
        self.pipes: list[LogPipe] = []

    def failed(self, error: BaseException) -> None:
        raise AssertionError(error)

    def pipe(self, name: str, max_bytes: int = 0) -> int:
        """Return the child's end of a new pipe into the log of that name."""
        return self.pipe_into(self.sinks.acquire(str(self.home / name), max_bytes, 9, None), name)

    def pipe_into(self, sink: LogSink, name: str) -> int:
        read, child = child_pipe(None)

        def ended(_pipe: LogPipe) -> None:
            self.ended.append(name)
            self.sinks.release(sink)

        self.pipes.append(LogPipe(self.reactor, read, sink, ended))
        return child

    def turns(self, count: int, timeout_s: float = TURN_S) -> None:
        for _ in range(count):
            due = self.reactor._sleep_s()
            self.reactor.turn(timeout_s if due is None else min(due, timeout_s))

    def until(self, condition: Callable[[], object]) -> None:
        """Turn the loop until a condition holds."""

        def turned() -> object:
            self.turns(1)
            return condition()

        wait_until(turned)

    def log(self, name: str) -> bytes:
        return (self.home / name).read_bytes()

    def close(self) -> None:
        for pipe in self.pipes:
            pipe.close()
        self.sinks.close()
        self.reactor.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


def test_what_is_written_is_in_the_log_and_the_end_of_the_pipe_ends_it(stage: Stage) -> None:
    child = stage.pipe("log")
    os.write(child, b"a \xff line")
    stage.turns(1)
    assert stage.log("log") == b"a \xff line"
    assert stage.ended == []
    os.close(child)
    stage.turns(2)
    assert stage.ended == ["log"]
    assert stage.sinks.at(str(stage.home / "log")) == ()


def test_the_last_output_before_the_end_is_not_lost(stage: Stage) -> None:
    child = stage.pipe("log")
    os.write(child, b"z" * 60_000)
    os.close(child)
    stage.turns(3)
    assert stage.log("log") == b"z" * 60_000
    assert stage.pipes[0].closed


def test_a_stream_that_its_program_closed_costs_no_further_turn(stage: Stage) -> None:
    os.close(stage.pipe("log"))
    stage.turns(2)
    before = stage.reactor.turns
    started = time.monotonic()
    stage.reactor.turn(TURN_S)
    assert time.monotonic() - started >= TURN_S * 0.9
    assert stage.reactor.turns == before + 1


def test_a_drain_moves_what_is_there_and_does_not_wait_for_who_holds_the_pipe(stage: Stage) -> None:
    child = stage.pipe("log")
    os.write(child, b"last words")
    stage.pipes[0].drain()
    assert stage.log("log") == b"last words"
    assert not stage.pipes[0].closed
    os.write(child, b", and a grandchild's")
    stage.turns(1)
    assert stage.log("log") == b"last words, and a grandchild's"
    os.close(child)
    stage.pipes[0].drain()
    assert stage.ended == ["log"]
    stage.pipes[0].drain()
    stage.pipes[0].close()
    assert stage.ended == ["log"]


def test_a_drain_ends_although_more_is_written_all_the_time(stage: Stage) -> None:
    child = stage.pipe("log")

    def write_more() -> None:
        os.write(child, b"more\n" * 200)

    stage.sinks.watch(str(stage.home / "log"), write_more)
    os.write(child, b"first\n")
    stage.pipes[0].drain()
    assert 65_536 <= len(stage.log("log")) < 70_000
    os.close(child)


def fork_flood(child: int, line: bytes) -> int:
    """Fork a process that writes a line for ever."""
    pid = os.fork()
    if pid == 0:
        block = line * (60_000 // len(line))
        while True:
            os.write(child, block)
    return pid


def test_a_flood_costs_the_others_nothing(stage: Stage) -> None:
    loud, quiet = stage.pipe("loud"), stage.pipe("quiet")
    flood = fork_flood(loud, b"0123456789abcde\n")
    try:
        stage.until(lambda: len(stage.log("loud")) > 1_000_000)
        for number in range(20):
            line = b"%d\n" % number
            os.write(quiet, line)
            turns = 0
            while not stage.log("quiet").endswith(line):
                stage.turns(1)
                turns += 1
            assert turns <= SOON_TURNS
    finally:
        os.kill(flood, 9)
        os.waitpid(flood, 0)
        os.close(loud)
        os.close(quiet)


def test_a_chatty_stream_pauses_and_a_quiet_one_has_no_timer(stage: Stage) -> None:
    child = stage.pipe("log")
    lines = [b"line 0\n"]

    def chatters() -> bool:
        for _ in range(CLOSE_TURNS + 12):  # on a busy machine they may not come close enough together the first time
            lines.append(b"line %d\n" % len(lines))
            os.write(child, lines[-1])
            stage.reactor.turn(0)
        return stage.reactor._sleep_s() is not None

    os.write(child, lines[0])
    wait_until(chatters)
    assert stage.pipes[0]._fd not in stage.reactor._watches
    expected = b"".join(lines)
    stage.until(lambda: stage.reactor._sleep_s() is None)
    assert stage.log("log") == expected
    os.write(child, b"x")
    stage.turns(1)
    assert stage.log("log") == expected + b"x"
    os.close(child)


def test_lines_of_two_programs_stay_whole_in_one_log(stage: Stage) -> None:
    sinks = [stage.sinks.acquire(str(stage.home / "log"), 200_000, 9_000, None) for _ in range(2)]
    writers = []
    for letter, sink in zip((b"a", b"b"), sinks):
        child = stage.pipe_into(sink, letter.decode())
        pid = os.fork()
        if pid == 0:
            for number in range(3000):
                os.write(child, letter * (1 + number * 37 % 4095) + b"\n")
            os._exit(0)
        os.close(child)
        writers.append(pid)
    while len(stage.ended) < 2:
        stage.turns(1)
    for pid in writers:
        os.waitpid(pid, 0)
    names = sorted(stage.home.iterdir(), key=lambda file: -int(file.suffix[1:] or 0))
    lines = b"".join(file.read_bytes() for file in names).split(b"\n")
    for letter in (b"a", b"b"):
        assert [line for line in lines if line.startswith(letter)] == [
            letter * (1 + number * 37 % 4095) for number in range(3000)
        ]
    assert len(lines) == 6001


def test_a_full_pipe_is_made_larger(stage: Stage) -> None:
    child = stage.pipe("log")
    flood = fork_flood(child, b"line\n")
    try:
        stage.until(lambda: stage.pipes[0]._capacity > 65_536)
    finally:
        os.kill(flood, 9)
        os.waitpid(flood, 0)
        os.close(child)


@pytest.fixture
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of a FIFO may be slow, however long this process waits for a processor."""
    monkeypatch.setattr("taskmasterd.output.log.stream.PATIENCE_S", 60.0)


@pytest.mark.usefixtures("_patient")
def test_a_slow_reader_of_a_fifo_gets_everything_after_the_program_has_ended(stage: Stage) -> None:
    os.mkfifo(stage.home / "fifo")
    reader = os.open(stage.home / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    child = stage.pipe("fifo")
    os.write(child, b"f" * 60_000)
    stage.turns(1)
    os.write(child, b"f" * 60_000)
    os.close(child)
    stage.turns(1)
    got = len(os.read(reader, 65_536))
    stage.until(lambda: stage.ended)
    got += len(os.read(reader, 65_536))
    os.close(reader)
    assert got == 120_000


def test_many_streams_come_and_go_without_leaving_a_descriptor(stage: Stage) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(200):
        child = stage.pipe(f"log{number % 3}")
        os.write(child, b"x")
        os.close(child)
        stage.turns(2)
    assert len(os.listdir("/proc/self/fd")) == before
    assert len(stage.log("log0")) == 67


@pytest.mark.usefixtures("_patient")
def test_what_a_slow_reader_has_not_taken_in_one_life_he_gets_in_the_next_though_the_program_is_silent(
    stage: Stage, tmp_path: Path
) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    before = Sinks(print, None)
    before.acquire(str(fifo), 0, 0, None).append(b"x" * 100_000)
    data = before.to_data()
    (row,) = data["open"].values()
    row["fd"] = os.dup(row["fd"])
    before.close()
    stage.sinks.inherit(data)
    child = stage.pipe("fifo")
    got = 0
    for _ in range(SOON_TURNS):
        if got == 100_000:
            break
        try:
            got += len(os.read(reader, 4096))
        except BlockingIOError:
            stage.turns(1)
    assert got == 100_000
    os.write(child, b"more")
    stage.turns(2)
    assert os.read(reader, 10) == b"more"
    os.close(child)
    os.close(reader)
    stage.turns(2)


def test_a_turn_sends_so_many_lines_to_syslog_however_short_they_are_and_all_in_a_hurry() -> None:
    """Each line is a message: a pipe holds sixty thousand empty ones."""
    read, write = os.pipe()
    sinks = Sinks(lambda _text: None, None)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        receiver.bind(("127.0.0.1", 0))
        receiver.setblocking(False)
        path = Elsewhere(SYSLOG, f"udp:127.0.0.1:{receiver.getsockname()[1]}").replace(program="web", tag="web").text()
        sink = SyslogSink(sinks.acquire(path, 0, 0, None, "web", lazily=True), levels=False)

        def got() -> int:
            count = 0
            with contextlib.suppress(BlockingIOError):
                while receiver.recv(1000):
                    count += 1
            return count

        os.write(write, b"\n" * 3 * MOST_LINES + b"rest")
        assert (sink.move(read, 65_536), got()) == (3 * MOST_LINES + 4, MOST_LINES)
        assert (sink.busy(), got(), sink.busy(), got()) == (True, MOST_LINES, False, MOST_LINES)
        os.write(write, b"\n" * 2 * MOST_LINES)
        sink.move(read, 65_536)
        assert (got(), sink.busy(hurry=True), got()) == (MOST_LINES, False, MOST_LINES)
        os.write(write, b"\n" * 2 * MOST_LINES + b"rest")
        sink.move(read, 65_536)
        sink.settle()
        assert got() == 2 * MOST_LINES + 1
        sinks.release(sink.finish())
    os.close(read)
    os.close(write)
