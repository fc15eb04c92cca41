"""The rules by which answers of a health check become a verdict, and when one counts: a value of `health` as a record. Pure."""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, Final

WATCHDOG: Final = "watchdog"
RESTART, STOP, NOTHING, SIGNAL = "restart", "stop", "none", "signal"
LONGEST_PATIENCE_S = 600.0
"""Longest time after RUNNING in which failures do not count because of earlier restarts, seconds."""


class Rules(Record):
    """Of one program; times are seconds. `action` is a word above, `signal` the name of a signal where it is SIGNAL."""

    interval: float = 10.0
    timeout: float = 3.0
    retries: int = 3
    successes: int = 2
    start_period: float = 30.0
    action: str = RESTART
    signal: str = ""
    watchdog: float = 0.0

    def patience_s(self, restarts: int) -> float:
        """Return how long after RUNNING failures do not count, with so many restarts for health in a row before."""
        if not restarts:
            return self.start_period
        first = max(self.start_period, self.interval * self.retries)
        return min(first * 2.0 ** min(restarts - 1, 64), max(LONGEST_PATIENCE_S, self.start_period))


def rules_of(health: Mapping[str, Any]) -> Rules:
    """Return the rules in a value of `health`. One silence of a watchdog is enough."""
    given = {name: value for name, value in health.items() if name in Rules.fields_}
    action, _, signal = given.get("action", RESTART).partition(" ")
    if WATCHDOG in health:
        given.update(interval=health[WATCHDOG], retries=1)
    return Rules(**{**given, "action": action, "signal": signal})
