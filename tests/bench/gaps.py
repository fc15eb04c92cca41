"""What the death, or the upgrade, of the daemon costs, and what it costs to be prepared for that.

A gap begins when the daemon is killed and ends with the first answer of the next one; so does what a client waits at worst
while the daemon is upgraded. Nobody else has such figures: each row is ours alone, but where a floor is ours without it.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.bench.contestants import Contestant, Ours
from tests.bench.lives import crashes
from tests.bench.stage import cpu_s, rss_kb, settle
from tests.bench.standing import bare
from tests.bench.table import Limit, Row, median
from tests.bench.tools import Tools

SAMPLES = 20
COUNTS = (1, 100, 1000)
UNUSABLE = "/proc"
"""A directory in which nobody can create a file."""
ROUNDS = 5
CRASHES = 30
POLL_S = 0.0005
QUIET_FOR_S, QUIET_CPU_S = 0.2, 0.001
WITHIN_S = 60.0


class Guarded(Ours):
    """With a guardian; `pid` is its."""

    def write_text(self, programs: str) -> None:
        """Write a configuration with the lines of these programs."""
        super().write_text(programs)
        self.words.append("--guard")


class Stateless(Ours):
    """Without a state file."""

    name = "ours, without a state file"

    def write_text(self, programs: str) -> None:
        """Write a configuration with the lines of these programs."""
        super().write_text(f"{programs}taskmasterd: {{state_dir: {UNUSABLE}}}\n")


class Client:
    """A connection to the daemon of a contestant. Raises OSError where there is none."""

    def __init__(self, contestant: Contestant) -> None:
        self._channel = socket.socket(socket.AF_UNIX)
        self._channel.settimeout(WITHIN_S)
        try:
            self._channel.connect(str(contestant.home / "taskmaster.sock"))
            self._said = self._channel.makefile("rb")
            self.daemon = int(self._read()["pid"])
        except (OSError, ValueError):
            self._channel.close()
            raise

    def ask(self, request: str) -> list[dict[str, Any]]:
        """Return the whole answer."""
        self._channel.sendall(f"{request}\n".encode())
        reply = [self._read()]
        while reply[-1]["type"] != "end":
            reply.append(self._read())
        return reply

    def close(self) -> None:
        """End it."""
        self._said.close()
        self._channel.close()

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._said.readline())
        return found


def gaps(tools: Tools) -> list[Row]:
    """All rows of this file."""
    rows = []
    for count in COUNTS:
        rows += _rows("adoption: no answer for", count, _adoptions(tools, count))
        rows += _rows("guardian: no answer for", count, _guarded(tools, count))
        said, waited = _upgrades(tools, count)
        rows += _rows("upgrade, as it says", count, said)
        rows += _rows("upgrade, a client waits", count, waited)
    return [*rows, *_costs(tools), _guardian(tools)]


def _rows(what: str, count: int, seconds: list[float]) -> list[Row]:
    """Return median and worst."""
    who = f"{count} program{'' if count == 1 else 's'}"
    return [
        Row(f"{what}, {who}, median", "ms", (median(seconds) or 0.0) * 1000),
        Row(f"{what}, {who}, worst", "ms", max(seconds) * 1000),
    ]


def _quiet(pid: int) -> None:
    """Return once the daemon has nothing to do; sixty gaps cannot wait for that as long as `settle` does."""
    limit = time.monotonic() + WITHIN_S
    before = -1.0
    while (now := cpu_s(pid)) - before > QUIET_CPU_S and time.monotonic() < limit:
        before = now
        time.sleep(QUIET_FOR_S)


def _answered(contestant: Contestant) -> None:
    """Return once a daemon answers."""
    limit = time.monotonic() + WITHIN_S
    while time.monotonic() < limit:
        with suppress(OSError, ValueError):
            client = Client(contestant)
            client.ask("version")
            client.close()
            return
        time.sleep(POLL_S)
    raise SystemExit(f"no daemon answered within {WITHIN_S:g} s")


def _adoptions(tools: Tools, count: int) -> list[float]:
    """Kill the daemon and start it again at once, by its command."""
    found = []
    with Ours(tools) as contestant:
        contestant.start(count)
        for _ in range(SAMPLES):
            _quiet(contestant.pid)
            began = time.monotonic()
            os.kill(contestant.pid, signal.SIGKILL)
            contestant.launch()
            _answered(contestant)
            found.append(time.monotonic() - began)
            contestant.find()
    return found


def _guarded(tools: Tools, count: int) -> list[float]:
    """Kill the daemon once in each life of a guardian, which pauses before it starts one that died soon."""
    found = []
    for _ in range(SAMPLES):
        with Guarded(tools) as contestant:
            contestant.start(count)
            client = Client(contestant)
            _quiet(client.daemon)
            client.close()
            began = time.monotonic()
            os.kill(client.daemon, signal.SIGKILL)
            _answered(contestant)
            found.append(time.monotonic() - began)
    return found


def _upgrades(tools: Tools, count: int) -> tuple[list[float], list[float]]:
    """Upgrade, with a client that asks all the time; returns what the daemon says, and that client's longest wait."""
    said, waited = [], []
    with Ours(tools) as contestant:
        contestant.start(count)
        for _ in range(SAMPLES):
            _quiet(contestant.pid)
            asking = _Asking(contestant)
            client = Client(contestant)
            said.append(next(each["seconds"] for each in client.ask("upgrade") if each["type"] == "upgraded"))
            client.close()
            waited.append(asking.end())
    return said, waited


class _Asking(threading.Thread):
    """A client that asks for a pid again and again, on one connection."""

    def __init__(self, contestant: Contestant) -> None:
        super().__init__(daemon=True)
        self._client = Client(contestant)
        self._over = threading.Event()
        self._worst = 0.0
        self.start()

    def run(self) -> None:
        """Ask until it is over."""
        while not self._over.wait(POLL_S):
            began = time.monotonic()
            self._client.ask("pid p0")
            self._worst = max(self._worst, time.monotonic() - began)

    def end(self) -> float:
        """Return the longest wait."""
        self._over.set()
        self.join()
        self._client.close()
        return self._worst


def _costs(tools: Tools, count: int = 1000) -> list[Row]:
    """What the state file costs: the best of some boots, and the median of crashes, with it and without."""
    boots: dict[type[Ours], list[float]] = {Ours: [], Stateless: []}
    respawns: dict[type[Ours], list[float]] = {Ours: [], Stateless: []}
    for _ in range(ROUNDS):
        for kind in boots:
            with kind(tools) as contestant:
                began = contestant.boot(count)
                lives = contestant.await_boot(count)
                boots[kind].append(max(life.at for life in lives) - began)
                settle(contestant.pid)
                respawns[kind] += crashes(contestant, [life.pid for life in lives[:CRASHES]])
    tenth = Limit(1.1, times=True)
    boot, crash = (
        f"boot, {count} programs; floor: no state file",
        f"crash to respawn, {count} programs; floor: the same",
    )
    return [
        Row(boot, "s", min(boots[Ours]), min(boots[Stateless]), None, tenth),
        Row(crash, "ms", median(respawns[Ours]) or 0.0, median(respawns[Stateless]), None, tenth),
    ]


def _guardian(tools: Tools) -> Row:
    """How much the guardian is larger than an interpreter that does nothing."""
    with Guarded(tools) as contestant:
        contestant.start(100)
        settle(contestant.pid)
        comm = Path(f"/proc/{contestant.pid}/comm").read_text().strip()
        assert comm == "taskmasterguard", comm
        return Row("guardian: memory over bare, 100 programs", "MB", (rss_kb(contestant.pid) - bare()) / 1024)
