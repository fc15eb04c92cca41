"""Locks, sockets and directories that a daemon owns."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
from pathlib import Path

import pytest

from taskmaster_common.errors import SystemFailure
from taskmasterd.system.lean import accept
from taskmasterd.system.places import (
    AlreadyRunningError,
    inode_of,
    listen_on,
    lock_pidfile,
    make_directory,
    unlink_own,
    unusable,
)


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


def test_the_first_path_that_cannot_be_used_is_named(short_dir: Path) -> None:
    assert unusable([(str(short_dir), os.R_OK)]) == ""
    assert unusable([(str(short_dir), os.R_OK), (str(short_dir / "no"), os.R_OK)]) == str(short_dir / "no")


def test_a_client_that_connects_before_accept_is_not_lost(short_dir: Path) -> None:
    listener = listen_on(str(short_dir / "s"), 0o600, None, None)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(short_dir / "s"))
        listener.settimeout(1)
        accepted = accept(listener)
        accepted.close()
    listener.close()


def test_of_several_that_find_the_same_stale_socket_at_the_same_moment_one_gets_it(short_dir: Path) -> None:
    path = short_dir / "s"
    for _ in range(20):
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
    listener = listen_on(str(short_dir / "s"), 0o600, None, None)
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
