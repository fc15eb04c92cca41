"""Which pipes connect the standard streams of processes, and who is below a process. Source: proc(5), /proc/pid/fd.

Nothing is opened and no file is asked anything: whose files these are could make that wait for ever. A process that may not
be looked at has no pipes here.
"""

from __future__ import annotations

import os
import stat

from taskmasterd.system.pidfds import ticks_now
from taskmasterd.system.procfs import TICKS_PER_S, listing, look, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.system.procfs import Survivor

MOST_MEMBERS = 64
MOST_THREADS = 256
"""Processes below a leader, and their threads, that are looked at."""
MOST_DESCRIPTORS = 32
YOUNG_S = 1
"""Age up to which a process may not have connected its standard input yet, seconds; so many of its descriptors are looked at."""


def input_pipes(process: Survivor) -> tuple[str, ...]:
    """Return the names of the pipes that a process has for reading only as its standard input, or is about to.

    A shell makes a reader by fork, and connects its standard input after that: of a young process every pipe counts.
    """
    connected = _standard_input(process.pid)
    if connected or ticks_now() - process.started > YOUNG_S * TICKS_PER_S:
        return connected
    open_fds = listing(f"/proc/{process.pid}/fd")[:MOST_DESCRIPTORS]
    names = (_target(process.pid, int(fd), stat.S_IRUSR) for fd in open_fds)
    pipes = tuple(name for name in names if name.startswith("pipe:"))
    # the shell makes the copy before it closes the original: who has lost that meanwhile has a standard input by now
    return pipes or _standard_input(process.pid)


def _standard_input(pid: int) -> tuple[str, ...]:
    name = _target(pid, 0, stat.S_IRUSR)
    return (name,) if name.startswith("pipe:") or _may_be_fifo(pid, name) else ()


def output_pipes(pid: int) -> tuple[str, ...]:
    """Return the names of what a process has as its standard output and error, as `input_pipes` names pipes."""
    return tuple(filter(None, (_target(pid, fd, stat.S_IWUSR) for fd in (1, 2))))


def family(leader: int) -> list[Survivor] | None:
    """Return a leader and all that is below it, None where that is more than may be looked at, or it has gone."""
    root = look(leader)
    if root is None:
        return None
    found, threads_left = [root], MOST_THREADS
    for member in found:
        threads = listing(f"/proc/{member.pid}/task")
        threads_left -= len(threads)
        if threads_left < 0:
            return None
        for thread in threads:
            children = read(f"/proc/{member.pid}/task/{thread}/children").split()
            if len(found) + len(children) > MOST_MEMBERS:
                return None
            found.extend(filter(None, (look(int(child)) for child in children)))
    return found


def _target(pid: int, fd: int, mode: int) -> str:
    """Return what a descriptor leads to; "" where it is not open in exactly this mode."""
    path = f"/proc/{pid}/fd/{fd}"
    try:
        modes = os.lstat(path).st_mode & (stat.S_IRUSR | stat.S_IWUSR)
        return os.readlink(path) if modes == mode else ""
    except OSError:
        return ""


def _may_be_fifo(pid: int, name: str) -> bool:
    """Return whether a file that has a name is a FIFO, or a regular file of which nothing was read: neither has a position."""
    if not name.startswith("/") or name.startswith(("/dev/", "/proc/")):
        return False
    return read(f"/proc/{pid}/fdinfo/0").split(b"\n", 1)[0].split() == [b"pos:", b"0"]
