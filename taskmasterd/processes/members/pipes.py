"""Finds the pipes behind the standard streams of processes, and the descendants of a process. Source: proc(5), /proc/pid/fd.

It opens no file of a program and asks none anything, because the owner of a file could make that block for ever. A process
that we may not look at has no pipes here.
"""

from __future__ import annotations

import os
import stat

from taskmasterd.system.procfs import TICKS_PER_S, listing, look, read, ticks_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.system.procfs import Survivor

MOST_MEMBERS = 64
MOST_THREADS = 256
"""Most processes below a leader, and most threads of theirs, to look at."""
MOST_DESCRIPTORS = 32
"""Most descriptors of a young process to look at."""
YOUNG_S = 1
"""Age up to which a process may still have to connect its standard input, seconds."""


def input_pipes(process: Survivor) -> tuple[str, ...]:
    """Return the names of the read-only pipes that are, or may become, the standard input of a process.

    A shell forks a reader first and connects its standard input after that, so every pipe of a young process counts.
    """
    connected = _standard_input(process.pid)
    if connected or ticks_now() - process.started > YOUNG_S * TICKS_PER_S:
        return connected
    open_fds = listing(f"/proc/{process.pid}/fd")[:MOST_DESCRIPTORS]
    names = (_target(process.pid, int(fd), stat.S_IRUSR) for fd in open_fds)
    pipes = tuple(name for name in names if name.startswith("pipe:"))
    # the shell duplicates the pipe before it closes the original: a process without the original has its input by now
    return pipes or _standard_input(process.pid)


def _standard_input(pid: int) -> tuple[str, ...]:
    name = _target(pid, 0, stat.S_IRUSR)
    return (name,) if name.startswith("pipe:") or _may_be_fifo(pid, name) else ()


def output_pipes(pid: int) -> tuple[str, ...]:
    """Return the names of the standard output and error of a process, in the form of `input_pipes`."""
    return tuple(filter(None, (_target(pid, fd, stat.S_IWUSR) for fd in (1, 2))))


def family(leader: int) -> list[Survivor] | None:
    """Return a leader and its descendants, [] if it has none; None if the leader is gone, or there are more than we may look at."""
    found: list[Survivor] = []
    waiting, threads_left = [leader], MOST_THREADS
    for pid in waiting:
        threads = listing(f"/proc/{pid}/task")
        threads_left -= len(threads)
        if threads_left < 0:
            return None
        for thread in threads:
            children = read(f"/proc/{pid}/task/{thread}/children").split()
            if len(waiting) + len(children) > MOST_MEMBERS:
                return None
            living = [one for child in children if (one := look(int(child)))]
            found += living
            waiting += [one.pid for one in living]
    if not found:  # most programs are one process
        return []
    root = look(leader)
    return [root, *found] if root else None


def _target(pid: int, fd: int, mode: int) -> str:
    """Return the target of a descriptor, "" unless it is open in exactly this mode."""
    path = f"/proc/{pid}/fd/{fd}"
    try:
        modes = os.lstat(path).st_mode & (stat.S_IRUSR | stat.S_IWUSR)
        return os.readlink(path) if modes == mode else ""
    except OSError:
        return ""


def _may_be_fifo(pid: int, name: str) -> bool:
    """Return whether a named file may be a FIFO: its position is 0, as is that of a regular file that was not read yet."""
    if not name.startswith("/") or name.startswith(("/dev/", "/proc/")):
        return False
    return read(f"/proc/{pid}/fdinfo/0").split(b"\n", 1)[0].split() == [b"pos:", b"0"]
