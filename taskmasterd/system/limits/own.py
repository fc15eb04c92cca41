"""What this process has itself, and what it may do."""

from __future__ import annotations

import os
import resource

from taskmaster_common.config.limits import RLIMITS, UNLIMITED
from taskmasterd.system.procfs import read

CAP_SYS_NICE, CAP_SYS_RESOURCE = 23, 24
"""Source: capabilities(7), linux/capability.h."""
LOCKS = 10
"""RLIMIT_LOCKS, which the module resource lacks. Source: asm-generic/resource.h."""
SCORE = "/proc/self/oom_score_adj"
MOST_FILES = "/proc/sys/fs/nr_open"


def number_of(name: str) -> int | None:
    """Return the kernel's number of a limit, None where this system has no such limit."""
    if name == "locks":
        return LOCKS if hasattr(resource, "prlimit") else None
    found: int | None = getattr(resource, f"RLIMIT_{name.upper()}", None)
    return found


def own_rlimits(nofile: tuple[int, int] | None) -> dict[str, tuple[int, int]]:
    """Return the pairs (soft, hard) of this process by name; `nofile` is the pair that the daemon was started with."""
    found: dict[str, tuple[int, int]] = {}
    for name in RLIMITS:
        number = number_of(name)
        if number is not None:
            try:
                soft, hard = resource.getrlimit(number)
            except (OSError, ValueError):  # a filter of system calls
                continue
            found[name] = (_plain(soft), _plain(hard))
    if nofile:
        found["nofile"] = nofile
    return found


def _plain(value: int) -> int:
    return UNLIMITED if value == resource.RLIM_INFINITY else value


def capable(capability: int) -> bool:
    """Return whether this process has a capability. Source: proc(5), CapEff of /proc/pid/status."""
    found = read("/proc/self/status").partition(b"\nCapEff:")[2].split(None, 1)
    return bool(int(found[0], 16) >> capability & 1) if found else os.geteuid() == 0


def own_nice() -> int:
    """Return the nice of this process."""
    return os.getpriority(os.PRIO_PROCESS, 0)


def own_cpus() -> tuple[int, ...]:
    """Return the processors that this process may use, () where the system does not say."""
    try:
        return tuple(sorted(os.sched_getaffinity(0)))
    except (AttributeError, OSError):
        return ()


def own_score() -> int:
    """Return the oom_score_adj of this process."""
    text = read(SCORE).strip()
    return int(text) if text else 0


def most_files() -> int:
    """Return the highest `nofile` of this kernel."""
    text = read(MOST_FILES).strip()
    return int(text) if text.isdigit() else UNLIMITED
