"""Starts under odd circumstances: closed streams, a directory that is gone, a piped configuration, few descriptors."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, lives
from tests.support.wait import wait_until
from tests.support.wire import ask, resident

pytestmark = [pytest.mark.slow, pytest.mark.sweep]
PY = sys.executable
ONE = "programs: {p: {cmd: sleep 300, starttime: 0, stdout: inherit, stderr: inherit}}"
UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
CLOSED = [which for count in (1, 2, 3) for which in itertools.combinations((0, 1, 2), count)]
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="looks into /proc")


def _can_unshare() -> bool:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


needs_a_namespace = pytest.mark.skipif(not _can_unshare(), reason="needs a pid namespace of its own")


def _shell(daemon: Daemon, script: str, *before: str, cwd: Path | None = None) -> subprocess.Popen[bytes]:
    """Run a shell script as a child; a daemon that stays in the foreground is ended with the test."""
    with (daemon.home / "said").open("wb") as said:
        daemon.foreground = subprocess.Popen(
            [*before, "sh", "-c", script, "sh", PY, str(daemon.config)],
            env=daemon.environment, cwd=cwd or daemon.home, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip
    return daemon.foreground


def _streams(pid: int) -> list[str]:
    return [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in (0, 1, 2)]


def _started(daemon: Daemon) -> bool:
    try:
        return bool(ask(daemon, b"pid"))
    except OSError:
        return False


@needs_proc
@pytest.mark.parametrize("options", ["-n", "-n --guard", ""])
def test_closed_standard_streams_are_dev_null_in_every_life(make_daemon: Callable[..., Daemon], options: str) -> None:
    daemons = {closed: make_daemon(ONE) for closed in CLOSED}
    for closed, daemon in daemons.items():
        closing = " ".join(f"{fd}{'<' if fd == 0 else '>'}&-" for fd in closed)
        _shell(daemon, f'exec "$1" -m taskmasterd -c "$2" {options} {closing}')
    for closed, daemon in daemons.items():
        wait_until(lambda daemon=daemon: _started(daemon))  # type: ignore[misc]
        found = daemon.wait_for("p", "RUNNING")
        pids = lives(daemon.socket, "" if "guard" in options else "taskmasterd")
        assert len(pids) == (2 if "guard" in options else 1)
        for pid in (*pids, found["pid"]):
            streams = _streams(pid)
            assert all(streams[fd] == "/dev/null" for fd in (closed if options else (0, 1, 2))), (closed, streams)
    for daemon in daemons.values():
        assert ask(daemon, b"shutdown")[-1]["exit"] == 0
        assert daemon.foreground
        assert daemon.foreground.wait(timeout=20) == 0


@needs_proc
@pytest.mark.parametrize("options", ["-n", ""])
def test_closed_standard_streams_outlive_the_change_to_utf_8(daemon: Daemon, options: str) -> None:
    daemon.write(ONE)
    daemon.environment.update(LC_ALL="en_US.ISO-8859-1", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", LANG="C")
    running = _shell(daemon, f'exec "$1" -m taskmasterd -c "$2" {options} <&- >&- 2>&-')
    wait_until(lambda: _started(daemon))
    assert _streams(resident(daemon)) == ["/dev/null"] * 3
    assert ask(daemon, b"shutdown")[-1]["exit"] == 0
    assert running.wait(timeout=20) == 0


@needs_a_namespace
def test_closed_standard_streams_are_dev_null_for_process_one(daemon: Daemon) -> None:
    daemon.write(ONE)
    _shell(daemon, 'exec "$1" -m taskmasterd -c "$2" <&- >&- 2>&-', *UNSHARE)
    wait_until(lambda: _started(daemon))
    daemon.wait_for("p", "RUNNING")
    pids = lives(daemon.socket)
    found = [_streams(pid) for pid in pids if "python" in os.readlink(f"/proc/{pid}/exe")]
    assert len(found) >= 2
    assert all(streams == ["/dev/null"] * 3 for streams in found)


# -- the current directory


@pytest.fixture
def gone(daemon: Daemon) -> Path:
    """A directory that a shell enters and then removes."""
    path = daemon.home / "gone"
    path.mkdir()
    return path


@pytest.mark.parametrize("options", ["", "-n", "-t", "-T", "-n --guard"])
def test_an_absolute_configuration_needs_no_current_directory(daemon: Daemon, gone: Path, options: str) -> None:
    daemon.write(ONE)
    running = _shell(daemon, f'rmdir "$PWD"; exec "$1" -m taskmasterd -c "$2" {options}', cwd=gone)
    if options in ("-t", "-T"):
        assert running.wait(timeout=20) == 0, (daemon.home / "said").read_text()
        return
    wait_until(lambda: _started(daemon))
    daemon.wait_for("p", "RUNNING")
    assert ask(daemon, b"reload")[-1]["exit"] == 0
    assert ask(daemon, b"upgrade")[-1]["exit"] == 0
    assert ask(daemon, b"shutdown")[-1]["exit"] == 0
    assert running.wait(timeout=20) == 0


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("-c ../taskmaster.yaml", "../taskmaster.yaml"),
        ("-c taskmaster.yaml", "taskmaster.yaml"),
        ('-c "$2" -s relative', "relative"),
    ],
)
@pytest.mark.parametrize("option", ["", "-t"])
def test_what_is_relative_to_a_deleted_directory_names_that(
    daemon: Daemon, gone: Path, words: str, named: str, option: str
) -> None:
    daemon.write(ONE)
    running = _shell(daemon, f'rmdir "$PWD"; exec "$1" -m taskmasterd {words} {option}', cwd=gone)
    assert running.wait(timeout=20) == 1
    why = "the current directory has been deleted; go to another one, or give an absolute path"
    assert (daemon.home / "said").read_text() == f"taskmasterd: cannot use {named}: {why}\n"


# -- a configuration that is no file


PIPES: dict[str, Callable[[str], str]] = {
    "/dev/fd/7": lambda options: f'exec "$1" -m taskmasterd -c /dev/fd/7 {options} 7< input',
    "-": lambda options: f'cat "$2" | "$1" -m taskmasterd -c - {options}',
    "/dev/stdin": lambda options: f'cat "$2" | "$1" -m taskmasterd -c /dev/stdin {options}',
    "/proc/self/fd/0": lambda options: f'cat "$2" | "$1" -m taskmasterd -c /proc/self/fd/0 {options}',
}


@pytest.fixture(params=PIPES)
def piped(daemon: Daemon, request: pytest.FixtureRequest) -> Iterator[tuple[str, Callable[[str], str]]]:
    """A path that means a pipe, and the shell's words that pass one."""
    daemon.write(ONE)
    os.mkfifo(daemon.home / "input")
    if request.param != "/dev/fd/7":
        yield request.param, PIPES[request.param]
        return
    with subprocess.Popen(["sh", "-c", "cat taskmaster.yaml > input"], cwd=daemon.home) as writer:
        yield request.param, PIPES[request.param]
        writer.kill()


