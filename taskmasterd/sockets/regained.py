"""Gets a socket back from a process that has it, where an earlier daemon and its keeper have died. Source: pidfd_getfd(2).

Python has no such call; a child makes it through ctypes, so that the daemon never holds that library.
"""

from __future__ import annotations

import os
import select
import stat
import sys

from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.loop.sockets import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

PIDFD_GETFD = 438
"""Number of the call on every architecture. Source: the kernel's include/uapi/asm-generic/unistd.h."""
WITHIN_S = 2.0
FD_BYTES = 4


def from_process(pid: int, inode: int) -> int:
    """Return a copy of the socket with this inode that a process has; -1 if it has none, or if the system refuses."""
    link = f"socket:[{inode}]"
    try:
        numbers = [int(name) for name in os.listdir(f"/proc/{pid}/fd") if _leads_to(pid, name, link)]
        return _fetched(pid, numbers[0], inode) if numbers else -1
    except OSError:
        return -1


def _leads_to(pid: int, name: str, link: str) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/fd/{name}") == link
    except OSError:
        return False


def _fetched(pid: int, number: int, inode: int) -> int:
    """Have a child fetch a descriptor. Raises OSError."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        child = os.fork()
        if child == 0:
            _fetch(pid, number, theirs)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
    fds: list[int] = []
    try:
        poll = select.poll()
        poll.register(ours.fileno(), select.POLLIN)
        if poll.poll(WITHIN_S * 1000):
            _packet, extra, _flags, _address = ours.recvmsg(1, 64)
            fds = [fd for _level, _kind, data in extra for fd in memoryview(data).cast("i")]
    finally:
        ours.close()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    for fd in fds:
        os.set_inheritable(fd, False)
        found = os.fstat(fd)
        if stat.S_ISSOCK(found.st_mode) and found.st_ino == inode:
            return fd
        os.close(fd)
    return -1


def _fetch(pid: int, number: int, answer: socket.socket) -> NoReturn:
    """Be the child: send the descriptor."""
    try:
        signal.set_wakeup_fd(-1)
        import ctypes  # noqa: PLC0415 - in a child only, which ends at once

        fd = ctypes.CDLL(None).syscall(PIDFD_GETFD, os.pidfd_open(pid), number, 0)
        if fd >= 0:
            answer.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fd.to_bytes(FD_BYTES, sys.byteorder))])
    finally:
        os._exit(0)
