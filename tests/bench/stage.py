"""What measures: the FIFO in which programs tell that they run, and what the kernel says of processes.

The measuring process sleeps in poll(2) while a time is taken; every "until it runs" ends with the moment that the program's
own code took, every "until it is gone" with a pidfd that turned readable.
"""

from __future__ import annotations

import fcntl
import os
import select
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

FIFO_BYTES = 1 << 20
SETTLE_S, SETTLE_MOST_S, QUIET_CPU_S = 1.5, 10.0, 0.02


class Life(NamedTuple):
    """A line of the FIFO: a program began at `at` (monotonic seconds)."""

    name: str
    pid: int
    at: float


class Births:
    """The FIFO that programs tell their beginning into."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, FIFO_BYTES)
        self._rest = b""

    def take(self, count: int, within_s: float = 120.0) -> list[Life]:
        """Return the next `count` lives, in the order in which they were told."""
        lives: list[Life] = []
        limit = time.monotonic() + within_s
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        while len(lives) < count:
            if not poll.poll(max(0.0, limit - time.monotonic()) * 1000):
                raise SystemExit(f"{self.path}: {len(lives)} of {count} programs after {within_s:g} s")
            *lines, self._rest = (self._rest + os.read(self._fd, FIFO_BYTES)).split(b"\n")
            for name, pid, at in (line.split() for line in lines):
                lives.append(Life(name.decode(), int(pid), int(at) / 1e9))
        if len(lives) > count:
            raise SystemExit(f"{self.path}: {len(lives)} programs instead of {count}")
        return lives

    def close(self) -> None:
        """Close and remove it."""
        os.close(self._fd)
        self.path.unlink()


class Ends:
    """Waits until processes are gone; open it while they live.

    By epoll(7), which costs the same for one end and for a thousand that are still to come: what waits takes no processor from
    those that end.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self._poll = select.epoll()
        self._open = {os.pidfd_open(pid): pid for pid in pids}
        for handle in self._open:
            self._poll.register(handle, select.EPOLLIN)

    def wait(self, within_s: float = 120.0) -> float:
        """Return the moment when the last of them has ended."""
        limit = time.monotonic() + within_s
        while self._open:
            ready = self._poll.poll(max(0.0, limit - time.monotonic()))
            if not ready:
                raise SystemExit(f"still there after {within_s:g} s: {sorted(self._open.values())[:5]}")
            for handle, _ in ready:
                self._poll.unregister(handle)
                del self._open[handle]
                os.close(handle)
        self._poll.close()
        return time.monotonic()


def cpu_s(pid: int) -> float:
    """Return the seconds on a CPU of a process's live threads."""
    paths = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(path.read_text().split()[0]) for path in paths) / 1e9


def wakeups(pid: int) -> int:
    """Return the voluntary context switches of a process so far."""
    return _field(pid, "voluntary_ctxt_switches")


def rss_kb(pid: int) -> int:
    """Return the resident set of a process."""
    return _field(pid, "VmRSS")


def _field(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    raise ValueError(f"/proc/{pid}/status has no {name}")


def settle(pid: int) -> None:
    """Wait until a supervisor has nothing to do any more."""
    time.sleep(SETTLE_S)
    limit = time.monotonic() + SETTLE_MOST_S
    while time.monotonic() < limit:
        before = cpu_s(pid)
        time.sleep(1.0)
        if cpu_s(pid) - before < QUIET_CPU_S:
            return


def await_(condition: Callable[[], object], within_s: float = 60.0) -> None:
    """Wait for something that is no part of a time that is taken."""
    limit = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > limit:
            raise SystemExit(f"{condition} was not true within {within_s:g} s")
        time.sleep(0.01)
