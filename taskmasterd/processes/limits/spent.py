"""Whether the kernel may have killed a leader for its processor time: at the hard limit it sends SIGKILL, and says nothing."""

from __future__ import annotations

import os

from taskmaster_common.config.limits import UNLIMITED, amount_text, rlimit_of
from taskmasterd.core.process.ends import TIME_USED
from taskmasterd.system import procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

CPU = "cpu"
UTIME, STIME = 11, 12
"""Places behind the command in /proc/PID/stat. Source: proc_pid_stat(5), fields 14 and 15."""
NEAR = 0.5
"""Share of the limit from which on it is named: the kernel limits what it has counted in ticks, and shows what it has measured."""


def spent(pid: int, rlimits: Iterable[str]) -> str:
    """Return how near to its hard `rlimits.cpu` a leader was that is not reaped yet, "" where it was not, or nobody can tell."""
    hard_s = next((limit.hard for limit in map(rlimit_of, rlimits) if limit.name == CPU), None)
    if hard_s is None or hard_s == UNLIMITED:
        return ""
    fields = procfs.read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if len(fields) <= STIME:
        return ""
    used_s = (int(fields[UTIME]) + int(fields[STIME])) / os.sysconf("SC_CLK_TCK")
    if used_s < hard_s * NEAR:
        return ""
    return (
        f"{TIME_USED}{used_s:.1f}s of processor time, and the kernel kills at {amount_text(CPU, hard_s)} (RLIMIT_CPU)"
    )
