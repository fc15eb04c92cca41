"""Runs a command in whose processes the kernel refuses some system calls: `python seccomp.py ERRNO CALL,CALL... COMMAND...`.

A filter (seccomp(2)) outlives fork and exec. Numbers are those of x86-64 (asm/unistd_64.h).
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
import sys

CALLS = {
    "memfd_create": (319,),
    "pidfd_open": (434,),
    "pidfd_send_signal": (424,),
    "waitid": (247,),
    "epoll_create": (213, 291),
    "epoll_ctl": (233,),
    "epoll_wait": (232, 281, 441),
    "prctl": (157,),
    "clone3": (435,),
    "vfork": (58,),
    "close_range": (436,),
    "setpriority": (141,),
    "prlimit": (97, 160, 302),
    "kill": (62,),
    "poll": (7,),
    "flock": (73,),
}
VFORK_FLAG = 0x4000
"""CLONE_VFORK of clone(2), which posix_spawn(3) uses and fork(3) does not."""
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, JUMP_IF, AND, RETURN = 0x20, 0x15, 0x54, 0x06
ALLOW, REFUSE = 0x7FFF_0000, 0x0005_0000
CLONE = 56


def available() -> bool:
    """Return whether a filter can be installed here."""
    return sys.platform == "linux" and platform.machine() == "x86_64"


def _program(number: int, calls: list[str]) -> bytes:
    """Return a filter that refuses these calls, and a clone that suspends its parent, with an errno."""
    lines: list[tuple[int, int, int, int]] = [(LOAD, 0, 0, 0)]
    for call in calls:
        if call == "posix_spawn":
            continue
        for each in CALLS[call]:
            lines += [(JUMP_IF, 0, 1, each), (RETURN, 0, 0, REFUSE | number)]
    if "posix_spawn" in calls:
        for each in (*CALLS["vfork"], *CALLS["clone3"]):
            lines += [(JUMP_IF, 0, 1, each), (RETURN, 0, 0, REFUSE | number)]
        lines += [
            (JUMP_IF, 0, 4, CLONE),
            (LOAD, 0, 0, 16),
            (AND, 0, 0, VFORK_FLAG),
            (JUMP_IF, 0, 1, VFORK_FLAG),
            (RETURN, 0, 0, REFUSE | number),
        ]
    lines.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("HBBI", *line) for line in lines)


def refuse(number: int, calls: list[str]) -> None:
    """Make these calls fail with this errno, for good, in this process and its descendants. Raises OSError."""
    program = _program(number, calls)
    buffer = ctypes.create_string_buffer(program)
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    argument = ctypes.create_string_buffer(header)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, argument, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


if __name__ == "__main__":
    refuse(getattr(errno, sys.argv[1]), sys.argv[2].split(","))
    os.execv(sys.argv[3], sys.argv[3:])
