"""Signals to processes and groups: never to a pid that could be somebody else's by now, and what is not allowed is told.

Source: kill(2), pidfd_open(2).
"""

from __future__ import annotations

import errno
import os
import select

from taskmasterd.system.loop.cmodules import partial, signal
from taskmasterd.system.procfs import look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.system.procfs import Survivor


def send(call: Callable[[int, int], object], target: int, number: int) -> int:
    """Send a signal; return 0, or the errno of kill(2): ESRCH where the target has gone."""
    try:
        call(target, number)
    except OSError as error:
        return error.errno or errno.EPERM
    return 0


def forbids(number: int) -> bool:
    """Return whether this errno of `send` says that the signal is not allowed.

    Rights say EPERM (kill(2)), security modules EACCES, a filter of system calls what it likes; EAGAIN is a full queue.
    """
    return number not in (0, errno.ESRCH, errno.EAGAIN)


def send_by_handle(handle: int, pid: int, number: int) -> int:
    """Send a signal by pidfd, as `send`; where that is refused by number, as long as the pidfd shows the process alive."""
    failed = send(signal.pidfd_send_signal, handle, number)
    if failed in (0, errno.ESRCH):
        return failed
    return errno.ESRCH if has_ended(handle) else send(os.kill, pid, number)


def has_ended(handle: int) -> bool:
    """Return whether the process of a pidfd has ended, reaped or not. Source: pidfd_open(2)."""
    ended = select.poll()
    ended.register(handle, select.POLLIN)
    return bool(ended.poll(0))


def signal_one(survivor: Survivor, number: int) -> bool:
    """Signal a process, 0: only ask; return whether that is allowed."""
    if survivor.pid <= 0:
        return _send_both(partial(send, os.killpg), survivor.group, number)
    handle = None
    if survivor.parent != os.getpid():  # an own child may have been reaped since it was found, but is not meanwhile
        try:
            handle = os.pidfd_open(survivor.pid)
        except ProcessLookupError:
            return True
        except (AttributeError, OSError):  # too old, or refused: then the start time is compared as late as possible
            pass
    try:
        if not _is_still(survivor):
            return True
        if handle is None:
            return _send_both(partial(send, os.kill), survivor.pid, number)
        return _send_both(partial(send_by_handle, handle), survivor.pid, number)
    finally:
        if handle is not None:
            os.close(handle)


def _is_still(survivor: Survivor) -> bool:
    again = look(survivor.pid)
    return again is not None and again.started == survivor.started


def _send_both(sending: Callable[[int, int], int], target: int, number: int) -> bool:
    """Send a signal, and CONT so that a stopped process hears it; return whether that is allowed."""
    allowed = not forbids(sending(target, number))
    if allowed and number not in (0, signal.SIGKILL):
        sending(target, signal.SIGCONT)
    return allowed
