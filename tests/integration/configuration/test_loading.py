"""The parser child: what it brings back, what it keeps open, how it ends."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from taskmaster_common.schema import decode
from taskmasterd.configuration import host as hostfacts
from taskmasterd.configuration import loading
from taskmasterd.configuration.loading import Loading, LoadResult, load
from taskmasterd.system.reaper import reap
from tests.support.daemon import ROOT
from tests.support.errands import ErrandLoop
from tests.support.wait import wait_until
from tests.support.wire import crowding

NOBODY = 65_534

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

OPTIONS: dict[str, Any] = {
    "environment": dict(os.environ),
    "options": {"daemonized": False, "pid1": False, "lenient_users": False},
}
SLOW = "x-a: [" + "a," * 480_000 + "]\nprograms: {}"
"""Takes a second or two of processor time."""
SMALL = "programs: {web: {cmd: sleep 5, numprocs: 2, env: {A: null, B: b}}}"


@pytest.fixture
def _hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the child from finishing, however long this process waits for a processor."""
    monkeypatch.setattr(loading, "_result", lambda *_arguments: signal.pause())


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str | bytes], str]:
    """Write the configuration, and return its path."""
    path = tmp_path / "taskmaster.yaml"

    def write(text: str | bytes) -> str:
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return str(path)

    return write


class Begun:
    """A configuration that is being read."""

    def __init__(self, loop: ErrandLoop, path: str, **changes: Any) -> None:
        self.results: list[LoadResult] = []
        self._loop = loop
        self.loading = Loading(loop.errands, path, self.results.append, **{**OPTIONS, **changes})

    def result(self) -> LoadResult:
        """Return what came of it."""
        result: LoadResult = self._loop.wait(self.results)
        return result


@pytest.fixture
def loop() -> Iterator[ErrandLoop]:
    """A loop that has reaped each child at the end of the test."""
    loop = ErrandLoop()
    yield loop
    loop.wait_for_ends()
    loop.reactor.close()


# -- what it brings back


def test_a_good_file_comes_back_as_a_configuration(write: Callable[[str | bytes], str]) -> None:
    path = write(SMALL)
    result = load(path, **OPTIONS)
    assert (result.problems, result.shortage) == ((), "")
    assert result.config is not None
    program = result.config.programs[0]
    assert (program.cmd, program.numprocs, program.env) == (("sleep", "5"), 2, {"A": None, "B": "b"})
    facts = os.stat(path)
    assert result.config.files == ((path, facts.st_mtime_ns, facts.st_size),)
    assert program.workingdir == os.path.dirname(path)


def test_problems_and_warnings_come_back(write: Callable[[str | bytes], str]) -> None:
    path = write("programs: {web: {cmd: nowhere-at-all, stoptime: 70}}")
    result = load(path, **OPTIONS)
    assert [line.splitlines()[0] for line in result.warnings] == [
        f"{path}:1:23: warning: programs.web.cmd: nowhere-at-all is not found in PATH",
        (
            f"{path}:1:49: warning: programs.web.stoptime: a stop may take 70s, but at shutdown everything is killed after "
            "60s (taskmasterd.shutdown_timeout)"
        ),
    ]
    result = load(write("programs: {web: {cmd: x, umask: 9}}"), **OPTIONS)
    assert result.config is None
    assert result.problems[0].startswith(f"{path}:1:33: error: programs.web.umask: 9 is not an octal digit")


def test_bytes_of_the_environment_that_are_no_text_survive(write: Callable[[str | bytes], str]) -> None:
    result = load(write("programs: {web: {cmd: 'echo ${X}'}}"), **{**OPTIONS, "environment": {"X": "\udcff"}})
    assert result.config is not None
    assert result.config.programs[0].cmd == ("echo", "\udcff")


@pytest.mark.sweep
def test_two_thousand_programs_load_within_the_deadline(write: Callable[[str | bytes], str]) -> None:
    entry = (
        "  p{0}:\n    cmd: /bin/sleep {0}\n    numprocs: 2\n    umask: 022\n    workingdir: /tmp\n    exitcodes: [0, 2]\n"
        "    starttime: 5\n    stopsignal: TERM\n    stdout: /tmp/p{0}.out\n    env:\n      ANSWER: 42\n"
    )
    path = write("programs:\n" + "".join(entry.format(number) for number in range(2000)))
    result = load(path, deadline_s=loading.DEADLINE_S * crowding(), **OPTIONS)
    assert result.config is not None
    assert len(result.config.programs) == 2000


