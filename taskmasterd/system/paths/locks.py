"""Directories and the locked pid file: what one daemon owns on the file system, besides its socket.

The lock decides, never the content of the pid file. Each file is opened first, then checked and changed by its descriptor.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from taskmaster_common.errors import SystemFailure, TaskmasterError, system_reason
from taskmasterd.system.paths.held import Held, inode_of_fd, unlink_own

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Owner = tuple[int, int]
    """A uid and a gid."""

PIDFILE_MODE = 0o600
"""Mode of the pid file: a user who may read it could hold its lock, and so keep a new daemon from starting. Source: flock(2)."""
PID_FILE = "pid file"
LONGEST_PID = 32
"""Longest first line of a pid file, bytes."""
LONGEST_TEXT = 16 * 1024
OPEN_TRIES = 3
"""Attempts to open a file that vanishes or appears between two looks."""


class AlreadyRunningError(TaskmasterError):
    """Another daemon holds this pid file, answers on this socket, or owns a log that we need."""


class LockedError(TaskmasterError):
    """Another process holds the lock of a file; the text is what that process has written into it."""


def make_directory(path: str, mode: int, owner: Owner | None) -> None:
    """Create a default directory with its parents, or check that an existing one can be trusted.

    Raises SystemFailure if it is not a directory, or belongs to another user (who made it in /tmp).
    """
    op = "create directory"
    try:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        with Held(path, op) as held:
            _make(held, mode, owner)
    except FileExistsError:  # one of its parents
        raise SystemFailure(op, path, "not a directory", errno.ENOTDIR) from None
    except OSError as error:
        raise SystemFailure(op, path, system_reason(error), error.errno or 0) from None


def _make(held: Held, mode: int, owner: Owner | None) -> None:
    try:
        held.make_directory(mode)
    except FileExistsError:
        _check_directory(held, owner)
        return
    fd = held.open(os.O_RDONLY | os.O_DIRECTORY)
    try:
        found = os.fstat(fd)
        if found.st_uid == (owner or (os.geteuid(),))[0] and stat.S_IMODE(found.st_mode) == mode:
            return  # nothing to change: a daemon that starts beside us may use it by now
        if found.st_uid != os.geteuid() or os.listdir(fd):  # the parent's owner may have exchanged it
            raise SystemFailure("use directory", held.path, "it was exchanged while it was created", errno.EPERM)
        os.fchmod(fd, mode)
        if owner:
            os.fchown(fd, *owner)
    finally:
        os.close(fd)


def _check_directory(held: Held, owner: Owner | None) -> None:
    found = held.status()
    if found is None or not stat.S_ISDIR(found.st_mode):
        raise SystemFailure("use directory", held.path, "it is not a directory", errno.ENOTDIR)
    if found.st_uid not in _trusted(owner):
        raise SystemFailure("use directory", held.path, f"it belongs to uid {found.st_uid}", errno.EPERM)


def _trusted(owner: Owner | None) -> set[int]:
    return {0, os.geteuid(), *((owner[0],) if owner else ())}


def lock_pidfile(path: str, owner: Owner | None = None) -> int:
    """Create and lock the pid file, write our pid, and return the descriptor that holds the lock.

    `owner` is the user that the daemon will run as; a file left by an earlier daemon of that user will do.
    Raises AlreadyRunningError if another daemon holds it, SystemFailure if it cannot be used at all.
    """
    try:
        fd = lock_file(path, PID_FILE, owner)
    except LockedError as locked:
        raise AlreadyRunningError(f"another daemon (pid {locked or 'unknown'}) holds {path}") from None
    write_pid(fd)
    return fd


def lock_file(path: str, kind: str, owner: Owner | None) -> int:
    """Create or open a file and lock it; return the descriptor that holds the lock. Earlier content stays.

    Raises LockedError if another process holds the lock, SystemFailure if the file cannot be used.
    Source: flock(2): the lock belongs to the open file and survives exec.
    """
    while True:
        with Held(path, f"open {kind}") as held:
            fd, made = _open_lock(held, kind, owner)
            try:
                if _locked(fd, held, kind, owner, made=made):
                    return fd
                os.close(fd)
            except OSError as error:  # a file system without locks, or one without owners
                os.close(fd)
                raise SystemFailure(f"lock {kind}", path, system_reason(error), error.errno or 0) from None
            except TaskmasterError:
                os.close(fd)
                raise


def _locked(fd: int, held: Held, kind: str, owner: Owner | None, *, made: bool) -> bool:
    """Lock a file and set its mode, and its owner if we have `made` it; return whether it is still the file to lock.

    Raises LockedError, SystemFailure, OSError.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise LockedError(os.pread(fd, LONGEST_TEXT, 0).decode("utf-8", "replace").strip()) from None
    if held.inode != inode_of_fd(fd):
        return False  # the earlier holder unlinked it between our open and our lock
    found = os.fstat(fd)
    if owner and not made and found.st_uid != owner[0]:
        _remove(held, kind)  # `owner` may have moved any file of root's here, and must not be given it
        return False
    if os.geteuid() in (0, found.st_uid) and stat.S_IMODE(found.st_mode) != PIDFILE_MODE:
        os.fchmod(fd, PIDFILE_MODE)
    if made and owner:
        os.fchown(fd, *owner)
    return True


