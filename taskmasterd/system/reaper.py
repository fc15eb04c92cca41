"""The only place that waits for children.

Every child is reaped, known or not: as a subreaper or PID 1 the daemon inherits the orphans of its programs.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CORE = 0x80
"""In a wait status: a core was dumped. Source: wait(2), WCOREDUMP."""


def reap() -> Iterator[tuple[int, int]]:
    """Yield (pid, wait status) of every child that has ended by now; SIGCHLD is merged by the kernel, so ask until none.

    Until the next one is asked for, a child's status is the kernel's, too: if we are killed before that, whoever inherits the
    child learns it. Source: waitid(2), WNOWAIT; not on macOS, where nobody takes over.
    """
    while hasattr(os, "waitid"):
        try:
            found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if found is None:
            return
        dumped = CORE if found.si_code == os.CLD_DUMPED else 0
        yield found.si_pid, found.si_status << 8 if found.si_code == os.CLD_EXITED else found.si_status | dumped
        os.waitpid(found.si_pid, 0)
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status
