"""Reading files of variables in a child: whose links root follows, and what no file replaces."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import stat
from pathlib import Path

import pytest

from taskmaster_common.schema.values.env_files import EnvFiles
from taskmaster_common.text.envfile import MOST_BYTES
from taskmasterd.configuration.host import read as read_configuration
from taskmasterd.configuration.host import read_variables
from taskmasterd.renewal.watcher.inotify import Inotify
from taskmasterd.system.spawner.spec import ChildSpec, Setup, SetupError
from taskmasterd.system.spawner.variables import fill, read_file, reading_step
from tests.support.host import host
from tests.support.wait import wait_until

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="gives files away")
SPEC = ChildSpec(("x",), {"A": "1", "TASKMASTER_MARK": "m", "LISTEN_PID": "7"}, "/", 0o022, None, None)


def read(*files: str, **values: str) -> dict[str, str]:
    environment = dict(SPEC.environment)
    fill(environment, files, values, {"B", *values})
    return environment


def test_what_the_daemon_says_by_variables_no_file_replaces(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("A=2\nB=3\nC=4\nTASKMASTER_MARK=x\nTASKMASTER_MINE=y\nLISTEN_PID=8\nLISTEN_FDS=1\n")
    found = read(str(tmp_path / "a"))
    assert found == {**SPEC.environment, "A": "2", "C": "4", "TASKMASTER_MINE": "y", "LISTEN_FDS": "1"}


def test_a_failed_read_names_the_file_or_the_variable(tmp_path: Path) -> None:
    for files, values, said in (
        ((f"{tmp_path}/none",), {}, f"env_file {tmp_path}/none: no such file or directory"),
        ((f"?{tmp_path}",), {}, f"env_file {tmp_path}: is a directory"),
        ((), {"P": f"{tmp_path}/none"}, f"env.P {tmp_path}/none: no such file or directory"),
    ):
        with pytest.raises(SetupError) as failed:
            read(*files, **values)
        assert (failed.value.step, str(failed.value)) == ("env_file", said)


def test_a_child_that_hangs_ends_by_itself(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    pid = os.fork()
    if pid == 0:
        try:
            reading_step((f"{tmp_path}/fifo",), {}, (), -2).run(
                Setup(SPEC, (0, 1, 2), 2, ())
            )  # an alarm after one second
        finally:
            os._exit(1)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGALRM


def test_a_child_that_hangs_holds_nothing_of_the_daemons(tmp_path: Path) -> None:
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)
    report, of_child = os.pipe()
    with (tmp_path / "lock").open("w") as lock, (tmp_path / "extra").open("w") as extra:
        pid = os.fork()
        if pid == 0:
            try:
                setup = Setup(SPEC, (0, 1, 2), of_child, ((extra.fileno(), extra.fileno()),))
                reading_step((fifo,), {}, (), 300).run(setup)
            finally:
                os._exit(1)
        try:
            wait_until(lambda: {extra.name, f"pipe:[{os.fstat(of_child).st_ino}]"} <= held(pid) - {lock.name})
            wait_until(lambda: lock.name not in held(pid))
            assert extra.name in held(pid)
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(report)
            os.close(of_child)


def held(pid: int) -> set[str]:
    """Return what a process has open."""
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    return found


def test_no_more_is_read_than_a_file_may_have(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * (MOST_BYTES + 100))
    assert len(read_file(str(tmp_path / "a"))) == MOST_BYTES + 1


@as_root
def test_root_follows_nobody_elses_link_to_what_is_not_his(tmp_path: Path) -> None:
    theirs, secret = tmp_path / "theirs", tmp_path / "secret"
    theirs.mkdir()
    secret.write_text("A=b")
    own = theirs / "own"
    own.write_text("A=c")
    os.chown(own, 1, 1)
    for name, target in (("planted", secret), ("honest", own), ("away", tmp_path)):
        (theirs / name).symlink_to(target)
        os.chown(theirs / name, 1, 1, follow_symlinks=False)
    (theirs / "roots").symlink_to(secret)
    assert (read_file(f"{theirs}/roots"), read_file(f"{theirs}/honest")) == (b"A=b", b"A=c")
    for path in (f"{theirs}/planted", f"{theirs}/away/secret"):
        with pytest.raises(OSError, match="a link on its way was made by uid 1"):
            read_file(path)


# -- what the check says of files that no start can read


def test_the_check_knows_what_a_start_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("A=b")
    (tmp_path / "loop").symlink_to("loop")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
    os.mkfifo(tmp_path / "fifo")
    for name, said in (
        ("file/x", "not a directory"),
        ("loop", "too many levels of symbolic links"),
        ("socket", "no such device or address"),
        ("../../../../../../../dev/zero", "it is a device"),
        ("", "is a directory"),
    ):
        path = f"{tmp_path}/{name}"
        checked = EnvFiles(host({}, read_variables=read_variables)).look(path)
        assert (checked.problem, checked.unknown, checked.missing) == (f"{path}: {said}", False, False)
        with pytest.raises(SetupError, match=said):
            read(f"?{path}")
    for name, problem in (("file", ""), ("fifo", f"{tmp_path}/fifo cannot be checked: it is not a regular file")):
        checked = EnvFiles(host({}, read_variables=read_variables)).look(f"{tmp_path}/{name}")
        assert (checked.problem, checked.unknown) == (problem, bool(problem))
    assert read("/dev/null") == SPEC.environment


@as_root
def test_the_check_follows_no_link_that_a_start_refuses(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("not a line of variables")
    (tmp_path / "planted").symlink_to("secret")
    os.chown(tmp_path / "planted", 1, 1, follow_symlinks=False)
    checked = EnvFiles(host({}, read_variables=read_variables)).look(f"{tmp_path}/planted")
    assert (checked.unknown, checked.problem.partition(": ")[2]) == (
        False, "a link on its way was made by uid 1, who does not own where it leads",
    )  # fmt: skip


IN_OPEN = 0x20
"""Source: sys/inotify.h."""


@as_root
def test_a_device_to_which_a_path_leads_is_not_opened_to_find_that_out(tmp_path: Path) -> None:
    """To open some devices is to use them: a watchdog begins to count, a tape is rewound."""
    device = tmp_path / "device"
    try:
        os.mknod(device, stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except OSError:
        pytest.skip("no device can be made here")
    (tmp_path / "planted").symlink_to("device")
    os.chown(tmp_path / "planted", 1, 1, follow_symlinks=False)
    held = os.open(device, os.O_PATH)
    opened = Inotify()
    try:
        assert ctypes.CDLL(None).inotify_add_watch(opened.fd, os.fsencode(device), IN_OPEN) >= 0
        for path in (f"{device}", f"{tmp_path}/planted", f"/proc/self/fd/{held}"):
            for reader in (read_file, read_variables, read_configuration):
                with pytest.raises(OSError, match="it is"):
                    reader(path)
                assert list(opened.read()) == [], (path, reader)
    finally:
        os.close(opened.fd)
        os.close(held)
