"""A line in the logs: real files that are written in pieces, rotate, and hold the words of earlier instances."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskmasterd.output.sink import LogSink
from taskmasterd.probing.text.pattern import LinePattern
from taskmasterd.probing.tries.log import LogTry, log_size
from tests.support.probing import ProbingStage
from tests.support.work import here


class Logs:
    """One log of a program that the daemon writes, as it writes those of pipes."""

    def __init__(self, home: Path) -> None:
        self.stage = ProbingStage(home)
        self.path = str(home / "p.log")
        (home / "p.log").write_text("an earlier one is ready\nnot e")
        self.read, self.write = os.pipe()
        os.set_blocking(self.read, False)
        self.sink = self.open(1 << 20)

    def open(self, most: int) -> LogSink:
        return self.stage.sinks.acquire(self.path, most, 3, None)

    def wait_for(self, text: str, start: int | None = None) -> LogTry:
        start = log_size(self.path) if start is None else start
        made = LogTry(self.stage.reactor, self.stage.outputs, [(self.path, start)], LinePattern(text))
        made.begin(self.stage.results.append)
        assert self.stage.results == []
        return made

    def put(self, text: bytes) -> None:
        """Have the daemon move some output into the log."""
        os.write(self.write, text)
        left = len(text)
        while left:
            if not self.sink.busy():
                left -= self.sink.move(self.read, 65_536)

    def turns(self) -> None:
        for _ in range(5):
            self.stage.loop.turn()

    def close(self) -> None:
        os.close(self.read)
        os.close(self.write)
        self.stage.close()


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Logs]:
    before = len(os.listdir("/dev/fd"))
    logs = Logs(tmp_path)
    yield logs
    logs.close()
    assert len(os.listdir("/dev/fd")) <= before + 1, "a descriptor in reserve"


def test_a_line_in_two_halves_and_in_colour_is_found_once(logs: Logs) -> None:
    logs.wait_for("now * ready")
    logs.put(b"\x1b[32mnow it is")
    logs.turns()
    assert logs.stage.results == []
    logs.put(b" re\x1b[1mady\x1b[0m")
    logs.turns()
    assert logs.stage.results == [], "not a whole line yet"
    logs.put(b"\nnow it is ready\n")
    result = logs.stage.result()
    assert (result.ok, result.text) == (True, "log: now it is ready")


def test_what_an_earlier_instance_wrote_does_not_count(logs: Logs) -> None:
    logs.wait_for("ready")
    logs.put(b"nothing here\n")
    logs.turns()
    assert logs.stage.results == []
    logs.put(b"ready\n")
    assert logs.stage.result().text == "log: ready"


def test_a_daemon_that_comes_later_reads_from_the_instances_first_byte(logs: Logs) -> None:
    start = log_size(logs.path)
    logs.put(b"ready\nmore\n")
    logs.wait_for("ready", start)
    assert logs.stage.result().ok is True


def test_a_line_is_found_over_rotations_and_in_a_file_that_was_rotated_meanwhile(logs: Logs) -> None:
    start = log_size(logs.path)
    logs.sink.log.set_limits(200, 9)
    logs.wait_for("at last")
    for number in range(20):
        logs.put(b"%d %s\n" % (number, b"x" * 90))
        logs.turns()
    assert (logs.stage.home / "p.log.3").exists()
    logs.put(b"it is ready at last\n")
    assert logs.stage.result().ok is True
    logs.sink.log.set_limits(1 << 20, 9)
    os.rename(f"{logs.path}.1", f"{logs.path}.2")
    (logs.stage.home / "p.log.1").write_bytes(b"x" * start + b"then ready\n")
    (logs.stage.home / "p.log").write_bytes(b"")
    logs.wait_for("then ready", start)
    assert logs.stage.result().ok is True


def test_a_flood_costs_no_turn_more_than_a_moment(logs: Logs) -> None:
    logs.sink.log.set_limits(0, 0)
    made = logs.wait_for("a*b*c*d*e*")
    line = b"a" * 4095 + b"\n"
    longest = 0.0
    for _ in range(60):
        for _ in range(8):
            logs.put(line * 8)
        began = time.process_time()
        logs.stage.loop.turn()
        longest = max(longest, time.process_time() - began)
    assert longest < here(0.1)
    assert logs.stage.results == []
    made.cancel()
    assert logs.stage.result().ok is None


def test_both_streams_are_read(logs: Logs, tmp_path: Path) -> None:
    other = tmp_path / "other.log"
    other.write_text("")
    starts = [(logs.path, log_size(logs.path)), (str(other), 0)]
    LogTry(logs.stage.reactor, logs.stage.outputs, starts, LinePattern("x")).begin(logs.stage.results.append)
    logs.turns()
    with other.open("a") as file:
        file.write("x\n")
    logs.stage.sinks.acquire(str(other), 0, 0, None)
    logs.stage.sinks.at(str(other))[0].log.target()
    for changed in logs.stage.sinks._ledgers[str(other)].watchers:
        changed()
    assert logs.stage.result().ok is True


def test_what_cannot_be_read_back_is_a_failure_and_a_shortage_no_result(
    logs: Logs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "fifo")
    made = LogTry(logs.stage.reactor, logs.stage.outputs, [(str(tmp_path / "fifo"), 0)], LinePattern("x"))
    made.begin(logs.stage.results.append)
    result = logs.stage.result()
    assert result.ok is False
    assert "fifo" in result.text
    real = os.open

    def refuse(path: str, flags: int, *arguments: int, **options: int) -> int:
        if path == "p.log":
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(path, flags, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        logs.wait_for("x")
    assert logs.stage.result().ok is None


def test_after_its_end_nothing_of_it_is_left(logs: Logs) -> None:
    made = logs.wait_for("ready")
    logs.put(b"ready\nready\n")
    logs.stage.result()
    assert logs.stage.sinks._ledgers[logs.path].watchers == ()
    made.cancel()
    logs.turns()
    assert logs.stage.results == []
