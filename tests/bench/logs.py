"""Output on its way from a program into files on the same disk: through the daemon, supervisord, `cat`, and a C copy.

The writer tells its first act and the return of its last write; CPU is that of whoever moved the bytes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import NamedTuple

from tests.bench.contestants import DISK, Contestant, Floor, Ours, Supervisor
from tests.bench.stage import await_, cpu_s
from tests.bench.table import Limit, Row, median
from tests.bench.tools import Tools

GB = 1_000_000_000
MB = 1_000_000
FLOOD = GB
ROTATE_AT = 50 * MB
BACKUPS = 10
ROUNDS = 5
CHATTY_S = 5


class Flow(NamedTuple):
    """One run: bytes per second, and CPU seconds in all."""

    rate: float
    cpu_s: float


Mover = Callable[[Tools, str], Flow]


def logs(tools: Tools) -> list[Row]:
    """Floods of large and of small writes, in turns: who is measured first in a round pays for nothing of the last."""
    rows: list[Row] = []
    movers: dict[str, Mover] = {"ours": _ours, "cat": _cat, "copy": _copy}
    if Supervisor.installed():
        movers["supervisor"] = _supervisor
    for what, piece, least in (("64 KiB writes", 65_536, 1.0), ("100-byte lines", 100, 0.7)):
        flows: dict[str, list[Flow]] = {name: [] for name in movers}
        for _ in range(ROUNDS):
            for name, mover in movers.items():
                flows[name].append(mover(tools, f"{FLOOD} {piece} 0"))
        rates = {name: median([flow.rate / MB for flow in taken]) for name, taken in flows.items()}
        cpus = {name: median([flow.cpu_s * GB / FLOOD for flow in taken]) for name, taken in flows.items()}
        limit = Limit(1.3, times=True) if piece > 100 else None
        rows += [
            Row(f"log, {what}, rotated; floor: cat", "MB/s", rates["ours"] or 0.0, rates["cat"],
                rates.get("supervisor"), Limit(least, times=True, most=False)),
            Row(f"log, {what}, CPU; floor: C copy", "s/GB", cpus["ours"] or 0.0, cpus["copy"],
                cpus.get("supervisor"), limit),
        ]  # fmt: skip
    return rows


def chatty(tools: Tools) -> list[Row]:
    """One program that writes 10 MB/s in lines of 100 bytes."""
    rate = 10 * MB
    arguments = f"{rate * CHATTY_S} 100 {rate}"

    def share(mover: Mover) -> float:
        return mover(tools, arguments).cpu_s / CHATTY_S * 100

    theirs = share(_supervisor) if Supervisor.installed() else None
    return [Row("10 MB/s in 100-byte lines; floor: C copy", "% CPU", share(_ours), share(_copy), theirs, Limit(2))]


def _ours(tools: Tools, arguments: str) -> Flow:
    with Ours(tools, DISK) as contestant:
        words = ", ".join((tools.writer, str(contestant.births.path), *arguments.split()))
        contestant.write_text(f"  w: {{cmd: [{words}], autostart: false, autorestart: never, starttime: 0}}\n")
        contestant.launch()
        contestant.find()
        contestant.ctl("start", "w")
        return _flow(contestant, arguments)


def _supervisor(tools: Tools, arguments: str) -> Flow:
    with Supervisor(tools, DISK) as contestant:
        command = f"{tools.writer} {contestant.births.path} {arguments}"
        rotation = f"stdout_logfile_maxbytes={ROTATE_AT}\nstdout_logfile_backups={BACKUPS}\nautorestart=false\n"
        contestant.write(f"[program:w]\ncommand={command}\nstartsecs=0\nredirect_stderr=true\n{rotation}")
        contestant.launch()
        contestant.find()
        return _flow(contestant, arguments)


def _flow(contestant: Contestant, arguments: str) -> Flow:
    """Return what the supervisor's writer achieves; the CPU counts until the supervisor has nothing more to do."""
    start = contestant.births.take(1)[0]
    before = cpu_s(contestant.pid)
    end = contestant.births.take(1)[0]
    await_(lambda: not os.path.exists(f"/proc/{start.pid}"))
    time.sleep(0.5)
    return Flow(int(arguments.split()[0]) / (end.at - start.at), cpu_s(contestant.pid) - before)


def _cat(tools: Tools, arguments: str) -> Flow:
    return _piped(tools, arguments, "/bin/cat")


def _copy(tools: Tools, arguments: str) -> Flow:
    return _piped(tools, arguments, tools.copy)


def _piped(tools: Tools, arguments: str, mover: str) -> Flow:
    """Return what `writer | mover > file` achieves."""
    with Floor(tools, DISK) as contestant:
        path = str(contestant.home / "log")
        read, write = os.pipe()
        into = (os.POSIX_SPAWN_OPEN, 1, path, os.O_WRONLY | os.O_CREAT, 0o640)
        pid = os.posix_spawn(mover, [mover], {}, file_actions=[(os.POSIX_SPAWN_DUP2, read, 0), into])
        words = [tools.writer, str(contestant.births.path), *arguments.split()]
        writer = os.posix_spawn(words[0], words, {}, file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)])
        os.close(read)
        os.close(write)
        _, _, usage = os.wait4(pid, 0)
        os.waitpid(writer, 0)
        start, end = contestant.births.take(2)
    return Flow(int(arguments.split()[0]) / (end.at - start.at), usage.ru_utime + usage.ru_stime)
