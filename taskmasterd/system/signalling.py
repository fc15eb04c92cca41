"""Signals to processes and groups: never to a pid that could be somebody else's by now, and what is not allowed is told.

Source: kill(2), pidfd_open(2).
"""

from __future__ import annotations

import errno
import os

from taskmasterd.system.lean import signal
from taskmasterd.system.procfs import look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.system.procfs import Survivor


def send(call: Callable[[int, int], object], target: int, number: int) -> int:
    """Send a signal; return 0, or the errno of kill(2): ESRCH where the target has gone, EPERM where it is not allowed."""
    try:
        call(target, number)
    except OSError as error:
        return error.errno or errno.EPERM
    return 0


def signal_one(survivor: Survivor, number: int) -> bool:
    """Signal a process, 0: only ask; return whether that is allowed."""
    if survivor.pid <= 0:
        return _send_both(os.killpg, survivor.group, number)
    if survivor.parent == os.getpid() or not hasattr(os, "pidfd_open"):
        # it may have been reaped since it was found, but is not meanwhile
        return not _is_still(survivor) or _send_both(os.kill, survivor.pid, number)
    try:
        handle = os.pidfd_open(survivor.pid)
    except OSError:
        return True
    try:
        return not _is_still(survivor) or _send_both(signal.pidfd_send_signal, handle, number)
    finally:
        os.close(handle)


def _is_still(survivor: Survivor) -> bool:
    again = look(survivor.pid)
    return again is not None and again.started == survivor.started


def _send_both(call: Callable[[int, int], object], target: int, number: int) -> bool:
    """Send a signal, and CONT so that a stopped process hears it; return whether that is allowed."""
    allowed = send(call, target, number) != errno.EPERM
    if allowed and number not in (0, signal.SIGKILL):
        send(call, target, signal.SIGCONT)
    return allowed
