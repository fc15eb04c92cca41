"""Opens logs: never through a symbolic link, never waiting, never something that was planted.

`is_temporary(errno)` separates what is wrong from what only fails now; the caller decides what follows. Names that only the
system makes (`devices`) are different: their links are followed (/dev/stdout), and nothing is created.
"""

from __future__ import annotations

import errno
import os
import stat

from taskmaster_common.devices import is_system_name, own_descriptor
from taskmaster_common.errors import SystemFailure, system_reason
from taskmasterd.output.safe.lock import lock_log
from taskmasterd.system.paths.walk import PlantedError, enter_directory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing_extensions import Self

    Owner = tuple[int, int] | None

FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
FILE_MODE = 0o640
TEMPORARY = frozenset(
    {
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EIO,
        errno.EROFS,
        errno.ENXIO,
        errno.EBUSY,
        errno.EAGAIN,
        errno.ESTALE,
        errno.ETIMEDOUT,
    }
)
"""ENXIO is a FIFO without a reader, EAGAIN a file on which somebody holds a lease. Source: open(2), fifo(7)."""
REASONS = {
    errno.ELOOP: "it is a symbolic link",
    errno.EISDIR: "it is a directory",
    errno.ENXIO: "nobody reads it",
}
KINDS = {stat.S_IFSOCK: "it is a socket", stat.S_IFBLK: "it is a block device", stat.S_IFDIR: "it is a directory"}
NOT_REGULAR = "it is not a regular file; what went there cannot be read back"
OPEN_TRIES = 3
"""Attempts at a file that vanishes or appears between two looks at it."""


def is_temporary(number: int) -> bool:
    """Return whether this errno may go away by itself: the log is not wrong, it only fails now."""
    return number in TEMPORARY


def open_log(path: str, owner: Owner, *, directories: bool = True) -> int:
    """Return a descriptor of `path` for writing, of a regular file for reading too; create a missing file.

    `owner` gets what is created, missing directories (unless `directories` is false) included.
    Raises SystemFailure with the errno, 0 where the reason is ours.
    """
    if is_system_name(path):
        try:
            return _open_system_name(path)
        except OSError as error:
            raise _failure(path, reason_of(error), error.errno or 0) from None
    try:
        spot = Spot(path, owner, make=directories)
    except OSError as error:
        raise _failure(path, reason_of(error), error.errno or 0) from None
    with spot:
        return spot.open()


def check_log(path: str, owner: Owner) -> None:
    """Open a log once, without creating directories. Raises SystemFailure if it is wrong, not if it only fails now."""
    try:
        os.close(open_log(path, owner, directories=False))
    except SystemFailure as failure:
        if not is_temporary(failure.errno):
            raise


def reason_of(error: OSError) -> str:
    """Return the reason in words for a user who named a log file."""
    return REASONS.get(error.errno or 0) or system_reason(error)


def _failure(path: str, reason: str, number: int = 0) -> SystemFailure:
    return SystemFailure("open log file", path, reason, number)


