"""Checks of `recycle` that need more than its own value."""

from __future__ import annotations

from taskmaster_common.config.recycle import rules_of
from taskmaster_common.schema.report import quoted
from taskmaster_common.text.calendar.zone import zone_problem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report
    from taskmaster_common.schema.surroundings import Surroundings

KEY = "recycle"
HEAD = 8
"""Bytes of a file of the zone database that show what it is."""
SELDOM_S = 60.0
"""Interval above which looks at the memory come too seldom for what leaks fast, seconds."""


def check_recycle(program: Program, surroundings: Surroundings, report: Report) -> None:
    """Report an unknown time zone, and looks at the memory that see less than one expects."""
    config = program.config
    if not config.recycle:
        return
    node, place, rules = program.at(KEY), program.place(KEY), rules_of(config.recycle)
    if rules.timezone and (problem := zone_problem(rules.timezone, _head_by(surroundings))):
        report.error(node, place, f"timezone {quoted(rules.timezone)} {problem}")
    if rules.memory and not surroundings.sees_memory:
        report.warn(node, place, "memory is without effect: this system has no /proc/PID/status with RssAnon")
    elif rules.memory and rules.interval > SELDOM_S:
        reason = f"a look every {rules.interval:g}s does not catch a fast leak; use a shorter interval, or a limit that the kernel enforces"
        report.warn(node, place, reason)


def _head_by(surroundings: Surroundings) -> Callable[[str], bytes | None]:
    def head(path: str) -> bytes | None:
        try:
            return surroundings.read(path).content[:HEAD]
        except OSError:
            return None

    return head
