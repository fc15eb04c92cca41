"""Targets of output: byte-exact over rotations, and every way in which a target can be wrong or fail for now."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmaster_common.errors import SystemFailure
from taskmasterd.output.log.rotation import SLACK
from taskmasterd.output.log.stream import PATIENCE_S
from taskmasterd.output.safe.open import check_log
from taskmasterd.output.sinks import PAST_PATHS, Sinks
from tests.support.daemon import ROOT
from tests.support.sinks import lone_sink
from tests.support.wait import wait_until

CAPACITY = 65_536
NOBODY = 65_534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


class Feed:
    """A pipe and a sink: what is written into the one is moved into the other."""

    def __init__(self, path: Path, max_bytes: int = 0, backups: int = 3, owner: tuple[int, int] | None = None) -> None:
        self.told: list[str] = []
        self.now = 0.0
        self.sink = lone_sink(str(path), max_bytes, backups, owner, self.told.append, lambda: self.now)
        self.read, self.write = os.pipe()
        os.set_blocking(self.read, False)

    def put(self, block: bytes, most: int = CAPACITY) -> None:
        """Write a block (not more than the pipe holds) and move everything that is there."""
        os.write(self.write, block)
        self.move_all(most)

    def move_all(self, most: int = CAPACITY) -> None:
        with suppress(BlockingIOError):
            while not self.sink.busy() and self.sink.move(self.read, most):
                pass

    def close(self) -> None:
        self.sink.log.close()
        os.close(self.read)
        os.close(self.write)


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Callable[..., Feed]]:
    made: list[Feed] = []

    def make(
        path: Path | None = None, max_bytes: int = 0, backups: int = 3, owner: tuple[int, int] | None = None
    ) -> Feed:
        made.append(Feed(path or tmp_path / "log", max_bytes, backups, owner))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture(params=[True, False], ids=["splice", "read-write"])
def each_way(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Run the test with splice and, as on other systems, without it."""
    if not request.param:
        monkeypatch.delattr(os, "splice", raising=False)


def written(path: Path) -> bytes:
    """Return everything that was written to a log, oldest first."""
    older = sorted(path.parent.glob(f"{path.name}.*"), key=lambda file: -int(file.suffix[1:]))
    return b"".join(file.read_bytes() for file in [*older, path])


# -- bytes


@given(
    blocks=st.lists(st.binary(max_size=3000) | st.just(b"a line\n") | st.just(b"\n"), max_size=40),
    max_bytes=st.sampled_from([0, 1, 100, 4096]),
    most=st.sampled_from([1, 7, 4096, CAPACITY]),
    splicing=st.booleans(),
)
def test_every_byte_is_there_once_and_in_order_over_rotations(
    blocks: list[bytes], max_bytes: int, most: int, splicing: bool
) -> None:
    with tempfile.TemporaryDirectory() as home, pytest.MonkeyPatch.context() as patch:
        if not splicing:
            patch.delattr(os, "splice")
        feed = Feed(Path(home, "log"), max_bytes, 10_000)
        for block in blocks:
            feed.put(block, most)
        feed.sink.log.open()
        feed.close()
        assert written(Path(home, "log")) == b"".join(blocks)
        assert feed.sink.ledger.trouble.dropped == 0
        assert feed.told == []


