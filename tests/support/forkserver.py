"""A process that has imported both commands, and forks for each command line that a test runs.

Importing costs a command more CPU than its work. A fork runs what `python -m` runs: the package's `__main__`, in a process of
its own, with its own arguments, variables, directory, streams and exit. The server itself never runs a command, starts no
thread, changes no signal and opens no file, so a fork begins as a new interpreter does, except for its imports. Variables that
an interpreter reads before it runs anything must be the server's: with others, the test executes the command instead. So does
a test that changes its own limits, umask or identity.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import termios
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from typing_extensions import Self

ROOT = Path(__file__).resolve().parents[2]
PRELOADED = (
    "taskmasterd.launch.command",
    "taskmasterd.configuration.host",
    "taskmasterctl.cli",
    "taskmasterctl.reply.plans",
    "taskmasterctl.reply.results",
    "taskmasterctl.reply.show",
    "taskmasterctl.reply.watching",
    "taskmasterctl.connect.diagnose",
    "taskmasterctl.connect.elsewhere",
    "taskmasterctl.connect.same_config",
    "yaml",
    "ctypes",
    "shutil",
)
"""Modules that the commands import, at once or on demand. None of them opens a file or keeps a fact about its process."""
READ_AT_START = ("PYTHON", "LC_", "LANG", "LD_", "TZ", "MALLOC_")
"""Prefixes of variables that the interpreter, its libraries or the loader read only once."""
MAX_REQUEST = 100_000
"""Largest request that a socket takes at once, bytes. Source: socket(7), wmem_default."""
MAX_INPUT = 4096
"""Largest input that a pipe takes at once, bytes. Source: pipe(7), PIPE_BUF."""


class ForkServer:
    """The tests' side: starts the server, and asks it to run commands."""

    def __init__(self, environment: Mapping[str, str], more: Sequence[str] = ()) -> None:
        """`environment` is the one with which the interpreters of all commands begin; `more` are modules to import, too."""
        self._shape = _read_at_start(environment)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel = ours
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.forkserver", str(theirs.fileno()), *more],
                env={"PATH": environment.get("PATH", os.defpath), **self._shape},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        assert ours.recv(16) == b"ready"

    def close(self) -> None:
        """End the server, and all its forks that still run."""
        self._channel.close()
        self._process.wait()

    def runs(self, words: Sequence[str], environment: Mapping[str, str], text: str) -> bool:
        """Return whether a fork can run a command line: its interpreter would begin as the server's did."""
        size = sum(map(len, words)) + sum(len(name) + len(value) for name, value in environment.items())
        return _read_at_start(environment) == self._shape and size * 6 < MAX_REQUEST and len(text) * 4 < MAX_INPUT

    def run(
        self,
        words: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: str,
        text: str,
        within_s: float,
        errors: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m WORDS` to its end, as `subprocess.run` does. Raises subprocess.TimeoutExpired."""
        deadline = time.monotonic() + within_s
        stdin, feed = os.pipe()
        out, stdout = os.pipe()
        err, stderr = os.pipe()
        try:
            command = self.start(words, environment, directory, (stdin, stdout, stderr))
        finally:
            for fd in (stdin, stdout, stderr):
                os.close(fd)
        with command:
            with open(feed, "wb", buffering=0) as file:
                _write(file.fileno(), text.encode(errors="surrogateescape"))
            with open(out, "rb", buffering=0), open(err, "rb", buffering=0):
                said = _read_all((out, err), deadline)
            if said is None:
                raise subprocess.TimeoutExpired(list(words), within_s)
            status = command.wait(max(0.001, deadline - time.monotonic()))
        stdout_text, stderr_text = (_text(each, errors) for each in said)
        return subprocess.CompletedProcess(["python", "-m", *words], status, stdout_text, stderr_text)

    def start(
        self,
        words: Sequence[str],
        environment: Mapping[str, str],
        directory: str,
        streams: tuple[int, int, int],
        *,
        terminal: bool = False,
    ) -> Forked:
        """Run `python -m WORDS` with these descriptors as its streams, as `subprocess.Popen` does.

        With `terminal` it leads a session, and its input is the terminal of that.
        """
        wanted = {"words": words, "environment": dict(environment), "directory": directory, "terminal": terminal}
        request = json.dumps(wanted).encode()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            socket.send_fds(self._channel, [request], [theirs.fileno(), *streams])
        return Forked(ours, words)


class Forked:
    """A command that runs in a fork, with what the tests use of `subprocess.Popen`; leaving it kills it."""

    def __init__(self, channel: socket.socket, words: Sequence[str]) -> None:
        """`channel` brings the pid, and then the exit status."""
        self._channel = channel
        self._words = list(words)
        self.pid = int(channel.recv(64))
        self.returncode: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._channel.close()  # the server kills a command for which no test waits

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status. Raises subprocess.TimeoutExpired."""
        if self.returncode is None:
            self._channel.settimeout(timeout)
            try:
                status = self._channel.recv(64)
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self._words, timeout or 0) from None
            assert status, "the fork server has died"
            self.returncode = int(status)
            self._channel.close()
        return self.returncode

    def poll(self) -> int | None:
        """Return the exit status, None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # the server, its parent, has just collected it
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM, unless it has ended."""
        self.send_signal(signal.SIGTERM)


def _read_at_start(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(READ_AT_START)}


def _write(fd: int, data: bytes) -> None:
    try:
        os.write(fd, data)
    except BrokenPipeError:  # as in subprocess: the command has ended without reading
        return


def _read_all(fds: tuple[int, int], deadline: float) -> list[bytes] | None:
    """Read descriptors to their ends; return the contents, None if that takes too long."""
    found = {fd: bytearray() for fd in fds}
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    waiting = set(fds)
    while waiting:
        for fd, _event in poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            if received := os.read(fd, 65_536):
                found[fd] += received
            else:
                poll.unregister(fd)
                waiting.discard(fd)
        if waiting and time.monotonic() > deadline:
            return None
    return [bytes(found[fd]) for fd in fds]


def _text(data: bytes, errors: str) -> str:
    return data.decode("utf-8", errors).replace("\r\n", "\n").replace("\r", "\n")


# -- the server


class _Server:
    """Forks for each request, and answers with the exit status; kills a command for which no test waits any more."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._commands: dict[int, tuple[int, int]] = {}
        """Pid and answering socket of each running command, by its pidfd."""

    def serve(self) -> tuple[dict[str, Any], list[int]] | None:
        """Serve until the tests' end is closed, and return None; in a fork, return its request and descriptors."""
        self._channel.send(b"ready")
        while True:
            ready = self._wait()
            for pidfd, (pid, answer) in list(self._commands.items()):
                if answer in ready:
                    os.kill(pid, signal.SIGKILL)
                if {pidfd, answer} & ready:
                    self._answer(pidfd)
            if self._channel.fileno() not in ready:
                continue
            data, fds, _flags, _address = socket.recv_fds(self._channel, 2 * MAX_REQUEST, 4)
            if not data:
                break
            if (pid := os.fork()) == 0:
                self._channel.detach()
                return json.loads(data), fds
            with suppress(BrokenPipeError):
                os.write(fds[0], b"%d" % pid)
            self._commands[os.pidfd_open(pid)] = (pid, fds[0])
            for fd in fds[1:]:
                os.close(fd)
        for pidfd, (pid, _answer) in list(self._commands.items()):
            os.kill(pid, signal.SIGKILL)
            self._answer(pidfd)
        return None

    def _wait(self) -> set[int]:
        """Return the ready descriptors: of a request, of a command that has ended, of a test that is gone."""
        waiting = select.poll()
        waiting.register(self._channel, select.POLLIN)
        for pidfd, (_pid, answer) in self._commands.items():
            waiting.register(pidfd, select.POLLIN)
            waiting.register(answer, 0)  # a hang-up is reported unasked (poll(2))
        return {fd for fd, _event in waiting.poll()}

    def _answer(self, pidfd: int) -> None:
        pid, answer = self._commands.pop(pidfd)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        with socket.socket(fileno=answer) as channel, suppress(BrokenPipeError):
            channel.send(b"%d" % status)
        os.close(pidfd)


def take_terminal() -> None:
    """Lead a session whose terminal is the standard input."""
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _become(request: dict[str, Any], streams: Sequence[int]) -> None:
    """Run a request's command line as the interpreter does when it is executed."""
    for number, fd in enumerate(streams):
        os.dup2(fd, number)
    os.closerange(3, max(map(int, os.listdir("/proc/self/fd"))) + 1)
    if request["terminal"]:
        take_terminal()
    words = request["words"]
    os.environ.clear()
    os.environ.update(request["environment"])
    os.chdir(request["directory"])
    sys.path[0] = os.getcwd()
    sys.orig_argv[:] = [sys.executable, "-m", *words]
    sys.argv[:] = ["-m", *words[1:]]
    try:
        runpy.run_module(words[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, int):
            atexit._run_exitfuncs()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code & 0xFF)  # an orderly exit of the interpreter would copy every page
        raise


def _main() -> None:
    for name in (*PRELOADED, *sys.argv[2:]):
        import_module(name)
    channel = socket.socket(fileno=int(sys.argv[1]))
    opened = set(os.listdir("/proc/self/fd")) - {"0", "1", "2", sys.argv[1]}
    assert len(opened) == 1, f"the commands' modules have opened {opened}"  # that of the listing
    gc.collect()
    gc.freeze()  # a collection in a fork would copy every page
    if found := _Server(channel).serve():
        request, fds = found
        _become(request, fds[1:])


if __name__ == "__main__":
    _main()