# -- files


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file or directory"),
        (os.mkdir, "it is a directory"),
        (os.mkfifo, "it is not a regular file"),
        (lambda path: path.write_bytes(b"#" * (16 * 1024 * 1024 + 1)), "it is larger than 16 MiB"),
    ],
    ids=["missing", "directory", "fifo", "large"],
)
def test_what_is_no_file_of_ours_is_refused_at_once(
    make: Callable[[Path], object], reason: str, tmp_path: Path
) -> None:
    make(tmp_path / "c")
    assert load(str(tmp_path / "c"), **OPTIONS).problems == (f"{tmp_path}/c: error: cannot read it: {reason}",)


def test_included_files_are_found_by_pattern_and_counted(tmp_path: Path) -> None:
    (tmp_path / "c").mkdir()
    for name in ("b", "a", ".hidden"):
        (tmp_path / "c" / f"{name}.yaml").write_text(f"programs: {{{name.strip('.')}: {{cmd: sleep 1}}}}")
    (tmp_path / "c" / "dir.yaml").mkdir()
    (tmp_path / "t.yaml").write_text("include: [c/*.yaml]")
    result = load(str(tmp_path / "t.yaml"), **OPTIONS)
    assert result.config is not None, result.problems
    assert [program.name for program in result.config.programs] == ["a", "b"]
    assert [os.path.basename(entry[0]) for entry in result.config.files] == ["t.yaml", "a.yaml", "b.yaml"]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_refuses_a_real_file_that_everybody_may_write(write: Callable[[str | bytes], str]) -> None:
    path = write(SMALL)
    os.chmod(path, 0o666)
    assert load(path, **OPTIONS).problems == (f"{path}: error: everybody may write to it (mode 0666); chmod o-w",)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A configuration that includes conf.d/*.yaml, with one file there."""
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.yaml").write_text("programs: {a: {cmd: sleep 5}}")
    (tmp_path / "t.yaml").write_text("include: [conf.d/*.yaml]")
    return tmp_path


def refusals(tree: Path) -> list[str]:
    return [problem.splitlines()[0] for problem in load(str(tree / "t.yaml"), **OPTIONS).problems]


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_root_includes_nothing_from_a_directory_in_which_others_may_plant_files(tree: Path, mode: int) -> None:
    os.chmod(tree / "conf.d", mode)
    (told,) = refusals(tree)
    assert f"include: {tree}/conf.d: everybody may put files into this directory (mode {mode:04o})" in told
    (tree / "conf.d" / "a.yaml").unlink()
    assert any(f"{tree}/conf.d: everybody may" in told for told in refusals(tree))


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_root_includes_nothing_that_another_user_owns_or_leads_it_to(tree: Path) -> None:
    assert refusals(tree) == []
    os.chown(tree / "conf.d" / "a.yaml", 65534, -1)
    (told,) = refusals(tree)
    assert told.startswith(f"{tree}/conf.d/a.yaml: error: it belongs to uid 65534")
    (tree / "conf.d" / "a.yaml").unlink()
    (tree / "real.yaml").write_text("programs: {a: {cmd: sleep 5}}")
    (tree / "conf.d" / "a.yaml").symlink_to("../real.yaml")
    assert refusals(tree) == []
    os.chown(tree / "conf.d" / "a.yaml", 65534, -1, follow_symlinks=False)
    (told,) = refusals(tree)
    assert told.startswith(f"{tree}/conf.d/a.yaml: error: this link belongs to uid 65534")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize(("mode", "fine"), [(0o777, False), (0o1777, True), (0o755, True)])
def test_root_judges_the_directory_of_the_main_file_too_and_what_is_above_it(tree: Path, mode: int, fine: bool) -> None:
    os.chmod(tree, mode)
    assert (refusals(tree) == []) == fine
    inner = tree / "inner"
    inner.mkdir()
    (inner / "t.yaml").write_text("programs: {}")
    assert (refusals(inner) == []) == fine


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_directory_below_a_pattern_that_a_stranger_made_is_refused(tree: Path) -> None:
    (tree / "t.yaml").write_text("include: [conf.d/*/x.yaml]\nprograms: {}")
    assert refusals(tree) == []
    (tree / "conf.d" / "sub").mkdir()
    os.chown(tree / "conf.d" / "sub", 65534, -1)
    (told,) = refusals(tree)
    assert f"include: {tree}/conf.d/sub: this directory belongs to uid 65534" in told


