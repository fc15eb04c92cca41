"""A real taskmasterd in a directory of its own, and the client that controls it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from taskmasterd.system.procfs import listing, variables_of
from tests.support.wait import wait_until
from tests.support.wire import ask

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.support.forkserver import Forked, ForkServer

listing("/proc/self")  # opens the reserve descriptor of all later looks
ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "tests" / "integration" / "programs"
OF_A_PROGRAM = b"\0TASKMASTER_PROGRAM="
PIECE = 32_768


def command_environment(home: Path) -> dict[str, str]:
    """Return the variables that keep a daemon, root's too, inside `home`."""
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "TERM") if name in os.environ}
    environment.update(
        HOME=str(home),
        PYTHONPATH=f"{ROOT}:{ROOT / 'common'}",
        RUNTIME_DIRECTORY=str(home),
        STATE_DIRECTORY=str(home),
        LOGS_DIRECTORY=str(home / "log"),
        TASKMASTER_SOCKET=str(home / "taskmaster.sock"),
        PYTHONDONTWRITEBYTECODE="1",
        PAGER="",
    )
    return environment


class Daemon:
    """One daemon; `config` is its YAML file. `forks` runs its commands if a fork behaves like an exec."""

    def __init__(self, home: Path, config: str = "", forks: ForkServer | None = None) -> None:
        self.home = home
        self.config = home / "taskmaster.yaml"
        self.socket = home / "taskmaster.sock"
        self.pidfile = home / "taskmasterd.pid"
        self.environment = command_environment(home)
        self.foreground: subprocess.Popen[bytes] | Forked | None = None
        self._forks = forks
        if config:
            self.write(config)

    def write(self, config: str) -> None:
        """Replace the configuration, as an editor does."""
        draft = self.config.with_suffix(f".new{threading.get_ident()}")  # two threads of a test may edit it at once
        draft.write_text(config)
        draft.replace(self.config)

    # -- the daemon

    def launch(self, *options: str, within_s: float = 20) -> subprocess.CompletedProcess[str]:
        """Run `taskmasterd -c FILE OPTIONS` to its end; without -n that is the launcher's end."""
        return self.run("taskmasterd", "-c", str(self.config), *options, within_s=within_s)

    def start(self, *options: str) -> Daemon:
        """Start it in the background; fails the test if it does not start."""
        done = self.launch(*options)
        assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
        return self

    def start_foreground(self, *options: str) -> Daemon:
        """Start it with -n as a child of the test, and wait until the socket answers."""
        with (self.home / "stdout").open("w") as stdout, (self.home / "stderr").open("w") as stderr:
            self.foreground = self.begin("-n", *options, stdout=stdout.fileno(), stderr=stderr.fileno())
        wait_until(self._answers, within_s=30)
        return self

    def begin(self, *options: str, stdout: int, stderr: int) -> subprocess.Popen[bytes] | Forked:
        """Run `taskmasterd -c FILE OPTIONS` with these descriptors, and do not wait for anything."""
        words = ("taskmasterd", "-c", str(self.config), *options)
        with open(os.devnull) as stdin:
            if self._forks and self._forks.runs(words, self.environment, ""):
                streams = (stdin.fileno(), stdout, stderr)
                return self._forks.start(words, self.environment, str(self.home), streams)
            return subprocess.Popen(
                [sys.executable, "-m", *words],
                env=self.environment,
                cwd=self.home,
                stdout=stdout,
                stderr=stderr,
                stdin=stdin,
            )

    def _answers(self) -> bool:
        assert self.foreground
        assert self.foreground.poll() is None, (self.home / "stderr").read_text()
        try:
            return bool(ask(self, b"pid")[1:])
        except OSError:  # it does not listen yet
            return False

    @property
    def pid(self) -> int:
        """The daemon's pid, from its pid file."""
        return int(self.pidfile.read_text())

    @property
    def alive(self) -> bool:
        """Whether the daemon of the pid file is alive."""
        try:
            pid = self.pid
            os.kill(pid, 0)
        except (OSError, ValueError):
            return False
        return _state(pid) not in ("Z", "") and _name(pid) == "taskmasterd"

    def signal(self, number: int) -> None:
        """Send a signal to the daemon."""
        os.kill(self.pid, number)

    def kill(self) -> None:
        """End the daemon with SIGKILL, and wait until it is gone; its programs live on."""
        pid = self.pid
        os.kill(pid, signal.SIGKILL)
        if self.foreground:
            self.foreground.wait()
        wait_until(lambda: _state(pid) in ("Z", ""))

    @property
    def state_file(self) -> Path:
        """The path of its state file."""
        return self.home / (str(self.socket).strip("/").replace("-", "\\x2d").replace("/", "-") + ".state")

    def events(self) -> str:
        """Return the event log."""
        path = self.home / "log" / "taskmasterd.log"
        return path.read_text() if path.exists() else ""

    def log(self, name: str) -> bytes:
        """Return what a program with default logs has written."""
        try:
            return (self.home / "log" / f"{name}.log").read_bytes()
        except FileNotFoundError:  # not yet, or just being rotated
            return b""

    # -- the client

    def ctl(self, *words: str, within_s: float = 30, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `taskmasterctl WORDS`."""
        return self.run("taskmasterctl", *words, within_s=within_s, text=stdin or "", errors="surrogateescape")

    def status(self) -> dict[str, dict[str, Any]]:
        """Return every process by its name, as `status --json` has it; a client would take longer than most tests."""
        answer = ask(self, b"status")
        assert answer[-1]["type"] == "end", answer
        assert "error" not in answer[-1], answer
        return {
            process["name"]: process for each in answer if each["type"] == "processes" for process in each["processes"]
        }

    def state(self, name: str) -> str:
        """Return the state of a process."""
        return str(self.status()[name]["state"])

    def wait_for(self, name: str, state: str, within_s: float = 20) -> dict[str, Any]:
        """Wait until a process is in a state; returns the process as it was then."""
        found: dict[str, Any] = {}

        def is_in_state() -> bool:
            found.update(self.status()[name])  # not asked for again: a moment later it may be in another one
            return bool(found["state"] == state)

        wait_until(is_in_state, within_s=within_s)
        return found

    def run(
        self, *words: str, within_s: float = 20, text: str = "", errors: str = "strict"
    ) -> subprocess.CompletedProcess[str]:
        """Run one of our commands in its home, with `text` as its input, to its end."""
        if self._forks and self._forks.runs(words, self.environment, text):
            return self._forks.run(
                words,
                environment=self.environment,
                directory=str(self.home),
                text=text,
                within_s=within_s,
                errors=errors,
            )
        return subprocess.run(
            [sys.executable, "-m", *words],
            env=self.environment,
            cwd=self.home,
            capture_output=True,
            text=True,
            errors=errors,
            timeout=within_s,
            check=False,
            input=text,
        )

    # -- the end

    def destroy(self) -> None:
        """Kill the daemon, its guardian and every process that carries its socket's name or lives in its home.

        It finds them by these signs, not by pid file and name: during a live upgrade a daemon is called python for a moment, and
        a child between vfork and exec has no proof yet. It repeats until it finds none: a live process may start more.
        """
        signs = [
            f"\0{sign}".encode()
            for sign in (f"TASKMASTER_SOCKET={self.socket}\0", f"TASKMASTER_SOCKET={self.home}/", f"HOME={self.home}\0")
        ]

        def nothing_found() -> bool:
            found = [
                pid
                for pid, variables in _variables_of_all()
                if any(sign in variables for sign in signs) and process_exists(pid)
            ]
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return not found

        wait_until(nothing_found, within_s=30)
        if self.foreground:
            self.foreground.wait()


def _variables_of_all() -> Iterator[tuple[int, bytes]]:
    """Yield pid and variables of every process but this one, with a NUL before and after each variable.

    In the midst of an exec the kernel shows none (fs/proc/base.c, environ_read), so what shows none is read again, as the daemon
    reads it. Each test looks at all of them twice: kernel threads, which have none either, are left out.
    """
    empty: list[int] = []
    others = {str(os.getpid()), *_kernel_threads()}
    for entry in os.listdir("/proc") if os.path.isdir("/proc") else ():
        if entry.isdecimal() and entry not in others:
            if variables := _content(f"/proc/{entry}/environ"):
                yield int(entry), b"\0" + variables + b"\0"
            else:
                empty.append(int(entry))
    for pid in empty:
        if variables := variables_of(pid):
            yield pid, b"\0" + variables + b"\0"


def _kernel_threads() -> list[str]:
    """Return the pids of the kernel's threads; [] in a container, which sees none."""
    if _content("/proc/2/comm") != b"kthreadd\n":
        return []
    return ["2", *_content("/proc/2/task/2/children").decode().split()]


def _content(path: str) -> bytes:
    """Return the content of a file of /proc, b"" if it is gone or refused."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:
        return b""
    try:
        content = piece = os.read(fd, PIECE)
        while piece:
            piece = os.read(fd, PIECE)
            content += piece
    except OSError:
        return b""
    finally:
        os.close(fd)
    return content


def lives(socket: Path, name: str = "") -> list[int]:
    """Return every process, of this name if given, that was started to serve this socket and belongs to no program."""
    return [pid for pid, variables in _carrying(socket) if OF_A_PROGRAM not in variables and name in ("", _name(pid))]


def marked(socket: Path) -> list[int]:
    """Return every live process that carries this socket's name in its environment and belongs to a program."""
    return [pid for pid, variables in _carrying(socket) if OF_A_PROGRAM in variables]


def names_of_marked(socket: Path) -> list[str]:
    """Return the names of the programs' processes, sorted: a shell is `sh` until it has executed its command."""
    return sorted(_name(pid) for pid in marked(socket))


def _carrying(socket: Path) -> Iterator[tuple[int, bytes]]:
    sign = f"\0TASKMASTER_SOCKET={socket}\0".encode()
    return ((pid, variables) for pid, variables in _variables_of_all() if sign in variables and process_exists(pid))


def resident_kb(pid: int) -> int:
    """Return the resident set size of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def own_kb(pid: int) -> int:
    """Return the memory that a process shares with no file. Source: proc_pid_smaps(5); of another kernel all of it."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return resident_kb(pid)
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def process_exists(pid: int) -> bool:
    """Return whether a process is alive; a zombie is not."""
    return _state(pid) not in ("Z", "X", "")


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
