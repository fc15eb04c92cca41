"""Watches leaders that an earlier daemon started. They are not our children, so pidfds report their ends instead of wait(2).

Identity comes first: a pid counts only while a pidfd holds it and its start time is the recorded one. The kernel reveals the
wait status of a process that is not our child in two phases: of a zombie in /proc (to root and the same user), and of a
reaped process by PIDFD_GET_INFO (Linux 6.15). Between them, and on older kernels, the status is unknown.
"""

from __future__ import annotations

import errno
import fcntl
import os

from taskmasterd.system.loop.reactor import READ
from taskmasterd.system.procfs import is_within, read, started_at, zombie_status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.procfs import Birth

PF_FORKNOEXEC = 0x40
PIDFD_GET_INFO = 0xC040FF0B
"""_IOWR(0xFF, 11, struct pidfd_info of 64 bytes). Source: linux/pidfd.h."""
PIDFD_INFO_EXIT = 1 << 3
INFO_BYTES, EXIT_CODE_AT = 64, 60
ASK_AGAIN_S = 0.02
ASK_FOR_S = 1.0
"""Longest wait for another process to reap a zombie before its status counts as unknown, seconds; some reapers take longer."""


def open_leader(pid: int, birth: Birth) -> int | None:
    """Return a pidfd of the process or zombie `pid`, None if it is gone or was not started within `birth`.

    `birth` are `boot_seconds` before and after. It holds the process first and then compares. Source: pidfd_open(2). Raises
    OSError.
    """
    try:
        handle = os.pidfd_open(pid)
    except OSError as error:
        if error.errno in (errno.ESRCH, errno.EINVAL):
            return None
        raise
    try:
        started = started_at(pid)
    except OSError:
        os.close(handle)
        raise
    if started is not None and is_within(started, birth):
        return handle
    os.close(handle)
    return None


def awaits_exec(pid: int) -> bool:
    """Return whether a process was forked and has executed nothing since. Source: proc(5), field 9; PF_FORKNOEXEC of the kernel."""
    fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return bool(fields) and bool(int(fields[6]) & PF_FORKNOEXEC)


def status_of(handle: int, pid: int) -> int | None:
    """Return the wait status of a process that has ended, None if it is unknown, perhaps only for now.

    Source: ioctl PIDFD_GET_INFO, which has the exit code once the process was reaped.
    """
    if _may_be_known(pid):
        status = zombie_status(pid)
        if status is not None:
            return status
    block = bytearray(INFO_BYTES)
    block[0] = PIDFD_INFO_EXIT
    try:
        fcntl.ioctl(handle, PIDFD_GET_INFO, block)
    except OSError:
        return None
    if not block[0] & PIDFD_INFO_EXIT:
        return None
    return int.from_bytes(block[EXIT_CODE_AT:INFO_BYTES], "little", signed=True)


def _may_be_known(pid: int) -> bool:
    """Return whether the kernel shows us the status of a zombie: without the right to see it, /proc says 0.

    Source: proc(5): the links of /proc/pid need the same right (PTRACE_MODE_READ_FSCREDS), and those of a zombie lead nowhere.
    """
    try:
        os.readlink(f"/proc/{pid}/exe")
    except PermissionError:
        return False
    except OSError:
        return True
    return True


class Adopted:
    """Waits for leaders that are not our children; calls `on_end(pid, status)` once for each, with None for an unknown status."""

    def __init__(self, reactor: Reactor, on_end: Callable[[int, int | None], None]) -> None:
        self._reactor = reactor
        self._on_end = on_end
        self._handles: dict[int, int | None] = {}

    def handles(self) -> Iterable[tuple[int, int]]:
        """Return (pid, pidfd) of each leader under watch."""
        return tuple((pid, handle) for pid, handle in self._handles.items() if handle is not None)

    def expect(self, pid: int) -> None:
        """Wait for the guardian's report on `pid`, which has ended: the guardian has reaped it, or is about to."""
        self._handles[pid] = None
        self._reactor.call_later(ASK_FOR_S, lambda: self._unheard(pid))

    def _unheard(self, pid: int) -> None:
        if self._handles.get(pid, 0) is None:
            self._finish(pid, None)

    def watch(self, pid: int, handle: int) -> None:
        """Wait for the end of `pid`; the caller keeps the pidfd, and closes it after `on_end`."""
        self._handles[pid] = handle
        self._reactor.watch(handle, READ, lambda _ready: self._ended(pid, self._reactor.now() + ASK_FOR_S))

    def told(self, pid: int, status: int) -> bool:
        """Take a wait status from the guardian; returns whether the process was under watch."""
        if pid not in self._handles:
            return False
        self._finish(pid, status)
        return True

    def _ended(self, pid: int, until: float) -> None:
        handle = self._handles.get(pid)
        if handle is None:
            return
        self._reactor.remove(handle)
        try:
            status = status_of(handle, pid)
        except OSError:  # no free descriptor to look with, so try again
            status, until = None, self._reactor.now() + ASK_FOR_S
        if status is None and self._reactor.now() < until:
            self._reactor.call_later(ASK_AGAIN_S, lambda: self._ended(pid, until))
        else:
            self._finish(pid, status)

    def _finish(self, pid: int, status: int | None) -> None:
        handle = self._handles.pop(pid)
        if handle is not None:
            self._reactor.remove(handle)
        self._on_end(pid, status)
