"""The daemon as PID 1 of a pid namespace of its own, and programs that write to the container's streams."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.support.daemon import ROOT, Daemon, process_exists
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until

PAGE = ROOT / "docs" / "operate" / "containers.md"
UNSHARE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")


def _can_unshare() -> bool:
    if os.geteuid() != 0 or not shutil.which("unshare"):
        return False
    return subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode == 0


needs_a_namespace = pytest.mark.skipif(not _can_unshare(), reason="needs a pid namespace of its own")
pytestmark = [pytest.mark.slow]
SLEEPER = "programs: {p: {cmd: sleep 300, starttime: 0}}"


class Container:
    """A daemon that was started as PID 1, which its guardian is from then on. `init` is the pid of PID 1 here, outside."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.stdout = daemon.home / "stdout"
        self.stderr = daemon.home / "stderr"

    def run(self, *command: str) -> subprocess.Popen[bytes]:
        """Run a command, by default the daemon, as PID 1; it is ended with the test."""
        words = command or (sys.executable, "-m", "taskmasterd", "-c", str(self.daemon.config))
        with self.stdout.open("wb") as stdout, self.stderr.open("wb") as stderr:
            self.daemon.foreground = subprocess.Popen(
                [*UNSHARE, *words], env=self.daemon.environment, cwd="/", stdout=stdout, stderr=stderr,
                stdin=subprocess.DEVNULL,
            )  # fmt: skip
        return self.daemon.foreground

    def serve(self, *command: str) -> subprocess.Popen[bytes]:
        """Run, and wait until it answers."""
        running = self.run(*command)
        wait_until(lambda: self.daemon.ctl("pid").returncode == 0)
        return running

    @property
    def init(self) -> int:
        """PID 1 as seen from here."""
        assert self.daemon.foreground
        (init,) = _children(self.daemon.foreground.pid)
        return init


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def container(daemon: Daemon) -> Container:
    """A container that has not been started yet."""
    return Container(daemon)


@needs_a_namespace
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_as_pid_1_it_stays_in_the_foreground_logs_to_stderr_and_stops_in_order(
    container: Container, number: signal.Signals
) -> None:
    polite = "trap 'echo goodbye; exit 0' TERM; echo hello; while :; do sleep 0.05; done"
    container.daemon.write(json.dumps({"programs": {"p": {"cmd": ["sh", "-c", polite], "starttime": 0}}}))
    running = container.serve()
    wait_until(lambda: container.stdout.read_text().endswith("hello\n"))
    os.kill(container.init, number)
    assert running.wait(timeout=10) == 0
    assert container.stdout.read_text().endswith("hello\ngoodbye\n"), "without log_dir streams are inherited"
    assert f"stopping all programs, asked by {number.name}" in container.stderr.read_text()
    assert "taskmasterd stopped (exit 0)" in container.stderr.read_text()
    assert not (container.daemon.home / "log").exists(), "without logfile and log_dir nothing is written elsewhere"
    assert not container.daemon.socket.exists()


@pytest.mark.sweep
@needs_a_namespace
def test_as_pid_1_it_reaps_strangers_and_takes_none_for_a_program(container: Container) -> None:
    container.daemon.write(SLEEPER)
    container.serve()
    before = container.daemon.wait_for("p", "RUNNING")
    # as `docker exec` brings them in: a shell that leaves a process behind and ends
    enter = ["nsenter", "--pid", "--target", str(container.init)]
    ends = container.daemon.home / "ends"
    subprocess.run([*enter, "sh", "-c", f"(until [ -e {ends} ]; do sleep 0.02; done) & sleep 300 &"], check=True)
    wait_until(lambda: len(_children(container.init)) == 3)
    ends.touch()
    wait_until(lambda: len(_children(container.init)) == 2)
    assert all(process_exists(pid) for pid in _children(container.init)), "a stranger lives on, and is no zombie"
    after = container.daemon.status()["p"]
    assert (before["pid"], before["state"]) == (after["pid"], after["state"])
    assert container.daemon.ctl("shutdown").returncode == 0


@needs_a_namespace
def test_the_exit_code_of_the_container_is_the_daemons(container: Container) -> None:
    container.daemon.write("programs: {p: {cmd: sleep 300, colour: blue}}")
    assert container.run().wait(timeout=10) == 6
    assert "colour" in container.stderr.read_text()


@pytest.mark.sweep
@needs_a_namespace
def test_the_exit_code_of_the_container_is_that_of_its_essential_program(container: Container) -> None:
    worker = {"cmd": "until [ -e go ]; do sleep 0.02; done; exit 3", "essential": True, "autorestart": "never"}
    programs = {"worker": {**worker, "shell": True, "starttime": 0}, "other": {"cmd": "sleep 300"}}
    container.daemon.write(json.dumps({"programs": programs}))
    running = container.serve()
    (container.daemon.home / "go").touch()
    assert running.wait(timeout=10) == 3
    lines = container.stderr.read_text().splitlines()
    assert lines[-1].endswith(" error exiting 3: worker (essential) exited 3")
    assert sum("taskmasterd" in line and " started " in line for line in lines) == 1


