"""What a supervisor costs that has nothing to do: memory and wake-ups."""

from __future__ import annotations

import subprocess
import sys
import time

from tests.bench.contestants import Contestant, Floor, Ours, Supervisor, field
from tests.bench.stage import rss_kb, settle, wakeups
from tests.bench.table import Limit, Row
from tests.bench.tools import Tools

IDLE_S = 30.0
FEW, MANY = 100, 1000


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
        Row(f"memory over bare, {FEW} programs", "MB", over[Ours], None, over.get(Supervisor), Limit(4)),
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
