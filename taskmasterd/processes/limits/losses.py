"""Learns from the kernel that it has killed processes of an instance whose group had used up its memory.

Its leader's end is told as every end; that a server has lost one of its workers nobody else would say.
"""

from __future__ import annotations

from taskmasterd.system import cgroups
from taskmasterd.system.loop.cmodules import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.system.loop.reactor import Reactor

    Notice = Callable[[Reactor, str, str, Callable[[], None]], cgroups.FileNotice]

FILE, KILLS = "memory.events", "oom_kill"
SETTLE_S = 0.1
"""Pause after a notice, seconds: what the kernel kills together is said together, and the end of a leader is seen first."""


class Losses:
    """The groups of instances whose memory is limited, by path. Each has a descriptor, and the loop wakes for it only."""

    def __init__(self, reactor: Reactor, notice: Notice = cgroups.FileNotice) -> None:
        self._reactor = reactor
        self._make_notice = notice
        self._told: dict[str, Callable[[int], None]] = {}
        self._notices: dict[str, cgroups.FileNotice] = {}
        self._known: dict[str, int] = {}

    def begin(self, path: str, told: Callable[[int], None]) -> None:
        """Call `told(count)` with the number of processes that were killed so far, now if there are some, and each time it has grown."""
        self.end(path)
        self._told[path] = told
        self._begin_notice(path)
        self._look(path)

    def _begin_notice(self, path: str) -> None:
        try:
            notice = self._make_notice(self._reactor, path, FILE, partial(self._changed, path))
        except (OSError, ValueError):  # no descriptor, or a loop that cannot wait for it: ends of leaders are looked at
            return
        self._notices[path] = notice

    def end(self, path: str) -> None:
        """Take no more notice of a group."""
        self._told.pop(path, None)
        self._known.pop(path, None)
        notice = self._notices.pop(path, None)
        if notice:
            notice.close()

    def grown(self, path: str) -> bool:
        """Return whether the kernel has killed in a group since it was looked at last."""
        return kills(path) > self._known.get(path, 0)

    def _changed(self, path: str) -> None:
        self._reactor.call_later(SETTLE_S, partial(self._look, path))

    def _look(self, path: str) -> None:
        count = kills(path)
        if path in self._told and count > self._known.get(path, 0):
            self._known[path] = count
            self._told[path](count)


def kills(path: str) -> int:
    """Return how many processes of a group the kernel has killed because its memory was used up."""
    return cgroups.events(path, FILE).get(KILLS, 0)
