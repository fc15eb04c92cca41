"""What runs in a fork of the tests' server is what would run if it were executed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.daemon import PROGRAMS, command_environment, process_exists
from tests.support.forkserver import ForkServer
from tests.support.variants import in_the_sweep
from tests.support.wait import wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="the server needs to hear of the end of a child"),
]

Result = tuple[int, str, str]


class Both:
    """Runs command lines in both ways, in one directory."""

    def __init__(self, home: Path, forks: ForkServer) -> None:
        self.home = home
        self.forks = forks
        self.environment = command_environment(home)

    def forked(self, *words: str, text: str = "", within_s: float = 20, directory: Path | None = None) -> Result:
        assert self.forks.runs(words, self.environment, text)
        done = self.forks.run(
            words,
            environment=self.environment,
            directory=str(directory or self.home),
            text=text,
            within_s=within_s,
            errors="surrogateescape",
        )
        return done.returncode, done.stdout, done.stderr

    def executed(self, *words: str, text: str = "", directory: Path | None = None) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", *words],
            env=self.environment,
            cwd=directory or self.home,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            input=text,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def both(short_dir: Path, forks: ForkServer) -> Both:
    (short_dir / "good.yaml").write_text("programs: {web: {cmd: sleep 9}}")
    (short_dir / "bad.yaml").write_text("programs: {web: {cmd: sleep 9, numprocs: many}}")
    (short_dir / "bug.py").write_text("raise ValueError('a bug')")
    (short_dir / "killed.py").write_text("import os; os.kill(os.getpid(), 9)")
    (short_dir / "says.py").write_text("import atexit; atexit.register(print, 'last'); raise SystemExit('a reason')")
    (short_dir / "stays.py").write_text("import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(300)")
    return Both(short_dir, forks)


COMMANDS = [
    "taskmasterd --nonsense",
    "taskmasterd --check -c bad.yaml",
    "taskmasterd --check -c -",
    "taskmasterctl --help",
    "taskmasterctl status",
    "taskmasterctl",
    "bug",
    "killed",
    "says",
    *in_the_sweep(
        "taskmasterd --version",
        "taskmasterd --help",
        "taskmasterd",
        "taskmasterd --check -c good.yaml",
        "taskmasterd -T -c good.yaml",
        "taskmasterd -c none.yaml",
        "taskmasterctl --version",
        "taskmasterctl help logs",
        "taskmasterctl signal --list",
        "taskmasterctl --json status",
        "taskmasterctl nonsense",
        "taskmasterctl _complete",
    ),
]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_says_and_returns_the_same_in_a_fork(both: Both, line: str) -> None:
    text = "programs: {a: {cmd: x}}" if line.endswith("-c -") else "help start\nnonsense\n"
    forked, executed = both.forked(*line.split(), text=text), both.executed(*line.split(), text=text)
    assert forked[:2] == executed[:2]
    if "Traceback" in executed[2]:  # it shows who has run the module
        assert re.findall(r"(?m)^\w.*", forked[2]) == re.findall(r"(?m)^\w.*", executed[2])
    else:
        assert forked[2] == executed[2]


def test_a_fork_inherits_what_an_executed_command_does(both: Both) -> None:
    def dumped(result: Result) -> dict[str, Any]:
        assert (result[0], result[2]) == (0, "")
        found: dict[str, Any] = json.loads(result[1])
        assert found.pop("pid") != os.getpid()
        found["fds"] = {number: re.sub(r"[0-9]+", "N", target) for number, target in found["fds"].items()}
        return found

    words = ("dumps_itself", "a", "b c")
    forked = dumped(both.forked(*words, directory=PROGRAMS))
    assert forked == dumped(both.executed(*words, directory=PROGRAMS))
    assert (forked["argv"], forked["sid"], forked["env"]) == (["a", "b c"], os.getsid(0), both.environment)


def pid_of_what_is_late(both: Both) -> int:
    """Run something endless until its time limit ends it, after it has begun; return its pid."""
    file, within_s = both.home / "pid", 0.5
    while not file.exists() or not file.read_text():
        with pytest.raises(subprocess.TimeoutExpired):
            both.forked("stays", within_s=within_s)
        within_s *= 2
    return int(file.read_text())


def test_a_command_without_an_end_is_killed_when_its_time_is_over(both: Both) -> None:
    pid = pid_of_what_is_late(both)
    wait_until(lambda: not process_exists(pid))


def test_the_end_of_the_server_ends_what_it_has_forked(both: Both) -> None:
    server = ForkServer(both.environment)
    pid = pid_of_what_is_late(Both(both.home, server))
    server.close()
    assert not process_exists(pid)


@pytest.mark.parametrize("name", ["PYTHONPATH", "LC_ALL", "LANG", "TZ", "LD_PRELOAD"])
def test_a_command_whose_interpreter_would_begin_otherwise_is_executed(both: Both, name: str) -> None:
    assert not both.forks.runs(["taskmasterctl"], {**both.environment, name: "/x"}, "")
    assert both.forks.runs(["taskmasterctl"], {**both.environment, "HOME": "/x"}, "")


def test_an_interrupt_reaches_a_fork(both: Both) -> None:
    (both.home / "waits.py").write_text("import signal, os; os.kill(os.getpid(), signal.SIGINT); signal.pause()")
    assert both.forked("waits")[0] == both.executed("waits")[0] == -signal.SIGINT
