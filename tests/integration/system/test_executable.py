"""Why a file cannot be executed: what the child says whose exec failed, and what the check of a configuration says."""

from __future__ import annotations

import os
import shutil
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskmasterd.configuration.host import surroundings
from taskmasterd.system.loop.reactor import Reactor
from taskmasterd.system.spawner import MAX_REASON, ChildSpec, Identity, SetupError, Spawner

ARM = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, 183 if os.uname().machine != "aarch64" else 62)
ELSEWHERE = "aarch64" if os.uname().machine != "aarch64" else "x86_64"
Reason = Callable[..., str]


@pytest.fixture(params=["posix_spawn", "fork"])
def reason(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reason]:
    """Start a program that cannot be executed, and return why."""

    def fail(error: BaseException) -> None:
        raise error

    reports: dict[int, tuple[str, str] | None] = {}
    reactor = Reactor(fail)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    spawner = Spawner(reactor, null, reports.__setitem__)
    identity = Identity(os.geteuid(), os.getegid(), tuple(os.getgroups())) if request.param == "fork" else None

    def run(*argv: str, environment: dict[str, str] | None = None) -> str:
        launch = ChildSpec(argv, environment or {"PATH": os.environ["PATH"]}, str(tmp_path), 0o022, identity, None)
        try:
            pid, executed = spawner.spawn(launch, null, null)
        except SetupError as error:
            return error.text
        assert not executed
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 127
        spawner.settle(pid)
        report = reports[pid]
        assert report is not None
        assert report[0] in ("search", "exec")
        return report[1]

    yield run
    os.close(null)
    reactor.close()


def _elf(*, loader: bytes = b"", at: int = 120) -> bytes:
    """Return the beginning of a program for this machine that wants this loader."""
    own = Path(sys.executable).resolve().read_bytes()[:20]
    head = own[:16] + struct.pack(
        "<HHIQQQIHHHHHH", 3, int.from_bytes(own[18:20], "little"), 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 3, 4, at, 0, 0, len(loader) + 1, len(loader) + 1, 1)
    return (head + segment).ljust(at, b"\0") + loader + b"\0"


CONTENTS = {
    "windows": (
        b"#!/bin/sh\r\nsleep 9\r\n",
        r"its first line '#!/bin/sh\r' ends in a carriage return (Windows line ends)",
    ),
    "controls": (b"#!/no/\x1bsh\n", r"not found ('#!/no/\x1bsh')"),
    "machine": (ARM.ljust(64, b"\0"), f"it is built for {ELSEWHERE}, and this machine is {os.uname().machine}"),
    "mark": (b"\xef\xbb\xbf#!/bin/sh\n", "it begins with a byte order mark"),
    "utf16": ("#!/bin/sh\n".encode("utf-16"), "it is text in UTF-16"),
    "blank": (b"\n#!/bin/sh\n", "something stands before its #!"),
    "long": (b"#!/" + b"x" * 400 + b"\n", "its #! line is too long"),
    "empty": (b"", "it is empty"),
    "nameless": (b"#!\nexit\n", "its #! line names no interpreter"),
    "missing": (b"#!/no/such/thing -x\n", "not found (#!/no/such/thing -x)"),
    "relative": (b"#!no-such-thing\n", "not found (#!no-such-thing); write its full path"),
    "directory": (b"#!/tmp\n", "its interpreter /tmp is not a regular file"),
    "plain": (b"#!/etc/passwd\n", "its interpreter /etc/passwd may not be executed"),
    "exe": (b"MZ\x90\0\3", "it is a program for Windows"),
    "object": (_elf()[:16] + b"\1\0" + _elf()[18:], "it is an object file that was not linked"),
    "loader": (_elf(loader=b"/lib/ld-elsewhere.so.1"), "its loader /lib/ld-elsewhere.so.1 does not exist"),
    "far": (_elf(loader=b"/lib/ld-elsewhere.so.2", at=100_000), "its loader /lib/ld-elsewhere.so.2 does not exist"),
    "text": (b"echo hello\n", "a script needs a #! line, or use shell: true"),
    "data": (b"\1\2\3\0\0", "it is no program that this system knows"),
}


