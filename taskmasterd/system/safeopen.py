"""Opens the places that logs go to: never through a symbolic link, never waiting, never something that was planted.

What is *wrong* and what only fails *now* is told apart by `is_temporary(errno)`; who opens decides what follows.
Below /dev the names are the system's: there links are followed (/dev/stdout) and nothing is created.
"""

from __future__ import annotations

import errno
import os
import stat

from taskmaster_common.errors import SystemFailure, system_reason
from taskmaster_common.records import Record
from taskmasterd.system.safewalk import CAN_WALK, DIRECTORY_MODE, PlantedError, enter_directory

FLAGS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
FILE_MODE = 0o640
OWN_STREAMS = {"/dev/stdout": 1, "/dev/fd/1": 1, "/dev/stderr": 2, "/dev/fd/2": 2}
TEMPORARY = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.ENXIO, errno.EBUSY, errno.ESTALE, errno.ETIMEDOUT}
)
"""ENXIO is a FIFO without a reader. Source: open(2), fifo(7)."""
REASONS = {
    errno.ELOOP: "it is a symbolic link",
    errno.EISDIR: "it is a directory",
    errno.ENXIO: "nobody reads it",
}
KINDS = {stat.S_IFSOCK: "it is a socket", stat.S_IFBLK: "it is a block device", stat.S_IFDIR: "it is a directory"}
OPEN_TRIES = 3
"""So often a file may vanish or appear between two looks at it."""


def is_temporary(number: int) -> bool:
    """Return whether this errno may go away by itself: then the log is not wrong, it fails now."""
    return number in TEMPORARY


def is_system_name(path: str) -> bool:
    """Return whether only the system makes names there: /dev/NAME and /dev/fd/N, but not /dev/shm/NAME."""
    return os.path.dirname(path) in ("/dev", "/dev/fd")


def open_log(path: str, owner: tuple[int, int] | None, *, directories: bool = True) -> int:
    """Return a descriptor for writing at `path`, a regular file's for reading too; a missing file is created.

    `owner` gets what is created, missing directories (unless `directories` is false) included.
    Raises SystemFailure with the errno, 0 where the reason is ours.
    """
    try:
        if is_system_name(path):
            return _open_system_name(path)
        if not CAN_WALK or os.geteuid() != 0 or not owner or not owner[0]:
            return _open_file(Spot(path, path, None), owner, directories=directories)
        directory, name = os.path.split(path)
        held = enter_directory(directory, owner if directories else None)
        try:
            return _open_file(Spot(path, name, held), owner, directories=False)
        finally:
            os.close(held)
    except PlantedError as planted:
        raise _failure(path, str(planted)) from None
    except OSError as error:
        raise _failure(path, reason_of(error), error.errno or 0) from None


def open_for_reading(path: str) -> int:
    """Return a descriptor of the regular file at `path`.

    Raises FileNotFoundError, or SystemFailure for what cannot be read back or may not be read.
    """
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):  # opening a FIFO would make us its reader
            raise SystemFailure("read log", path, "it is not a regular file; what went there cannot be read back")
        return os.open(path, os.O_RDONLY | FLAGS)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise SystemFailure("read log", path, reason_of(error), error.errno or 0) from None


def reason_of(error: OSError) -> str:
    """Return why, in the words of a user who named a log file."""
    return REASONS.get(error.errno or 0) or system_reason(error)


def _failure(path: str, reason: str, number: int = 0) -> SystemFailure:
    return SystemFailure("open log file", path, reason, number)


class Spot(Record):
    """Where a file is: `name` in the directory that is held open, or a path where none is held. `path` is what is told."""

    path: str
    name: str
    directory: int | None