@pytest.mark.parametrize("option", ["-t", "-T"])
def test_a_piped_configuration_can_be_checked(
    daemon: Daemon, piped: tuple[str, Callable[[str], str]], option: str
) -> None:
    running = _shell(daemon, piped[1](option))
    assert running.wait(timeout=20) == 0, (daemon.home / "said").read_text()
    assert ("ok (1 program, 1 process)" if option == "-t" else "cmd:") in (daemon.home / "said").read_text()


def test_a_piped_configuration_is_not_taken_by_a_daemon(
    daemon: Daemon, piped: tuple[str, Callable[[str], str]]
) -> None:
    running = _shell(daemon, piped[1](""))
    assert running.wait(timeout=20) == 2
    text = f"taskmasterd: cannot use {piped[0]}: a pipe cannot be read again at reload; give a file\n"
    assert (daemon.home / "said").read_text() == text


def test_problems_of_a_piped_configuration_have_their_place(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: x, umask: 9}}")
    running = _shell(daemon, PIPES["-"]("-t"))
    assert running.wait(timeout=20) == 6
    assert (daemon.home / "said").read_text().startswith("/dev/stdin:1:31: error: programs.p.umask: 9 is not")


def test_a_descriptor_that_is_not_open_is_named(daemon: Daemon) -> None:
    daemon.write(ONE)
    running = _shell(daemon, 'exec "$1" -m taskmasterd -t -c /dev/fd/9')
    assert running.wait(timeout=20) == 6
    assert "cannot read /dev/fd/9: bad file descriptor" in (daemon.home / "said").read_text()


# -- limits


@pytest.mark.parametrize("options", ["", "-n", "-n --guard", "-t"])
def test_with_few_descriptors_it_runs_or_names_the_limit(daemon: Daemon, options: str) -> None:
    daemon.write(ONE)
    for limit in (26, 20, 16, 13, 11, 9, 7, 6, 5):
        running = _shell(daemon, f'ulimit -n {limit}; exec "$1" -m taskmasterd -c "$2" {options}')
        wait_until(lambda running=running: running.poll() is not None or _started(daemon))  # type: ignore[misc]
        if _started(daemon):
            wait_until(lambda: ask(daemon, b"shutdown")[-1].get("exit") == 0)
        code = running.wait(timeout=20)
        said = (daemon.home / "said").read_text()
        assert "Traceback" not in said, (limit, said)
        named = rf"too many open files \((the limit of open files is {limit}|a limit): ulimit -n\)"
        assert code == 0 or re.search(named, said), (limit, said)


