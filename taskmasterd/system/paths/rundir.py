"""The runtime directory: where a running daemon keeps files that no other user may see, and that nobody needs after it.

It is systemd's RUNTIME_DIRECTORY where that is the daemon's user's, else the path of the control socket with `.d`. It is made
when something first needs it, and judged by its descriptor each time: another user may have made it first.
"""

from __future__ import annotations

import errno
import os
import stat

from taskmaster_common.errors import SystemFailure, system_reason
from taskmasterd.system.paths.walk import PlantedError, enter_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLE = "RUNTIME_DIRECTORY"
SUFFIX = ".d"
MODE = 0o700
HOLD = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class RuntimeDirectory:
    """The runtime directory of the daemon at `socket`. It may have directories of its own, one for each feature."""

    def __init__(self, environment: Mapping[str, str], socket: str) -> None:
        given = environment.get(VARIABLE, "").split(":")[0]  # systemd.exec(5): several are separated by colons
        self._ours = f"{socket}{SUFFIX}"
        self.path = given.rstrip("/") if given.startswith("/") and _is_own(given) else self._ours

    def has(self, name: str) -> bool:
        """Return whether there is something called `name` in it; only a hint."""
        return os.path.lexists(f"{self.path}/{name}")

    def enter(self, name: str) -> int:
        """Return a descriptor of its directory `name`; make what is missing. Raises SystemFailure."""
        at = self.path
        try:
            above = enter_directory(os.path.dirname(at))
            try:
                directory = _enter(above, os.path.basename(at), at)
            finally:
                os.close(above)
            at = f"{self.path}/{name}"
            try:
                return _enter(directory, name, at)
            finally:
                os.close(directory)
        except PlantedError as planted:
            raise SystemFailure("use directory", at, str(planted), errno.ELOOP) from None
        except OSError as error:
            raise SystemFailure("use directory", at, system_reason(error), error.errno or 0) from None

    def leave(self, name: str) -> None:
        """Remove its directory `name` if that is empty, and then itself if it is ours and empty."""
        for path in (f"{self.path}/{name}", *((self.path,) if self.path == self._ours else ())):
            try:
                os.rmdir(path)
            except OSError:
                return


def _is_own(path: str) -> bool:
    """Return whether the directory that systemd has given is of the daemon's user: it may have changed its user since."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and not _wrong(found)


def _enter(above: int, name: str, path: str) -> int:
    """Return a descriptor of a directory of ours; make it where it is missing. Raises SystemFailure, OSError."""
    try:
        fd = os.open(name, HOLD, dir_fd=above)
    except FileNotFoundError:
        os.mkdir(name, MODE, dir_fd=above)
        fd = os.open(name, HOLD, dir_fd=above)
    wrong = _wrong(os.fstat(fd))
    if wrong:
        os.close(fd)
        raise SystemFailure("use directory", path, wrong, errno.EPERM)
    return fd


def _wrong(found: os.stat_result) -> str:
    if found.st_uid != os.geteuid():
        return f"it belongs to uid {found.st_uid}"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"others may write to it (mode {stat.S_IMODE(found.st_mode):04o})"
    return ""
