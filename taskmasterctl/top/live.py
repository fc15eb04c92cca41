"""Everything that `top` follows: the daemon by a subscription, the processes by samples. It draws nothing.

The same object serves the screen and the lines of --json.
"""

from __future__ import annotations

import time

from taskmasterctl.reply.mirror import Mirror
from taskmasterctl.shell.feed import Feed
from taskmasterctl.top.rows import Listing
from taskmasterctl.usage.once import add_figures
from taskmasterctl.usage.sampler import COST_SHARE, SHORT_S, Sampler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from taskmasterctl.connect.sockets import Sockets
    from taskmasterctl.top.rows import Key
    from taskmasterctl.usage.sampler import Figures

    Message = dict[str, Any]

DEFAULT_EVERY_S = 1.0
LEAST_EVERY_S = 0.1


class Live:
    """The mirror of the daemon, the samples, and the rows that both make.

    `frame_s` is the processor time that a frame takes, which counts as the sample's: together they take a tenth of a core. `lost_at` is the time of day of the loss, "" if connected.
    """

    def __init__(self, sockets: Sockets, targets: Sequence[str], every_s: float, sort: str) -> None:
        self.feed = Feed(sockets, Mirror())
        self.rows = Listing(targets, sort)
        self.more = False
        self.paused = False
        self.lost_at = ""
        self.farewell = ""
        self._every_s = every_s
        self._sampler = Sampler()
        self._due = 0.0
        self._arranged_s = 0.0
        self._samples = 0
        self.frame_s = 0.0

    @property
    def mirror(self) -> Mirror:
        """The processes as the daemon has told."""
        return self.feed.mirror

    @property
    def stale(self) -> bool:
        """Whether the daemon is away, so that what is shown is what was."""
        return bool(self.lost_at)

    def wait_s(self, now: float) -> float:
        """Return the seconds until something is due."""
        waits = [self.feed.wait_s(now)]
        if self.feed.connected and not self.paused:
            waits.append(max(0.0, self._due - now))
        return min(each for each in (*waits, 5.0) if each is not None)

    def follow(self, now: float) -> bool:
        """Read the feed once; return whether something has changed."""
        happened = self.feed.step(now)
        for each in happened:
            if each["type"] == "lost":
                self.lost_at, self.farewell = time.strftime("%H:%M:%S"), str(each.get("reason") or "")
            elif each["type"] == "connected":
                self.lost_at, self._due = "", 0.0
        if happened:
            self.refresh(now)
        return bool(happened)

    def refresh(self, now: float) -> None:
        """Let the rows be as the mirror is now."""
        self.rows.update(self.mirror.table(now), self.mirror.daemon.get("groups") or {})

    def sample(self, now: float) -> bool:
        """Take a sample if one is due; return whether it was."""
        if not self.feed.connected or self.paused or now < self._due:
            return False
        self.refresh(now)
        pids = self._pids()
        found = self._sampler.sample(list(pids.values()), self.mirror.daemon["pid"], more=self.more)
        figures = {key: found[pid] for key, pid in pids.items() if pid in found}
        began = time.process_time()
        self.rows.samples.add(figures, self.rows.processes)
        self._look_at_trees()
        self.rows.arrange()
        self._arranged_s = time.process_time() - began
        self._samples += 1
        pause_s = self.pause_s
        self._due = now + (
            min(SHORT_S, pause_s) if self._samples == 1 else pause_s
        )  # the first one knows no shares of a core
        return True

    def _pids(self) -> dict[Key, int]:
        return {key: each["pid"] for key, each in self.rows.processes.items() if each.get("pid") is not None}

    def _look_at_trees(self) -> None:
        """Learn what belongs to the processes that are open."""
        open_keys = [name for name in self.rows.open if len(name) > 1 and name in self.rows.processes]
        pids = self._pids()
        self.rows.trees = {(key[0], key[1]): self._sampler.tree(pids[key])[1:] for key in open_keys if key in pids}

    def unfolded(self) -> None:
        """Look at once at what somebody has just opened."""
        self._look_at_trees()
        self.rows.arrange()

    @property
    def pause_s(self) -> float:
        """The pause between two samples."""
        return max(
            self._sampler.pause_s(self._every_s), COST_SHARE * (self._sampler.cost_s + self._arranged_s + self.frame_s)
        )

    @property
    def slower(self) -> bool:
        """Whether the pause is longer than asked for."""
        return self.pause_s > self._every_s

    def measured(self) -> list[Message]:
        """Return the PROCESS objects with the figures of the newest sample."""
        found: dict[int, Figures] = {}
        for key, figures in self.rows.samples.newest.items():
            pid = self.rows.processes[key]["pid"] if key in self.rows.processes else None
            if pid is not None:
                found[pid] = figures
        objects = [dict(each) for each in self.rows.processes.values()]
        for each in objects:
            add_figures(each, found)
        return objects

    @property
    def samples(self) -> int:
        """How many samples were taken."""
        return self._samples
