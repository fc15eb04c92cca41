"""Helpers of the guardian's tests: they change a real daemon, and check what its programs wrote."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from taskmasterd.system.procfs import TICKS_PER_S, boot_seconds, started_at
from tests.support.daemon import ROOT, Daemon, process_exists
from tests.support.talk import Talk
from tests.support.wait import wait_until
from tests.support.wire import resident

COUNTER = "i=0; while :; do i=$((i+1)); echo $i; test $((i % 200)) -gt 0 || sleep 0.01; done"
LOOKS = 20
"""Looks, of `wait_until`, for which nothing has woken a process that is at rest."""
SLEEPER = "programs: {p: {cmd: sleep 300, starttime: 0}}"


def config(**programs: object) -> str:
    """Return a configuration; a text is a shell command line that counts as started at once."""
    entries = {
        name: {"cmd": text, "starttime": 0, "shell": True} if isinstance(text, str) else text
        for name, text in programs.items()
    }
    return json.dumps({"programs": entries})


def copy_code(daemon: Daemon) -> Path:
    """Make the daemon run from a copy of the code that the test may change; returns the daemon's package."""
    tree = daemon.home / "code"
    being_written = shutil.ignore_patterns("*.pyc.*")
    for package in ("taskmasterd", "taskmasterctl", "common/taskmaster_common"):
        shutil.copytree(ROOT / package, tree / Path(package).name, ignore=being_written)
    daemon.environment["PYTHONPATH"] = str(tree)
    return tree / "taskmasterd"


def insert(file: Path, after: str, *lines: str) -> None:
    """Insert lines into the copied code, after a text that occurs once."""
    text = file.read_text()
    assert text.count(after) == 1, after
    file.write_text(text.replace(after, after + "".join(f"        {line}\n" for line in lines)))


def is_counted(log: bytes) -> bool:
    """Return whether all numbers of COUNTER are there, each once and in order; the last one may be incomplete."""
    lines = log.split(b"\n")[:-1]
    return lines == [b"%d" % number for number in range(1, len(lines) + 1)]


def ageless(process: dict[str, object]) -> dict[str, object]:
    """Return the `status` of a process without the fields that change all the time."""
    return {**process, "uptime_s": 0, "since_s": 0, "restarted_s": None}


def kill_daemon(daemon: Daemon) -> int:
    """Kill the daemon, not its guardian; returns the daemon's pid."""
    pid = resident(daemon)
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not process_exists(pid))
    return pid


def all_new(talk: Talk, before: set[int]) -> bool:
    """Return whether every process is alive, and none has a pid of `before`."""
    now = pids_of(talk)
    return None not in now and not before & set(now)


def pids_of(talk: Talk) -> list[int | None]:
    """Return the pids of all processes."""
    return [message["pid"] for message in talk.ask("pid all")[1:-1]]


def wait_until_older(pid: int) -> None:
    """Return once every new process gets another start time than this one; start times count in hundredths (proc(5))."""
    since = started_at(pid) or 0
    wait_until(lambda: boot_seconds() > since / TICKS_PER_S + 0.1)


def state_of(pid: int) -> str:
    """Return the state of a process, as in proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def sleeps_of(pid: int) -> int:
    """Return how often a process has gone to sleep. Source: proc_pid_status(5)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt"))


def at_rest(pid: int) -> int:
    """Wait until a process has slept for a while; return how often it has gone to sleep until then."""
    seen: list[int] = []

    def rests() -> bool:
        seen.append(sleeps_of(pid))
        return len(set(seen[-LOOKS:])) == 1 and len(seen) >= LOOKS and state_of(pid) == "S"

    wait_until(rests)
    return seen[-1]


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Keep a process stopped while this is entered."""
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: state_of(pid) == "T")
    try:
        yield
    finally:
        with suppress(ProcessLookupError):  # it may have ended meanwhile
            os.kill(pid, signal.SIGCONT)
