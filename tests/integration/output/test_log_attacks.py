"""Logs in directories of others: what a program's user exchanges, links or plants there harms nobody else."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from taskmaster_common.errors import SystemFailure
from taskmasterd.output.log.rotation import SLACK
from taskmasterd.output.read import Follower, check_readable, find_lines, last_lines, tail_since
from taskmasterd.output.sinks import Sinks
from taskmasterd.system.paths.walk import PlantedError, enter_directory
from tests.support.sinks import lone_sink
from tests.support.wait import wait_until

USER, OTHER = 65_534, 1234
EXCHANGE, AT_FDCWD = 2, -100
ROUNDS = 400
pytestmark = [pytest.mark.root, pytest.mark.skipif(os.geteuid() != 0, reason="needs several users")]


@pytest.fixture
def home(short_dir: Path) -> Path:
    """The directory of a program's user."""
    short_dir.chmod(0o755)
    made = short_dir / "home"
    made.mkdir()
    os.chown(made, USER, USER)
    return made


@pytest.fixture
def theirs(short_dir: Path) -> Path:
    """A directory of somebody else with a log and what was rotated."""
    made = short_dir / "theirs"
    made.mkdir()
    os.chown(made, OTHER, OTHER)
    for name in ("log", "log.1", "log.2"):
        (made / name).write_text(f"{name} of others\n")
        os.chown(made / name, OTHER, OTHER)
    return made


def contents(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


def link(path: Path, target: Path) -> None:
    """Have the program's user make a link."""
    path.symlink_to(target)
    os.chown(path, USER, USER, follow_symlinks=False)


def log_directory(home: Path) -> Path:
    made = home / "logs"
    made.mkdir()
    os.chown(made, USER, USER)
    return made


@pytest.fixture
def swapper() -> Iterator[list[int]]:
    """Processes that exchange two names all the time."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def swap(pids: list[int], one: Path, two: Path) -> None:
    """Exchange two names in a loop, as the program's user would. Source: renameat2(2), RENAME_EXCHANGE."""
    libc = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(two)
    pid = os.fork()
    if pid == 0:
        os.setresuid(USER, USER, USER)
        while True:
            libc.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], EXCHANGE)
    pids.append(pid)


def test_a_shared_log_is_judged_again_for_each_pipe_that_is_led_there(home: Path, theirs: Path) -> None:
    logs = log_directory(home)
    sinks = Sinks(print, None)
    path = str(logs / "log")
    first = sinks.acquire(path, 0, 0, (USER, USER), "a")
    logs.rename(home / "away")
    link(logs, theirs)
    before = contents(theirs)
    for program in ("a", "b"):
        with pytest.raises(SystemFailure, match=f"a link on its way was made by uid {USER}"):
            sinks.acquire(path, 0, 0, (USER, USER), program)
    first.append(b"still where it was\n")
    assert (home / "away" / "log").read_text() == "still where it was\n"
    assert contents(theirs) == before
    sinks.close()


def test_a_sink_of_another_user_that_is_open_is_not_handed_out_to_who_links_there(home: Path, theirs: Path) -> None:
    sinks = Sinks(print, None)
    victim = sinks.acquire(str(theirs / "log"), 0, 0, (OTHER, OTHER), "victim")
    link(home / "logs", theirs)
    with pytest.raises(SystemFailure, match="a link on its way"):
        sinks.acquire(str(home / "logs" / "log"), 0, 0, (USER, USER), "a")
    assert victim.log.owner == (OTHER, OTHER)
    sinks.close()


@pytest.mark.parametrize("backups", [0, 2])
def test_a_rotation_renames_and_deletes_nothing_where_a_planted_link_leads(
    home: Path, theirs: Path, backups: int
) -> None:
    logs = log_directory(home)
    told: list[str] = []
    sink = lone_sink(str(logs / "log"), 10, backups, (USER, USER), told.append)
    sink.append(b"short\n")
    logs.rename(home / "away")
    link(logs, theirs)
    before = contents(theirs)
    for _ in range(20):
        sink.append(b"a line over the limit\n")
    assert contents(theirs) == before
    assert "cannot rotate" in told[0]
    sink.log.close()


def test_a_rotation_in_a_directory_that_is_exchanged_all_the_time_touches_only_what_is_the_users(
    home: Path, theirs: Path, swapper: list[int]
) -> None:
    logs = log_directory(home)
    link(home / "trap", theirs)
    before = contents(theirs)
    sink = lone_sink(str(logs / "log"), 10, 2, (USER, USER), lambda _text: None)
    swap(swapper, logs, home / "trap")
    for number in range(ROUNDS):
        sink.append(b"line %d of the attacker\n" % number)
        if number % 10 == 0:
            sink.log.close()
    assert contents(theirs) == before
    assert all((theirs / name).stat().st_uid == OTHER for name in before)
    sink.log.close()


