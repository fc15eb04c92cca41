"""Names the file of a socket for bind(2), so that root's file appears in the directory that is held and in no other.

There is no bindat(2) on Linux: bind(2) looks the path up once more. Where others can change the way meanwhile, root binds by
the descriptor of the directory. getsockname(2) shows programs and tools what was bound; so elsewhere that is the path.
"""

from __future__ import annotations

import errno
import os
import stat

from taskmaster_common.errors import SystemFailure
from taskmaster_common.paths import MAX_SOCKET_PATH
from taskmasterd.system.paths.trail import open_recording
from taskmasterd.system.paths.walk import CAN_WALK

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.system.paths.held import Held
    from taskmasterd.system.paths.trail import Passed

OVERFLOW_UID = "/proc/sys/kernel/overflowuid"


def bind_path(held: Held, op: str) -> str:
    """Return how bind(2) is to name the file `held`: by its path, or by the directory that is held.

    Raises SystemFailure where only the path would do, and others can change the way.
    """
    if os.geteuid() != 0 or not CAN_WALK or _is_firm(held):
        return held.path
    if held.address == held.path:
        reason = "others can change the way to it, and without /proc nothing else leads there"
        raise SystemFailure(op, held.path, reason, errno.ENOTSUP)
    excess = len(os.fsencode(held.address)) - MAX_SOCKET_PATH
    if excess > 0:
        reason = f"others can change the way to it, and its name is {excess} bytes too long to be named safely"
        raise SystemFailure(op, held.path, reason, errno.ENAMETOOLONG)
    return held.address


def _is_firm(held: Held) -> bool:
    """Return whether the path of `held` leads to the directory that is held, and only root can change that."""
    try:
        fd, passed = open_recording(os.path.dirname(held.path), os.O_RDONLY)
    except OSError:  # it does not lead there any more
        return False
    try:
        same = os.path.samestat(os.fstat(fd), os.stat(os.path.dirname(held.address)))
    except OSError:
        return False
    finally:
        os.close(fd)
    return same and not others_lead(passed)


def others_lead(passed: list[Passed]) -> bool:
    """Return whether a user other than root can replace a directory or link of this way, which begins at the root directory."""
    ours = trusted()
    directory = passed[0][1]
    for _, found in passed[1:]:
        if _lets_replace(directory, found, ours):
            return True
        if not stat.S_ISLNK(found.st_mode):
            directory = found
    return False


def _lets_replace(directory: os.stat_result, below: os.stat_result, ours: tuple[int, ...]) -> bool:
    """Return whether others can replace what is `below` in a directory; in a sticky one only its owner can. Source: rename(2)."""
    if directory.st_uid not in ours:
        return True
    public = directory.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return bool(public) and (not directory.st_mode & stat.S_ISVTX or below.st_uid not in ours)


def trusted() -> tuple[int, ...]:
    """Return root, and the uid that stands for unmapped users of this user namespace. Source: user_namespaces(7).

    Unmapped users own what was mounted from outside, such as the root directory; nobody inside can act as one of them.
    """
    try:
        with open("/proc/self/uid_map", encoding="ascii") as ranges, open(OVERFLOW_UID, encoding="ascii") as number:
            nobody = int(number.read())
            inside = [tuple(map(int, line.split())) for line in ranges]
    except (OSError, ValueError):
        return (0,)
    mapped = any(first <= nobody < first + count for first, _, count in inside)
    return (0,) if mapped else (0, nobody)
