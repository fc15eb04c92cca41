"""The only place that waits for children.

Every child is reaped, known or not: as a subreaper or PID 1 the daemon inherits the orphans of its programs.
"""

from __future__ import annotations

from taskmasterd.fallbacks import ended_children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def reap() -> Iterator[tuple[int, int]]:
    """Yield (pid, wait status) of every child that has ended by now, reaped when the next one is asked for."""
    return ended_children()
