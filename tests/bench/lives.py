"""Starting, restarting and ending: boot, mass crash and shutdown of many programs, and one crash among a hundred."""

from __future__ import annotations

import os
import random
import signal
import time

from tests.bench.contestants import Contestant, Floor, Ours, Supervisor, field
from tests.bench.stage import settle
from tests.bench.table import Limit, Row, median, p99
from tests.bench.tools import Tools

CRASHES = {Ours: 30, Floor: 30, Supervisor: 17}
"""In each round; supervisor needs a second for each, and has one round."""
LONGEST_PAUSE_S = 1.0


def masses(tools: Tools, count: int = 1000, rounds: int = 5) -> list[Row]:
    """Boot, mass crash and shutdown, in turns, the best of each: what else runs on the machine only ever adds."""
    found: dict[type[Contestant], list[tuple[float, float, float]]] = {kind: [] for kind in field()}
    for turn in range(rounds):
        for kind in found:
            if kind is not Supervisor or turn == 0:
                with kind(tools) as contestant:
                    found[kind].append(_boot_crash_stop(contestant, count))
    rows = []
    for at, (what, most) in enumerate((("boot", 2.0), ("mass crash", 2.5), ("shutdown", 3.0))):
        each = {kind: min(times[at] for times in taken) for kind, taken in found.items()}
        quantity = f"{what}, {count} programs"
        rows.append(Row(quantity, "s", each[Ours], each[Floor], each.get(Supervisor), Limit(most, times=True)))
    return rows


def _boot_crash_stop(contestant: Contestant, count: int) -> tuple[float, float, float]:
    began = contestant.boot(count)
    lives = contestant.await_boot(count)
    boot = max(life.at for life in lives) - began
    settle(contestant.pid)
    began = time.monotonic()
    for life in lives:
        os.kill(life.pid, signal.SIGKILL)
    lives = contestant.births.take(count)
    crash = max(life.at for life in lives) - began
    settle(contestant.pid)
    return boot, crash, contestant.stop_with(life.pid for life in lives)


def crash(tools: Tools, count: int = 100, rounds: int = 2) -> list[Row]:
    """One program is killed: until the first instruction of the next."""
    found: dict[type[Contestant], list[float]] = {kind: [] for kind in field()}
    for turn in range(rounds):
        for kind in found:
            if kind is Supervisor and turn:
                continue
            with kind(tools) as contestant:
                lives = contestant.start(count)
                settle(contestant.pid)
                found[kind] += crashes(contestant, [life.pid for life in lives[: CRASHES[kind]]])
    return [
        Row(
            f"crash to respawn, {name}",
            "ms",
            measure(found[Ours]) or 0.0,
            measure(found[Floor]),
            measure(found.get(Supervisor, [])),
            limit,
        )
        for name, measure, limit in (("median", median, Limit(3.0, times=True)), ("p99", p99, Limit(10.0)))
    ]


def crashes(contestant: Contestant, pids: list[int]) -> list[float]:
    """Return milliseconds. The pauses are random, so that no phase of a polling loop is preferred."""
    pauses = random.Random(42)
    times: list[float] = []
    for pid in pids:
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        times.append((contestant.births.take(1)[0].at - began) * 1000)
        slowest_s = max(times) / 1000
        time.sleep(pauses.uniform(0.0, 0.02 if slowest_s < 0.1 else min(slowest_s, LONGEST_PAUSE_S)))
    return times
