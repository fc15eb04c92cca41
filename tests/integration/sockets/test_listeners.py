"""Binding: which files are replaced, kept and removed, who may connect from the first moment, and what is handed over in messages."""

from __future__ import annotations

import os
import pwd
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskmaster_common.config.sockets import Socket, socket_rows
from taskmaster_common.errors import SystemFailure
from taskmasterd.sockets import listeners
from taskmasterd.sockets.listeners import ASIDE, FileRights, NewListener
from taskmasterd.sockets.parked import park, unpark
from taskmasterd.system.users import account
from tests.support.listening import IPV6, is_open, occupied, own_host
from tests.support.model import program
from tests.support.wait import wait_until

LONGEST = 107
Open = Callable[..., NewListener]


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


def test_an_address_without_a_host_takes_clients_of_both_families_and_udp_is_not_shared(listen: Open) -> None:
    host = own_host()
    with socket.socket() as free:
        # with this option on both sides the listener may bind the same port
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("", 0))
        port = free.getsockname()[1]
        listen(f":{port}")
    for host_of_it in ("127.0.0.1", *(["::1"] if IPV6 else [])):
        socket.create_connection((host_of_it, port), 30).close()
    listen(f"udp:{host}:8000")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match="in use"):
            thief.bind((host, 8000))
    with pytest.raises(OSError, match="Cannot assign"):
        listen("192.0.2.1:80")


def test_parked_sockets_are_handed_over_once_and_belong_to_who_is_to_be_the_daemon(tmp_path: Path) -> None:
    host, owner = own_host(), account(pwd.getpwuid(os.geteuid()).pw_name, None)
    rows, options = socket_rows(
        [Socket("http", f"{host}:109\0"), Socket("file", f"{tmp_path}/s"), Socket("none", "192.0.2.1:80")]
    )
    web = program(numprocs=70, sockets=rows, socket_options=options)
    late = program("late", autostart=False, sockets=socket_rows([Socket("a", f"{host}:9999")])[0])
    fd = park([web, late, program("other")], owner)
    assert fd is not None
    second = os.dup(fd)  # as a guardian has it
    found = unpark(fd)
    try:
        assert len(found) == 71
        assert f"{host}:10969" in found
        assert found[f"{tmp_path}/s"][1] == listeners.inode_at(f"{tmp_path}/s")
        assert unpark(second) == {}
    finally:
        for each, _inode in found.values():
            os.close(each)
    assert not is_open((host, 10969))
    assert park([late, program("other")], owner) is None