def release(path: str | None, fd: int | None) -> None:
    """Remove a locked file, if it is still ours, and release its lock. Does nothing if either argument is None."""
    if path is not None and fd is not None:
        unlink_own(path, inode_of_fd(fd))
        os.close(fd)


def write_pid(fd: int | None) -> None:
    """Write our pid into the pid file; None means that there is no file. Raises OSError."""
    if fd is None:
        return
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"%d\n" % os.getpid(), 0)


def _remove(held: Held, kind: str) -> None:
    try:
        held.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise SystemFailure(f"replace {kind}", held.path, system_reason(error), error.errno or 0) from None


def _open_lock(held: Held, kind: str, owner: Owner | None) -> tuple[int, bool]:
    """Return a descriptor of the file to lock, and whether we have created it. Raises SystemFailure."""
    for _ in range(OPEN_TRIES):
        try:
            fd, made = _open_or_create(held)
        except FileNotFoundError:
            continue  # it vanished between the two attempts
        except OSError as error:
            reason = "it is a symbolic link" if error.errno == errno.ELOOP else system_reason(error)
            raise SystemFailure(f"open {kind}", held.path, reason, error.errno or 0) from None
        found = os.fstat(fd)
        stays = kind == PID_FILE and (not owner or found.st_uid == owner[0])  # any other is replaced, see `_locked`
        wrong = _what_is_wrong(found, owner) or (_what_it_holds(fd) if stays else "")
        if not wrong:
            return fd, made
        os.close(fd)
        raise SystemFailure(f"use {kind}", held.path, wrong, errno.EPERM)
    raise SystemFailure(f"open {kind}", held.path, "it comes and goes", errno.ENOENT)


def _open_or_create(held: Held) -> tuple[int, bool]:
    flags = os.O_RDWR | os.O_NONBLOCK
    try:
        return held.open(flags | os.O_CREAT | os.O_EXCL, PIDFILE_MODE), True
    except FileExistsError:
        return held.open(flags), False


def _what_is_wrong(found: os.stat_result, owner: Owner | None) -> str:
    """Return why we cannot use an open file as our pid file, or ""."""
    if not stat.S_ISREG(found.st_mode):
        return "it is not a regular file"
    if found.st_nlink > 1:
        return f"it has {found.st_nlink} hard links"
    if found.st_uid not in _trusted(owner):
        return f"it belongs to uid {found.st_uid}; remove it, or set `pidfile`"
    return ""


def _what_it_holds(fd: int) -> str:
    """Return why a file is no pid file by what it holds, or "": it would be emptied now, and removed at the end."""
    first = os.pread(fd, LONGEST_PID, 0).partition(b"\n")[0]
    bare = first.strip(b"\0 ")  # zeros: what some file systems leave of it after a crash of the host
    return "" if not bare or bare.isdigit() else "it holds something else than a pid; remove it, or set `pidfile`"


def unusable(paths: Iterable[tuple[str, int]]) -> str:
    """Return the first of these (path, `os.access` mode) that the effective user may not use so, or ""."""
    effective = os.access in os.supports_effective_ids
    return next((path for path, mode in paths if not os.access(path, mode, effective_ids=effective)), "")