def test_a_directory_that_is_created_on_the_way_and_exchanged_all_the_time_gives_nothing_of_roots_away(
    home: Path, swapper: list[int]
) -> None:
    names = [home / "logs", home / "secret"]
    names[1].write_text("root's\n")
    swap(swapper, *names)
    for _ in range(ROUNDS):
        with suppress(OSError):
            os.close(enter_directory(str(names[0]), make=True, owner=(USER, USER)))
        for name in names:
            with suppress(OSError):
                name.rmdir()
    os.kill(swapper[0], signal.SIGSTOP)
    wait_until(lambda: Path(f"/proc/{swapper[0]}/stat").read_text().rpartition(")")[2].split()[0] == "T")
    (secret,) = [path for path in home.iterdir() if path.is_file()]
    assert secret.stat().st_uid == 0


@pytest.mark.parametrize("directory", [True, False])
def test_what_takes_the_place_of_a_new_directory_at_once_is_not_given_away(
    home: Path, monkeypatch: pytest.MonkeyPatch, directory: bool
) -> None:
    secret = home / "secret"
    if directory:
        secret.mkdir()
    else:
        secret.write_text("")
    secret.chmod(0o700)
    held = os.open(secret, os.O_RDONLY)
    mkdir = os.mkdir

    def exchange(name: str, mode: int, *, dir_fd: int) -> None:
        mkdir(name, mode, dir_fd=dir_fd)
        if secret.exists():
            os.rename(name, "aside", src_dir_fd=dir_fd, dst_dir_fd=dir_fd)
            os.rename(secret, name, dst_dir_fd=dir_fd)

    monkeypatch.setattr(os, "mkdir", exchange)
    with suppress(OSError):
        os.close(enter_directory(str(home / "logs"), make=True, owner=(USER, USER)))
    assert not secret.exists()
    assert os.fstat(held).st_uid == 0
    os.close(held)


@pytest.mark.parametrize(
    ("owner", "group", "mode"), [(USER, 0, 0o755), (0, USER, 0o775), (0, USER, 0o2775), (USER, USER, 0o770)]
)
def test_a_file_of_others_to_which_a_user_has_given_the_name_of_his_log_is_not_written(
    home: Path, owner: int, group: int, mode: int
) -> None:
    path = home / "log"
    path.write_text("of others\n")
    os.chown(path, OTHER, OTHER)
    os.chown(home, owner, group)
    home.chmod(mode)
    with pytest.raises(SystemFailure, match=f"it belongs to uid {OTHER}, in a directory where others may write"):
        lone_sink(str(path), 0, 0, (USER, USER), print).log.open()
    assert path.read_text() == "of others\n"


def test_a_log_that_has_another_owner_is_written_where_only_root_or_that_owner_could_name_it(home: Path) -> None:
    path = home / "log"
    path.touch()
    os.chown(path, OTHER, OTHER)
    for owner in (0, OTHER):
        os.chown(home, owner, 0)
        sink = lone_sink(str(path), 0, 0, (USER, USER), print)
        sink.append(b"x")
        sink.log.close()
    assert path.read_text() == "xx"


def test_new_directories_belong_to_the_user_wherever_they_are_made(home: Path) -> None:
    os.close(enter_directory(str(home / "a" / "b"), make=True, owner=(USER, USER)))
    os.close(enter_directory(str(home.parent / "c" / "d"), make=True, owner=(USER, USER)))
    for path in (home / "a", home / "a" / "b", home.parent / "c", home.parent / "c" / "d"):
        assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (USER, 0o750)
    assert sorted(path.name for path in home.iterdir()) == ["a"], "nothing is left of how it was made"


def test_no_directory_is_made_where_a_planted_link_leads(home: Path, theirs: Path) -> None:
    (home / "log").symlink_to(theirs)
    os.chown(home / "log", USER, USER, follow_symlinks=False)
    for missing in ("sub", "sub/deeper"):
        with pytest.raises(PlantedError, match="does not own where it leads"):
            enter_directory(str(home / "log" / missing), make=True, owner=(USER, USER))
    assert not (theirs / "sub").exists()


def test_a_log_is_not_read_back_through_a_planted_link_nor_from_a_hard_link(home: Path, theirs: Path) -> None:
    link(home / "logs", theirs)
    path = str(home / "logs" / "log")
    for attempt in (
        lambda: check_readable(path),
        lambda: find_lines(path, 1, 100),
        lambda: last_lines(path, 1, 100),
        lambda: Follower(path),
    ):
        with pytest.raises(SystemFailure, match="a link on its way"):
            attempt()
    assert tail_since(path, 0) == []
    (home / "log").hardlink_to(theirs / "log")
    with pytest.raises(SystemFailure, match="it has 2 hard links"):
        last_lines(str(home / "log"), 1, 100)


def test_a_follower_does_not_go_on_where_a_planted_link_leads(home: Path, theirs: Path) -> None:
    logs = log_directory(home)
    (logs / "log").write_text("mine\n")
    follower = Follower(str(logs / "log"))
    logs.rename(home / "away")
    link(logs, theirs)
    assert follower.read(100) == (b"", 0)
    logs.unlink()
    (home / "away").rename(logs)
    (logs / "log").rename(logs / "log.1")
    (logs / "log").write_text("more\n")
    assert follower.read(100) == (b"more\n", 0)
    follower.close()


