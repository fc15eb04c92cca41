"""Opens the file, FIFO or terminal that a program has as its standard input. Loaded with the first such program.

It is opened with the program's rights, so that nobody reads through the daemon what he may not read himself, and without
waiting: a FIFO is opened for writing, too, so that neither this open nor the program's reading depends on who writes.
"""

from __future__ import annotations

import errno
import os
import stat

from taskmaster_common.errors import system_reason
from taskmasterd.system.spawner import SetupError, is_shortage
from taskmasterd.system.users import ActingAs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.system.users import Account

FLAGS = os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
REASONS = {errno.ENXIO: "it is a socket, or nothing is behind it"}


def open_input(path: str, who: Account | None) -> int:
    """Return a descriptor of what is at `path`, opened with the rights of `who` (None: the daemon's own).

    Raises SetupError, or OSError for a shortage.
    """
    try:
        with ActingAs(who):
            fd = _open(path)
    except OSError as error:
        if is_shortage(error):
            raise
        reason = REASONS.get(error.errno or 0) or system_reason(error)
        raise SetupError("stdin", f"cannot open stdin {path}: {reason}") from None
    os.set_blocking(fd, True)
    return fd


def _open(path: str) -> int:
    fd = os.open(path, os.O_RDONLY | FLAGS)
    try:
        found = os.fstat(fd)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISFIFO(found.st_mode):
            return os.dup(fd)
        return _open_fifo(path, found)
    finally:
        os.close(fd)


def _open_fifo(path: str, found: os.stat_result) -> int:
    """Return a descriptor of a FIFO that is never at its end. Source: fifo(7), open for reading and writing."""
    fd = os.open(path, os.O_RDWR | FLAGS)
    if os.path.samestat(os.fstat(fd), found):
        return fd
    os.close(fd)
    raise OSError(errno.ESTALE, "it was exchanged while it was opened")
