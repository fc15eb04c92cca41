"""Reads the variables of other processes in a child, because reading them may block.

The kernel reads /proc/pid/environ from the memory of that process, and the process's owner can block the reader for ever (with
a lock on that memory held by the owner's own file system, or by userfaultfd(2)). So a child reads one process after the other
and sends each answer. The daemon kills a child that hangs, and another child continues after the process on which it hung.

This is not an errand (`processes.errand`): a look at a leader's end needs the answer in the same turn, and waits for at most
STARVED_S.
"""

from __future__ import annotations

import os
import select
import time

from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.procfs import read as read_proc
from taskmasterd.system.procfs import state_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HANGS_AFTER_S = 0.05
"""Silence after which a child counts as hung that has slept from one look to the next, seconds; any other child gets STARVED_S."""
LOOKS = 2
"""Looks at a child within HANGS_AFTER_S: one alone may find it asleep for just that moment."""
STARVED_S = 1.0
MOST_HANGS = 3
"""Most children that may hang before the rest of the processes is given up."""
CHUNK = 65_536


def ask_in_child(
    pids: Sequence[int], ask: Callable[[int], str], on_killed: Callable[[int], None] = lambda _pid: None
) -> dict[int, str]:
    """Return the non-empty answers of `ask(pid)`, texts without newlines, by pid; processes that hang the child are left out.

    `on_killed` gets the pid of each child that hung; the reaper collects it, whenever it ends. After MOST_HANGS the rest is
    left out, too. Raises OSError if fork or pipe fails.
    """
    found: dict[int, str] = {}
    rest = list(pids)
    for _ in range(MOST_HANGS):
        if not rest:
            break
        done = _ask_some(rest, ask, on_killed, found)
        del rest[: done + 1]
    return found


def _ask_some(
    pids: Sequence[int], ask: Callable[[int], str], on_killed: Callable[[int], None], found: dict[int, str]
) -> int:
    """Ask in one child until it ends or hangs; returns the number of answers."""
    read, write = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        child = os.fork()
        if child == 0:
            _answer(pids, ask, write)
    except OSError:
        os.close(read)
        raise
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(write)
    done = 0
    text = b""
    try:
        while _comes_on(read, child):
            piece = os.read(read, CHUNK)
            *lines, text = (text + piece).split(b"\n")
            answered = zip(pids[done : done + len(lines)], lines)
            found.update((pid, line.decode("utf-8", "surrogateescape")) for pid, line in answered if line)
            done += len(lines)
            if not piece:
                os.waitpid(child, 0)
                return done
        os.kill(child, signal.SIGKILL)
        on_killed(child)
        return done
    finally:
        os.close(read)


def _comes_on(read: int, child: int) -> bool:
    """Wait for an answer of the child, or its end; returns False if it hangs."""
    until = time.monotonic() + STARVED_S
    poll = select.poll()
    poll.register(read, select.POLLIN)
    asleep = b""
    while not poll.poll(HANGS_AFTER_S * 1000 / LOOKS):
        before, asleep = asleep, _asleep(child)
        if (asleep and asleep == before) or time.monotonic() >= until:
            return bool(poll.poll(0))
    return True


def _asleep(child: int) -> bytes:
    """Return b"" for a child that runs or waits for a processor, else what differs once it has run again.

    Source: proc(5), /proc/pid/status: the counts of context switches.
    """
    if state_of(child) == "R":
        return b""
    return read_proc(f"/proc/{child}/status").partition(b"\nvoluntary_ctxt_switches:")[2] or b"uncounted"


def _answer(pids: Sequence[int], ask: Callable[[int], str], write: int) -> None:
    """Be the child; never returns."""
    try:
        signal.set_wakeup_fd(-1)
        for pid in pids:
            os.write(write, f"{ask(pid)}\n".encode("utf-8", "surrogateescape"))
    finally:
        os._exit(0)
