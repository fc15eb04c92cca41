"""A command that notes how it was started and how it is stopped: by supervisord, honcho, circusd or taskmasterd alike."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from taskmaster_common.records import Record

SCRIPT = """\
#!{python} -SI
import json, os, signal, sys, time
directory = "{directory}"
role = "leader"
def note(kind, data):
    path = os.path.join(directory, "%s-%s-%d-%d" % (kind, role, os.getpid(), time.monotonic_ns()))
    with open(path + ".new", "w") as file:
        json.dump(data, file)
    os.rename(path + ".new", path)
def stopped(number, _frame):
    note("stop", {{"argv": sys.argv[1:], "pid": os.getpid(), "signal": number, "time": time.monotonic()}})
    if "--stubborn" not in sys.argv:
        os._exit(0)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, stopped)
mask = os.umask(0)
os.umask(mask)
with open("/proc/self/environ", "rb") as file:
    environ = dict(each.split("=", 1) for each in file.read().decode("utf-8", "surrogateescape").split("\\0") if "=" in each)
about = dict(argv=sys.argv[1:], pid=os.getpid(), env=environ, cwd=os.getcwd(), umask=mask, uid=os.getuid(), gid=os.getgid(),
             leads=os.getpgid(0) == os.getpid())
if "--child" in sys.argv:
    here, there = os.pipe()
    if os.fork() == 0:
        role = "child"
        os.close(there)
        while True:
            time.sleep(1)
    os.close(there)
    os.read(here, 1)  # the child has closed its end: it knows who it is
    os.close(here)
sys.stdout.write("out of %s\\n" % " ".join(sys.argv[1:]))
sys.stdout.flush()
sys.stderr.write("err of %s\\n" % " ".join(sys.argv[1:]))
note("start", about)
while True:
    time.sleep(1)
"""
NOT_COMPARED = (
    "SUPERVISOR_",
    "TASKMASTER_",
    "PYTHON",
    "HONCHO_",
    "SHLVL",
    "PWD",
    "OLDPWD",
    "_",
    "LC_CTYPE",
    "WATCHDOG_",
    "NOTIFY_",
)
OF_A_USER = ("HOME", "USER", "LOGNAME", "SHELL")


class StandIn:
    """The command at `path`, and what it has noted in `notes`."""

    def __init__(self, directory: Path) -> None:
        self.notes = directory / "notes"
        self.notes.mkdir(exist_ok=True)
        self.notes.chmod(0o777)
        self.path = directory / "note"
        self.path.write_text(
            SCRIPT.format(
                python=shutil.which("python3", path="/usr/bin:/bin") or os.path.realpath(sys.executable),
                directory=self.notes,
            )
        )
        self.path.chmod(0o755)

    def clear(self) -> None:
        """Forget all notes."""
        for path in self.notes.iterdir():
            path.unlink()

    def read(self, kind: str, notes: Path | None = None) -> list[dict[str, Any]]:
        """Return the notes of a kind, `start` or `stop`, with the role of the process; `notes`: as another host sees them."""
        paths = [path for path in sorted((notes or self.notes).glob(f"{kind}-*")) if not path.name.endswith(".new")]
        return [{**json.loads(path.read_text()), "role": path.name.split("-")[1]} for path in paths]


class Started(Record):
    """One process as it was started; equal ones were started alike."""

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    cwd: str
    umask: int
    uid: int
    gid: int
    leads: bool


def started(note: Mapping[str, Any], *, without: tuple[str, ...] = ()) -> Started:
    """Return what a note of a start says, without what every supervisor sets itself."""
    own = OF_A_USER if note["uid"] != os.getuid() else ()
    left = {
        name: value
        for name, value in note["env"].items()
        if not any(name == each or (each.endswith("_") and name.startswith(each)) for each in NOT_COMPARED)
        and not name.startswith("PYTHON")
        and name not in (*own, *without)
    }
    return Started(
        tuple(note["argv"]),
        tuple(sorted(left.items())),
        note["cwd"],
        note["umask"],
        note["uid"],
        note["gid"],
        note["leads"],
    )


def stops(notes: list[dict[str, Any]]) -> list[tuple[tuple[str, ...], str, str]]:
    """Return who got which signal: (argv, role, name)."""
    return sorted({(tuple(note["argv"]), note["role"], signal.Signals(note["signal"]).name) for note in notes})


class Endings:
    """Sees when processes end, whoever started them: how long each has outlived its first stop signal."""

    def __init__(self, starts: list[dict[str, Any]]) -> None:
        self._ended: dict[int, float] = {}
        handles = {os.pidfd_open(note["pid"]): note["pid"] for note in starts}
        self._thread = threading.Thread(target=self._watch, args=(handles,), daemon=True)
        self._thread.start()

    def _watch(self, handles: dict[int, int]) -> None:
        poll = select.poll()
        for handle in handles:
            poll.register(handle, select.POLLIN)
        while handles:
            for handle, _event in poll.poll():
                self._ended[handles.pop(handle)] = time.monotonic()
                poll.unregister(handle)
                os.close(handle)

    def outlived_s(self, stops: list[dict[str, Any]]) -> dict[tuple[str, ...], float]:
        """Wait until all have ended; return the seconds from the first stop signal to the end of each, by its words."""
        self._thread.join(60)
        assert not self._thread.is_alive(), "some have not ended"
        first: dict[int, float] = {}
        for note in stops:
            first[note["pid"]] = min(note["time"], first.get(note["pid"], note["time"]))
        words = {note["pid"]: tuple(note["argv"]) for note in stops}
        return {words[pid]: self._ended[pid] - at for pid, at in first.items() if pid in self._ended}
