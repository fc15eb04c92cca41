"""Who is measured: taskmasterd, supervisord, and the C floor, each with the same programs, each tuned to restart at once.

One at a time, in a fresh directory. `boot` returns when the command was started: the programs tell for themselves when they
run.

The directory is in memory where that is possible, but for floods of output. On ext4 each new file would look for its inode
past all that were deleted within the last minutes: boot after boot would become slower, 2.6 s instead of 0.7.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from tests.bench.stage import Births, Ends, Life, await_
from tests.bench.tools import Tools
from tests.support.daemon import command_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Self

BIN = Path(sys.executable).parent
MEMORY, DISK = "/dev/shm", "/tmp"
NULL = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]


class Contestant:
    """One supervisor; `pid` is its own once its programs run."""

    name = ""
    logs = 1
    """Log files of each program: none, one for both streams, or one for each."""

    def __init__(self, tools: Tools, place: str = MEMORY) -> None:
        if not os.path.isdir(place):
            place = DISK
        self.home = home = Path(tempfile.mkdtemp(prefix="tmbench", dir=place))
        self.tools = tools
        self.births = Births(home / "births")
        self.environment = command_environment(home)
        del self.environment["PYTHONDONTWRITEBYTECODE"], self.environment["PYTHONPATH"]
        self.pid = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        """Leave nothing behind."""
        if self.pid or self.find():
            self.stop()
        self.births.close()
        shutil.rmtree(self.home, ignore_errors=True)

    def boot(self, count: int) -> float:
        """Start it with programs p0, p1, … and return the moment just before."""
        self.configure(count)
        return self.launch()

    def launch(self) -> float:
        """Start what is configured, and return the moment just before."""
        began = time.monotonic()
        self.launched = os.posix_spawn(self.words[0], self.words, self.environment, file_actions=NULL)
        return began

    def start(self, count: int) -> list[Life]:
        """Boot, and return the lives of all programs."""
        self.boot(count)
        return self.await_boot(count)

    def await_boot(self, count: int) -> list[Life]:
        """Return the lives of all programs once they run."""
        lives = self.births.take(count)
        self.find()
        return lives

    def stop(self) -> None:
        """End it by SIGTERM."""
        self.stop_with([])

    def stop_with(self, programs: Iterable[int]) -> float:
        """End it by SIGTERM; returns the seconds until it and the given programs are gone."""
        ends = Ends([self.pid, *programs])
        began = time.monotonic()
        os.kill(self.pid, signal.SIGTERM)
        took = ends.wait() - began
        if self.pid == self.launched:
            os.waitpid(self.pid, 0)
        self.pid = self.launched = 0
        return took

    # -- what they differ in

    words: list[str]
    launched = 0

    def configure(self, count: int) -> None:
        """Write what it reads."""

    def find(self) -> bool:
        """Look for the pid of what was started; returns whether it is known."""
        self.pid = self.launched
        return bool(self.pid)

    def _read(self, pidfile: Path) -> bool:
        """Wait for the launcher and read the pid of the daemon."""
        os.waitpid(self.launched, 0)
        await_(lambda: pidfile.exists() and pidfile.read_text().strip())
        self.pid = int(pidfile.read_text())
        return True


class Ours(Contestant):
    """taskmasterd as installed, in the background."""

    name = "ours"
    settings = "autorestart: always, starttime: 0, restart_burst: 0"

    def configure(self, count: int) -> None:
        """Write the YAML file."""
        self.write([f"p{n}" for n in range(count)])

    def write(self, names: list[str], last: str = "") -> None:
        """Write a configuration with these programs; `last` are more lines of the last one's keys."""
        entry = f"cmd: [{self.tools.program}, {self.births.path}, %s], {self.settings}"
        lines = [f"  {name}: {{{entry % name}{self._streams(name)}}}\n" for name in names]
        lines[-1] = f"{lines[-1][:-2]}{last}}}\n"
        self.write_text("".join(lines))

    def _streams(self, name: str) -> str:
        """Return the keys of a program's streams; both in one file is the default."""
        if self.logs == 1:
            return ""
        stdout, stderr = (f"{self.home}/{name}.{stream}" if self.logs else "null" for stream in ("out", "err"))
        return f", stdout: {stdout}, stderr: {stderr}"

    def write_text(self, programs: str) -> None:
        """Write a configuration with the lines of these programs."""
        config = self.home / "taskmaster.yaml"
        config.write_text(f"programs:\n{programs}")
        self.words = [str(BIN / "taskmasterd"), "-c", str(config)]

    def find(self) -> bool:
        """Read the pid file."""
        return self.launched > 0 and self._read(self.home / "taskmasterd.pid")

    def client(self, *words: str) -> list[str]:
        """Return the words of a client's command."""
        return [str(BIN / "taskmasterctl"), *words]

    def ctl(self, *words: str) -> None:
        """Run a client's command, which has to succeed."""
        subprocess.run(self.client(*words), env=self.environment, check=True, capture_output=True)


class Supervisor(Contestant):
    """supervisord 4.3, in the background; output captured, as is the default."""

    name = "supervisor"
    settings = "autorestart=true\nstartsecs=0\nredirect_stderr=true\n"

    @staticmethod
    def installed() -> bool:
        """Return whether there is one next to the interpreter."""
        return (BIN / "supervisord").exists()

    def configure(self, count: int) -> None:
        """Write the INI file."""
        self.write("".join(self.entry(f"p{n}", f"{self.tools.program} {self.births.path} p{n}") for n in range(count)))

    def write(self, programs: str) -> None:
        """Write a configuration with these programs."""
        home = self.home
        (home / "supervisord.conf").write_text(
            f"[unix_http_server]\nfile={home}/s.sock\n"
            f"[supervisord]\nlogfile={home}/s.log\npidfile={home}/s.pid\nchildlogdir={home}\nminfds=10000\n"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
            f"[supervisorctl]\nserverurl=unix://{home}/s.sock\n{programs}"
        )
        self.words = [str(BIN / "supervisord"), "-c", str(home / "supervisord.conf")]

    def entry(self, name: str, command: str, more: str = "") -> str:
        """Return the section of a program."""
        return f"[program:{name}]\ncommand={command}\n{self.settings}{more}"

    def find(self) -> bool:
        """Read the pid file, which appears after the programs."""
        return self.launched > 0 and self._read(self.home / "s.pid")

    def client(self, *words: str) -> list[str]:
        """Return the words of a client's command."""
        return [str(BIN / "supervisorctl"), "-c", str(self.home / "supervisord.conf"), *words]


class Floor(Contestant):
    """A loop of vfork, exec and waitpid in C, which opens the same pipes and log files."""

    name = "floor"

    def configure(self, count: int) -> None:
        """There is nothing to write."""
        numbers = [str(count), str(self.logs)]
        self.words = [self.tools.floor, self.tools.program, str(self.births.path), *numbers, str(self.home)]


def field(*, floor: bool = True) -> list[type[Contestant]]:
    """Return everybody who can be measured here."""
    return [Ours, *([Floor] if floor else []), *([Supervisor] if Supervisor.installed() else [])]
