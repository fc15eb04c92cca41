"""Sends signals to processes and groups: never to a pid that may belong to a stranger by now; a refusal is returned.

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
    """Send a signal; return 0, or the errno of kill(2): ESRCH if the target is gone."""
    try:
        call(target, number)
    except OSError as error:
        return error.errno or errno.EPERM
    return 0


def forbids(number: int) -> bool:
    """Return whether this errno of `send` means that we may not send the signal.

    Missing rights give EPERM (kill(2)), security modules EACCES, system-call filters anything; EAGAIN is a full queue.
    """
    return number not in (0, errno.ESRCH, errno.EAGAIN)


def send_by_handle(handle: int, pid: int, number: int) -> int:
    """Send a signal by pidfd, as `send`. If the system refuses that, use the pid while the pidfd shows the process alive."""
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
    """Signal a process, or with 0 only check; return whether that is allowed."""
    if survivor.pid <= 0:
        return _send_both(partial(send, os.killpg), survivor.group, number)
    handle = None
    if survivor.parent != os.getpid():  # an own child may be reaped by now, but not before this returns
        try:
            handle = os.pidfd_open(survivor.pid)
        except ProcessLookupError:
            return True
        except (AttributeError, OSError):  # too old, or refused: comparing the start time late must do
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
    """Send a signal, then CONT so that a stopped process handles it; return whether that is allowed."""
    allowed = not forbids(sending(target, number))
    if allowed and number not in (0, signal.SIGKILL):
        sending(target, signal.SIGCONT)
    return allowed
