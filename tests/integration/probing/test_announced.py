"""What programs announce: a real NOTIFY_SOCKET with many, lying and flooding senders, and the pipe of `ready: {fd: N}`."""

from __future__ import annotations

import array
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from taskmaster_common.errors import SystemFailure
from taskmasterd.probing.announced.kept import row_of
from taskmasterd.probing.announced.line import ReadyLine, find_line
from taskmasterd.probing.announced.notify import MESSAGES_A_TURN, MOST_DATAGRAM, NotifySocket, bind
from taskmasterd.probing.text.message import Message
from taskmasterd.probing.text.result import Result
from taskmasterd.system.spawner import ChildSpec, Spawner, child_pipe
from tests.support.errands import ErrandLoop

AS_ROOT = os.geteuid() == 0


class Keeper:
    """Notes what it is asked to keep."""

    def __init__(self) -> None:
        self.kept: dict[int, str] = {}

    def keep(self, inode: int, _fd: int, path: str) -> None:
        self.kept[inode] = path

    def drop(self, inode: int) -> None:
        del self.kept[inode]


class Listening:
    """A socket, and what was said on it."""

    def __init__(self, home: Path) -> None:
        self.loop = ErrandLoop()
        self.said: list[Message] = []
        self.keeper = Keeper()
        self.path = str(home / "notify")
        self.socket = self.bind()

    def bind(self, owner: tuple[int, int] | None = None) -> NotifySocket:
        return NotifySocket(self.loop.reactor, bind(self.path, owner), self.said.append, self.keeper)

    def send(self, *datagrams: bytes) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            for datagram in datagrams:
                sender.sendto(datagram, self.path)

    def joined(self) -> Message:
        said = Message()
        for message in self.said:
            said = said.joined(message)
        return said


@pytest.fixture
def listening(short_dir: Path) -> Iterator[Listening]:
    before = len(os.listdir("/dev/fd"))
    listening = Listening(short_dir)
    yield listening
    listening.socket.close()
    listening.loop.reactor.close()
    assert listening.loop.errors == []
    assert len(os.listdir("/dev/fd")) == before


def test_messages_arrive_and_what_nobody_knows_does_not(listening: Listening) -> None:
    listening.send(b"FDSTORE=1", b"READY=1\nSTATUS=serving", b"MAINPID=1")
    listening.loop.turn_until(lambda: listening.said)
    assert listening.said == [Message(ready=True, status="serving")]


def test_it_belongs_to_the_programs_user_alone(listening: Listening) -> None:
    found = os.lstat(listening.path)
    assert stat.S_IMODE(found.st_mode) == 0o600
    assert found.st_uid == os.geteuid()
    if AS_ROOT:
        listening.socket.close()
        listening.socket = listening.bind((65534, 65534))
        found = os.lstat(listening.path)
        assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (0o600, 65534, 65534)


def test_a_stale_socket_is_replaced_and_its_end_does_not_remove_the_new_one(listening: Listening) -> None:
    first, listening.socket = listening.socket, listening.bind()
    listening.send(b"READY=1")
    first.close()
    assert os.path.exists(listening.path)
    listening.loop.turn_until(lambda: listening.said)
    listening.socket.close()
    listening.socket.close()
    assert not os.path.exists(listening.path)
    assert listening.keeper.kept == {}


@pytest.mark.parametrize("what", ["file", "directory", "link"])
def test_what_is_no_socket_is_not_replaced(short_dir: Path, what: str) -> None:
    path = short_dir / "x"
    target = short_dir / "target"
    target.write_text("kept")
    if what == "file":
        path.write_text("")
    elif what == "directory":
        path.mkdir()
    else:
        path.symlink_to(target)
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(SystemFailure, match="something that is not a socket is there"):
        bind(str(path), None)
    assert len(os.listdir("/dev/fd")) == before
    assert target.read_text() == "kept"


def test_a_path_that_no_socket_can_have_is_refused(short_dir: Path) -> None:
    for path in (short_dir / ("x" * 200), short_dir / "none" / "x"):
        with pytest.raises(SystemFailure, match="cannot create socket"):
            bind(str(path), None)


