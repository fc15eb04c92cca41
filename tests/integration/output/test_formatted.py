"""Formatted logs on real pipes and files: whole lines, each byte once, over kills at any moment."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskmaster_common.errors import SystemFailure
from taskmaster_common.text.lineformat import NEWLINE
from taskmasterd.output.formatted.spool import DONE, PAGE, RENEWED_AT, Spool
from taskmasterd.output.formatted.writer import HOLD_S, MOST_LINES, PIECE
from taskmasterd.system.paths.rundir import RuntimeDirectory
from tests.support.formatted import NAMES, PREFIX, Lines, life, read_back
from tests.support.variants import in_the_sweep

BOTH = pytest.mark.parametrize("form", ["prefix", "json"])


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Callable[..., Lines]]:
    made: list[Lines] = []

    def make(form: str, max_bytes: int = 0, *, levels: bool = False, path: str = "") -> Lines:
        made.append(Lines(tmp_path, form, max_bytes=max_bytes, levels=levels, path=path))
        return made[-1]

    yield make
    for each in made:
        each.close()


def ended(lines: Lines, name: str, text: bytes, pid: int = 71) -> None:
    """Write a text to a pipe of its own, end that, and wait until all is in the log."""
    read, write = os.pipe()
    pipe = lines.read(read, name, pid)
    os.write(write, text)
    os.close(write)
    lines.until(lambda: pipe.closed)


def messages(lines: Lines) -> list[tuple[str, str, bool]]:
    found = [json.loads(line) for line in lines.written().splitlines()]
    return [(each["stream"], each["message"], each.get("partial", False)) for each in found]


@BOTH
def test_every_byte_of_lines_that_are_written_in_pieces_comes_back(
    lines: Callable[..., Lines], tmp_path: Path, form: str
) -> None:
    made, chance = lines(form, 4000), random.Random(7)
    wrote = dict.fromkeys(NAMES, b"")
    ends = {}
    for name in NAMES:
        read, ends[name] = os.pipe()
        made.read(read, name)
    for number in range(400):
        name = chance.choice(NAMES)
        piece = chance.randbytes(chance.randrange(60)) + (b"\n" if chance.random() < 0.7 else b"")
        os.write(ends[name], piece)
        wrote[name] += piece
        made.reactor.turn(0)
        if number % 50 == 0:
            time.sleep(0.001)  # the clock goes on between some of them
    for name in NAMES:
        os.write(ends[name], b"\n")
        wrote[name] += b"\n"
        os.close(ends[name])
    made.until(lambda: not made.open)
    assert read_back(tmp_path, form) == wrote
    assert len(list(tmp_path.glob("log.*"))) > 2, "it has not rotated"
    assert not list((tmp_path / "socket.d" / "spool").iterdir())


def test_a_line_longer_than_a_piece_is_written_in_pieces_that_are_objects(lines: Callable[..., Lines]) -> None:
    made = lines("json")
    read, write = os.pipe()
    pipe = made.read(read)
    text = "ü" * PIECE
    child = os.fork()
    if not child:
        os.close(read)
        os.write(write, text.encode() + b"\nnext\nend")
        os._exit(0)
    os.close(write)
    made.until(lambda: pipe.closed)
    os.waitpid(child, 0)
    found = messages(made)
    assert "".join(message for _, message, _ in found[:-2]) == text
    assert [partial for _, _, partial in found] == [True, True, False, False, True]
    assert all(len(message.encode()) <= PIECE for _, message, _ in found)
    assert found[-1] == ("stdout", "end", True)


def test_a_line_that_waits_for_its_end_is_written_when_it_has_waited_long_enough(lines: Callable[..., Lines]) -> None:
    made = lines("prefix")
    (read, write), (other, second) = os.pipe(), os.pipe()
    made.read(read)
    made.read(other, "stderr")
    os.write(write, b"begun")
    os.write(second, b"whole\n")
    began = time.monotonic()
    made.until(lambda: b"whole" in made.written())
    made.until(lambda: b"begun" in made.written())
    assert PREFIX.sub(b"", made.written()) == b"whole\nbegun", "another stream could write into the middle of the line"
    assert time.monotonic() - began >= HOLD_S * 0.9
    os.write(write, b" ended\n")
    os.write(second, b"again\n")
    made.until(lambda: b"ended" in made.written() and b"again" in made.written())
    texts = PREFIX.sub(b"", made.written()).split(b"\n")
    assert sorted(texts) == [b"", b"again", b"begun ended", b"whole"]
    os.close(write)
    os.close(second)


def test_the_beginning_of_a_line_is_in_a_log_of_ones_own_at_once(lines: Callable[..., Lines]) -> None:
    made = lines("prefix")
    read, write = os.pipe()
    made.read(read)
    os.write(write, b"50%")
    made.until(lambda: made.written().endswith(b"stdout 50%"))
    os.write(write, b" 100%\n")
    made.until(lambda: b"100%" in made.written())
    assert PREFIX.sub(b"", made.written()) == b"50% 100%\n", "the end of the line follows its beginning"
    os.close(write)


@BOTH
def test_a_turn_writes_so_many_lines_however_short_they_are(lines: Callable[..., Lines], form: str) -> None:
    """A line costs what it costs: a pipe holds sixty thousand empty ones."""
    made, most, found = lines(form), 2 * MOST_LINES, 0
    read, write = os.pipe()
    os.write(write, NEWLINE * (2 * most))
    pipe = made.read(read)

    def turn() -> int:
        made.reactor.turn(0.005)
        return made.written().count(NEWLINE)

    while found < 2 * most and not made.errors:
        before, found = found, turn()
        assert found - before <= most
    os.close(write)
    made.until(lambda: pipe.closed)


def test_lines_begin_on_a_line_of_their_own_whatever_the_log_ends_with(lines: Callable[..., Lines]) -> None:
    made = lines("json")
    Path(made.path).write_bytes(b"torn")
    ended(made, "stdout", b"a\n")
    first, second = made.written().splitlines()
    assert (first, json.loads(second)["message"]) == (b"torn", "a")


def test_the_next_copy_begins_its_own_line_behind_an_unfinished_one(lines: Callable[..., Lines]) -> None:
    made = lines("prefix")
    ended(made, "stdout", b"unfinished", 71)
    ended(made, "stdout", b"first\n", 72)
    assert PREFIX.sub(b"", made.written()) == b"unfinished\nfirst\n"


def test_a_line_of_the_daemons_own_interrupts_no_other(lines: Callable[..., Lines]) -> None:
    made = lines("prefix")
    read, write = os.pipe()
    pipe = made.read(read)
    os.write(write, b"half")
    made.until(lambda: b"half" in made.written())
    made.tell("web ended: exit 0 after 1s")
    os.write(write, b" line\n")
    made.until(lambda: b"line" in made.written())
    assert PREFIX.sub(b"", made.written()) == b"half\nweb ended: exit 0 after 1s\n line\n"
    assert PREFIX.findall(made.written()) == [b"stdout", b"event", b"stdout"]
    os.close(write)
    made.until(lambda: pipe.closed)
    made.tell("web started (pid 72)")
    assert made.written().endswith(b" event web started (pid 72)\n"), "no stream is open any more"


def test_a_stream_without_a_file_gets_whole_lines_and_the_spool_keeps_what_is_not_taken(
    lines: Callable[..., Lines], tmp_path: Path
) -> None:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    made = lines("json", path=str(path))
    read, write = os.pipe()
    pipe = made.read(read)
    os.write(write, b"one\ntwo\n")
    taken = b""
    made.until(lambda: pipe.wrote)
    taken = os.read(reader, 65_536)
    assert [json.loads(line)["message"] for line in taken.splitlines()] == ["one", "two"]
    os.close(write)
    made.until(lambda: pipe.closed)
    os.close(reader)


def test_a_spool_that_never_empties_is_made_anew_and_keeps_what_is_left(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    spool = Spool.make(directory, "7", {"a": 1})
    read, write = os.pipe()
    os.set_blocking(read, False)
    for number in range(RENEWED_AT // 50_000 + 2):
        os.write(write, b"%06d" % number + b"x" * 49_994)
        assert spool.take(read, 65_536) == 50_000
        spool.done(50_000 - (not number), (1, 2, 3), 4)
    assert spool.left == 1
    assert spool.peek(9) == b"x"
    assert os.stat(tmp_path / "7").st_size < RENEWED_AT
    again = Spool(directory, "7", os.open(tmp_path / "7", os.O_RDWR))
    assert (again.left, again.peek(9), again.place, again.begun, again.recipe()) == (1, b"x", (1, 2, 3), 4, {"a": 1})
    for each in (spool, again):
        each.close(keep=True)
    for fd in (directory, read, write):
        os.close(fd)


def test_a_spool_that_was_cut_before_its_head_was_written_is_empty(tmp_path: Path) -> None:
    directory = os.open(tmp_path, os.O_RDONLY)
    spool = Spool.make(directory, "7", {})
    read, write = os.pipe()
    os.write(write, b"12345\n")
    spool.take(read, 100)
    spool.done(0, (1, 2, 3), 0)
    fd = os.open(tmp_path / "7", os.O_RDWR)
    head = memoryview(bytearray(os.pread(fd, 56, 0))).cast("q")
    head[DONE] = 6
    os.pwrite(fd, head, 0)
    os.truncate(tmp_path / "7", 4096)
    again = Spool(directory, "7", fd)
    os.write(write, b"next\n")
    again.take(read, 100)
    assert (again.left, again.peek(100)) == (5, b"next\n")
    for each in (spool, again):
        each.close(keep=False)
    for each_fd in (directory, read, write):
        os.close(each_fd)


@pytest.mark.parametrize("splice", [True, False], ids=["splice", "read-write"])
def test_a_spool_that_takes_nothing_costs_no_output(
    lines: Callable[..., Lines], monkeypatch: pytest.MonkeyPatch, splice: bool
) -> None:
    if not splice:
        monkeypatch.delattr(os, "splice", raising=False)
    made = lines("json")
    read, write = os.pipe()
    pipe = made.read(read)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, hard))  # the head of a spool alone
        os.write(write, b"a\nb\nc")
        made.until(lambda: b'"c"' in made.written())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    os.write(write, b"d\n")
    os.close(write)
    made.until(lambda: pipe.closed)
    assert [message for _, message, _ in messages(made)] == ["a", "b", "c", "d"]
    assert "cannot write the spool of" in made.told[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_directory_that_somebody_else_has_made_is_not_used(tmp_path: Path) -> None:
    os.mkdir(tmp_path / "socket.d")
    os.chown(tmp_path / "socket.d", 65_534, -1)
    with pytest.raises(SystemFailure, match="it belongs to uid 65534"):
        RuntimeDirectory({}, str(tmp_path / "socket")).enter("spool")
    os.chown(tmp_path / "socket.d", 0, -1)
    os.chmod(tmp_path / "socket.d", 0o777)
    with pytest.raises(SystemFailure, match="others may write to it"):
        RuntimeDirectory({}, str(tmp_path / "socket")).enter("spool")


def test_the_directory_of_systemd_is_used_where_it_is_ones_own_and_stays(tmp_path: Path) -> None:
    given = tmp_path / "given"
    given.mkdir()
    directory = RuntimeDirectory({"RUNTIME_DIRECTORY": f"{given}:/other"}, str(tmp_path / "socket"))
    os.close(directory.enter("spool"))
    assert (given / "spool").stat().st_mode & 0o777 == 0o700
    directory.leave("spool")
    assert not list(given.iterdir())
    missing = RuntimeDirectory({"RUNTIME_DIRECTORY": str(tmp_path / "none")}, str(tmp_path / "socket"))
    os.close(missing.enter("spool"))
    missing.leave("spool")
    assert not (tmp_path / "socket.d").exists()


@BOTH
@pytest.mark.parametrize("kills", [6, *in_the_sweep(60)])
def test_each_byte_is_in_the_log_once_whenever_the_writer_is_killed(tmp_path: Path, form: str, kills: int) -> None:
    chance, count = random.Random(kills), 600 * kills
    texts = [
        b"".join(
            b"%s %d %s\n" % (name, number, chance.randbytes(chance.randrange(60)).hex().encode())
            for number in range(count)
        )
        for name in (b"out", b"err")
    ]
    pipes = [os.pipe() for _ in texts]
    writers = [_write_in_pieces(pipe, pipes, text, chance.random()) for pipe, text in zip(pipes, texts)]
    for _, write in pipes:
        os.close(write)
    done = None
    killed = 0
    while done is None:
        pid = life(tmp_path, form, 100_000, tuple(read for read, _ in pipes))
        if killed < kills:
            time.sleep(chance.choice((0.0, chance.uniform(0, 0.004), chance.uniform(0.005, 0.05))))
            os.kill(pid, signal.SIGKILL)
            killed += 1
        status = os.waitpid(pid, 0)[1]
        if not os.WIFSIGNALED(status):
            done = os.waitstatus_to_exitcode(status)
    for pid in writers:
        os.waitpid(pid, 0)
    for read, _ in pipes:
        os.close(read)
    assert done == 0
    found = read_back(tmp_path, form)
    assert [found[name] == text for name, text in zip(NAMES, texts)] == [True, True]
    assert not (tmp_path / "socket.d").exists()


def test_a_stream_that_ends_just_before_a_kill_keeps_what_an_earlier_life_has_written_of_it(tmp_path: Path) -> None:
    out, err = os.pipe(), os.pipe()
    reads = (out[0], err[0])
    os.write(err[1], b"first\nhalf")
    _until_killed(tmp_path, "json", reads, lambda lines: b"first" in lines.written())
    os.write(out[1], b"a line\n")
    _until_killed(tmp_path, "json", reads, lambda lines: b"a line" in lines.written())
    os.close(out[1])
    _until_killed(tmp_path, "json", reads, lambda lines: lines.pipes[0].closed)
    os.write(err[1], b" of it\n")
    os.close(err[1])
    assert os.waitstatus_to_exitcode(os.waitpid(life(tmp_path, "json", 0, reads), 0)[1]) == 0
    assert read_back(tmp_path, "json") == {"stdout": b"a line\n", "stderr": b"first\nhalf of it\n"}
    for read in reads:
        os.close(read)


def _until_killed(home: Path, form: str, fds: tuple[int, ...], until: Callable[[Lines], bool]) -> None:
    """Read pipes in another process, which ends without a word as soon as `until` holds."""
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            lines = Lines(home, form)
            for fd, name in zip(fds, NAMES):
                lines.read(fd, name)
            lines.until(lambda: until(lines))
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def _write_in_pieces(pipe: tuple[int, int], pipes: list[tuple[int, int]], text: bytes, seed: float) -> int:
    pid = os.fork()
    if pid:
        return pid
    chance, at = random.Random(seed), 0
    for fd in (fd for each in pipes for fd in each if fd != pipe[1]):
        os.close(fd)
    while at < len(text):
        size = chance.randrange(1, 9000)
        os.write(pipe[1], text[at : at + size])
        at += size
        if chance.random() < 0.05:
            time.sleep(0.001)
    os._exit(0)