def test_sixteen_descriptors_are_enough_to_say_so_as_process_one_too(daemon: Daemon) -> None:
    daemon.write(ONE)
    if not _can_unshare():
        pytest.skip("needs a pid namespace of its own")
    running = _shell(daemon, 'ulimit -n 16; exec "$1" -m taskmasterd -c "$2"', *UNSHARE)
    assert running.wait(timeout=20) == 1
    said = (daemon.home / "said").read_text()
    assert "Traceback" not in said
    assert "too many open files (the limit of open files is 16: ulimit -n)" in said


@pytest.mark.parametrize("blocks", [0, 1])
@pytest.mark.parametrize("options", ["", "-n"])
def test_a_limit_of_file_sizes_that_is_too_small_is_named(daemon: Daemon, blocks: int, options: str) -> None:
    daemon.write(ONE)
    limited = f'ulimit -f {blocks}; exec "$1" -m taskmasterd -c "$2" {options}'
    done = subprocess.run(
        ["sh", "-c", limited, "sh", PY, str(daemon.config)],
        env=daemon.environment, cwd=daemon.home, capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert done.returncode in (1, 4)
    assert re.search(r"file too large \(the limit of file sizes, in bytes, is (0|512|1024): ulimit -f\)", done.stderr)
    assert "Traceback" not in done.stderr


# -- /proc


@needs_a_namespace
def test_process_one_needs_no_proc(daemon: Daemon) -> None:
    daemon.write("programs: {p: {cmd: 'echo hello; exec sleep 300', shell: true, starttime: 0}}")
    before = ("unshare", "--pid", "--fork", "--kill-child", "--mount")
    _shell(daemon, 'mount -t tmpfs none /proc; exec "$1" -m taskmasterd -c "$2"', *before)
    wait_until(lambda: _started(daemon))
    daemon.wait_for("p", "RUNNING")
    assert ask(daemon, b"restart p")[-1]["exit"] == 0
    assert ask(daemon, b"reload")[-1]["exit"] == 0
    assert ask(daemon, b"upgrade")[-1]["exit"] == 0
    assert ask(daemon, b"shutdown")[-1]["exit"] == 0
    assert daemon.foreground
    assert daemon.foreground.wait(timeout=20) == 0
    assert "Traceback" not in (daemon.home / "said").read_text()


@needs_a_namespace
@pytest.mark.parametrize("hidden", ["mount -o remount,hidepid=2 /proc", "mount -t tmpfs -o mode=700 none /proc"])
def test_a_users_daemon_works_where_proc_is_hidden(daemon: Daemon, hidden: str) -> None:
    daemon.write("programs: {p: {cmd: 'echo hello; exec sleep 300', shell: true, starttime: 0}}")
    for path in (daemon.home, *daemon.home.iterdir()):
        os.chown(path, 65534, 65534)
    daemon.home.parent.chmod(0o755)
    script = f'{hidden}; exec setpriv --reuid 65534 --regid 65534 --clear-groups "$1" -m taskmasterd -n -c "$2"'
    nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
    itself = "import os, sys; os.execv(sys.executable, [sys.executable, '-c', 'pass'])"
    if subprocess.run([*nobody, PY, "-c", itself], capture_output=True, check=False).returncode:
        pytest.skip("the interpreter is out of nobody's reach")
    _shell(daemon, script, "unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
    wait_until(lambda: _started(daemon))
    daemon.wait_for("p", "RUNNING")
    assert ask(daemon, b"restart p")[-1]["exit"] == 0
    assert ask(daemon, b"stop p")[-1]["exit"] == 0
    assert ask(daemon, b"shutdown")[-1]["exit"] == 0
    assert daemon.foreground
    assert daemon.foreground.wait(timeout=20) == 0


# -- words that mean the lives of the daemon


@pytest.mark.parametrize("words", ["--check", "--check 0", "--check 5 - /x", "--guardian", "--resident 3 - /", "--guard --resident"])  # fmt: skip
def test_internal_lives_are_not_reached_by_a_guess(daemon: Daemon, words: str) -> None:
    daemon.write(ONE)
    running = _shell(daemon, f'exec "$1" -m taskmasterd {words} -c "$2"')
    code = running.wait(timeout=20)
    said = (daemon.home / "said").read_text()
    assert code == (0 if words == "--check" else 2)
    assert ("taskmaster.yaml: ok (1 program, 1 process)\n" in said) == (words == "--check")
    assert "Traceback" not in said