@pytest.mark.slow
def test_a_hundred_senders_that_are_gone_at_once_all_count(listening: Listening) -> None:
    script = (
        "import os, socket, sys\n"
        "for number in range(100):\n"
        "    if os.fork() == 0:\n"
        "        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'STATUS=%d' % number, sys.argv[1])\n"
        "        os._exit(0)\n"
        "for _ in range(100): os.wait()\n"
    )
    seen: list[str] = []
    real = listening.socket._channel

    class Counting:
        """The socket, and every message that is read from it."""

        def recv(self, most: int) -> bytes:
            piece = real.recv(most)
            seen.append(piece.decode())
            return piece

    listening.socket._channel = Counting()  # type: ignore[assignment]
    with subprocess.Popen([sys.executable, "-S", "-c", script, listening.path]) as senders:
        listening.loop.turn_until(lambda: senders.poll() is not None)  # the kernel may have room for ten only
    assert senders.returncode == 0
    listening.loop.turn_until(lambda: len(seen) == 100)
    listening.socket._channel = real
    assert set(seen) == {f"STATUS={number}" for number in range(100)}


def test_a_flood_takes_a_bounded_part_of_a_turn(listening: Listening) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sent = 0
        while True:
            try:
                sender.sendto(b"STATUS=%d" % sent, listening.path)
            except BlockingIOError:
                break
            sent += 1
        listening.loop.turn()
        assert listening.said == [Message(status=str(min(sent, MESSAGES_A_TURN) - 1))]
        listening.loop.turn_until(lambda: listening.said[-1].status == str(sent - 1))


def test_every_descriptor_that_is_passed_is_closed_at_once(listening: Listening) -> None:
    before = len(os.listdir("/dev/fd"))
    read, write = os.pipe()
    os.set_blocking(read, False)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [write] * 9))]
        sender.sendmsg([b"BARRIER=1\nREADY=1"], rights, 0, listening.path)
    os.close(write)
    listening.loop.turn_until(lambda: listening.said)
    assert os.read(read, 1) == b"", "no end of the pipe is open"
    os.close(read)
    assert len(os.listdir("/dev/fd")) == before


def test_a_message_that_is_too_long_is_ignored(listening: Listening) -> None:
    listening.send(b"READY=1\n" + b"x" * MOST_DATAGRAM, b"STATUS=next")
    listening.loop.turn_until(lambda: listening.said)
    assert listening.said == [Message(status="next")]


def test_a_later_daemon_goes_on_with_the_descriptor(listening: Listening) -> None:
    listening.send(b"READY=1")
    row = listening.socket.to_data()
    (kept,) = listening.keeper.kept.values()
    assert row_of(kept, row["fd"]) == row
    other = ErrandLoop()
    said: list[Message] = []
    later = NotifySocket(other.reactor, {**row, "fd": os.dup(row["fd"])}, said.append)
    assert not os.get_inheritable(later.fd)
    assert later.inode == listening.socket.inode
    other.turn_until(lambda: said)
    assert said == [Message(ready=True)]
    later.close()
    other.reactor.close()
    assert not os.path.exists(listening.path)


# -- the pipe of `ready: {fd: N}`