def _open_file(spot: Spot, owner: tuple[int, int] | None, *, directories: bool) -> int:
    for _ in range(OPEN_TRIES):
        try:
            found = os.stat(spot.name, dir_fd=spot.directory, follow_symlinks=False)
        except FileNotFoundError:
            if directories:
                _make_directories(os.path.dirname(spot.path), owner)
            try:
                return _create(spot, owner)
            except FileExistsError:
                continue
        try:
            return _open_existing(spot, found, owner)
        except FileNotFoundError:
            continue
    raise _failure(spot.path, "it comes and goes")


def _create(spot: Spot, owner: tuple[int, int] | None) -> int:
    fd = os.open(spot.name, os.O_RDWR | os.O_CREAT | os.O_EXCL | FLAGS, FILE_MODE, dir_fd=spot.directory)
    found = os.fstat(fd)
    if owner and owner != (found.st_uid, found.st_gid):
        try:
            os.fchown(fd, *owner)
        except OSError:
            os.close(fd)
            os.unlink(spot.name, dir_fd=spot.directory)
            raise
    return fd


def _open_existing(spot: Spot, seen: os.stat_result, owner: tuple[int, int] | None) -> int:
    """Open what is there and look at it again once it is held: only then it cannot be exchanged any more."""
    if wrong := KINDS.get(stat.S_IFMT(seen.st_mode)):
        raise _failure(spot.path, wrong)
    # a FIFO opened for reading too would seem to have a reader for ever
    access = os.O_RDWR if stat.S_ISREG(seen.st_mode) else os.O_WRONLY
    fd = os.open(spot.name, access | FLAGS, dir_fd=spot.directory)
    found = os.fstat(fd)
    wrong = _what_is_wrong(spot.path, found, owner)
    if not wrong and stat.S_IFMT(found.st_mode) != stat.S_IFMT(seen.st_mode):
        wrong = "it was exchanged while it was opened"
    if wrong:
        os.close(fd)
        raise _failure(spot.path, wrong)
    if found.st_nlink == 0:
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    return fd


def _what_is_wrong(path: str, found: os.stat_result, owner: tuple[int, int] | None) -> str:
    """Return why what is open may be somebody's trap, or ""."""
    if stat.S_ISREG(found.st_mode) and found.st_nlink > 1:
        return f"it has {found.st_nlink} hard links"
    if stat.S_ISCHR(found.st_mode):
        return ""
    trusted = {0, os.geteuid(), *((owner[0],) if owner else ())}
    if found.st_uid not in trusted and os.stat(os.path.dirname(path) or ".").st_mode & stat.S_IWOTH:
        return f"it belongs to uid {found.st_uid}, in a directory where everybody may write"
    return ""


def _make_directories(path: str, owner: tuple[int, int] | None) -> None:
    """Create what is missing of `path`, for `owner`."""
    missing = []
    while path and not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    for directory in reversed(missing):
        try:
            os.mkdir(directory, DIRECTORY_MODE)
        except FileExistsError:
            continue
        if owner and os.geteuid() == 0:
            os.chown(directory, *owner, follow_symlinks=False)


def _open_system_name(path: str) -> int:
    """Open a device; the daemon's own stdout and stderr also where they cannot be opened by name.

    Source: open(2) of /proc/self/fd/N gives ENXIO for a socket (the journal's) and asks for permission again, which a
    daemon that changed its user has lost. A redirected file is shared, so that both writers have one position.
    """
    number = OWN_STREAMS.get(path)
    if number is None and os.path.dirname(path) == "/dev/fd":
        raise _failure(path, "of the daemon's descriptors only 1 and 2 can be logged to")
    if number is not None and stat.S_IFMT(os.fstat(number).st_mode) in (stat.S_IFREG, stat.S_IFSOCK):
        return os.dup(number)
    try:
        fd = os.open(path, os.O_WRONLY | (FLAGS & ~os.O_NOFOLLOW))
    except (PermissionError, FileNotFoundError):  # the latter: without /proc the link leads nowhere
        if number is None:
            raise
        return os.dup(number)
    if wrong := KINDS.get(stat.S_IFMT(os.fstat(fd).st_mode)):
        os.close(fd)
        raise _failure(path, wrong)
    return fd
