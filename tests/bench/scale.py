"""What each program costs where many run: boot and shutdown with two log files each.

Four descriptors for each program are more than enough to see whether a start pays for the descriptors of the others.
"""

from __future__ import annotations

from tests.bench.contestants import Contestant, Floor, Ours
from tests.bench.stage import settle
from tests.bench.table import Limit, Row
from tests.bench.tools import Tools

FEW, SOME, MANY = 400, 1000, 4000
LOGS = 2
ROUNDS = 3


def scale(tools: Tools) -> list[Row]:
    """Boot and shutdown, in turns, the best of each: what else runs on the machine only ever adds."""
    wanted: list[tuple[type[Contestant], int]] = [(Ours, FEW), (Floor, SOME), (Ours, SOME), (Floor, MANY), (Ours, MANY)]
    found: dict[tuple[type[Contestant], int], list[tuple[float, float]]] = {each: [] for each in wanted}
    for _ in range(ROUNDS):
        for kind, count in wanted:
            found[kind, count].append(_boot_stop(kind, tools, count))
    boot, shutdown = ({each: min(times[at] for times in taken) for each, taken in found.items()} for at in range(2))
    few, many = (boot[Ours, count] / count * 1000 for count in (FEW, MANY))
    each = f"programs, {LOGS} logs each"
    return [
        Row(f"boot for each of {MANY} {each}; floor: of {FEW}", "ms", many, few, limit=Limit(1.3, times=True)),
        Row(f"boot, {SOME} {each}", "s", boot[Ours, SOME], boot[Floor, SOME], limit=Limit(2.0, times=True)),
        Row(f"boot, {MANY} {each}", "s", boot[Ours, MANY], boot[Floor, MANY]),
        Row(f"shutdown, {SOME} {each}", "s", shutdown[Ours, SOME], shutdown[Floor, SOME], limit=Limit(3.0, times=True)),
        Row(f"shutdown, {MANY} {each}", "s", shutdown[Ours, MANY], shutdown[Floor, MANY]),
    ]


def _boot_stop(kind: type[Contestant], tools: Tools, count: int) -> tuple[float, float]:
    with kind(tools) as contestant:
        contestant.logs = LOGS
        began = contestant.boot(count)
        lives = contestant.await_boot(count)
        boot = max(life.at for life in lives) - began
        settle(contestant.pid)
        return boot, contestant.stop_with(life.pid for life in lives)
