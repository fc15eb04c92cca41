"""Gives the autogroups of sessions the nice of their programs: where the kernel has autogroups, nice alone has no effect between them.

Each instance is a session, and so an autogroup, of its own. The kernel takes one such write of an ordinary user in 100 ms, for all
processes together (EAGAIN); what it does not take waits here. Source: sched(7), "The autogroup feature".
"""

from __future__ import annotations

from taskmasterd.system.limits.running import set_autogroup
from taskmasterd.system.procfs import started_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.system.loop.reactor import Reactor

AGAIN_S = 0.11
"""Pause between two writes, seconds."""


class Autogroups:
    """What is still to be written, in order: one timer while there is anything."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._waiting: dict[int, tuple[int | None, int]] = {}

    def want(self, pid: int, nice: int) -> None:
        """Have the autogroup of this session leader get a nice, now or soon. Raises OSError where that is forbidden."""
        if self._waiting or not _written(pid, nice):
            if not self._waiting:
                self._reactor.call_later(AGAIN_S, self._go_on)
            self._waiting[pid] = (started_at(pid), nice)

    def _go_on(self) -> None:
        while self._waiting:
            pid, (started, nice) = next(iter(self._waiting.items()))
            if started_at(pid) == started and not _attempted(pid, nice):
                self._reactor.call_later(AGAIN_S, self._go_on)
                return
            del self._waiting[pid]


def _written(pid: int, nice: int) -> bool:
    """Write it; return False where that has to wait."""
    try:
        set_autogroup(pid, nice)
    except BlockingIOError:
        return False
    return True


def _attempted(pid: int, nice: int) -> bool:
    """Write it as `_written` does; what is forbidden stays as it is: it was possible a moment ago."""
    try:
        return _written(pid, nice)
    except OSError:
        return True