@pytest.mark.usefixtures("each_way")
def test_a_file_is_rotated_at_the_first_end_of_a_line_over_its_limit(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    log = feed(tmp_path / "log", 1000, 100)
    line = b"x" * 98 + b"\n"
    log.put(line * 600)
    sizes = [len((tmp_path / f"log.{n}").read_bytes()) for n in range(1, 54)]
    assert set(sizes) == {99 * 11}
    assert written(tmp_path / "log") == line * 600


def test_a_line_that_never_ends_is_cut_one_mebibyte_above_the_limit(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    log = feed(tmp_path / "log", 100_000, 3)
    for _ in range(40):
        log.put(b"x" * 60_000)
    assert (tmp_path / "log.1").stat().st_size == 100_000 + SLACK
    assert written(tmp_path / "log") == b"x" * 2_400_000


def test_a_file_that_is_over_the_limit_from_before_is_rotated_before_anything_is_added(
    tmp_path: Path, feed: Callable[..., Feed]
) -> None:
    (tmp_path / "log").write_bytes(b"old\n" * 100)
    feed(tmp_path / "log", 100, 3).put(b"new\n")
    assert (tmp_path / "log.1").read_bytes() == b"old\n" * 100
    assert (tmp_path / "log").read_bytes() == b"new\n"


def test_no_more_than_the_backups_are_kept(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    log = feed(tmp_path / "log", 4, 2)
    for word in (b"one\n", b"two\n", b"six\n", b"ten\n"):
        log.put(word)
    assert sorted(os.listdir(tmp_path)) == ["log", "log.1", "log.2"]
    assert written(tmp_path / "log") == b"six\nten\n"


def test_without_backups_a_new_file_is_started_and_nothing_kept(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    log = feed(tmp_path / "log", 4, 0)
    log.put(b"one\n")
    log.put(b"2\n")
    assert os.listdir(tmp_path) == ["log"]
    assert (tmp_path / "log").read_bytes() == b"2\n"


def test_a_gap_among_the_backups_is_filled_before_one_is_overwritten(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    for number in (1, 3):
        (tmp_path / f"log.{number}").write_text(f"{number}")
    feed(tmp_path / "log", 4, 3).put(b"one\n")
    assert [(tmp_path / f"log.{n}").read_text() for n in (1, 2, 3)] == ["one\n", "1", "3"]


def test_limits_change_while_the_file_is_open(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    log = feed(tmp_path / "log", 0, 0)
    log.put(b"one\n" * 10)
    log.sink.log.set_limits(8, 1)
    log.put(b"two\n")
    assert (tmp_path / "log.1").read_bytes() == b"one\n" * 10


def test_a_rotation_that_fails_loses_nothing_and_is_told(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    log = feed(tmp_path / "log", 4, 1)
    (tmp_path / "log.1").mkdir()
    log.put(b"one\n")
    log.put(b"two\n")
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"
    assert len(log.told) == 1
    assert "cannot rotate" in log.told[0]


@pytest.mark.slow
def test_a_mover_that_is_killed_at_any_moment_loses_and_doubles_no_byte(tmp_path: Path) -> None:
    lines = b"".join(b"%07d\n" % number for number in range(300_000))
    read, write = os.pipe()
    spare = os.dup(write)
    gate, opened = os.pipe()
    writer = os.fork()
    if writer == 0:
        os.close(spare)
        view = memoryview(lines)
        while view:
            if len(view) < len(lines) // 2:
                os.read(gate, 1)  # the second half comes after two kills
            view = view[os.write(write, view[:5000]) :]
        os._exit(0)
    os.close(write)
    os.set_blocking(read, False)
    kills = 0
    ended, _ = os.waitpid(writer, os.WNOHANG)
    while not ended:
        mover = _fork_mover(read, tmp_path / "log")
        _busy_for(kills * 13_711 % 60_000)
        os.kill(mover, signal.SIGKILL)
        os.waitpid(mover, 0)
        kills += 1
        if kills == 2:
            os.write(opened, bytes(len(lines) // 5000))
        ended, _ = os.waitpid(writer, os.WNOHANG)
    for fd in (spare, gate, opened):
        os.close(fd)
    assert os.waitpid(_fork_mover(read, tmp_path / "log"), 0)[1] == 0
    os.close(read)
    assert kills > 1
    assert written(tmp_path / "log") == lines


def _fork_mover(read: int, path: Path) -> int:
    """Fork a process that moves the pipe to its end, as a daemon does that was started again."""
    pid = os.fork()
    if pid == 0:
        sink = lone_sink(str(path), 30_000, 10_000, None, print)
        while True:
            with suppress(BlockingIOError):
                if not sink.move(read, 20_000):
                    os._exit(0)
    return pid


def _busy_for(turns: int) -> None:
    for _ in range(turns):
        os.getppid()


# -- opening


def test_a_new_file_belongs_to_the_daemon_and_others_cannot_read_it(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    umask = os.umask(0)
    try:
        feed(tmp_path / "a" / "b" / "log").put(b"x")
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "a" / "b" / "log").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o750


@as_root
@pytest.mark.root
def test_a_new_file_and_its_directories_belong_to_the_programs_user(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    feed(tmp_path / "a" / "log", owner=(NOBODY, NOBODY)).put(b"x")
    assert (tmp_path / "a" / "log").stat().st_uid == NOBODY
    assert (tmp_path / "a").stat().st_gid == NOBODY


def test_an_existing_file_is_added_to_and_keeps_its_mode(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    (tmp_path / "log").write_bytes(b"old ")
    (tmp_path / "log").chmod(0o600)
    feed().put(b"new")
    assert (tmp_path / "log").read_bytes() == b"old new"
    assert stat.S_IMODE((tmp_path / "log").stat().st_mode) == 0o600


def make_directory(path: Path) -> None:
    path.mkdir()


def make_symlink(path: Path) -> None:
    (path.parent / "elsewhere").write_text("")
    path.symlink_to("elsewhere")


def make_hard_link(path: Path) -> None:
    (path.parent / "elsewhere").write_text("")
    path.hardlink_to(path.parent / "elsewhere")


def make_socket(path: Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


def make_file_in_the_way(path: Path) -> None:
    path.parent.rmdir()
    path.parent.write_text("")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_directory, "it is a directory"),
        (make_symlink, "it is a symbolic link"),
        (make_hard_link, "it has 2 hard links"),
        (make_socket, "it is a socket"),
        (make_file_in_the_way, "not a directory"),
    ],
)
def test_what_is_wrong_with_a_target_is_said_when_it_is_opened(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    (tmp_path / "logs").mkdir()
    path = tmp_path / "logs" / "log"
    make(path)
    sink = lone_sink(str(path), 0, 0, None, print)
    for attempt in (sink.log.open, lambda: check_log(str(path), None)):
        with pytest.raises(SystemFailure) as caught:
            attempt()
        assert str(caught.value) == f"cannot open log file {path}: {reason}"


def test_nothing_is_created_among_the_devices_and_only_own_streams_are_taken() -> None:
    for path in ("/dev/no-such-device", "/dev/fd/7"):
        with pytest.raises(SystemFailure):
            lone_sink(path, 0, 0, None, print).log.open()
    assert not os.path.lexists("/dev/no-such-device")


@pytest.mark.parametrize("spelling", ["/proc/self/fd/{}", "/proc/thread-self/fd/{}", "/dev/fd/{}", "/proc/{pid}/fd/{}"])
def test_other_descriptors_of_the_daemon_are_taken_under_no_spelling(spelling: str) -> None:
    read, write = os.pipe()
    with pytest.raises(SystemFailure, match="of the daemon's descriptors only 1 and 2 can be logged to"):
        lone_sink(spelling.format(write, pid=os.getpid()), 0, 0, None, print).log.open()
    os.close(read)
    os.close(write)


def test_the_stream_of_another_process_that_is_ours_too_is_written_though_it_cannot_be_opened() -> None:
    """A socket cannot be opened by way of /proc; in a container it may be what process 1 and its children write to."""
    ours, theirs = socket.socketpair()
    script = (
        "import os; from tests.support.sinks import lone_sink\n"
        "pid = os.fork()\n"
        "if pid == 0: lone_sink(f'/proc/{os.getppid()}/fd/1', 0, 0, None, print).append(b'said')\n"
        "else: os.waitpid(pid, 0)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'common'}"}
    subprocess.run([sys.executable, "-c", script], stdout=theirs.fileno(), env=environment, check=True, timeout=60)
    theirs.close()
    assert ours.recv(100) == b"said"
    ours.close()


def test_a_file_that_another_process_has_open_is_added_to_and_neither_overwritten_nor_rotated(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("before\n")
    with (tmp_path / "out").open("a") as out:
        other = subprocess.Popen(["sleep", "60"], stdout=out)
    sink = lone_sink(f"/proc/{other.pid}/fd/1", 4, 1, None, print)
    sink.append(b"after\n")
    sink.append(b"more\n")
    sink.log.close()
    other.kill()
    other.wait()
    assert (tmp_path / "out").read_text() == "before\nafter\nmore\n"
    assert os.listdir(tmp_path) == ["out"]


@as_root
@pytest.mark.root
def test_a_file_that_another_user_put_into_a_public_directory_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    (tmp_path / "log").write_text("")
    os.chown(tmp_path / "log", 1234, 1234)
    with pytest.raises(SystemFailure, match="it belongs to uid 1234"):
        lone_sink(str(tmp_path / "log"), 0, 0, (NOBODY, NOBODY), print).log.open()
    owner = lone_sink(str(tmp_path / "log"), 0, 0, (1234, 1234), print)
    owner.log.open()
    owner.log.close()


@as_root
@pytest.mark.root
def test_a_link_that_a_programs_user_plants_among_the_directories_leads_root_nowhere(tmp_path: Path) -> None:
    home, secret = tmp_path / "home", tmp_path / "secret"
    home.mkdir()
    secret.mkdir()
    os.chown(home, NOBODY, NOBODY)
    (home / "logs").symlink_to(secret)
    sink = lone_sink(str(home / "logs" / "log"), 0, 0, (NOBODY, NOBODY), print)
    sink.log.open()  # root made the link
    sink.log.close()
    (secret / "log").unlink()
    for target in (secret, f"../{secret.name}", home / "more"):
        (home / "more").unlink(missing_ok=True)
        (home / "more").symlink_to(secret)
        (home / "logs").unlink()
        (home / "logs").symlink_to(target)
        for link in (home / "logs", home / "more"):
            os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
        with pytest.raises(SystemFailure, match=f"a link on its way was made by uid {NOBODY}"):
            sink.log.open()
        assert list(secret.iterdir()) == []
    os.chown(secret, NOBODY, NOBODY)
    sink.log.open()  # it is theirs: nothing is gained by the link
    sink.log.close()
    assert (secret / "log").stat().st_uid == NOBODY


@as_root
@pytest.mark.root
def test_a_directory_without_permission_is_wrong(short_dir: Path) -> None:
    short_dir.chmod(0o755)
    pid = os.fork()
    if pid == 0:
        os.setresuid(NOBODY, NOBODY, NOBODY)
        try:
            lone_sink(str(short_dir / "log"), 0, 0, None, print).log.open()
        except SystemFailure as failure:
            os._exit(0 if failure.reason == "permission denied" else 1)
        os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_check_creates_no_directories(tmp_path: Path) -> None:
    with pytest.raises(SystemFailure, match="no such file"):
        check_log(str(tmp_path / "a" / "log"), None)
    assert not (tmp_path / "a").exists()


# -- what only fails now


def test_a_full_device_costs_output_which_is_counted_and_said_once_a_minute(feed: Callable[..., Feed]) -> None:
    log = feed(Path("/dev/full"))
    for _ in range(100):
        log.put(b"x" * 1000)
    assert log.sink.ledger.trouble.dropped == 100_000
    assert log.told == ["cannot write /dev/full: no space left on device; 1000 bytes dropped"]
    log.now += 61
    log.put(b"x")
    assert log.told[1:] == ["cannot write /dev/full: no space left on device; 99001 bytes dropped"]


def test_a_fifo_is_written_as_soon_as_somebody_reads_it(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    os.mkfifo(tmp_path / "fifo")
    log = feed(tmp_path / "fifo")
    log.sink.log.open()
    log.put(b"nobody")
    assert log.sink.ledger.trouble.dropped == 6
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    log.put(b"somebody")
    assert os.read(reader, 100) == b"somebody"
    os.close(reader)
    log.put(b"gone")
    assert log.sink.ledger.trouble.dropped == 10
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    log.put(b"back")
    assert os.read(reader, 100) == b"back"
    os.close(reader)
    assert not log.sink.log.regular
    assert len(log.told) == 2  # cannot open, can be written again; what followed is within the minute


def test_a_slow_reader_of_a_fifo_misses_nothing(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    log = feed(tmp_path / "fifo")
    got = b""
    for _ in range(4):
        log.put(b"y" * 60_000)
        log.now += PATIENCE_S / 2
        with suppress(BlockingIOError):
            got += os.read(reader, 30_000)
        log.move_all()
    for _ in range(20):
        with suppress(BlockingIOError):
            got += os.read(reader, 30_000)
        log.move_all()
    os.close(reader)
    assert len(got) == 240_000
    assert log.sink.ledger.trouble.dropped == 0


def test_a_reader_that_stopped_reading_holds_nobody_up_for_long(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    log = feed(tmp_path / "fifo")
    log.put(b"y" * 65_000)
    log.put(b"y" * 65_000)
    assert log.sink.busy()
    log.now += PATIENCE_S
    assert not log.sink.busy()
    log.put(b"y" * 65_000)
    assert log.sink.ledger.trouble.dropped > 120_000
    os.read(reader, 65_536)
    log.put(b"reads again")
    assert os.read(reader, 100) == b"reads again"
    os.close(reader)


def test_a_deleted_file_comes_back_with_its_directory(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    path = tmp_path / "a" / "b" / "log"
    log = feed(path)
    log.put(b"one")
    path.unlink()
    path.parent.rmdir()
    path.parent.parent.rmdir()
    log.put(b"two")
    assert path.read_bytes() == b"two"
    assert log.sink.ledger.retired == 3


def test_a_renamed_file_is_written_until_it_is_asked_to_open_anew(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    log = feed()
    log.put(b"one ")
    (tmp_path / "log").rename(tmp_path / "old")
    log.put(b"two")
    log.sink.log.reopen()
    log.put(b"three")
    assert (tmp_path / "old").read_bytes() == b"one two"
    assert (tmp_path / "log").read_bytes() == b"three"


def test_a_reopen_that_fails_keeps_the_old_file(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    log = feed()
    log.put(b"one ")
    (tmp_path / "log").rename(tmp_path / "old")
    (tmp_path / "log").mkdir()
    log.sink.log.reopen()
    log.put(b"two")
    assert (tmp_path / "old").read_bytes() == b"one two"
    assert "it is a directory" in log.told[0]


def test_a_file_exchanged_for_a_symlink_is_not_written_through(tmp_path: Path, feed: Callable[..., Feed]) -> None:
    log = feed()
    log.put(b"one")
    (tmp_path / "secret").write_text("")
    (tmp_path / "log").unlink()
    (tmp_path / "log").symlink_to("secret")
    log.put(b"two")
    assert (tmp_path / "secret").read_text() == ""
    assert log.sink.ledger.trouble.dropped == 3


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", disk], check=False).returncode:
        pytest.skip("cannot mount")
    yield disk
    wait_until(lambda: subprocess.run(["umount", disk], check=False).returncode == 0)


@as_root
@pytest.mark.root
@pytest.mark.usefixtures("each_way")
def test_writing_goes_on_when_a_full_disk_has_space_again(small_disk: Path, tmp_path: Path) -> None:
    log = Feed(small_disk / "log")
    (small_disk / "filler").write_bytes(b"x" * 40_000)
    total = 0
    for _ in range(20):
        log.put(b"l" * 3999 + b"\n")
        total += 4000
    held = (small_disk / "log").stat().st_size
    assert held < total
    assert log.sink.ledger.trouble.dropped == total - held
    assert len(log.told) == 1
    (small_disk / "filler").unlink()
    log.put(b"again\n")
    assert (small_disk / "log").read_bytes().endswith(b"again\n")
    assert "can be written again" in log.told[1]
    log.close()


def test_the_daemons_own_lines_are_written_rotated_and_never_raise(tmp_path: Path) -> None:
    told: list[str] = []
    sink = lone_sink(str(tmp_path / "events"), 10, 2, None, told.append)
    sink.append(b"line one\n")
    sink.append(b"line two\n")
    assert (tmp_path / "events.1").read_bytes() == b"line one\nline two\n"
    (tmp_path / "events").unlink()
    (tmp_path / "events").mkdir()
    sink.append(b"line three\n")
    sink.log.close()
    assert sink.ledger.trouble.dropped == 11
    assert len(told) == 1
    full = lone_sink("/dev/full", 0, 0, None, lambda text: full.append(text.encode()))
    full.append(b"line\n")
    assert full.ledger.trouble.dropped > 5  # its own complaint went the same way, once
    full.log.close()


# -- sharing


def test_pipes_of_one_program_to_one_path_share_a_sink_until_the_last_is_gone(tmp_path: Path) -> None:
    sinks = Sinks(print, None)
    path = str(tmp_path / "log")
    first = sinks.acquire(path, 10, 1, None, "web")
    second = sinks.acquire(path, 10, 1, None, "web")
    assert first is second
    assert sinks.at(path) == (first,)
    sinks.release(first)
    assert sinks.at(path) == (first,)
    sinks.release(second)
    assert sinks.at(path) == ()


@pytest.mark.parametrize(("owner", "program"), [((os.geteuid(), os.getegid()), "web"), (None, "db")])
def test_another_program_or_owner_shares_no_sink_and_what_both_write_is_all_there_and_counted_once(
    tmp_path: Path, owner: tuple[int, int] | None, program: str
) -> None:
    sinks = Sinks(print, None)
    path = str(tmp_path / "log")
    sinks.watch(path, lambda: None)
    first = sinks.acquire(path, 8, 9, None, "web")
    second = sinks.acquire(path, 8, 9, owner, program)
    assert first is not second
    assert (first.log.owner, second.log.owner) == (None, owner)
    lines = [b"%d\n" % number for number in range(50)]
    for number, line in enumerate(lines):
        (first, second)[number % 2].append(line)
    kept = written(tmp_path / "log")
    assert sorted(kept.split()) == sorted(b"".join(lines)[-len(kept) :].split())
    assert sinks.retired(path) == sum(map(len, lines)) - (tmp_path / "log").stat().st_size
    sinks.release(first)
    assert sinks.at(path) == (second,)
    sinks.close()


def test_a_sink_that_cannot_be_opened_is_not_kept(tmp_path: Path) -> None:
    sinks = Sinks(print, None)
    with pytest.raises(SystemFailure):
        sinks.acquire(str(tmp_path), 0, 0, None)
    assert sinks.at(str(tmp_path)) == ()


def test_watchers_are_told_whoever_writes_and_outlive_the_writers(tmp_path: Path) -> None:
    path, told = str(tmp_path / "log"), []
    sinks = Sinks(print, None)
    changed = lambda: told.append(1)  # noqa: E731 - the same object is taken back below
    sinks.watch(path, changed)
    for _ in range(2):
        sink = sinks.acquire(path, 4, 1, None)
        sink.append(b"one\n")
        sinks.release(sink)
    assert len(told) == 2
    assert sinks.retired(path) == 8
    sinks.unwatch(path, changed)
    sink = sinks.acquire(path, 4, 1, None)
    sink.append(b"one\n")
    sinks.release(sink)
    assert len(told) == 2


def test_all_files_are_opened_anew_together(tmp_path: Path) -> None:
    sinks = Sinks(print, None)
    for name in ("a", "b"):
        sinks.acquire(str(tmp_path / name), 0, 0, None)
        (tmp_path / name).rename(tmp_path / f"{name}.old")
    sinks.reopen_all()
    sinks.close()
    assert sorted(os.listdir(tmp_path)) == ["a", "a.old", "b", "b.old"]


def test_descriptors_are_as_many_after_as_before(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    sinks = Sinks(print, None)
    for turn in range(200):
        sink = sinks.acquire(str(tmp_path / "log"), 4, 2, None)
        sink.append(b"one\n")
        if turn % 3 == 0:
            (tmp_path / "log").unlink()
            sink.append(b"two\n")
        sink.log.reopen()
        sinks.release(sink)
        with pytest.raises(SystemFailure):
            sinks.acquire(str(tmp_path), 0, 0, None)
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_trouble_that_was_told_is_not_told_again_by_the_next_writer_of_that_path() -> None:
    said: list[str] = []
    sinks = Sinks(said.append, None)
    for _ in range(5):
        sink = sinks.acquire("/dev/full", 0, 0, None)
        sink.append(b"x")
        sinks.release(sink)
    assert len(said) == 1


def test_of_paths_that_reloads_leave_behind_only_the_latest_are_remembered(tmp_path: Path) -> None:
    sinks = Sinks(print, None)
    for number in range(PAST_PATHS + 3):
        sink = sinks.acquire(str(tmp_path / str(number)), 0, 0, None)
        sink.append(b"line\n")
        sinks.release(sink)
    known = [number for number in range(PAST_PATHS + 3) if sinks.marks(str(tmp_path / str(number)))]
    assert known == list(range(2, PAST_PATHS + 3))


def test_one_more_pipe_opens_the_path_again_where_another_file_is_now(tmp_path: Path) -> None:
    sinks = Sinks(print, None)
    path = tmp_path / "log"
    sink = sinks.acquire(str(path), 0, 0, None)
    path.rename(tmp_path / "renamed")
    path.touch()
    assert sinks.acquire(str(path), 0, 0, None) is sink
    sink.append(b"line\n")
    assert path.read_bytes() == b"line\n"
    sinks.close()
