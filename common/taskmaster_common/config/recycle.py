"""The rules of planned restarts: a value of `recycle` as a record. Pure."""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

LONGEST_PAUSE_S = 600.0
"""Longest pause before the next look because of earlier restarts for memory, seconds."""


class RecycleRules(Record):
    """Of one program: `memory` in bytes, `age` in seconds, 0 for no limit; `interval` and `jitter` are seconds.

    `cron` are lines of cron, by the clocks of `timezone`, "" for the system's own.
    """

    memory: int = 0
    age: float = 0.0
    interval: float = 15.0
    samples: int = 2
    jitter: float = 0.0
    cron: tuple[str, ...] = ()
    timezone: str = ""

    def pause_s(self, streak: int) -> float:
        """Return how long after RUNNING the first look at the memory comes, after so many restarts for memory in a row."""
        longer = self.interval * 2.0 ** min(max(0, streak - 1), 64)
        return min(longer, max(LONGEST_PAUSE_S, self.interval))


def rules_of(value: Mapping[str, Any]) -> RecycleRules:
    """Return the rules in a value of `recycle`."""
    given: dict[str, Any] = {name: each for name, each in value.items() if name in RecycleRules.fields_}
    given["cron"] = tuple(value.get("cron", ()))
    return RecycleRules(**given)
