"""A host of its own with a real systemd, which is PID 1 of a namespace."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.daemon import ROOT
from tests.support.wait import wait_until

SCRIPT = ROOT / "tests" / "support" / "systemd_host.sh"
UNIT = ROOT / "config" / "systemd" / "taskmasterd.service"
SYSTEMD = Path("/lib/systemd/systemd")
CONFIG = """\
programs:
  web: {cmd: sleep 1000, numprocs: 2, starttime: 0, stopsignal: TERM}
  count: {cmd: 'n=0; while :; do n=$((n+1)); echo $n; sleep 0.01; done', shell: true, starttime: 0}
"""


class Host:
    """A host with systemd on which the unit is installed as its first lines say, but for what /opt/taskmaster holds."""

    def __init__(self, home: Path) -> None:
        namespaces = ["--fork", "--pid", "--mount", "--uts", "--ipc", "--cgroup", "--kill-child"]
        with (home / "console").open("wb") as console:
            self.process = subprocess.Popen(
                ["unshare", *namespaces, "sh", str(SCRIPT), str(home)],
                stdout=console,
                stderr=console,
                stdin=subprocess.DEVNULL,
            )
        self.console = home / "console"
        self.init = 0

    def boot(self) -> None:
        """Wait until systemd has reached its target, or skip the test where this machine lets nobody do that."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        try:
            wait_until(lambda: self.process.poll() is not None or children.read_text().split(), within_s=10)
            if self.process.poll() is None:
                self.init = int(children.read_text())
                wait_until(lambda: self.process.poll() is not None or self._systemctl_answers(), within_s=30)
        except (AssertionError, OSError):  # it hangs, or its last process went between two looks
            self.process.kill()
            self.process.wait()
        if self.process.poll() is not None:
            pytest.skip(f"systemd cannot be started here: {self.console.read_text().strip()[-200:]}")

    def _systemctl_answers(self) -> bool:
        comm = Path(f"/proc/{self.init}/comm").read_text().strip()
        return comm == "systemd" and self.run("systemctl", "is-active", "basic.target", check=False) == "active"

    def run(self, *words: str, check: bool = True) -> str:
        """Run a command on that host; returns what it says."""
        enter = ["nsenter", "-t", str(self.init), "-m", "-p", "-u", "-i", "-C", "-r", "-w"]
        done = subprocess.run([*enter, *words], capture_output=True, text=True, check=False, timeout=30)
        assert not check or done.returncode == 0, (words, done.stdout, done.stderr, self.journal() if check else "")
        return done.stdout.strip()

    def journal(self) -> str:
        """Return what the unit has logged."""
        return self.run("journalctl", "-u", "taskmasterd", "--no-pager", "-o", "cat", check=False)

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file of that host."""
        place = Path(f"/proc/{self.init}/root{path}")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def install(self, drop_in: str = "", config: str = CONFIG, *, start: bool = True) -> None:
        """Do what the unit's first lines say."""
        for name in ("taskmasterd", "taskmasterctl"):
            paths = f"{ROOT}:{ROOT}/common"
            self.write(
                f"/opt/taskmaster/bin/{name}",
                f'#!/bin/sh\nPYTHONPATH={paths} exec {sys.executable} -m {name} "$@"\n',
                0o755,
            )
        self.write("/etc/taskmaster/taskmaster.yaml", config)
        self.write("/etc/systemd/system/taskmasterd.service", UNIT.read_text())
        if drop_in:
            self.write("/etc/systemd/system/taskmasterd.service.d/test.conf", f"[Service]\n{drop_in}\n")
        self.run("systemctl", "daemon-reload")
        if start:
            self.run("systemctl", "start", "taskmasterd")

    def show(self, name: str) -> str:
        """Return a property of the unit."""
        return self.run("systemctl", "show", "-P", name, "taskmasterd")

    def ctl(self, *words: str, check: bool = True) -> str:
        """Run the control command."""
        return self.run(
            "/opt/taskmaster/bin/taskmasterctl", "-c", "/etc/taskmaster/taskmaster.yaml", *words, check=check
        )

    def pids(self) -> list[str]:
        """Return the pids of all programs."""
        return [line.split()[-1] for line in self.ctl("pid", "all").splitlines()]

    def counted(self) -> list[int]:
        """Return the numbers that one of the programs has written, but for the last one, which may not be whole yet."""
        return [int(line) for line in self.run("sed", "$d", "/var/log/taskmaster/count.log").splitlines()]

    def lines_without_a_gap(self) -> bool:
        """Return whether each number was written once and in order."""
        numbers = self.counted()
        return numbers == list(range(1, len(numbers) + 1))

    def dies_and_is_replaced(self, *kill: str) -> None:
        """Have the daemon killed, and wait until systemd's next one has taken its programs over."""
        before, restarts = self.pids(), int(self.show("NRestarts"))
        self.run("systemctl", "kill", "--kill-whom=main", *kill, "taskmasterd")
        wait_until(
            lambda: int(self.show("NRestarts")) == restarts + 1 and self.show("ActiveState") == "active", within_s=60
        )
        assert self.pids() == before
        written = len(self.counted())
        wait_until(lambda: len(self.counted()) > written)
        assert self.lines_without_a_gap()

    def stops(self) -> None:
        """Stop the unit: all is gone, and systemd had to kill nobody."""
        self.run("systemctl", "stop", "taskmasterd")
        assert (self.show("ActiveState"), self.show("Result"), self.show("ExecMainStatus")) == (
            "inactive",
            "success",
            "0",
        )
        assert self.run("pgrep", "-x", "sleep", check=False) == ""
