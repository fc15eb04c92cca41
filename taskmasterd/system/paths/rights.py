"""Owner and mode of the file of a socket that was just bound, by descriptor: its name may lead elsewhere a moment later."""

from __future__ import annotations

import errno
import os
import stat

from taskmaster_common.errors import SystemFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.system.paths.held import Held


def set_rights(
    held: Held, op: str, mode: int, *, uid: int | None = None, gid: int | None = None, suffix: str = ""
) -> tuple[int, int]:
    """Set owner and mode of our new socket, the file with `suffix` after its name, where they differ; return its inode.

    The group differs if the directory is setgid, or if `gid` is only a supplementary group of this process. Raises
    SystemFailure if the file is not the one that was just created, OSError.
    """
    fd = held.open(os.O_PATH, suffix=suffix) if hasattr(os, "O_PATH") else -1
    try:
        found = os.fstat(fd) if fd >= 0 else os.lstat(held.path + suffix)
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.geteuid() or found.st_nlink != 1:
            raise SystemFailure(op, held.path, "it was exchanged while it was created", errno.EPERM)
        # fchown(2) refuses a descriptor opened with O_PATH, but chown(2) accepts it through this link (open(2))
        by_link = fd >= 0 and os.path.isdir("/proc/self/fd")
        target, follow = (f"/proc/self/fd/{fd}", True) if by_link else (held.path + suffix, False)
        others = [
            each if each is not None and each != now else -1 for each, now in ((uid, found.st_uid), (gid, found.st_gid))
        ]
        if others != [-1, -1]:
            os.chown(target, *others, follow_symlinks=follow)
        if stat.S_IMODE(found.st_mode) != mode:
            os.chmod(target, mode, follow_symlinks=follow or os.chmod not in os.supports_follow_symlinks)
        return found.st_dev, found.st_ino
    finally:
        if fd >= 0:
            os.close(fd)
