"""A daemon locks the logs that it writes, so that another one does not write and rotate them too.

The lock is a hint (flock(2)): any user who may read a log can lock it. So it keeps out only a daemon that finds it held by
another daemon of root or of its own user. Where the holder cannot be found out, the lock has no effect.
"""

from __future__ import annotations

import fcntl
import os

from taskmasterd.system.procfs import is_ending, read, uid_of

LOCKS = "/proc/locks"
NAME = b"taskmasterd\n"


def lock_log(fd: int) -> int:
    """Lock an open log; return the pid of another daemon that writes it, 0 where none can be seen."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return next((pid for pid in _holders(os.fstat(fd).st_ino) if _is_daemon(pid)), 0)
    except OSError:  # a file system without locks
        return 0
    return 0


def _holders(inode: int) -> list[int]:
    """Return the pids that hold a lock of a file with this inode. Source: proc_locks(5)."""
    rows = [row.split() for row in read(LOCKS).splitlines()]
    end = b":%d" % inode
    return [int(row[4]) for row in rows if len(row) == 8 and row[1] == b"FLOCK" and row[5].endswith(end)]


def _is_daemon(pid: int) -> bool:
    if pid in (0, os.getpid()) or read(f"/proc/{pid}/comm") != NAME:
        return False
    return uid_of(pid) in (0, os.geteuid()) and not is_ending(pid)
