"""Locks, sockets and directories that a daemon owns."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import socket
import stat
import sys
import time
from pathlib import Path
from typing import NoReturn

import pytest

from taskmaster_common.errors import SystemFailure
from taskmasterd.control import socket_file
from taskmasterd.control.socket_file import TURN_WITHIN_S, listen_on
from taskmasterd.system.loop.sockets import accept
from taskmasterd.system.paths.held import Held, inode_of, unlink_own
from taskmasterd.system.paths.locks import AlreadyRunningError, lock_pidfile, make_directory, unusable
from taskmasterd.system.users import Account
from tests.support.listening import is_open
from tests.support.variants import in_the_sweep


def test_a_locked_pid_file_is_refused_with_the_pid_of_its_owner(short_dir: Path) -> None:
    path = str(short_dir / "p")
    fd = lock_pidfile(path)
    with pytest.raises(AlreadyRunningError, match=rf"another daemon \(pid {os.getpid()}\) holds {path}"):
        lock_pidfile(path)
    os.close(fd)
    os.close(lock_pidfile(path))


def test_a_pid_file_can_be_locked_by_nobody_else(short_dir: Path) -> None:
    new, old = short_dir / "new", short_dir / "old"
    old.write_text("1\n")
    old.chmod(0o644)
    for path in (new, old):
        os.close(lock_pidfile(str(path)))
        assert path.stat().st_mode & 0o777 == 0o600, "whoever may open it may lock it, and refuse a restart"


def test_a_foreign_pid_in_an_unlocked_file_is_no_obstacle(short_dir: Path) -> None:
    path = short_dir / "p"
    path.write_text("1\nand more")
    os.close(lock_pidfile(str(path)))
    assert path.read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("text", ["127.0.0.1 localhost\n", "precious", "x" * 100])
def test_a_file_that_holds_something_else_than_a_pid_is_no_pid_file(short_dir: Path, text: str) -> None:
    path = short_dir / "hosts"
    path.write_text(text)
    path.chmod(0o644)
    with pytest.raises(SystemFailure, match="it holds something else than a pid; remove it, or set `pidfile`"):
        lock_pidfile(str(path))
    assert (path.read_text(), path.stat().st_mode & 0o777) == (text, 0o644)


@pytest.mark.parametrize("text", ["", "\n", "4711", " 4711 \n", "\0\0\0\0\0"])
def test_what_an_earlier_daemon_or_a_crash_left_is_a_pid_file(short_dir: Path, text: str) -> None:
    path = short_dir / "p"
    path.write_text(text)
    os.close(lock_pidfile(str(path)))
    assert path.read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("kind", ["symlink", "hardlink", "directory", "fifo"])
def test_a_pid_file_that_is_no_plain_file_of_ours_is_refused(short_dir: Path, kind: str) -> None:
    path, victim = short_dir / "p", short_dir / "victim"
    victim.write_text("precious")
    match kind:
        case "symlink":
            path.symlink_to(victim)
        case "hardlink":
            path.hardlink_to(victim)
        case "directory":
            path.mkdir()
        case _:
            os.mkfifo(path)
    with pytest.raises(SystemFailure, match=str(path)):
        lock_pidfile(str(path))
    assert victim.read_text() == "precious"


def test_a_pid_file_in_a_missing_directory_names_the_directory(short_dir: Path) -> None:
    with pytest.raises(SystemFailure, match="its directory does not exist"):
        lock_pidfile(str(short_dir / "no" / "p"))


@pytest.mark.parametrize("mode", [0o600, 0o660])
def test_a_socket_has_its_mode_whatever_the_umask(short_dir: Path, mode: int) -> None:
    before = os.umask(0)
    try:
        listener = listen_on(str(short_dir / "s"), mode, None, None)
    finally:
        os.umask(before)
    assert os.stat(short_dir / "s").st_mode & 0o777 == mode
    listener.close()


def test_a_stale_socket_is_replaced_and_one_that_answers_is_not(short_dir: Path) -> None:
    path = str(short_dir / "s")
    first = listen_on(path, 0o600, None, None)
    with pytest.raises(AlreadyRunningError, match=rf"another daemon \(pid {os.getpid()}\) answers on {path}"):
        listen_on(path, 0o600, None, None)
    first.close()
    second = listen_on(path, 0o600, None, None)
    second.close()


def test_something_that_is_no_socket_is_never_replaced(short_dir: Path) -> None:
    path = short_dir / "s"
    path.write_text("precious")
    with pytest.raises(SystemFailure, match="something that is not a socket"):
        listen_on(str(path), 0o600, None, None)
    assert path.read_text() == "precious"


def test_a_path_that_is_too_long_tells_its_length(short_dir: Path) -> None:
    with pytest.raises(SystemFailure, match=r"the path has 2.. bytes, the most is 107"):
        listen_on(str(short_dir / ("x" * 200)), 0o600, None, None)


def test_only_the_own_file_is_unlinked(short_dir: Path) -> None:
    path = short_dir / "s"
    listener = listen_on(str(path), 0o600, None, None)
    mine = inode_of(str(path))
    path.unlink()
    path.write_text("somebody else's")
    unlink_own(str(path), mine)
    assert path.exists()
    unlink_own(str(path), inode_of(str(path)))
    assert not path.exists()
    listener.close()


def test_default_directories_are_created_and_foreign_ones_are_not_trusted(short_dir: Path) -> None:
    path = short_dir / "a" / "b"
    make_directory(str(path), 0o700, None)
    make_directory(str(path), 0o700, None)
    assert path.stat().st_mode & 0o777 == 0o700
    (short_dir / "link").symlink_to(path)
    with pytest.raises(SystemFailure, match="not a directory"):
        make_directory(str(short_dir / "link"), 0o700, None)
    if os.geteuid() == 0:
        os.chown(path, 65_534, 65_534)
        with pytest.raises(SystemFailure, match="belongs to uid 65534"):
            make_directory(str(path), 0o700, None)


def test_a_new_default_directory_may_be_in_use_by_a_daemon_that_starts_beside_us_and_is_never_an_exchanged_one(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = Held.make_directory

    def create_and_use(held: Held, _mode: int) -> None:
        create(held, 0o700)
        Path(held.path, "log").touch()

    monkeypatch.setattr(Held, "make_directory", create_and_use)
    make_directory(str(short_dir / "a"), 0o700, None)
    with pytest.raises(SystemFailure, match="exchanged while it was created"):
        make_directory(str(short_dir / "b"), 0o750, None)


def test_the_first_path_that_cannot_be_used_is_named(short_dir: Path) -> None:
    assert unusable([(str(short_dir), os.R_OK)]) == ""
    assert unusable([(str(short_dir), os.R_OK), (str(short_dir / "no"), os.R_OK)]) == str(short_dir / "no")


def test_a_client_that_connects_before_accept_is_not_lost(short_dir: Path) -> None:
    listener = listen_on(str(short_dir / "s"), 0o600, None, None)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(short_dir / "s"))
        listener.settimeout(20)
        accepted = accept(listener)
        accepted.close()
    listener.close()


@pytest.mark.parametrize("races", [5, *in_the_sweep(50)])
def test_of_several_that_find_the_same_stale_socket_at_the_same_moment_one_gets_it(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, races: int
) -> None:
    monkeypatch.setattr(socket_file, "TURN_WITHIN_S", 60.0)  # the holder of the lock may wait long for a processor
    path = short_dir / "s"
    for _ in range(races):
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        assert _race_for(str(path), racers=5) == 1
        path.unlink()


def _race_for(path: str, racers: int) -> int:
    """Let several processes listen at `path` at once; returns how many believe that they do."""
    gate, opened = os.pipe()
    held, done = os.pipe()
    answers, answer = os.pipe()
    pids = []
    for _ in range(racers):
        pids.append(os.fork())
        if pids[-1] == 0:
            os.close(opened)
            os.close(done)
            os.read(gate, 1)
            try:
                listener = listen_on(path, 0o600, None, None)
                os.write(answer, b"y")
                os.read(held, 1)  # go on listening until all have tried
                listener.close()
            except (AlreadyRunningError, SystemFailure):
                os.write(answer, b"n")
            os._exit(0)
    os.close(opened)
    said = b"".join(os.read(answers, 1) for _ in range(racers))
    os.close(done)
    for pid in pids:
        os.waitpid(pid, 0)
    for fd in (gate, held, answers, answer):
        os.close(fd)
    return said.count(b"y")


def test_a_directory_whose_lock_somebody_keeps_holds_up_a_start_for_a_moment_only(short_dir: Path) -> None:
    held = os.open(short_dir, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    began = time.monotonic()
    listener = listen_on(str(short_dir / "s"), 0o600, None, None)
    assert time.monotonic() - began >= TURN_WITHIN_S, "it was waited for, and is held until now"
    assert is_open(str(short_dir / "s"))
    listener.close()
    os.close(held)


def test_a_socket_whose_queue_is_full_belongs_to_a_daemon(short_dir: Path) -> None:
    path = str(short_dir / "s")
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(path)
        frozen.listen(0)
        waiting = []
        with contextlib.suppress(BlockingIOError):
            for _ in range(10):
                waiting.append(socket.socket(socket.AF_UNIX))
                waiting[-1].setblocking(False)
                waiting[-1].connect(path)
        with pytest.raises(AlreadyRunningError, match="pid unknown"):
            listen_on(path, 0o600, None, None)
        for client in waiting:
            client.close()


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
NOBODY = Account(65_534, 65_534, (65_534,), "nobody", "/", "/bin/sh")


@pytest.fixture
def nobodys(short_dir: Path) -> Path:
    short_dir.chmod(0o755)
    path = short_dir / "nobodys"
    path.mkdir()
    os.chown(path, NOBODY.uid, NOBODY.gid)
    return path


@pytest.mark.root
@as_root
def test_a_pid_file_that_an_earlier_daemon_of_the_configured_user_has_left_is_no_obstacle(nobodys: Path) -> None:
    path = nobodys / "p"
    for _ in range(2):
        os.close(lock_pidfile(str(path), (NOBODY.uid, NOBODY.gid)))
        found = path.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (NOBODY.uid, NOBODY.gid, 0o600)
    with pytest.raises(SystemFailure, match=f"it belongs to uid {NOBODY.uid}; remove it, or set `pidfile`"):
        lock_pidfile(str(path))


@pytest.mark.root
@as_root
def test_a_file_of_roots_that_the_configured_user_has_moved_to_the_pid_file_is_not_given_to_him(nobodys: Path) -> None:
    path, kept = nobodys / "p", nobodys / "kept"
    path.write_text("precious")
    with path.open() as precious:
        owner = (NOBODY.uid, NOBODY.gid)
        fd = lock_pidfile(str(path), owner)
        found = os.fstat(precious.fileno())
        assert (found.st_uid, precious.read()) == (0, "precious")
    assert (path.stat().st_uid, path.read_text()) == (NOBODY.uid, f"{os.getpid()}\n")
    path.rename(kept)
    path.write_text("of a daemon without another user")
    with path.open() as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(AlreadyRunningError):
            lock_pidfile(str(path), owner)
    os.close(fd)


@pytest.mark.root
@as_root
def test_a_link_that_a_user_plants_on_the_way_leads_roots_pid_file_and_socket_nowhere(
    nobodys: Path, short_dir: Path
) -> None:
    roots = short_dir / "roots"
    roots.mkdir()
    way = nobodys / "run"
    way.symlink_to(roots)
    os.chown(way, NOBODY.uid, NOBODY.gid, follow_symlinks=False)
    with pytest.raises(SystemFailure, match="a link on its way was made by uid 65534"):
        lock_pidfile(str(way / "p"), (NOBODY.uid, NOBODY.gid))
    with pytest.raises(SystemFailure, match="permission denied"):
        listen_on(str(way / "s"), 0o600, None, NOBODY)
    (roots / "s").write_text("precious")
    unlink_own(str(way / "s"), inode_of(str(roots / "s")))
    assert [path.name for path in roots.iterdir()] == ["s"]


@pytest.mark.root
@as_root
@pytest.mark.parametrize("group", [None, 60])
def test_the_socket_of_a_configured_user_is_created_as_that_user(nobodys: Path, group: int | None) -> None:
    path, before = nobodys / "s", (os.getresuid(), os.getresgid(), os.getgroups())
    listener = listen_on(str(path), 0o660, group, NOBODY)
    found = path.stat()
    assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (NOBODY.uid, group or NOBODY.gid, 0o660)
    assert (os.getresuid(), os.getresgid(), os.getgroups()) == before
    listener.close()


@pytest.mark.root
@as_root
def test_a_user_who_exchanges_the_new_socket_for_a_link_gains_no_file_of_roots(nobodys: Path, short_dir: Path) -> None:
    victim, path, trap = short_dir / "victim", nobodys / "s", nobodys / "trap"
    victim.write_text("precious")
    victim.chmod(0o600)
    mischief = os.fork()
    if mischief == 0:
        _exchange_as_nobody(str(path), str(trap), str(victim))
    try:
        for _ in range(200):
            with contextlib.suppress(SystemFailure, AlreadyRunningError):
                listen_on(str(path), 0o666, None, NOBODY).close()
        found = victim.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (0, 0, 0o600)
    finally:
        os.kill(mischief, signal.SIGKILL)
        os.waitpid(mischief, 0)


def _exchange_as_nobody(path: str, trap: str, victim: str) -> NoReturn:
    """Put a link to `victim` in the place of what appears at `path`, again and again."""
    os.setgroups([])
    os.setresgid(NOBODY.gid, NOBODY.gid, NOBODY.gid)
    os.setresuid(NOBODY.uid, NOBODY.uid, NOBODY.uid)
    while True:
        with contextlib.suppress(OSError):
            if stat.S_ISSOCK(os.lstat(path).st_mode):
                os.rename(trap, path)
        with contextlib.suppress(OSError):
            if stat.S_ISLNK(os.lstat(path).st_mode):
                os.sched_yield()
                os.unlink(path)
        with contextlib.suppress(OSError):
            os.symlink(victim, trap)


def test_a_socket_gets_its_group_where_the_directory_gives_another_one(short_dir: Path) -> None:
    groups = [gid for gid in os.getgroups() if gid != os.getegid()] if os.geteuid() else [60]
    if not groups:
        pytest.skip("needs a second group")
    short_dir.chmod(0o2700)
    listener = listen_on(str(short_dir / "s"), 0o660, groups[0], None)
    found = (short_dir / "s").stat()
    assert (found.st_gid, found.st_mode & 0o777) == (groups[0], 0o660)
    listener.close()


def test_without_proc_a_socket_is_found_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "s.sock")
    with Held(path) as held:
        assert held.address.startswith("/proc/self/fd/") or sys.platform != "linux"
        monkeypatch.setattr(os.path, "isdir", lambda _path: False)
        assert held.address == path
