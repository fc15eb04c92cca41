"""Sets values on processes that run, on all of their threads, and reads what is in force. Source: proc(5), prlimit(2), sched(7)."""

from __future__ import annotations

import errno
import os
import resource

from taskmaster_common.config.limits import UNLIMITED
from taskmasterd.system.limits.own import number_of
from taskmasterd.system.procfs import listing, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config.limits import Rlimit

GONE = (errno.ESRCH, errno.ENOENT)
NAMES = {
    "as": b"Max address space",
    "core": b"Max core file size",
    "cpu": b"Max cpu time",
    "data": b"Max data size",
    "fsize": b"Max file size",
    "locks": b"Max file locks",
    "memlock": b"Max locked memory",
    "msgqueue": b"Max msgqueue size",
    "nice": b"Max nice priority",
    "nofile": b"Max open files",
    "nproc": b"Max processes",
    "rss": b"Max resident set",
    "rtprio": b"Max realtime priority",
    "rttime": b"Max realtime timeout",
    "sigpending": b"Max pending signals",
    "stack": b"Max stack size",
}
"""The limits in /proc/pid/limits. Source: fs/proc/base.c."""
WIDTH = 26
"""Columns of a name there; the soft limit begins in the next one, the hard one 21 further."""


def set_rlimit(pid: int, limit: Rlimit) -> None:
    """Set a limit of a process; a hard one that is untouched stays. Raises OSError; a process that is gone is no error."""
    number = number_of(limit.name)
    if number is None:
        raise OSError(errno.ENOTSUP, "this system has no such limit")
    try:
        soft = resource.RLIM_INFINITY if limit.soft == UNLIMITED else limit.soft
        hard = resource.prlimit(pid, number)[1] if limit.hard is None else limit.hard
        resource.prlimit(pid, number, (soft, resource.RLIM_INFINITY if hard == UNLIMITED else hard))
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error)) from None
    except OSError as error:
        if error.errno not in GONE:
            raise


def set_nice(pid: int, nice: int) -> None:
    """Set the nice of all threads of a process: setpriority(2) reaches one. Raises OSError."""
    for thread in listing(f"/proc/{pid}/task"):
        try:
            if os.getpriority(os.PRIO_PROCESS, int(thread)) != nice:
                os.setpriority(os.PRIO_PROCESS, int(thread), nice)
        except OSError as error:
            if error.errno not in GONE:
                raise


def set_cpus(pid: int, cpus: tuple[int, ...]) -> None:
    """Bind all threads of a process to processors. Raises OSError."""
    for thread in listing(f"/proc/{pid}/task"):
        try:
            os.sched_setaffinity(int(thread), cpus)
        except OSError as error:
            if error.errno not in GONE:
                raise


def set_score(pid: int, score: int) -> None:
    """Set the OOM score of a process. Raises OSError."""
    _write(f"/proc/{pid}/oom_score_adj", score)


def set_autogroup(pid: int, nice: int) -> None:
    """Set the nice of the autogroup of a process's session, where there are autogroups.

    Raises BlockingIOError where an ordinary user has to wait: the kernel takes one such write in 100 ms.
    """
    if autogroup_nice(pid) not in (None, nice):
        _write(f"/proc/{pid}/autogroup", nice)


def _write(path: str, value: int) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in GONE:
            return
        raise
    try:
        os.write(fd, str(value).encode())
    except ProcessLookupError:
        pass
    finally:
        os.close(fd)


# -- what is in force


def autogroup_nice(pid: int) -> int | None:
    """Return the nice of the autogroup of a process, None where there is none."""
    words = read(f"/proc/{pid}/autogroup").split()
    return int(words[-1]) if words and words[-2:-1] == [b"nice"] else None


def rlimits_of(pid: int) -> dict[str, tuple[int, int]]:
    """Return the limits of a process, (soft, hard) by name, {} if it is gone."""
    lines = read(f"/proc/{pid}/limits").split(b"\n")
    found: dict[str, tuple[int, int]] = {}
    for name, shown in NAMES.items():
        line = next((line for line in lines if line.startswith(shown)), b"")
        values = line[WIDTH:].split()
        if len(values) >= 2:
            found[name] = (_value(values[0]), _value(values[1]))
    return found


def _value(word: bytes) -> int:
    return UNLIMITED if word == b"unlimited" else int(word)


def nice_of(pid: int) -> int | None:
    """Return the nice of a process's main thread, None if it is gone."""
    try:
        return os.getpriority(os.PRIO_PROCESS, pid)
    except OSError:
        return None


def cpus_of(pid: int) -> tuple[int, ...]:
    """Return the processors that a process's main thread may use, () if it is gone."""
    try:
        return tuple(sorted(os.sched_getaffinity(pid)))
    except (AttributeError, OSError):
        return ()


def score_of(pid: int) -> int | None:
    """Return the OOM score that was set of a process, None if it is gone."""
    text = read(f"/proc/{pid}/oom_score_adj").strip()
    return int(text) if text else None