class Spot:
    """The place of a log: its directory, held open after the way there was judged, and its name in it.

    `suffix` means a rotated file: ".1". Everything works relative to the descriptor, so a directory that is exchanged on the
    way cannot lead elsewhere.
    """

    __slots__ = ("_directory", "_found", "_name", "_owner", "_path")

    def __init__(self, path: str, owner: Owner = None, *, make: bool = False) -> None:
        """`owner` (uid, gid) gets what is created; `make`: create missing directories. Raises OSError, SystemFailure."""
        directory, self._name = os.path.split(path)
        self._path = path
        self._owner = owner
        try:
            self._directory = enter_directory(directory, make=make, owner=owner)
        except PlantedError as planted:
            raise _failure(path, str(planted)) from None
        self._found = os.fstat(self._directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._directory)

    def look(self, suffix: str = "") -> os.stat_result:
        """Return what lstat(2) says of the log. Raises OSError."""
        return os.stat(self._name + suffix, dir_fd=self._directory, follow_symlinks=False)

    def open(self) -> int:
        """Return a descriptor for writing and, of a regular file, reading; create the file. Raises SystemFailure."""
        try:
            fd = self._open()
        except OSError as error:
            raise _failure(self._path, reason_of(error), error.errno or 0) from None
        other = lock_log(fd) if stat.S_ISREG(os.fstat(fd).st_mode) else 0
        if other:
            os.close(fd)
            raise _failure(self._path, f"another daemon (pid {other}) writes it too; give each a log of its own")
        return fd

    def open_for_reading(self, suffix: str = "") -> int:
        """Return a descriptor of a regular file. Raises FileNotFoundError, SystemFailure for what cannot be read back."""
        path = self._path + suffix
        try:
            if not stat.S_ISREG(self.look(suffix).st_mode):
                raise SystemFailure("read log", path, NOT_REGULAR)
            fd = os.open(self._name + suffix, os.O_RDONLY | FLAGS, dir_fd=self._directory)
            found = os.fstat(fd)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise SystemFailure("read log", path, reason_of(error), error.errno or 0) from None
        wrong = f"it has {found.st_nlink} hard links" if found.st_nlink > 1 else ""
        if not stat.S_ISREG(found.st_mode):
            wrong = NOT_REGULAR
        if wrong:
            os.close(fd)
            raise SystemFailure("read log", path, wrong)
        return fd

    def is_ours(self, found: os.stat_result) -> bool:
        """Return whether a file here may be moved and deleted as one of this log's.

        A user who may write to the directory may do that anyway, except where the sticky bit protects the files of others.
        """
        if not stat.S_ISREG(found.st_mode):
            return False
        if not self._found.st_mode & stat.S_ISVTX:
            return True
        return found.st_uid == (self._owner[0] if self._owner else os.geteuid())

    def rename(self, suffix: str, to: str) -> None:
        """Rename one file of this log to another. Raises OSError."""
        os.rename(self._name + suffix, self._name + to, src_dir_fd=self._directory, dst_dir_fd=self._directory)

    def unlink(self) -> None:
        """Remove the log. Raises OSError."""
        os.unlink(self._name, dir_fd=self._directory)

    # -- opening

    def _open(self) -> int:
        for _ in range(OPEN_TRIES):
            try:
                found = self.look()
            except FileNotFoundError:
                try:
                    return self._create()
                except FileExistsError:
                    continue
            try:
                return self._open_existing(found)
            except FileNotFoundError:
                continue
        raise _failure(self._path, "it comes and goes")

    def _create(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | FLAGS
        fd = os.open(self._name, flags, FILE_MODE, dir_fd=self._directory)
        found = os.fstat(fd)
        if self._owner and self._owner != (found.st_uid, found.st_gid):
            try:
                os.fchown(fd, *self._owner)
            except OSError:
                os.close(fd)
                if os.path.samestat(self.look(), found):
                    self.unlink()
                raise
        return fd

    def _open_existing(self, seen: os.stat_result) -> int:
        """Open what is there and look at it again once it is open: only then can nobody exchange it."""
        if wrong := KINDS.get(stat.S_IFMT(seen.st_mode)):
            raise _failure(self._path, wrong)
        # a FIFO opened for reading too would seem to have a reader for ever
        access = os.O_RDWR if stat.S_ISREG(seen.st_mode) else os.O_WRONLY
        fd = os.open(self._name, access | FLAGS, dir_fd=self._directory)
        found = os.fstat(fd)
        wrong = self._what_is_wrong(found)
        if not wrong and stat.S_IFMT(found.st_mode) != stat.S_IFMT(seen.st_mode):
            wrong = "it was exchanged while it was opened"
        if wrong:
            os.close(fd)
            raise _failure(self._path, wrong)
        if found.st_nlink == 0:
            os.close(fd)
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
        return fd

    def _what_is_wrong(self, found: os.stat_result) -> str:
        """Return why the open file may be a trap, or ""."""
        if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
            return f"it has {found.st_nlink} hard links"
        if stat.S_ISCHR(found.st_mode):
            return ""
        if found.st_uid in {0, os.geteuid(), *((self._owner[0],) if self._owner else ())}:
            return ""
        mode, keeper = self._found.st_mode, self._found.st_uid
        if mode & stat.S_IWOTH:
            return f"it belongs to uid {found.st_uid}, in a directory where everybody may write"
        # who may write here can give the name of a log to another user's file, and only root may write to that
        shared = keeper != 0 or (mode & stat.S_IWGRP and self._found.st_gid != 0)
        if os.geteuid() == 0 and shared and found.st_uid != keeper:
            return f"it belongs to uid {found.st_uid}, in a directory where others may write; chown or remove it"
        return ""


def _open_system_name(path: str) -> int:
    """Open a device; open the daemon's own stdout and stderr even where their names cannot be opened.

    Source: open(2) of /proc/self/fd/N gives ENXIO for a socket (the journal's) and asks for permission again, which a
    daemon that changed its user has lost. The descriptor of a redirected file is shared, so that both writers have one position.
    """
    number = own_descriptor(path, os.getpid())
    if number is not None and number not in (1, 2):
        raise _failure(path, "of the daemon's descriptors only 1 and 2 can be logged to")
    if number is not None and stat.S_IFMT(os.fstat(number).st_mode) in (stat.S_IFREG, stat.S_IFSOCK):
        return os.dup(number)
    try:
        # O_APPEND: the file that another process has there is not overwritten
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | (FLAGS & ~os.O_NOFOLLOW))
    except OSError as error:
        if number is None:
            number = _same_stream(path)
        elif error.errno not in (
            errno.EACCES,
            errno.EPERM,
            errno.ENOENT,
        ):  # the last: without /proc the link leads nowhere
            raise
        if number is None:
            raise
        return os.dup(number)
    if wrong := KINDS.get(stat.S_IFMT(os.fstat(fd).st_mode)):
        os.close(fd)
        raise _failure(path, wrong)
    return fd


def _same_stream(path: str) -> int | None:
    """Return which of our standard streams another process has as the descriptor at `path`, or None.

    In a container such a path means the stream of process 1: the guardian's, or the daemon's own from before.
    """
    try:
        theirs = os.readlink(path)
        return next((own for own in (1, 2) if os.readlink(f"/proc/self/fd/{own}") == theirs), None)
    except OSError:
        return None
