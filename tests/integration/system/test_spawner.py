"""Both ways to a child: posix_spawn where no identity is asked, fork where one is."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from taskmasterd.system.loop.reactor import Reactor
from taskmasterd.system.reaper import reap
from taskmasterd.system.spawner import ChildSpec, Identity, Setup, SetupError, SetupStep, Spawner, child_pipe
from taskmasterd.system.spawner.child import become_child
from tests.support.daemon import PROGRAMS

WAYS = ["posix_spawn", "fork"]


class Nest:
    """A spawner with a loop, and what became of its children; `step` of the last failed one."""

    def __init__(self, way: str) -> None:
        self.reactor = Reactor(_fail)
        self.reports: dict[int, tuple[str, str] | None] = {}
        self.null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self.spawner = Spawner(self.reactor, self.null, self._reported)
        self.identity = Identity(os.geteuid(), os.getegid(), tuple(os.getgroups())) if way == "fork" else None
        self.step = ""

    def _reported(self, pid: int, failed: tuple[str, str] | None) -> None:
        self.reports[pid] = failed

    def launch(self, *argv: str, **changes: object) -> ChildSpec:
        base = ChildSpec(argv, {"PATH": os.environ["PATH"], "MARK": "1"}, "/tmp", 0o027, self.identity, None)
        return base.replace(**changes)

    def run(self, launch: ChildSpec) -> tuple[int, bytes, str]:
        """Return (wait status, output, failed step or "")."""
        read, child = child_pipe(None)
        failed = ""
        status = 0
        try:
            pid, executed = self.spawner.spawn(launch, child, child)
        except SetupError as error:
            self.step, failed = error.step, error.text
        else:
            os.close(child)
            child = -1
            status = os.waitpid(pid, 0)[1]
            self.spawner.settle(pid)
            if not executed:
                self.step, failed = self.reports[pid] or ("", "")
        finally:
            if child >= 0:
                os.close(child)
        os.set_blocking(read, True)
        output = b""
        while piece := os.read(read, 65_536):
            output += piece
        os.close(read)
        return status, output, failed


def _is_inheritable(fd: int) -> bool:
    try:
        return os.get_inheritable(fd)
    except OSError:  # what listed them
        return False


def _fail(error: BaseException) -> None:
    raise error


@pytest.fixture(params=WAYS)
def nest(request: pytest.FixtureRequest) -> Iterator[Nest]:
    nest = Nest(request.param)
    yield nest
    os.close(nest.null)
    nest.reactor.close()
    list(reap())


def test_a_child_has_its_own_session_directory_umask_and_three_descriptors(nest: Nest) -> None:
    status, output, failed = nest.run(nest.launch(sys.executable, "-S", str(PROGRAMS / "dumps_itself.py")))
    assert (status, failed) == (0, "")
    dump = json.loads(output)
    assert dump["pid"] == dump["sid"] == dump["pgid"]
    assert dump["cwd"] == "/tmp"
    assert dump["umask"] == 0o027
    assert dump["fds"]["0"] == "/dev/null"
    ours = {name for name in os.listdir("/proc/self/fd") if _is_inheritable(int(name))}
    assert set(dump["fds"]) <= {"0", "1", "2", "3"} | ours, (
        "it has what we were started with, and nothing of the daemon's"
    )
    assert int(dump["blocked"], 16) == 0
    assert dump["env"]["MARK"] == "1"


def test_the_daemons_own_directory_umask_and_limits_are_as_before(nest: Nest) -> None:
    import resource

    umask = os.umask(0o022)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    cwd = os.getcwd()
    os.chdir("/")
    try:
        soft = (before[0] - 10, before[1])
        status, output, _ = nest.run(nest.launch(sys.executable, "-S", str(PROGRAMS / "dumps_itself.py"), nofile=soft))
        assert status == 0
        assert json.loads(output)["nofile"] == [before[0] - 10, before[1]]
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == before
        assert os.getcwd() == "/"
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(umask)
        os.chdir(cwd)


@pytest.mark.parametrize(
    ("argv", "changes", "step", "reason"),
    [
        (("/no/such/file",), {}, "search", "cannot execute /no/such/file: no such file or directory"),
        (("./no-file",), {}, "search", "cannot execute ./no-file: no such file or directory"),
        (("no-such-word",), {}, "search", "cannot execute no-such-word: not found in PATH="),
        (("/tmp",), {}, "exec", "cannot execute /tmp: it is a directory"),
        (("/etc/passwd/x",), {}, "exec", "cannot execute /etc/passwd/x: not a directory"),
        (("sleep", "1"), {"workingdir": "/no/such"}, "workingdir", "cannot enter workingdir /no/such: no such file"),
    ],
)
def test_the_failed_step_is_named(
    nest: Nest, argv: tuple[str, ...], changes: dict[str, object], step: str, reason: str
) -> None:
    _, output, failed = nest.run(nest.launch(*argv, **changes))
    assert failed.startswith(reason)
    assert nest.step == step
    assert output == b"", "a failed step never executes the program"


def test_a_command_that_is_there_is_found_even_if_its_interpreter_is_not(nest: Nest, tmp_path: Path) -> None:
    tool, dangling = tmp_path / "tool", tmp_path / "dangling"
    tool.write_text("#!/no/such/interpreter\n")
    tool.chmod(0o755)
    assert "not found" in nest.run(nest.launch(str(tool)))[2]
    assert nest.step == "exec"
    dangling.symlink_to("/no/such/file")
    assert "which does not exist" in nest.run(nest.launch(str(dangling)))[2]
    assert nest.step == "search"


def test_a_word_without_a_slash_is_searched_in_the_childs_path(nest: Nest, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho found\n")
    _, _, failed = nest.run(nest.launch("tool", environment={"PATH": str(tmp_path)}))
    assert "permission denied" in failed
    tool.chmod(0o755)
    status, output, failed = nest.run(nest.launch("tool", environment={"PATH": f"/nowhere:{tmp_path}"}))
    assert (status, output, failed) == (0, b"found\n", "")


def test_a_relative_word_with_a_slash_is_relative_to_the_working_directory(nest: Nest, tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\npwd\n")
    tool.chmod(0o755)
    status, output, _ = nest.run(nest.launch("./tool", workingdir=str(tmp_path)))
    assert (status, output.decode().strip()) == (0, str(tmp_path))


def test_steps_of_a_feature_run_in_the_order_of_all_steps_and_may_change_the_environment(tmp_path: Path) -> None:
    nest = Nest("posix_spawn")

    def note(word: str) -> Callable[[Setup], None]:
        def run(setup: Setup) -> None:
            with open(tmp_path / "order", "a", encoding="ascii") as order:
                order.write(f"{word} {os.umask(0)} ")
            setup.environment["MARK"] += word

        return run

    steps = (SetupStep("nice", "", note("n")), SetupStep("sockets", "", note("s")), SetupStep("nice", "", note("m")))
    _, output, failed = nest.run(nest.launch("sh", "-c", "echo $MARK; umask", steps=steps))
    assert (output, failed) == (b"1snm\n0027\n", "")
    own = os.umask(0o022)
    os.umask(own)
    assert (tmp_path / "order").read_text() == f"s {own} n 0 m 0 ", "before the step umask"
    os.close(nest.null)
    nest.reactor.close()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (PermissionError(1, "Operation not permitted"), "cannot set nice to -5: operation not permitted"),
        (SetupError("nice", "cannot be nicer"), "cannot be nicer"),
        (MemoryError(), "cannot set nice to -5: cannot allocate memory"),
    ],
)
def test_a_failed_step_of_a_feature_is_told_in_its_own_words(nest: Nest, error: Exception, reason: str) -> None:
    def fail(_setup: Setup) -> None:
        raise error

    _, output, failed = nest.run(nest.launch("echo", "ran", steps=(SetupStep("nice", "set nice to -5", fail),)))
    assert (nest.step, failed, output) == ("nice", reason, b"")


def test_any_number_of_descriptors_comes_at_its_numbers_whatever_the_numbers_of_the_daemon(nest: Nest) -> None:
    read, write = os.pipe()
    files = [os.memfd_create(f"f{at}") for at in range(6)]
    for at, fd in enumerate(files):
        os.pwrite(fd, str(at).encode(), 0)
    extras = [(number, fd) for number, fd in zip((files[1], files[0], files[2], files[5] + 1, 150, 151), files)]
    script = "; ".join(f"cat <&{number}" for number, _fd in extras)
    pid, executed = nest.spawner.spawn(nest.launch("bash", "-c", script), write, write, extras)
    os.close(write)
    assert (os.waitpid(pid, 0)[1], executed) == (0, False)
    nest.spawner.settle(pid)
    assert os.read(read, 100) == b"012345"
    for fd in (read, *files):
        os.close(fd)


def test_a_childs_pipe_outlives_its_reader(nest: Nest) -> None:
    read, child = child_pipe(None)
    pid, _ = nest.spawner.spawn(nest.launch("sh", "-c", "sleep 0.2; echo still; exit 5"), child, child)
    os.close(child)
    os.close(read)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 5
    nest.spawner.settle(pid)


def test_handlers_and_mask_of_the_daemon_do_not_reach_the_child(nest: Nest) -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        _, output, _ = nest.run(nest.launch(sys.executable, "-S", str(PROGRAMS / "dumps_itself.py")))
    finally:
        signal.signal(signal.SIGUSR1, before)
    caught = int(json.loads(output)["caught"], 16)
    assert not caught >> signal.SIGUSR1 - 1 & 1


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
def test_an_identity_is_taken_whole_or_the_program_is_not_executed(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    nest = Nest("fork")
    nest.identity = Identity(65_534, 65_534, (65_534, 1))
    status, output, failed = nest.run(nest.launch("sh", "-c", "id -u; id -g; id -G; whoami"))
    assert (status, failed) == (0, "")
    assert output.decode().split()[:2] == ["65534", "65534"]
    assert set(output.decode().split("\n")[2].split()) == {"65534", "1"}
    _, output, failed = nest.run(nest.launch("sh", "-c", "echo ran", workingdir=str(tmp_path)))
    assert (output, failed) == (b"", f"cannot enter workingdir {tmp_path}: permission denied")
    os.close(nest.null)
    nest.reactor.close()


def test_a_child_whose_set_up_fails_when_its_daemon_has_died_does_not_go_on_as_a_second_one(nest: Nest) -> None:
    launch = nest.launch("/does/not/exist")
    read, report = os.pipe()
    os.close(read)
    pid = os.fork()
    if pid == 0:
        try:
            become_child(launch, (0, 1, 2), report)
        finally:
            os._exit(0)  # it has come back
    os.close(report)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 127
