"""The children and descendants of a process, from /proc. Source: proc(5), /proc/pid/task/tid/children."""

from __future__ import annotations

import os

from taskmasterd.system.procfs import finished, listing, look, read

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator

    from taskmasterd.system.procfs import Survivor

MOST_IN_TREE = 20_000
"""Most processes to find in one tree: a tree that keeps growing must not keep the search busy for ever."""
LINKS_OF_ONE = 3
"""Number of links of /proc/pid/task where there is one thread: one for each, and two. Source: Linux, proc_task_getattr."""


def children(pid: int) -> list[int]:
    """Return the children of all threads of a process."""
    return finished(children_of_threads(pid))


def children_of_threads(pid: int) -> Generator[None, None, list[int]]:
    """Find the children of all threads of a process, one thread per step."""
    found: list[int] = []
    for thread in _threads(pid):
        found += map(int, read(f"/proc/{pid}/task/{thread}/children").split())
        yield
    return found


def _threads(pid: int) -> list[str]:
    """Return the ids of the threads. Nearly always there is one, and to list it would take as long as to read its children."""
    path = f"/proc/{pid}/task"
    try:
        alone = os.stat(path).st_nlink == LINKS_OF_ONE
    except OSError:
        return []
    return [str(pid)] if alone else listing(path)


def tree(root: Survivor) -> Generator[None, None, list[Survivor]]:
    """Find a process and its live descendants, one process per step, MOST_IN_TREE at most."""
    found, waiting = [root], [root.pid]
    while waiting and len(found) < MOST_IN_TREE:
        for pid in (yield from children_of_threads(waiting.pop())):
            child = look(pid)
            if child:
                found.append(child)
                waiting.append(pid)
            yield
    return found