@pytest.mark.parametrize("kind", CONTENTS)
def test_the_reason_names_what_is_wrong_with_the_file_and_a_check_says_it_before(
    reason: Reason, tmp_path: Path, kind: str
) -> None:
    content, words = CONTENTS[kind]
    file = tmp_path / "file"
    file.write_bytes(content)
    file.chmod(0o755)
    assert words in reason("./file")
    host = surroundings(os.environ, daemonized=False, pid1=False, lenient_users=False)
    assert words in host.find_command("./file", "", str(tmp_path), None)


def test_a_script_whose_interpreter_is_a_broken_script_names_both(reason: Reason, tmp_path: Path) -> None:
    (inner := tmp_path / "inner").write_text("#!/no/such/thing\n")
    (outer := tmp_path / "outer").write_text(f"#!{inner}\n")
    for file in (inner, outer):
        file.chmod(0o755)
    assert f"its interpreter {inner} cannot be executed: interpreter of {inner} not found" in reason(str(outer))


def test_a_link_that_leads_nowhere_and_what_is_no_file_are_named(reason: Reason, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/no/such/target")
    assert "it is a link to /no/such/target, which does not exist" in reason("./link")
    os.mkfifo(tmp_path / "fifo", 0o755)
    assert "it is not a regular file" in reason("./fifo")


def test_a_link_that_leads_the_daemon_to_a_pipe_makes_nobody_wait(reason: Reason, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo", 0o755)
    (tmp_path / "link").symlink_to(f"/proc/self/task/{os.getpid()}/cwd{tmp_path}/fifo")
    assert "link to /proc/self/task/" in reason("./link")
    (tmp_path / "script").write_text(f"#!{tmp_path}/fifo\n")
    (tmp_path / "script").chmod(0o755)
    assert "is not a regular file" in reason("./script")


def test_a_file_that_is_written_to_is_said_to_be_busy(reason: Reason, tmp_path: Path) -> None:
    file = tmp_path / "file"
    shutil.copy("/bin/true", file)
    with file.open("ab"):
        assert "it is open for writing" in reason("./file")


def test_too_many_bytes_for_an_exec_are_counted_and_the_largest_is_named(reason: Reason) -> None:
    said = reason("true", environment={"PATH": os.environ["PATH"], "BIG": "x" * 200_000})
    assert "variable BIG has 200004 bytes" in said
    many = {f"N{number}": "x" * 100_000 for number in range(80)}
    assert "words and variables have 8" in reason("true", environment={"PATH": os.environ["PATH"], **many})


def test_a_reason_is_short_whatever_it_is_made_from(reason: Reason, tmp_path: Path) -> None:
    assert len(reason("nothing", environment={"PATH": "/nowhere" * 14_000})) <= MAX_REASON
    assert len(reason("n" * 60_000)) <= MAX_REASON
    (tmp_path / "script").write_text(f"#!/{'x' * 240}\n")
    (tmp_path / "script").chmod(0o755)
    assert len(reason("/" + "./" * 1800 + f"{tmp_path}/script")) <= MAX_REASON


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_the_child_looks_with_the_rights_of_its_user(tmp_path: Path) -> None:
    def fail(error: BaseException) -> None:
        raise error

    reports: dict[int, tuple[str, str] | None] = {}
    reactor = Reactor(fail)
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    spawner = Spawner(reactor, null, reports.__setitem__)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "script").write_text("#!/bin/secret\n")
    (closed / "script").chmod(0o755)
    launch = ChildSpec((f"{closed}/script",), {}, "/", 0o022, Identity(65_534, 65_534, ()), None)
    pid, _ = spawner.spawn(launch, null, null)
    os.waitpid(pid, 0)
    spawner.settle(pid)
    report = reports[pid]
    assert report is not None
    assert "may not be entered" in report[1]
    assert "secret" not in report[1]
    os.close(null)
    reactor.close()
