"""The only place that waits for children.

It reaps every child, known or not: as a subreaper or PID 1 the daemon inherits the orphans of its programs.
"""

from __future__ import annotations

from taskmasterd.fallbacks import ended_children

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def reap() -> Iterator[tuple[int, int]]:
    """Yield (pid, wait status) of every child that has ended by now; each is reaped when the caller asks for the next one."""
    return ended_children()