def test_files_of_others_in_a_directory_with_the_sticky_bit_keep_their_names(short_dir: Path) -> None:
    short_dir.chmod(0o1777)
    (short_dir / "log.1").write_text("somebody else's\n")
    os.chown(short_dir / "log.1", OTHER, OTHER)
    sink = lone_sink(str(short_dir / "log"), 4, 3, (USER, USER), print)
    for word in (b"one\n", b"two\n", b"six\n", b"ten\n"):
        sink.append(word)
    sink.log.close()
    assert contents(short_dir) == {"log": "", "log.1": "somebody else's\n", "log.2": "ten\n", "log.3": "six\n"}


def test_what_is_planted_at_the_names_of_rotated_files_is_passed_over(home: Path) -> None:
    logs = log_directory(home)
    (logs / "log.1" / "full").mkdir(parents=True)
    link(logs / "log.3", Path("/etc/passwd"))
    sink = lone_sink(str(logs / "log"), 4, 4, (USER, USER), print)
    for word in (b"one\n", b"two\n", b"six\n"):
        sink.append(word)
    assert [(logs / f"log.{n}").read_text() for n in (2, 4)] == ["six\n", "two\n"]
    assert (logs / "log.3").is_symlink()
    assert last_lines(str(logs / "log"), 9, 1000) == b"two\nsix\n"
    sink.log.close()


def test_a_log_that_cannot_be_rotated_stays_within_what_all_its_files_may_hold(home: Path) -> None:
    logs = log_directory(home)
    for number in (1, 2):
        (logs / f"log.{number}" / "full").mkdir(parents=True)
    told: list[str] = []
    sink = lone_sink(str(logs / "log"), 1_000_000, 2, (USER, USER), told.append)
    line = b"x" * 99_999 + b"\n"
    follower = Follower(str(logs / "log"), retired=lambda: sink.ledger.retired)
    largest = 0
    for _ in range(100):
        sink.append(line)
        largest = max(largest, (logs / "log").stat().st_size)
    assert 3_000_000 <= largest <= 3_000_000 + SLACK + len(line)
    assert told == [f"cannot rotate {logs}/log: something else has the names of all rotated files"]
    assert sink.ledger.trouble.dropped >= 3_000_000
    assert sink.ledger.trouble.dropped + (logs / "log").stat().st_size == 100 * len(line)
    got = b""
    while piece := follower.read(SLACK)[0]:
        got += piece
    assert got.endswith(line)
    follower.close()
    sink.log.close()


def test_a_renamed_log_that_cannot_be_opened_anew_is_not_emptied(home: Path) -> None:
    logs = log_directory(home)
    sink = lone_sink(str(logs / "log"), 10, 0, (USER, USER), lambda _text: None)
    sink.append(b"kept\n")
    (logs / "log").rename(logs / "saved")
    (logs / "log").mkdir()
    for _ in range(50):
        sink.append(b"x" * 99_999 + b"\n")
    assert (logs / "saved").read_bytes().startswith(b"kept\nxxx")
    assert (logs / "saved").stat().st_size < 3 * SLACK
    assert sink.ledger.trouble.dropped > SLACK
    sink.log.close()


def test_a_user_who_makes_the_way_endless_costs_one_error(home: Path) -> None:
    link(home / "logs", home / "logs")
    with pytest.raises(SystemFailure) as caught:
        lone_sink(str(home / "logs" / "log"), 0, 0, (USER, USER), print).log.open()
    assert caught.value.errno == errno.ELOOP


def test_a_user_who_makes_the_way_long_costs_one_error_too(home: Path) -> None:
    (home / "a").mkdir()
    for number in range(30):
        link(home / f"link{number}", Path("a/.." + "/a/.." * 300 + f"/link{number + 1}"))
    with pytest.raises(SystemFailure, match="too long"):
        lone_sink(str(home / "link0" / "log"), 0, 0, (USER, USER), print).log.open()


def test_a_lease_that_a_user_holds_on_his_log_makes_nobody_wait(home: Path) -> None:
    """Source: fcntl(2), F_SETLEASE: who opens the file waits for it, up to 45 s, unless it asks not to."""
    (home / "log").write_text("")
    os.chown(home / "log", USER, USER)
    held = os.open(home / "log", os.O_RDWR)
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
    told: list[str] = []
    sink = lone_sink(str(home / "log"), 0, 0, (USER, USER), told.append)
    sink.log.open()
    sink.append(b"dropped")
    assert sink.ledger.trouble.dropped == 7, "who had waited could write"
    with pytest.raises(SystemFailure):
        check_readable(str(home / "log"))
    os.close(held)
    sink.append(b"written")
    assert (home / "log").read_bytes() == b"written"
    sink.log.close()
    signal.signal(signal.SIGIO, signal.SIG_DFL)
