"""Looks at everything once: asks the daemon for its status, and the system for what the processes use."""

from __future__ import annotations

import time

from taskmasterctl.metrics.text import Seen
from taskmasterctl.reply.figures import Status
from taskmasterctl.usage.proc import TICKS_PER_S, boot_time
from taskmasterctl.usage.sampler import Sampler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from taskmasterctl.reply.astext import Chunks, Reply

    Message = dict[str, Any]
    Ask = Callable[[Reply], int]
    """Asks the daemon, shows what goes wrong, and returns the exit code."""

STEADY_S = 2.0
"""Difference up to which a computed time of the wall clock counts as the one before, seconds: rounding must not move it."""
NOT_AS_WANTED, INTERRUPTED = 3, 130


class Silent:
    """Shows nothing: what goes wrong again and again is shown once."""

    def take(self, message: Message) -> Chunks:
        """Return nothing."""
        del message
        return []


class Collector:
    """Looks again and again. `ask` asks the daemon, `errors()` makes a reply that shows what goes wrong."""

    def __init__(self, ask: Ask, errors: Callable[[], Reply]) -> None:
        self._ask = ask
        self._errors = errors
        self._sampler = Sampler()
        self._moments: dict[object, float] = {}
        self._well = True

    def look(self) -> tuple[int, Seen | None]:
        """Return the exit code, and what was seen; None if the daemon could not be asked."""
        status = Status(self._errors() if self._well else Silent())
        code = self._ask(status)
        self._well = code in (0, NOT_AS_WANTED) and bool(status.daemon)
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if not self._well:
            return code or 1, None
        return 0, self._seen(status)

    def _seen(self, status: Status) -> Seen:
        now, daemon = time.time(), status.daemon
        leaders = [each["pid"] for each in status.processes if each["pid"] is not None]
        found = self._sampler.sample(leaders, daemon["pid"], more=True)
        booted = boot_time()
        moments, self._moments = self._moments, {}

        def steady(key: object, at: float) -> float:
            """Return a moment that does not move between two looks, nor with the delay of an answer."""
            before = moments.get(key)
            self._moments[key] = round(at) if before is None or abs(before - at) > STEADY_S else before
            return self._moments[key]

        for each in status.processes:
            figures, pid = found.get(each["pid"] or 0), each["pid"]
            if figures:
                each["cpu_s"], each["memory_bytes"] = figures.cpu_s, figures.memory
                each["members"], each["descriptors"] = figures.processes, figures.descriptors
            key = (each["program"], each["instance"])
            if booted and figures:
                each["started_at"] = round(booted + self._sampler.rows[pid].started / TICKS_PER_S, 2)
            elif each["uptime_s"] is not None:
                each["started_at"] = steady((key, pid), now - each["uptime_s"])
            success = each["counters"].get("success")
            if success:
                each["succeeded_at"] = steady(key, now - success["ago_s"])
        up_s = daemon["uptime_s"]
        loaded_s = up_s if daemon.get("reloaded_s") is None else daemon["reloaded_s"]
        return Seen(daemon, steady("start", now - up_s), steady("reload", now - loaded_s), status.processes)