@pytest.mark.sweep
@needs_a_namespace
@pytest.mark.parametrize("number", [signal.SIGTERM, *in_the_sweep(signal.SIGINT)])
def test_a_signal_that_comes_while_pid_1_reads_its_file_is_kept(container: Container, number: signal.Signals) -> None:
    # PID 1 is sent no signal that it has no handler for: `docker stop` would wait its ten seconds in vain
    container.daemon.write(
        "programs:\n" + "".join(f"  p{n}: {{cmd: sleep 1, autostart: false}}\n" for n in range(1500))
    )
    running = container.run()
    wait_until(lambda: _children(running.pid) and _children(container.init))  # the child that reads the file
    os.kill(container.init, number)
    assert running.wait(timeout=10) == 0
    assert f"asked by {number.name}" in container.stderr.read_text()


def _entrypoint() -> list[str]:
    """Return the words of the container example of the page, with this tree's command and the directory replaced."""
    found = re.search(r"^ENTRYPOINT (\[.*\])$", PAGE.read_text(), re.MULTILINE)
    assert found
    words = json.loads(found[1])
    assert words[0] == "taskmasterd"
    return [str(word) for word in words]


def _example() -> str:
    """Return the configuration of the container example of the page."""
    return PAGE.read_text().partition("```yaml\n")[2].partition("```")[0]


@pytest.mark.sweep
@needs_a_namespace
def test_the_container_of_the_page_runs_its_programs_and_stops_within_the_time_that_docker_gives(
    container: Container,
) -> None:
    command = shutil.which("taskmasterd", path=os.path.dirname(sys.executable))
    if not command:
        pytest.skip("the command is not installed")
    container.daemon.write(_example())
    words = [word.replace("/etc/taskmaster", str(container.daemon.home)) for word in _entrypoint()]
    running = container.serve(command, *words[1:])
    assert container.daemon.status()["web"]["state"] in ("STARTING", "RUNNING")
    assert container.daemon.ctl("-q", "status").returncode == 0
    os.kill(container.init, signal.SIGTERM)
    assert running.wait(timeout=10) == 0


# -- stdout: inherit


def _open_sink(kind: str, path: Path, stack: ExitStack) -> tuple[int, Callable[[], bytes]]:
    """Return a descriptor of that kind for writing, and what reads all that was written to it so far."""
    if kind == "file":
        return stack.enter_context(path.open("wb")).fileno(), path.read_bytes
    read, write = os.pipe() if kind == "pipe" else [end.detach() for end in socket.socketpair()]
    for fd in (read, write):
        stack.callback(os.close, fd)
    os.set_blocking(read, False)
    got = bytearray()
    return write, lambda: _all_of(read, got)


def _all_of(fd: int, got: bytearray) -> bytes:
    """Return all that was read so far and what can be read now."""
    with suppress(BlockingIOError):
        while piece := os.read(fd, 65_536):
            got += piece
    return bytes(got)


@pytest.fixture
def sinks() -> Iterator[ExitStack]:
    """Closes what the test opens."""
    with ExitStack() as stack:
        yield stack