def test_a_configuration_is_read_through_links_and_parent_directories(tree: Path) -> None:
    (tree / "link").symlink_to(tree / "conf.d" / ".." / "conf.d")
    (tree / "t.yaml").write_text("include: [link/*.yaml]")
    result = load(f"{tree}/link/../t.yaml", **OPTIONS)
    assert result.config is not None, result.problems
    assert [program.name for program in result.config.programs] == ["a"]
    (tree / "loop").symlink_to("loop")
    (told,) = refusals(tree / "loop")
    assert told.endswith("cannot read it: too many levels of symbolic links")


# -- the child


@pytest.mark.usefixtures("_hangs")
def test_the_childs_memory_is_limited(write: Callable[[str | bytes], str], loop: ErrandLoop) -> None:
    one = Begun(loop, write(SMALL))
    most = 2 * loading.MAX_DATA + data_of(os.getpid())
    wait_until(lambda: 0 < resource.prlimit(one.loading.pid, resource.RLIMIT_DATA)[0] < most)
    one.loading.cancel()


def data_of(pid: int) -> int:
    """Return the bytes of data of a process."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmData"))
    return int(line.split()[1]) * 1024


def test_what_the_daemon_has_itself_does_not_count_for_the_child(
    write: Callable[[str | bytes], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(SMALL)
    monkeypatch.setattr(loading, "MAX_DATA", 64 << 20)
    held = bytearray(2 * loading.MAX_DATA)
    assert load(path, **OPTIONS).problems == ()
    assert held[-1] == 0


@pytest.mark.usefixtures("_hangs")
def test_a_child_that_takes_too_long_is_killed(write: Callable[[str | bytes], str], loop: ErrandLoop) -> None:
    path = write(SMALL)
    one = Begun(loop, path, deadline_s=0.2)
    assert one.result().problems == (f"{path}: error: reading it takes more than 0.2s",)


@pytest.mark.usefixtures("_hangs")
def test_waiting_ends_at_the_deadline(write: Callable[[str | bytes], str]) -> None:
    assert "takes more than 0.2s" in load(write(SMALL), **OPTIONS, deadline_s=0.2).problems[0]
    wait_until(lambda: [*reap()])


@pytest.mark.usefixtures("_hangs")
def test_a_cancelled_loading_has_no_result_and_leaves_no_child(
    write: Callable[[str | bytes], str], loop: ErrandLoop
) -> None:
    one = Begun(loop, write(SMALL))
    one.loading.cancel()
    one.loading.cancel()
    loop.wait_for_ends()
    assert one.results == []


def test_incomprehensible_output_is_a_failure_and_ends_the_child(
    write: Callable[[str | bytes], str], loop: ErrandLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_result", lambda *_arguments: [b"{\n", b"x" * (1 << 20)])
    one = Begun(loop, write(SMALL))
    assert one.result() == LoadResult(failure="the process that read it sent something incomprehensible")
    loop.wait_for_ends()
    assert len(one.results) == 1


@pytest.mark.usefixtures("_hangs")
def test_a_killed_child_is_no_problem_of_the_configuration(
    write: Callable[[str | bytes], str], loop: ErrandLoop
) -> None:
    one = Begun(loop, write(SMALL))
    os.kill(one.loading.pid, signal.SIGKILL)
    assert one.result() == LoadResult(failure="the process that read it died before it was done")


def test_an_exception_in_the_child_never_escapes_and_is_no_problem_of_the_configuration(
    write: Callable[[str | bytes], str],
) -> None:
    environment: dict[str, Any] = {"X": 5}
    result = load(write("programs: {web: {cmd: 'a${X}'}}"), **{**OPTIONS, "environment": environment})
    assert (result.config, result.problems) == (None, ())
    assert "the process that read it failed with TypeError at /" in result.failure


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENOMEM, errno.EAGAIN])
def test_an_exception_in_the_child_that_names_a_shortage_is_one(
    code: int, write: Callable[[str | bytes], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(hostfacts, "surroundings", refuse)
    result = load(write(SMALL), **OPTIONS)
    assert (result.problems, result.failure) == ((), "")
    assert result.shortage.startswith(os.strerror(code).lower())


LOADS_IN_LITTLE = """
import os, sys
from taskmasterd.configuration import loading
loading.MAX_DATA = 16 << 20  # enough for the imports, and not for the file
options = {"daemonized": False, "pid1": False, "lenient_users": False}
result = loading.load(sys.argv[1], environment=dict(os.environ), options=options, deadline_s=60.0)
print(result.problems, result.failure, result.shortage)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks into /proc")
def test_the_limits_of_the_child_are_not_taken_for_the_daemons(write: Callable[[str | bytes], str]) -> None:
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    if hard != resource.RLIM_INFINITY:
        pytest.skip("the memory of the tests is limited")
    result = load(write("programs: {a: {cmd: sleep 1, rlimits: {data: 1GB}}}"), **OPTIONS)
    assert (result.problems, result.warnings) == ((), ())


