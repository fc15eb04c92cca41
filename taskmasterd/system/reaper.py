"""The only place that waits for children.

Every child is reaped, known or not: as a subreaper or PID 1 the daemon inherits the orphans of its programs.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def reap() -> Iterator[tuple[int, int]]:
    """Yield (pid, wait status) of every child that has ended by now; SIGCHLD is merged by the kernel, so ask until none."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status