@pytest.mark.parametrize("kind", ["pipe", *in_the_sweep("file", "socket")])
@pytest.mark.parametrize("identity", ["program", *in_the_sweep("same", "daemon")])
def test_inherit_reaches_the_daemons_streams_whatever_they_are_and_whoever_writes(
    daemon: Daemon, sinks: ExitStack, kind: str, identity: str
) -> None:
    if identity != "same" and os.geteuid() != 0:
        pytest.skip("needs root")
    daemon.home.parent.chmod(0o755)
    home = daemon.home / "own"
    home.mkdir()
    section = f"socket: {home}/s, log_dir: {home}, logfile: {home}/log, state_dir: {home}"
    if identity == "daemon":
        os.chown(home, 65_534, 65_534)
        section += ", user: nobody"
    words = "id -u; echo to stderr >&2; exec sleep 300"
    user = ", user: nobody" if identity == "program" else ""
    daemon.write(
        f"{{taskmasterd: {{{section}}}, programs: {{p: {{cmd: {json.dumps(words)}, shell: true, workingdir: /, "
        f"stdout: inherit, stderr: inherit, starttime: 0{user}}}}}}}"
    )
    daemon.config.chmod(0o644)
    stdout, written = _open_sink(kind, daemon.home / "out", sinks)
    stderr, told = _open_sink(kind, daemon.home / "err", sinks)
    daemon.foreground = running = subprocess.Popen(
        [sys.executable, "-m", "taskmasterd", "-n", "-c", str(daemon.config)],
        env=daemon.environment, cwd=daemon.home, stdout=stdout, stderr=stderr, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    uid = os.geteuid() if identity == "same" else 65_534
    wait_until(lambda: written().endswith(f"\n{uid}\n".encode()) or running.poll() is not None)
    if f"cannot use {sys.executable}".encode() in told():
        pytest.skip("the interpreter is out of nobody's reach")
    wait_until(lambda: b"\nto stderr\n" in told() and b"p running" in told())
    running.terminate()
    assert running.wait(timeout=10) == 0
    assert b"taskmasterd stopped (exit 0)\n" in told(), "the daemon's own lines go there too"


# -- any user, nothing writable


def _as_uid(uid: int, *command: str) -> tuple[str, ...]:
    return ("setpriv", f"--reuid={uid}", "--regid=0", "--clear-groups", "--inh-caps=-all", *command)


@needs_a_namespace
@pytest.mark.parametrize("home", ["/", None])
def test_as_pid_1_any_uid_without_a_home_and_a_writable_place_but_its_socket_s_will_do(
    container: Container, home: str | None
) -> None:
    daemon = container.daemon
    daemon.write(SLEEPER)
    _without_places(daemon, home)
    words: tuple[str, ...] = (sys.executable, "-m", "taskmasterd", "-c", str(daemon.config), "-s", str(daemon.socket))
    if os.geteuid() == 0:
        if subprocess.run(
            _as_uid(54321, "sh", "-c", f"{sys.executable} -c ''"), capture_output=True, check=False
        ).returncode:
            pytest.skip("the interpreter is out of that user's reach")
        for directory in (daemon.home.parent, daemon.home):
            directory.chmod(0o777)
        words = _as_uid(54321, *words)
    running = container.run(*words)
    wait_until(lambda: daemon.ctl("-s", str(daemon.socket), "pid", "p").returncode == 0)
    assert not Path(f"{daemon.socket}.pid").exists(), "PID 1 needs no pid file"
    assert daemon.ctl("-s", str(daemon.socket), "shutdown").returncode == 0
    assert running.wait(timeout=10) == 0


@pytest.mark.parametrize("home", ["/proc", None])
def test_without_a_writable_home_each_key_that_names_another_place_is_named(daemon: Daemon, home: str | None) -> None:
    daemon.write(SLEEPER)
    _without_places(daemon, home)
    if os.geteuid() == 0:
        daemon.environment.update(LOGS_DIRECTORY="/proc/no/log", RUNTIME_DIRECTORY="/proc/no/run")
        keys = "`socket`, `pidfile`, `log_dir` and `logfile`"
    else:
        keys = "`pidfile`, `log_dir` and `logfile`"
    done = daemon.launch()
    assert done.returncode == 4
    assert f"; set {keys} in `taskmasterd:` to use another place\n" in done.stderr
    assert "cannot create directory /" in done.stderr
    section = "{socket: s, pidfile: p, log_dir: ., logfile: l}"
    daemon.write(f"taskmasterd: {section}\n{SLEEPER}")
    assert daemon.launch().returncode == 0
    assert daemon.ctl("-s", str(daemon.home / "s"), "shutdown").returncode == 0


def _without_places(daemon: Daemon, home: str | None) -> None:
    for name in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY", "LOGS_DIRECTORY", "HOME"):
        daemon.environment.pop(name)
    if home is not None:
        daemon.environment["HOME"] = home


@pytest.mark.sweep
@needs_a_namespace
@pytest.mark.parametrize(
    "number",
    [signal.SIGTERM, signal.SIGRTMIN + 3, signal.SIGQUIT, signal.SIGPWR, signal.SIGINT],
)
def test_what_stops_a_container_is_the_orderly_stop(container: Container, number: int) -> None:
    saves = "trap 'sleep 0.3; echo saved > saved; exit 0' TERM; echo ready > ready; while :; do sleep 0.05; done"
    container.daemon.write(f"programs: {{p: {{cmd: {json.dumps(saves)}, shell: true, starttime: 0}}}}")
    running = container.serve()
    wait_until((container.daemon.home / "ready").exists)
    os.kill(container.init, number)
    assert running.wait(timeout=10) == 0
    assert (container.daemon.home / "saved").read_text() == "saved\n"


@pytest.mark.sweep
@needs_a_namespace
def test_a_second_quit_ends_a_container_at_once(container: Container) -> None:
    deaf = "trap '' TERM; echo ready > ready; while :; do sleep 0.05; done"
    container.daemon.write(f"programs: {{p: {{cmd: {json.dumps(deaf)}, shell: true, starttime: 0, stoptime: 60}}}}")
    running = container.serve()
    wait_until((container.daemon.home / "ready").exists)
    os.kill(container.init, signal.SIGQUIT)
    wait_until(lambda: container.daemon.state("p") == "STOPPING")
    os.kill(container.init, signal.SIGQUIT)
    assert running.wait(timeout=10) == 0
