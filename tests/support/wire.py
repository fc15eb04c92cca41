"""A raw connection to a real daemon, for tests that do what no client of ours would do."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.support.wait import wait_until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tests.support.daemon import Daemon


def connect(daemon: Daemon) -> socket.socket:
    """Return a new connection."""
    channel = socket.socket(socket.AF_UNIX)
    try:
        channel.connect(str(daemon.socket))  # it waits if a thousand others do (unix(7): EAGAIN with a time limit)
    except OSError:
        channel.close()
        raise
    channel.settimeout(20)
    return channel


def ask(daemon: Daemon, line: bytes) -> list[dict[str, Any]]:
    """Return the greeting and the whole answer to one line."""
    answer: list[dict[str, Any]] = []
    with connect(daemon) as channel, contextlib.suppress(ConnectionError):  # a refused peer is not read
        channel.sendall(line + b"\n")
        channel.shutdown(socket.SHUT_WR)
        with channel.makefile("rb") as replies:
            answer.extend(json.loads(reply) for reply in replies)
    return answer


def resident(daemon: Daemon) -> int:
    """Return the daemon's pid from its greeting; with a guardian, the pid file has the guardian's.

    In a gap between two daemons, this waits for the next one.
    """
    with connect(daemon) as channel, channel.makefile("rb") as said:
        return int(json.loads(said.readline())["pid"])


def seconds_of_status(daemon: Daemon) -> float:
    """Return how long a whole `status` takes."""
    began = time.monotonic()
    assert ask(daemon, b"status")[-1]["type"] == "end"
    return time.monotonic() - began


USUAL_S = 0.007
"""Processor time of the work of `slowness` on the machine on which the limits of the tests were found, seconds."""


@cache
def slowness() -> float:
    """Return by how much slower this machine works than the one on which the limits of the tests were found, at least 1."""
    began, total = time.process_time(), 0
    for number in range(100_000):
        total += number
    return max(1.0, (time.process_time() - began) / USUAL_S)


def crowding() -> float:
    """Return by how much longer work may take than on a machine that is idle, at least 1.

    So many processes share a processor, by the last minute's mean, or the present number if it is higher; and each is as slow
    as this machine is.
    """
    mean, now = os.getloadavg()[0], 0
    if os.path.exists("/proc/loadavg"):
        now = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0]) - 1  # not this one
    return max(1.0, max(mean, now) / (os.cpu_count() or 1)) * slowness()


def prompt_s() -> float:
    """Return how long a status may take, in seconds: half a second, and more if others keep all processors busy."""
    return 0.5 * crowding()


def slept(pid: int) -> int:
    """Return how often a process has gone to sleep: it wakes up as often. Source: proc_pid_status(5)."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def sleep_for(seconds: float, *pids: int) -> None:
    """Wait until none of these processes has woken up for this long: work from before may still be going on."""
    last: list[int] = []
    since = time.monotonic()

    def asleep() -> bool:
        nonlocal last, since
        now = [slept(pid) for pid in pids]
        if now != last:
            last, since = now, time.monotonic()
        return time.monotonic() - since >= seconds

    wait_until(asleep, within_s=20 + 3 * seconds)


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process in 10^6 bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6


def descriptors(daemon: Daemon) -> int:
    """Return how many descriptors the daemon has."""
    return len(os.listdir(f"/proc/{daemon.pid}/fd"))


@contextmanager
def crowd(daemon: Daemon, count: int) -> Iterator[list[socket.socket]]:
    """Act as that many clients at once."""
    channels = [connect(daemon) for _ in range(count)]
    try:
        yield channels
    finally:
        for channel in channels:
            channel.close()
