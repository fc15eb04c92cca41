"""Whether an unhealthy instance may be restarted just now. Pure.

Restarts for health must not take down what still works. So of one program only one instance at a time is down for them. And if what
a program needs is down or unhealthy itself, a restart would not help.
"""

from __future__ import annotations

from taskmaster_common.config.health import rules_of
from taskmaster_common.states import BACKOFF, RUNNING, STARTING, STOPPING
from taskmasterd.core.programs.gate import edges, satisfied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.core.programs.table import Entry, Table


def held_back(table: Table, entry: Entry, now: float) -> str:
    """Return why an instance is not restarted now: "db is down", "web:1 is not healthy again"; "" where it may be."""
    for need, target in edges(table, entry):
        if need.required and target.process.unhealthy:
            return f"{table.name(target)} is unhealthy"
        if need.required and not satisfied(target.policy, target.process, need.condition):
            return f"{table.name(target)} is down"
    for other in table.slots(entry.program):
        if other is not entry and is_down_for_health(other, now):
            return f"{table.name(other)} is not healthy again"
    return ""


def is_down_for_health(entry: Entry, now: float) -> bool:
    """Return whether a restart for health is not over: it is when the instance is healthy, or RUNNING for `start_period`, or down."""
    process = entry.process
    if not process.sick or entry.removed or not process.goal_is_up:
        return False
    if process.state == RUNNING:
        return not entry.well and now < process.since + rules_of(entry.health).start_period
    return process.state in (STARTING, STOPPING, BACKOFF)
