"""Whose daemon the client believes, and which names it takes from one."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest

from taskmaster_common.errors import ProtocolError
from taskmaster_common.text.names import is_process_name
from taskmasterctl.cli import main
from taskmasterctl.connect.client import connect
from taskmasterctl.connect.sockets import Sockets
from taskmasterctl.connect.trust import check_names
from taskmasterctl.reply.mirror import Mirror
from taskmasterctl.shell.feed import Feed
from tests.support.fakedaemon import HOLD, FakeDaemon, end, process, result
from tests.support.wait import wait_until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Capture = pytest.CaptureFixture[str]
    Replies = dict[str, list[Any]]

NOBODY = 65534
WHO = f"{pwd.getpwuid(NOBODY).pw_name} (uid {NOBODY})"
NASTY = ("$(id)", "`id`", "a b", "a\nb", "-x", "--help", "a;b", "'", '"', "\\", "web:$(id)", "web:1:2", "web:", "web:x", "all",
         "x" * 101, "\x1b]0;x\x07", "*", "web:\u0661")  # fmt: skip
HELLO_STRANGER = {"type": "hello", "name": "taskmasterd", "version": "$(id)", "protocol": 1, "pid": 1}


@pytest.fixture
def place(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of this user's default socket, in a directory where everybody can make files."""
    for name in ("TASKMASTER_SOCKET", "TASKMASTER_CONFIG", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{short_dir}/place")
    short_dir.chmod(0o1777)
    (short_dir / "place").mkdir(mode=0o755)
    return short_dir / "place"


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else for a moment")

# -- whose daemon


@pytest.mark.root
@needs_root
@pytest.mark.parametrize(("words", "code"), [(["stop", "all"], 7), (["status"], 4), (["logs", "web"], 4)])
def test_a_stranger_at_the_default_place_gets_no_word_and_shows_none(
    words: list[str], code: int, place: Path, capfd: Capture
) -> None:
    os.chown(place, NOBODY, -1)
    path = f"{place}/taskmaster.sock"
    replies: Replies = {" ".join(words): [result("PWNED", "stopped"), end()]}
    with FakeDaemon(path, replies, HELLO_STRANGER, uid=NOBODY) as daemon:
        assert main(words) == code
        assert daemon.requests == []
        out, err = capfd.readouterr()
        assert "PWNED" not in out + err
        assert f"at {path}: the daemon there runs as {WHO}, neither as root nor as you; nothing was sent to it" in err
        assert f"{WHO} made {place}, which is the place of your daemon. Ask root to remove it:  rm -r {place}" in err
        assert f"taskmasterctl -s {path}" in err


@pytest.mark.root
@needs_root
def test_who_names_the_socket_means_whoever_listens_there(
    place: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"{place}/taskmaster.sock"
    with FakeDaemon(path, {"stop web": [result("web", "stopped"), end()]}, uid=NOBODY) as daemon:
        assert main(["-s", path, "stop", "web"]) == 0
        monkeypatch.setenv("TASKMASTER_SOCKET", path)
        assert main(["stop", "web"]) == 0
        monkeypatch.delenv("TASKMASTER_SOCKET")
        assert main(["stop", "web"]) == 7
        assert daemon.requests == ["stop web"] * 2
    assert "web stopped" in capfd.readouterr().out


@pytest.mark.root
@needs_root
@pytest.mark.parametrize("backlog", ["free", "full"])
def test_a_stranger_does_not_keep_the_client_from_the_next_place(backlog: str, place: Path) -> None:
    mine = f"{place}/mine"
    with (
        FakeDaemon(f"{place}/s", uid=NOBODY),
        FakeDaemon(mine, {"status": [end()]}),
        socket.socket(socket.AF_UNIX) as full,
    ):
        full.bind(f"{place}/full")
        os.chown(f"{place}/full", NOBODY, -1)
        full.listen(0)
        waiting = socket.socket(socket.AF_UNIX)
        waiting.connect(f"{place}/full")
        connection = connect(Sockets((f"{place}/{'s' if backlog == 'free' else 'full'}", mine)))
        assert connection.path == mine
        connection.close()
        waiting.close()


@pytest.mark.root
@needs_root
def test_the_shell_and_the_completion_follow_no_stranger(place: Path, capfd: Capture) -> None:
    os.chown(place, NOBODY, -1)
    path = f"{place}/taskmaster.sock"
    replies: Replies = {"subscribe": [HOLD], "status": [{"type": "processes", "processes": [process("web")]}, end()]}
    with FakeDaemon(path, replies, uid=NOBODY) as daemon:
        feed = Feed(Sockets((path,)), Mirror())
        assert feed.step(0.0) == []
        assert feed.fd == -1
        assert main(["_complete", "programs"]) == 0
        assert capfd.readouterr().out == ""
        assert daemon.requests == []


@pytest.mark.root
@needs_root
def test_a_directory_that_a_stranger_made_at_our_place_is_named(place: Path, capfd: Capture) -> None:
    os.chown(place, NOBODY, -1)
    assert main(["status"]) == 4
    err = capfd.readouterr().err
    assert f"the directory {place} belongs to {WHO}, not to you" in err
    assert f"rm -r {place}" in err


def test_our_own_daemon_at_the_default_place_is_believed(place: Path, capfd: Capture) -> None:
    processes = {"type": "processes", "processes": [process("web")]}
    with FakeDaemon(f"{place}/taskmaster.sock", {"status": [processes, end()]}):
        assert main(["status"]) == 0
    assert "web" in capfd.readouterr().out


# -- names


@pytest.mark.parametrize("name", ["web", "web:0", "web:9999", "a-b_c.d@e+f", "x" * 100, "0"])
def test_what_the_daemon_takes_for_a_name_is_one(name: str) -> None:
    assert is_process_name(name)


@pytest.mark.parametrize(
    "shape",
    [
        lambda name: {"type": "result", "name": name},
        lambda name: {"type": "pid", "name": name, "pid": 1},
        lambda name: {"type": "output", "name": name, "text": "x"},
        lambda name: {"type": "progress", "name": name, "text": "x"},
        lambda name: {"type": "processes", "processes": [process("web"), {**process("web"), "name": name}]},
        lambda name: {"type": "processes", "processes": [{**process("web"), "program": name}]},
        lambda name: {"type": "change", "name": "web", "process": {**process("web"), "name": name}},
        lambda name: {"type": "program", "name": "web", "processes": [], "logs": {str(name): {}}},
        lambda name: {"type": "plan", "programs": [{"name": name}]},
        lambda name: {"type": "plan", "programs": [{"name": "web", "restart": [name]}]},
    ],
)
def test_a_name_that_no_program_can_have_is_refused_wherever_it_stands(shape: Any) -> None:
    assert [name for name in NASTY if not _distrusted(shape(name))] == []


def _distrusted(message: dict[str, Any]) -> bool:
    try:
        check_names(message)
    except ProtocolError as error:
        return "cannot trust this daemon" in str(error)
    return False


@pytest.mark.parametrize("message", [{"type": "processes", "processes": ["web"]}, {"type": "processes", "processes": 7},
                                     {"type": "plan", "programs": [7]}, {"type": "result", "name": 7}, {"type": "result", "name": ["web"]}])  # fmt: skip
def test_an_object_of_another_shape_is_refused(message: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError):
        check_names(message)


@pytest.mark.parametrize(("verb", "code"), [("status", 4), ("stop all", 7)])
def test_a_daemon_with_such_a_name_is_shown_nothing_of(verb: str, code: int, place: Path, capfd: Capture) -> None:
    path = f"{place}/s"
    processes = {"type": "processes", "processes": [{**process("web"), "name": "$(id)"}]}
    with FakeDaemon(path, {verb: [processes, result("$(id)", "stopped"), end()]}):
        assert main(["-s", path, *verb.split()]) == code
        assert main(["-s", path, "_complete", "programs"]) == 0
    out, err = capfd.readouterr()
    assert "$(id)" not in out
    assert "taskmasterctl: cannot trust this daemon: it calls a program '$(id)'\n" in err


def test_the_shell_s_mirror_takes_no_such_name(place: Path) -> None:
    path = f"{place}/s"
    replies: list[Any] = [{"type": "snapshot", "sequence": 0, "count": 1},
               {"type": "processes", "processes": [{**process("web"), "program": "`id`"}]}, HOLD]  # fmt: skip
    with FakeDaemon(path, {"subscribe": replies}) as daemon:
        feed = Feed(Sockets((path,)), Mirror())
        assert feed.step(0.0) == []
        wait_until(lambda: feed.step(0.0) == [] and feed.fd == -1)
        assert daemon.requests == ["subscribe"]
        assert not feed.connected
        assert len(feed.mirror) == 0
