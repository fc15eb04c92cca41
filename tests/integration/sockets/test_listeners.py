"""Binding: which files are replaced, kept and removed, who may connect from the first moment, and what is handed over in messages."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskmaster_common.errors import SystemFailure
from taskmasterctl.connect import elsewhere
from taskmasterd.control import socket_file
from taskmasterd.probing.announced import notify
from taskmasterd.sockets import listeners
from taskmasterd.sockets.listeners import ASIDE, FileRights, NewListener
from taskmasterd.system.paths import bound
from taskmasterd.system.paths.bound import bind_path
from taskmasterd.system.paths.held import Held
from tests.support.listening import is_open, occupied
from tests.support.wait import wait_until

LONGEST = 107
NOBODY = 65_534
Open = Callable[..., NewListener]
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give directories away")


def listen_once(path: str) -> None:
    """Open the socket of a program, and close it; its file stays."""
    os.close(listeners.open_listener(path, 5, FileRights(0o600)).fd)


def control_once(path: str) -> None:
    """Open the control socket, and close it; its file stays."""
    socket_file.listen_on(path, 0o600, None, None).close()


def notify_once(path: str) -> None:
    """Open the socket of `ready: notify`, and close it; its file stays."""
    os.close(notify.bind(path, None)["fd"])


@pytest.fixture
def listen() -> Iterator[Open]:
    """Return what opens a socket; all are closed at the end."""
    opened: list[int] = []

    def listen(address: str, backlog: int = 5, **rights: int) -> NewListener:
        made = listeners.open_listener(address, backlog, FileRights(**{"mode": 0o666, **rights}))
        opened.append(made.fd)
        return made

    yield listen
    for fd in opened:
        os.close(fd)


def test_a_file_has_its_mode_whatever_the_umask_is_and_belongs_to_whom_it_should(listen: Open, tmp_path: Path) -> None:
    path = tmp_path / "s"
    before = os.umask(0o777)
    try:
        made = listen(str(path), mode=0o620, gid=os.getegid(), uid=os.geteuid())
    finally:
        assert os.umask(before) == 0o777
    found = path.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o620, os.geteuid(), os.getegid())
    assert made.inode == (found.st_dev, found.st_ino)
    with socket.socket(fileno=os.dup(made.fd)) as same:
        assert same.getsockname() == str(path)
    assert os.get_blocking(made.fd)
    assert not os.get_inheritable(made.fd)


@pytest.mark.parametrize("length", [40, LONGEST])
def test_a_stale_file_is_replaced_in_one_step_and_a_client_never_finds_nothing(
    listen: Open, short_dir: Path, length: int
) -> None:
    path = short_dir / ("s" * (length - len(str(short_dir)) - 1))
    with socket.socket(socket.AF_UNIX) as old:
        old.bind(str(path))
        assert listeners.answers(str(path)) is False
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            seen.add("there" if path.exists() else "missing")

    looking = threading.Thread(target=look)
    looking.start()
    try:
        wait_until(lambda: seen)
        made = listen(str(path))
    finally:
        over.set()
        looking.join()
    assert seen == {"there"} or length == LONGEST  # no room for another name beside it
    assert is_open(str(path))
    assert listeners.inode_at(str(path)) == made.inode
    assert [each.name for each in short_dir.iterdir() if each.name.endswith(ASIDE)] == []


def test_what_somebody_else_has_is_left_alone(listen: Open, tmp_path: Path) -> None:
    path, plain, link = tmp_path / "s", tmp_path / "plain", tmp_path / "link"
    plain.write_text("precious")
    link.symlink_to(plain)
    with occupied(str(path)):
        inode = path.stat().st_ino
        with pytest.raises(OSError, match="address in use"):
            listen(str(path))
        assert path.stat().st_ino == inode
        assert is_open(str(path))
    for each in (plain, link):
        with pytest.raises(SystemFailure, match="something that is not a socket is there"):
            listen(str(each))
    assert plain.read_text() == "precious"
    with pytest.raises(SystemFailure, match="its directory does not exist"):
        listen(str(tmp_path / "none" / "s"))
    made = listen(str(tmp_path / "own"))
    assert made.inode
    (tmp_path / "own").unlink()
    (tmp_path / "own").write_text("another's")
    listeners.remove(str(tmp_path / "own"), made.inode)
    assert (tmp_path / "own").read_text() == "another's"
    with pytest.raises(SystemFailure, match="another file"):
        listeners.change(made.fd, str(tmp_path / "own"), made.inode, 5, FileRights(0o600))


@pytest.fixture
def his(short_dir: Path) -> Path:
    """Return a directory in a directory of another user."""
    theirs = short_dir / "theirs"
    (theirs / "his").mkdir(parents=True)
    os.chown(theirs, NOBODY, NOBODY)
    return theirs / "his"


@needs_root
@pytest.mark.parametrize("bind", [listen_once, control_once, notify_once])
def test_a_way_that_another_user_changes_meanwhile_does_not_lead_roots_socket_elsewhere(
    his: Path, short_dir: Path, monkeypatch: pytest.MonkeyPatch, bind: Callable[[str], None]
) -> None:
    victim, moved = short_dir / "victim", his.with_name("moved")
    victim.mkdir()

    def name_and_exchange(held: Held, op: str) -> str:
        name = bind_path(held, op)
        his.rename(moved)
        his.symlink_to(victim)
        return name

    for module in (listeners, socket_file, notify):
        monkeypatch.setattr(module, "bind_path", name_and_exchange)
    bind(str(his / "s"))
    assert [each.name for each in victim.iterdir()] == []
    assert [each.name for each in moved.iterdir()] == ["s"]


@needs_root
@pytest.mark.parametrize(
    ("way", "by_path"),
    [
        ("ours", True),
        ("ours/of-his", True),
        ("ours/link", True),
        ("sticky/ours", True),
        ("sticky/of-his", False),
        ("group/ours", False),
        ("public/ours", False),
        ("of-his/ours", False),
        ("sticky/his-link", False),
        ("ours/into-his", False),
    ],
)
def test_a_socket_is_bound_by_its_path_where_only_root_can_change_the_way(
    listen: Open, short_dir: Path, way: str, by_path: bool
) -> None:
    for name, mode in (("ours", 0o755), ("sticky", 0o1777), ("group", 0o775), ("public", 0o777), ("of-his", 0o755)):
        (short_dir / name / "ours").mkdir(parents=True)
        (short_dir / name / "of-his").mkdir()
        os.chown(short_dir / name / "of-his", NOBODY, NOBODY)
        (short_dir / name).chmod(mode)
    os.chown(short_dir / "of-his", NOBODY, NOBODY)
    (short_dir / "ours" / "link").symlink_to("../ours")
    (short_dir / "ours" / "into-his").symlink_to(short_dir / "of-his" / "ours")
    (short_dir / "sticky" / "his-link").symlink_to(short_dir / "ours" / "of-his")
    os.chown(short_dir / "sticky" / "his-link", NOBODY, NOBODY, follow_symlinks=False)
    path = short_dir / way / "s"
    for _ in range(2):  # the second one replaces a stale one
        made = listen(str(path))
        with socket.socket(fileno=os.dup(made.fd)) as same:
            assert same.getsockname().startswith(f"{short_dir}/" if by_path else "/proc/self/fd/")
            assert made.inode == (path.stat().st_dev, path.stat().st_ino)
            assert is_open(str(path))
            assert [each.name for each in path.parent.resolve().iterdir() if each.name.startswith("s")] == ["s"]
        listeners.refuse_clients(made.fd)


@needs_root
def test_where_root_cannot_name_a_socket_safely_there_is_none(
    listen: Open, his: Path, short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bound, "MAX_SOCKET_PATH", 10)
    with pytest.raises(SystemFailure, match=r"others can change the way to it, and its name is \d+ bytes too long"):
        listen(str(his / "s"))
    monkeypatch.setattr(Held, "address", property(lambda held: held.path))
    with pytest.raises(SystemFailure, match="others can change the way to it, and without /proc"):
        listen(str(his / "s"))
    assert list(his.iterdir()) == []
    listen(str(short_dir / "s"))


@needs_root
def test_a_client_is_sent_to_no_path_that_only_the_daemon_can_use(listen: Open, his: Path, short_dir: Path) -> None:
    listen(str(his / "s"))
    listen(str(short_dir / "s"))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:  # a client looks at the daemon, and no process at itself
        try:
            os.write(write, "\n".join(elsewhere.listening(os.getppid())).encode())
        finally:
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with open(read, encoding="utf-8") as answer:
        found = answer.read().split("\n")
    assert str(short_dir / "s") in found
    assert [path for path in found if path.startswith("/proc/")] == []


def test_a_client_finds_the_socket_of_a_daemon_that_closes_another_file_meanwhile(
    listen: Open, short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listen(str(short_dir / "s"))
    listed = os.listdir
    monkeypatch.setattr(os, "listdir", lambda path: ["1000000", *listed(path)])  # closed since then
    assert str(short_dir / "s") in elsewhere.listening(os.getpid())
