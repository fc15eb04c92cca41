"""State files of this boot whose socket is gone: one goes only when it is certain that nothing of its daemon is alive."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskmaster_common.records import Record
from taskmasterd.processes.members.proofs import Proofs
from taskmasterd.survival.disk.directory import MOST_TO_READ, Known, StateDirectory
from taskmasterd.survival.disk.file import file_name, pid_namespace
from taskmasterd.system import child_reads
from taskmasterd.system.procfs import variables_of
from tests.support.wait import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
KEY = bytes(range(16))
MINE = Known(boot="now", uid=os.geteuid(), socket="/nowhere/mine", named="/nowhere/mine", pidfile=None)


def dead_pid() -> int:
    """Return the pid of a process that has ended."""
    done = subprocess.Popen(["true"])
    done.wait()
    return done.pid


class Files(Record):
    """A state file that is ready to go, and its key; `place` is the directory of its socket, which is gone."""

    state: Path
    key: Path
    place: Path

    @property
    def socket(self) -> str:
        """The path of the socket."""
        return f"{self.place}/s"

    def write(self, *lines: dict[str, Any], **head: object) -> None:
        """Write the state with these lines after the first one, and let it be old."""
        first = {"taskmaster_state": 1, "boot": "now", "uid": os.geteuid(), "socket": self.socket, "named": self.socket}
        identity = {"pidfile": None, "pid": dead_pid(), "pids": pid_namespace(), "config": "/c"}
        rows = ({**first, **identity, **head}, *lines)
        self.state.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        self.state.chmod(0o600)
        os.utime(self.state, (0, 0))

    def remain(self) -> bool:
        """Return whether the file is kept when a daemon starts."""
        with StateDirectory(str(self.state.parent)) as states:
            states.remove_forgotten(MINE)
        return self.state.exists()


def slot(pid: int, **more: object) -> dict[str, Any]:
    """Return the line of a slot with an instance."""
    return {"slot": {"program": "web", "index": 0, "copy": {"pid": pid, **more}}}


@pytest.fixture
def files(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Files:
    # who reads another's variables waits while that one changes its memory, on a crowded machine longer than 50 ms
    monkeypatch.setattr(child_reads, "HANGS_AFTER_S", 20.0)
    directory, place = short_dir / "states", short_dir / "gone"
    directory.mkdir(mode=0o700)
    state = directory / file_name(f"{place}/s")
    made = Files(state, state.with_name(f"{state.name}.key"), place)
    made.key.write_text(KEY.hex())
    made.key.chmod(0o600)
    made.write(slot(dead_pid(), sessions=[dead_pid()], left=[[dead_pid(), 1]]))
    return made


@pytest.fixture
def alive() -> Iterator[Callable[..., int]]:
    """Start processes that live until the end of the test."""
    made: list[subprocess.Popen[bytes]] = []

    def start(*, session: bool = True, **variables: str) -> int:
        sleep = str(shutil.which("sleep"))
        made.append(subprocess.Popen([sleep, "60"], start_new_session=session, env=variables or None))
        wait_until(lambda: variables_of(made[-1].pid) != b"")  # during an exec there are none
        return made[-1].pid

    yield start
    for each in made:
        each.kill()
        each.wait()


def test_a_state_of_which_nothing_lives_goes_with_all_that_belongs_to_it(files: Files) -> None:
    others = [files.state.with_name(files.state.name + suffix) for suffix in (".new", ".keeper")]
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as dead:
        dead.bind(f"{os.path.relpath(others[1])}")
    others[0].touch()
    (files.state.parent / "history").mkdir()
    assert not files.remain()
    assert os.listdir(files.state.parent) == ["history"]


@pytest.mark.parametrize(
    "head",
    [
        {"pids": 0},
        {"pids": pid_namespace() + 1},
        {"boot": "then"},
        {"uid": os.geteuid() + 1},
        {"pid": os.getpid()},
        {"named": "/tmp"},
        {"named": MINE.named},
        {"pid": "unknown"},
    ],
    ids=("no namespace", "another namespace", "boot", "user", "alive", "another place", "named here", "no pid"),
)
def test_what_its_daemon_says_of_itself_keeps_it(files: Files, head: dict[str, Any]) -> None:
    files.write(**head)
    assert files.remain()


def test_one_of_an_older_version_that_says_no_namespace_stays(files: Files) -> None:
    first, *rest = files.state.read_text().splitlines()
    row = json.loads(first)
    del row["pids"]
    files.state.write_text("\n".join([json.dumps(row), *rest]) + "\n")
    os.utime(files.state, (0, 0))
    assert files.remain()


@pytest.mark.parametrize(
    "line",
    [
        {"spawning": ["web", 1, 5.0, []]},
        {"facts": {"occupied": [["web", 0, []]]}},
        {"slot": {"program": "web", "index": 0, "copy": {}}},
        {"slot": {"program": "web", "index": 0, "copy": {"pid": "1"}}},
        {"slot": 5},
    ],
    ids=str,
)
def test_a_state_that_is_not_whole_or_makes_no_sense_stays(files: Files, line: dict[str, Any]) -> None:
    files.write(line)
    assert files.remain()


def test_only_the_last_line_of_a_slot_counts(files: Files, alive: Callable[..., int]) -> None:
    files.write({"spawning": ["web", 0, 5.0, []]}, slot(alive()), {"gone": ["web", 0]}, slot(dead_pid()))
    assert not files.remain()


@pytest.mark.parametrize(
    "row",
    [
        slot,
        lambda pid: slot(dead_pid(), sessions=[pid]),
        lambda pid: slot(dead_pid(), left=[[pid, 1]]),
        lambda pid: slot(dead_pid(), told=[[pid, 15]]),
        lambda pid: {"slot": {"program": "web", "index": 0, "hook": {"pid": pid}}},
        lambda pid: {"facts": {"left": [[pid, 1]]}},
        lambda pid: {"facts": {"freed": [pid]}},
        lambda pid: {"facts": {"ignored": [pid]}},
    ],
)  # fmt: skip
def test_a_live_process_that_it_knows_keeps_it(
    files: Files, alive: Callable[..., int], row: Callable[[int], dict[str, Any]]
) -> None:
    files.write(row(alive()))
    assert files.remain()


def test_a_live_process_in_the_session_of_an_instance_that_has_ended_keeps_it(files: Files) -> None:
    leader = subprocess.Popen(["sh", "-c", "sleep 60 & echo $!"], start_new_session=True, stdout=subprocess.PIPE)
    assert leader.stdout
    left = int(leader.stdout.readline())
    leader.wait()
    try:
        files.write(slot(leader.pid))
        assert files.remain()
    finally:
        os.kill(left, 9)
        leader.stdout.close()


@pytest.mark.parametrize("role", ["", "hook"])
def test_a_live_process_that_proves_to_be_of_it_keeps_it_wherever_it_went(
    files: Files, alive: Callable[..., int], role: str
) -> None:
    alive(**Proofs(bytes(16), files.socket).variables("web", 0, role))
    assert not files.remain(), "the proof of another daemon"
    files.write(slot(dead_pid()))
    files.key.write_text(KEY.hex())
    alive(**Proofs(KEY, files.socket).variables("web", 0, role))
    assert files.remain()


def test_a_socket_at_either_path_keeps_it_dead_or_not(files: Files) -> None:
    files.place.mkdir()
    Path(files.socket).touch()
    assert files.remain()


def test_a_place_that_nobody_can_look_at_keeps_it(files: Files) -> None:
    files.place.symlink_to(files.place)  # a loop: whether there is a socket is not known
    assert files.remain()


def test_a_daemon_that_lives_keeps_it_by_its_lock_and_one_that_is_just_gone_by_its_age(files: Files) -> None:
    with files.state.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert files.remain()
    os.utime(files.state)
    assert files.remain()
    os.utime(files.state, (0, 0))
    assert not files.remain()


def test_a_keeper_that_lives_keeps_it(files: Files) -> None:
    keeper = files.state.with_name(f"{files.state.name}.keeper")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(os.path.relpath(keeper))
        listener.listen(1)
        assert files.remain()
    assert not files.remain()


@pytest.mark.parametrize("text", ["", "no key", "00"])
def test_without_its_key_nobody_can_say_what_lives(files: Files, text: str) -> None:
    files.key.write_text(text)
    assert files.remain()
    files.key.unlink()
    assert files.remain()


def test_what_is_no_state_of_ours_is_not_touched(files: Files) -> None:
    planted = files.state.with_name("planted.state")
    planted.symlink_to(files.state)
    files.state.chmod(0o666)
    assert files.remain()
    files.state.chmod(0o600)
    whole = files.state.stat().st_size
    os.truncate(files.state, MOST_TO_READ + 1)
    os.utime(files.state, (0, 0))
    assert files.remain()
    os.truncate(files.state, whole)
    os.utime(files.state, (0, 0))
    assert not files.remain()
    assert planted.is_symlink()


def test_without_the_kernel_s_word_on_boots_nothing_goes(files: Files) -> None:
    with StateDirectory(str(files.state.parent)) as states:
        states.remove_forgotten(MINE.replace(boot=""))
    assert files.state.exists()
