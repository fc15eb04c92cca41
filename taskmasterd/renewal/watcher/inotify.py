"""inotify(7) by ctypes: directories are watched, never files, because a file that is saved by renaming is another one."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

CLOSE_WRITE: Final = 0x8
MOVED_FROM: Final = 0x40
MOVED_TO: Final = 0x80
CREATE: Final = 0x100
DELETE: Final = 0x200
OVERFLOW: Final = 0x4000
IGNORED: Final = 0x8000
ONLYDIR: Final = 0x01000000
DONT_FOLLOW: Final = 0x02000000
ISDIR: Final = 0x40000000
"""Source: sys/inotify.h."""
CHANGES = CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | ONLYDIR
HEAD = struct.Struct("iIII")
MOST_READ = 64 * 1024
MOST_WATCHES = "/proc/sys/fs/inotify/max_user_watches"


class Inotify:
    """One inotify descriptor. Raises OSError where the system has none, or none for us."""

    def __init__(self) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        try:
            self._add, self._remove = libc.inotify_add_watch, libc.inotify_rm_watch
            self.fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        except AttributeError:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
        if self.fd < 0:
            _fail()

    def add(self, path: str, *, follow: bool) -> int:
        """Watch a directory; return the number of the watch, the same for the same directory. Raises OSError."""
        number = self._add(self.fd, os.fsencode(path), CHANGES | (0 if follow else DONT_FOLLOW))
        if number < 0:
            _fail()
        return int(number)

    def remove(self, number: int) -> None:
        """Watch a directory no more; the kernel may have ended that already."""
        self._remove(self.fd, number)

    def read(self) -> Iterator[tuple[int, int, str]]:
        """Yield (number, what has happened, name) of what is there to read; the number is -1 where the kernel has lost some."""
        try:
            data = os.read(self.fd, MOST_READ)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            number, mask, _cookie, length = HEAD.unpack_from(data, at)
            at += HEAD.size
            yield number, mask, os.fsdecode(data[at : at + length].rstrip(b"\0"))
            at += length


def allowed_watches() -> int:
    """Return how many directories one user may watch, 0 where the system does not say."""
    try:
        with open(MOST_WATCHES, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0


def _fail() -> None:
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
