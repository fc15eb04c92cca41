"""What a supervisor costs that has nothing to do: memory and wake-ups; and what is loaded when it has."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.contestants import Contestant, Floor, Ours, Supervisor, field
from tests.bench.stage import rss_kb, settle, wakeups
from tests.bench.table import Limit, Row
from tests.bench.tools import Tools

IDLE_S = 30.0
FEW, MANY = 100, 1000
MOST_KB = {
    "status": 1000,
    "logs p0": 1000,
    "subscribe": 1150,
    "reload": 1400,
    "upgrade": 1300,
    "take-over": 500,
    "guardian": 250,
    "systemd": 250,
}
"""The most that each may add: that of verbs includes all that serves clients."""


def idle(tools: Tools) -> list[Row]:
    """Wake-ups with many programs."""
    found: dict[type[Contestant], float] = {kind: _idle(kind, tools) for kind in field()}
    quantity = f"idle: context switches in {IDLE_S:g} s, {MANY} programs"
    return [Row(quantity, "", found[Ours], found[Floor], found.get(Supervisor), Limit(1))]


def _idle(kind: type[Contestant], tools: Tools) -> float:
    with kind(tools) as contestant:
        contestant.start(MANY)
        settle(contestant.pid)
        before = wakeups(contestant.pid)
        time.sleep(IDLE_S)
        return wakeups(contestant.pid) - before


def memory(tools: Tools) -> list[Row]:
    """Resident memory over that of the bare interpreter, and what each program adds."""
    empty = bare()
    few, many = ({kind: _rss(kind, tools, count) for kind in field(floor=False)} for count in (FEW, MANY))
    over = {kind: (few[kind] - empty) / 1024 for kind in few}
    each = {kind: (many[kind] - few[kind]) / (MANY - FEW) for kind in few}
    return [
        Row("memory: bare interpreter", "MB", empty / 1024),
        Row(f"memory over bare, {FEW} programs", "MB", over[Ours], None, over.get(Supervisor), Limit(3.8)),
        Row(f"memory per program, {FEW} to {MANY}", "KB", each[Ours], None, each.get(Supervisor), Limit(4)),
    ]


def _rss(kind: type[Contestant], tools: Tools, count: int) -> int:
    with kind(tools) as contestant:
        contestant.start(count)
        settle(contestant.pid)
        return rss_kb(contestant.pid)


def bare() -> int:
    """Return the resident set of an interpreter that does nothing, started as the daemon is."""
    code = "import time; print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-I", "-S", "-X", "utf8", "-c", code], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        found = rss_kb(process.pid)
        process.kill()
    return found


def demand(tools: Tools) -> list[Row]:
    """The growth by the first use of each part, each in a daemon of its own."""
    with Ours(tools) as ours:
        ours.start(FEW)
        settle(ours.pid)
        plain = rss_kb(ours.pid)
    found = {
        **{words: _asked(tools, words) for words in ("status", "logs p0", "reload", "upgrade")},
        "subscribe": _subscribed(tools),
        "take-over": _taken_over(tools) - plain,
        "guardian": _started(tools, lambda ours: ours.words.append("--guard"), _child) - plain,
        "systemd": _started(tools, _of_systemd, lambda pid: pid) - plain,
    }
    return [Row(f"memory, on demand: {name}", "KB", found[name], None, None, Limit(MOST_KB[name])) for name in MOST_KB]


@contextmanager
def _grown(tools: Tools) -> Iterator[tuple[Ours, Callable[[], int]]]:
    """Give a daemon that nobody has asked anything yet, and a function that returns by how much it has grown since."""
    with Ours(tools) as ours:
        ours.start(FEW)
        settle(ours.pid)
        before = rss_kb(ours.pid)

        def grown() -> int:
            settle(ours.pid)
            return rss_kb(ours.pid) - before

        yield ours, grown


def _asked(tools: Tools, words: str) -> int:
    with _grown(tools) as (ours, grown):
        ours.ctl(*words.split())
        return grown()


def _subscribed(tools: Tools) -> int:
    with _grown(tools) as (ours, grown):
        with subprocess.Popen(ours.client("subscribe"), env=ours.environment, stdout=subprocess.PIPE) as client:
            assert client.stdout
            client.stdout.readline()
            found = grown()
            client.kill()
        return found


def _taken_over(tools: Tools) -> int:
    with Ours(tools) as ours:
        ours.start(FEW)
        os.kill(ours.pid, signal.SIGKILL)
        ours.launch()
        ours.find()
        settle(ours.pid)
        return rss_kb(ours.pid)


def _started(tools: Tools, prepare: Callable[[Ours], object], daemon_of: Callable[[int], int]) -> int:
    with Ours(tools) as ours:
        ours.configure(FEW)
        prepare(ours)
        ours.launch()
        ours.births.take(FEW)
        if "NOTIFY_SOCKET" in ours.environment:
            ours.pid = ours.launched
        else:
            ours.find()
        settle(ours.pid)
        return rss_kb(daemon_of(ours.pid))


def _child(pid: int) -> int:
    """Return the daemon of a guardian."""
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _of_systemd(ours: Ours) -> None:
    ours.environment["NOTIFY_SOCKET"] = str(ours.home / "nobody")