def test_memory_is_bounded(write: Callable[[str | bytes], str]) -> None:
    """In a process of its own: what earlier tests have freed stays with theirs, and a child could use it."""
    done = subprocess.run(
        [sys.executable, "-c", LOADS_IN_LITTLE, write(SLOW)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'common'}"}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "MiB of memory" in done.stdout


@pytest.mark.parametrize("most", [4, pytest.param(loading.MAX_RESULT >> 20, marks=pytest.mark.sweep)])
def test_an_anchor_that_multiplies_a_long_text_is_refused(
    most: int, write: Callable[[str | bytes], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loading.MAX_RESULT == 32 << 20
    monkeypatch.setattr(loading, "MAX_RESULT", most << 20)
    entries = "".join(f"  p{number}: {{cmd: x, env: {{A: *a}}}}\n" for number in range(200 * most // 32))
    result = load(write(f"x-a: &a {'x' * 400_000}\nprograms:\n{entries}"), **OPTIONS)
    assert f"its values take more than {most} MiB" in result.problems[0]


def test_no_descriptor_left_is_the_daemons_shortage(write: Callable[[str | bytes], str], loop: ErrandLoop) -> None:
    path = write(SMALL)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        result = Begun(loop, path).result()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    limit = "the limit of open files is 3: ulimit -n"
    assert result == LoadResult(shortage=f"the system refuses another process: too many open files ({limit})")


def test_no_process_left_is_the_daemons_shortage_and_leaves_no_descriptor(
    write: Callable[[str | bytes], str], loop: ErrandLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", refuse)
    path = write(SMALL)
    before = os.listdir("/dev/fd")
    result = Begun(loop, path).result()
    assert result.shortage == "the system refuses another process: resource temporarily unavailable"
    assert len(os.listdir("/dev/fd")) == len(before)


def test_a_shortage_inside_the_child_is_no_problem_of_the_file(
    write: Callable[[str | bytes], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))

    path = write(SMALL)
    monkeypatch.setattr(os, "open", refuse)
    assert load(path, **OPTIONS) == LoadResult(
        shortage=f"the system refuses to open {path}: too many open files in system"
    )


def test_the_resident_side_imports_neither_parser_nor_accounts() -> None:
    code = "import sys, taskmasterd.configuration.loading; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": f"{ROOT}:{ROOT / 'common'}"},
    )
    imported = set(done.stdout.split())
    assert not imported & {
        "yaml",
        "glob",
        "shlex",
        "fnmatch",
        "typing",
        "dataclasses",
        "subprocess",
        "taskmaster_common.config.keys",
        "taskmaster_common.schema",
    }


# -- facts of the host


def test_a_command_is_looked_for_as_exec_does(tmp_path: Path) -> None:
    host = hostfacts.surroundings({}, daemonized=False, pid1=False, lenient_users=False)
    script, plain = tmp_path / "script", tmp_path / "plain"
    for path, mode in ((script, 0o755), (plain, 0o644)):
        path.write_text("#!/bin/sh\n")
        path.chmod(mode)
    assert host.find_command("script", f"/nowhere:{tmp_path}", "/", None) == ""
    assert host.find_command("./script", "", str(tmp_path), None) == ""
    assert host.find_command(str(script), "", "/", None) == ""
    assert host.find_command("plain", str(tmp_path), "/", None) == "plain is not executable"
    assert host.find_command("nope", str(tmp_path), "/", None) == "nope is not found in PATH"
    assert host.find_command("./nope", "", str(tmp_path), None) == f"{tmp_path}/./nope does not exist"


def test_what_is_in_a_directory_of_others_or_behind_a_link_into_one_is_decided_by_them(tmp_path: Path) -> None:
    host = hostfacts.surroundings({}, daemonized=False, pid1=False, lenient_users=False)
    ours, public = tmp_path / "ours", tmp_path / "public"
    for directory, mode in ((ours, 0o755), (public, 0o777)):
        directory.mkdir()
        directory.chmod(mode)
    (ours / "link").symlink_to(public)
    (ours / "file").touch()
    assert not host.decided_by_others(f"{ours}/file")
    assert not host.decided_by_others(f"{ours}/missing")
    assert host.decided_by_others(f"{public}/missing")
    assert host.decided_by_others(f"{ours}/link/x/missing")


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_permissions_are_those_of_the_programs_user(tmp_path: Path) -> None:
    host = hostfacts.surroundings({}, daemonized=False, pid1=False, lenient_users=False)
    nobody = host.user("nobody")
    assert nobody is not None
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "x").write_text("#!/bin/sh\n")
    (closed / "x").chmod(0o755)
    assert host.may_enter(str(closed), None)
    assert not host.may_enter(str(closed), nobody)
    assert host.find_command(f"{closed}/x", "", "/", None) == ""
    assert host.find_command(f"{closed}/x", "", "/", nobody) == f"{closed}/x is not executable for nobody"
    assert host.find_command("sh", "/bin", "/", nobody) == ""


def test_equal_files_have_one_identity_and_what_is_no_file_has_none(tmp_path: Path) -> None:
    host = hostfacts.surroundings({}, daemonized=False, pid1=False, lenient_users=False)
    (tmp_path / "a").write_text("")
    os.link(tmp_path / "a", tmp_path / "hard")
    os.symlink("a", tmp_path / "soft")
    os.symlink(tmp_path, tmp_path / "dir")
    os.mkfifo(tmp_path / "fifo")
    assert len({host.identity(f"{tmp_path}/{name}") for name in ("a", "hard", "dir/a")}) == 1
    assert host.identity(f"{tmp_path}/new") == host.identity(f"{tmp_path}/dir/../{tmp_path.name}/new")
    assert host.identity(f"{tmp_path}/new") != host.identity(f"{tmp_path}/a")
    for other in ("/dev/null", f"{tmp_path}/fifo", f"{tmp_path}/soft"):
        assert host.identity(other) == ""


def test_a_fifo_may_be_shared_where_nobody_else_can_put_a_file_in_its_place(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert hostfacts.shareable(str(fifo))
    tmp_path.chmod(0o777)
    assert not hostfacts.shareable(str(fifo))
    tmp_path.chmod(0o1777)
    assert hostfacts.shareable(str(fifo))
    (tmp_path / "file").write_text("")
    assert not hostfacts.shareable(str(tmp_path / "file"))
    assert not hostfacts.shareable(str(tmp_path / "missing"))


@pytest.mark.parametrize("key", ["stdout: /proc/1/fd/1", "stdout: /proc/1/root/x/log", "workingdir: /proc/1/cwd/x"])
def test_a_link_that_may_not_be_read_is_no_error_of_the_configuration(
    write: Callable[[str | bytes], str], key: str
) -> None:
    path = write(f"programs:\n  a: {{cmd: /proc/1/exe, {key}}}\n")
    file = hostfacts.read(path)

    def check() -> None:
        host = hostfacts.surroundings({}, daemonized=False, pid1=False, lenient_users=False)
        decode(path, host.replace(read=lambda _path: file))

    check()  # all modules are loaded then: another user may not be able to read those of root's interpreter
    pid = os.fork()
    if pid == 0:
        if os.geteuid() == 0:
            os.setresuid(NOBODY, NOBODY, NOBODY)
        with contextlib.suppress(BaseException):
            check()
            os._exit(0)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_users_and_groups_are_found_by_name_and_number() -> None:
    host = hostfacts.surroundings({}, daemonized=False, pid1=False, lenient_users=False)
    root = host.user("root")
    assert root is not None
    assert (root.uid, host.user("0")) == (0, root)
    assert host.user("no-such-user") is None
    assert host.user("9" * 30) is None
    assert host.group("no-such-group") is None
    assert host.group("0") == 0


def in_memory() -> set[str]:
    """Return where a tmpfs is, and nothing is mounted over it. Source: proc(5), mountinfo."""
    at: dict[str, str] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, source = line.partition(" - ")
        at[mount.split()[4]] = source.split()[0]
    return {path for path, kind in at.items() if kind == "tmpfs"}


def test_a_file_system_in_memory_is_no_disk() -> None:
    judged = {
        path: hostfacts.on_disk(path) or hostfacts.on_disk(f"{path}/none/such")
        for path in in_memory()
        if os.path.isdir(path)
    }
    there = in_memory()  # others mount and unmount meanwhile
    assert not [path for path, on_disk in judged.items() if on_disk and path in there]
    assert hostfacts.on_disk("/proc"), "neither is what only looks like a directory"
