"""Ten thousand programs: reported, without limits.

Captured output needs two descriptors for each program, its pipe and its file; where the machine gives us less, it is
discarded, by the floor too, and the rows say so.
"""

from __future__ import annotations

import resource

from tests.bench.clients import reload_once, run
from tests.bench.contestants import Contestant, Floor, Ours
from tests.bench.stage import Life, rss_kb, settle
from tests.bench.table import Row
from tests.bench.tools import Tools

COUNT = 10_000
SPARE = 1000
EACH = 2


def many(tools: Tools) -> list[Row]:
    """Boot, status, reload, memory and shutdown."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if descriptors < COUNT + SPARE:
        raise SystemExit(f"{COUNT} programs need as many descriptors here, to see their ends: ulimit -n 65536")
    captured = descriptors >= EACH * COUNT + SPARE
    with Floor(tools) as floor:
        floor.logs = int(captured)
        lives, floor_boot = _boot(floor)
        floor_shutdown = floor.stop_with(life.pid for life in lives)
    with Ours(tools) as ours:
        ours.logs = int(captured)
        lives, boot = _boot(ours)
        settle(ours.pid)
        memory = rss_kb(ours.pid) / 1024
        status = run(ours.client("status"), ours.environment)
        ours.write([f"p{n}" for n in range(COUNT)], last=", env: {TURN: 1}")
        reload, wait = reload_once(ours)
        changed = ours.births.take(1)
        shutdown = ours.stop_with([*(life.pid for life in lives[:-1]), *(life.pid for life in changed)])
    name = f"{COUNT} programs{'' if captured else ', output discarded'}: "
    return [
        Row(f"{name}boot", "s", boot, floor_boot),
        Row(f"{name}memory", "MB", memory),
        Row(f"{name}status", "ms", status),
        Row(f"{name}reload, one changed", "s", reload),
        Row(f"{name}longest wait of another request meanwhile", "ms", wait * 1000),
        Row(f"{name}shutdown", "s", shutdown, floor_shutdown),
    ]


def _boot(contestant: Contestant) -> tuple[list[Life], float]:
    """Return the lives in the order of the file, and the seconds until the last of them began."""
    began = contestant.boot(COUNT)
    lives = contestant.await_boot(COUNT)
    return sorted(lives, key=lambda life: int(life.name[1:])), max(life.at for life in lives) - began