class Waiting:
    """A program with an extra descriptor, and what came of it."""

    def __init__(self) -> None:
        self.loop = ErrandLoop()
        self.results: list[Result] = []
        self.null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self.reports: list[tuple[str, str] | None] = []
        self.keeper = Keeper()
        self.spawner = Spawner(self.loop.reactor, self.null, lambda _pid, failed: self.reports.append(failed))
        self.line: ReadyLine | None = None

    def spawn(self, script: str, number: int = 3) -> int:
        """Start a program whose descriptor of that number is the pipe; return its pid."""
        read, child = child_pipe(None)
        spec = ChildSpec(("/bin/bash", "-c", script), {"PATH": os.environ["PATH"]}, "/", 0o022, None, None)
        pid, executed = self.spawner.spawn(spec, 1, 2, [(number, child)])
        assert executed is False
        os.close(child)
        self.line = ReadyLine(self.loop.reactor, {"fd": read, "number": number}, self.results.append, self.keeper)
        return pid

    def result(self) -> Result:
        result: Result = self.loop.wait(self.results)
        self.results.clear()
        return result


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    before = len(os.listdir("/dev/fd"))
    waiting = Waiting()
    yield waiting
    if waiting.line:
        waiting.line.close()
    waiting.loop.turn_until(lambda: waiting.loop.strangers)
    waiting.loop.turn_until(lambda: waiting.reports)
    waiting.loop.reactor.close()
    os.close(waiting.null)
    assert waiting.keeper.kept == {}
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("number", [3, 4, 5, 6, 7, 8, 9, 12, 200, 255])
def test_a_newline_on_the_descriptor_means_ready_whatever_its_number(waiting: Waiting, number: int) -> None:
    waiting.spawn(f"printf 'al' >&{number}; printf 'most\\nx' >&{number}; exec {number}>&-", number)
    result = waiting.result()
    assert (result.ok, result.text) == (True, f"newline on descriptor {number}")


def test_its_number_may_be_that_of_the_spawners_own_report(waiting: Waiting) -> None:
    read, child = child_pipe(None)
    spare = os.pipe()
    for end in spare:
        os.close(end)
    spec = ChildSpec(("/bin/true",), {}, "/nowhere", 0o022, None, None)
    waiting.spawner.spawn(spec, 1, 2, [(spare[1], child)])
    os.close(child)
    waiting.loop.turn_until(lambda: waiting.reports)
    assert waiting.reports == [("workingdir", "cannot enter workingdir /nowhere: no such file or directory")]
    assert os.read(read, 100) == b"", "nothing of the report went into the program's pipe"
    os.close(read)


def test_closed_without_a_newline_is_a_failure_at_once(waiting: Waiting) -> None:
    pid = waiting.spawn("exec 3>&-; exec sleep 300")
    result = waiting.result()
    assert (result.ok, result.text) == (False, "closed descriptor 3 without a newline")
    os.kill(pid, 9)


def test_the_program_gets_no_other_descriptor_of_the_daemons(waiting: Waiting, tmp_path: Path) -> None:
    inherited = {name for name in os.listdir("/dev/fd") if int(name) > 2 and is_inheritable(int(name))}
    code = f"import os; open('{tmp_path}/fds', 'w').write(' '.join(os.listdir('/proc/self/fd'))); os.write(7, b'\\n')"
    waiting.spawn(f'exec {sys.executable} -S -c "{code}"', 7)
    assert waiting.result().ok is True
    listed = set((tmp_path / "fds").read_text().split())
    assert {"0", "1", "2", "7"} <= listed
    assert len(listed - {"0", "1", "2", "7"} - inherited) <= 2, "the file and the directory that it opened itself"


def is_inheritable(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:  # what listed them
        return False


def test_a_later_daemon_finds_the_pipe_by_the_process_that_holds_it(waiting: Waiting, tmp_path: Path) -> None:
    pid = waiting.spawn(f"while ! test -e {tmp_path}/go; do sleep 0.02; done; echo >&3")
    first = waiting.line
    assert first is not None
    waiting.loop.turn_until(lambda: waiting.reports)
    row, inode = first.to_data(), first.inode
    (kept,) = waiting.keeper.kept.values()
    assert row_of(kept, row["fd"]) == row
    first.close()
    assert find_line(pid, 3, {inode}) is None, "one of our pipes to logs"
    assert find_line(pid, 2, ()) is None, "what is there is not from us"
    found = find_line(pid, 3, ())
    assert found is not None
    waiting.line = ReadyLine(waiting.loop.reactor, {**row, "fd": found}, waiting.results.append)
    assert waiting.line.inode == inode
    (tmp_path / "go").write_text("")
    assert waiting.result().ok is True
    waiting.loop.turn_until(lambda: waiting.loop.strangers)  # until its end it holds its own side
    assert find_line(pid, 3, ()) is None
