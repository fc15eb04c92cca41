"""The only place that waits for children.

Every child is reaped, known or not: as a subreaper or PID 1 the daemon inherits the orphans of its programs.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def reap(seen: Callable[[int, int], None] = lambda _pid, _status: None) -> Iterator[tuple[int, int]]:
    """Yield (pid, wait status) of every child that has ended by now; SIGCHLD is merged by the kernel, so ask until none.

    `seen(pid, status)` is called before the child is reaped: what is written down there is lost with no death of ours.
    """
    while True:
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None:
            return
        seen(found.si_pid, _wait_status(found.si_code, found.si_status))
        yield os.waitpid(found.si_pid, 0)


def _wait_status(code: int, value: int) -> int:
    """Return what wait(2) would tell of a child of which waitid(2) tells this."""
    if code == os.CLD_EXITED:
        return value << 8
    return value | (0x80 if code == os.CLD_DUMPED else 0)
