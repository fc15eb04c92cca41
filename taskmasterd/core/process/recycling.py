"""When an instance is to be recycled: from its age, and from looks at its memory. Pure.

The counters of `MemoryLooks` are a slot's own: an upgrade keeps them, any other new daemon starts from none. `streak` makes the pauses before the
first look longer and longer, so that an instance which needs more memory than it may have is not restarted all the time.
"""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmaster_common.text.formats import format_seconds, format_size
from taskmasterd.core.process.verdict import LEAST_WELL_S
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config import Policy
    from taskmaster_common.config.recycle import RecycleRules
    from taskmaster_common.text.calendar import cron, times
    from taskmaster_common.text.calendar.times import Offset

else:
    cron = on_demand("taskmaster_common.text.calendar.cron")
    times = on_demand("taskmaster_common.text.calendar.times")

MEGABYTE = 1_000_000
PARTS = 10_007
"""Steps of a spread: a prime number."""


class MemoryLooks(Record):
    """What is known of the memory of a slot.

    `over` counts looks in a row above the limit, `streak` restarts for memory in a row. `below_since` is since when its memory has not
    been above the limit, at a moment at which it ran, None before it runs.
    """

    over: int = 0
    streak: int = 0
    below_since: float | None = None
    used: int | None = None


def begun(looks: MemoryLooks, now: float) -> MemoryLooks:
    """Return what is known of a slot whose next instance has become RUNNING."""
    return MemoryLooks(streak=looks.streak, below_since=now)


def measured(rules: RecycleRules, policy: Policy, looks: MemoryLooks, used: int, now: float) -> tuple[MemoryLooks, str]:
    """Return what is known after a look that has found `used` bytes, and why the instance is to be recycled, or ""."""
    if used <= rules.memory:
        since = now if looks.below_since is None else looks.below_since
        calm = now - since >= (policy.restart_window or LEAST_WELL_S)
        return MemoryLooks(0, 0 if calm else looks.streak, since, used), ""
    over = looks.over + 1
    seen = MemoryLooks(over, looks.streak, None, used)
    if over < rules.samples:
        return seen, ""
    return seen, f"memory {size_text(used)} over {format_size(rules.memory)}{_looks_text(rules)}"


def recycled(looks: MemoryLooks) -> MemoryLooks:
    """Return what is known once the instance goes down for its memory."""
    return MemoryLooks(streak=looks.streak + 1)


def refused(looks: MemoryLooks) -> MemoryLooks:
    """Return what is known where an instance may not be recycled: it takes as many looks again."""
    return looks.replace(over=0)


def age_text(rules: RecycleRules) -> str:
    """Return why an instance is recycled that is old enough."""
    return f"age {format_seconds(rules.age)}"


def age_due(rules: RecycleRules, name: str, index: int, since: float, after: float) -> float:
    """Return the first moment after `after` at which an instance that is RUNNING since `since` is old enough, or is so once more.

    Each slot has a moment of its own, up to `jitter` before or after: always the same one, so that instances never meet.
    """
    first = since + rules.age + rules.jitter * (2.0 * spread(name, index) - 1.0)
    if first > after:
        return first
    return first + rules.age * (1 + (after - first) // rules.age)


def cron_due(rules: RecycleRules, name: str, index: int, after: float, offset: Offset) -> tuple[float, str] | None:
    """Return when a line of cron is due for a slot, later than `after` of the wall clock, and which line; None: never.

    `offset` is that of the zone, as `calendar.times` has it.
    """
    shift = round(rules.jitter * (2.0 * spread(name, index) - 1.0))  # whole, so that no moment is found again
    found = [
        (float(due + shift), text)
        for text in rules.cron
        if (due := times.next_time(times.Times((cron.parse_cron(text),)), after - shift, offset)) is not None
    ]
    return min(found, default=None)


def cron_text(line: str) -> str:
    """Return why an instance is recycled for a line of cron."""
    return f"cron {line}"


def spread(name: str, index: int) -> float:
    """Return a number from 0 to 1 that another daemon computes for this slot, too: hash() differs between processes.

    Source: the FNV-1a hash.
    """
    found = 0x811C9DC5
    for byte in f"{name}:{index}".encode("utf-8", "surrogateescape"):
        found = ((found ^ byte) * 0x01000193) & 0xFFFFFFFF
    return (found % PARTS) / (PARTS - 1)


def size_text(size: int) -> str:
    """Return a size that was measured, in whole megabytes, or kilobytes below ten of these."""
    return f"{size / MEGABYTE:.0f}MB" if size >= 10 * MEGABYTE else f"{size / 1000:.0f}KB"


def _looks_text(rules: RecycleRules) -> str:
    if rules.samples == 1:
        return ""
    times = "twice" if rules.samples == 2 else f"{rules.samples} times"
    return f", {times} in {format_seconds(rules.interval * (rules.samples - 1))}"
