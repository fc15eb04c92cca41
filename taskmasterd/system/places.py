"""Directories, the locked pid file and the control socket: what one daemon owns on the file system.

One daemon per pid file and per socket. The lock decides, never the content of the pid file; a socket on which somebody
answers is refused; whatever is stale is no obstacle.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time

from taskmaster_common.errors import SystemFailure, TaskmasterError, system_reason
from taskmaster_common.places import MAX_SOCKET_PATH
from taskmasterd.system.control import BACKLOG
from taskmasterd.system.lean import socket
from taskmasterd.system.peers import peer_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PIDFILE_MODE = 0o600
"""Whoever may read a file may hold its lock, and so keep a daemon that was killed from being started again. Source: flock(2)."""
PROBE_WITHIN_S = 2.0
TURN_WITHIN_S = 0.5
"""So long another daemon may be between its look at the old socket and its own."""


class AlreadyRunningError(TaskmasterError):
    """Another daemon holds this pid file or answers on this socket."""


def make_directory(path: str, mode: int, owner: tuple[int, int] | None) -> None:
    """Create a default directory with its parents, or look whether the one that is there can be trusted.

    Raises SystemFailure: not a directory, or one that belongs to another user (somebody else's in /tmp).
    """
    try:
        os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
        os.mkdir(path, mode)
        os.chmod(path, mode)
        if owner:
            os.chown(path, *owner)
    except FileExistsError:
        _check_directory(path, owner)
    except OSError as error:
        raise SystemFailure("create directory", path, system_reason(error), error.errno or 0) from None


def _check_directory(path: str, owner: tuple[int, int] | None) -> None:
    try:
        found = os.lstat(path)
    except OSError as error:  # one of its parents is no directory
        raise SystemFailure("create directory", path, system_reason(error), error.errno or 0) from None
    if not stat.S_ISDIR(found.st_mode):
        raise SystemFailure("use directory", path, "it is not a directory", errno.ENOTDIR)
    trusted = {0, os.geteuid(), *((owner[0],) if owner else ())}
    if found.st_uid not in trusted:
        raise SystemFailure("use directory", path, f"it belongs to uid {found.st_uid}", errno.EPERM)


def lock_pidfile(path: str) -> int:
    """Create and lock the pid file, write our pid, and return the descriptor that holds the lock.

    Raises AlreadyRunningError when another daemon has it, SystemFailure when it cannot be used at all.
    Source: flock(2): the lock belongs to the open file and survives exec.
    """
    while True:
        fd = _open_pidfile(path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise AlreadyRunningError(f"another daemon (pid {owner}) holds {path}") from None
        if _is_at(fd, path):
            if os.fstat(fd).st_uid == os.geteuid():
                os.fchmod(fd, PIDFILE_MODE)
            write_pid(fd)
            return fd
        os.close(fd)  # its owner unlinked it between our open and our lock


def write_pid(fd: int) -> None:
    """Write our pid into the pid file. Raises OSError."""
    os.ftruncate(fd, 0)
    os.pwrite(fd, b"%d\n" % os.getpid(), 0)


def _open_pidfile(path: str) -> int:
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        try:
            fd = os.open(path, flags | os.O_CREAT | os.O_EXCL, PIDFILE_MODE)
        except FileExistsError:
            fd = os.open(path, flags)
    except FileNotFoundError:
        if os.path.isdir(os.path.dirname(path)):
            return _open_pidfile(path)  # it went between the two attempts
        raise SystemFailure("create pid file", path, "its directory does not exist", errno.ENOENT) from None
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else system_reason(error)
        raise SystemFailure("open pid file", path, reason, error.errno or 0) from None
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1 or found.st_uid not in (0, os.geteuid()):
        os.close(fd)
        raise SystemFailure("use pid file", path, "it is not a regular file of ours", errno.EPERM)
    return fd


def _is_at(fd: int, path: str) -> bool:
    """Return whether `path` still names the file that is open."""
    try:
        there = os.lstat(path)
    except OSError:
        return False
    here = os.fstat(fd)
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def listen_on(path: str, mode: int, gid: int | None, owner: tuple[int, int] | None) -> socket.socket:
    """Return a listening socket at `path`, replacing a stale one; never reachable with wider rights than `mode`.

    Raises AlreadyRunningError when somebody answers there, SystemFailure when it cannot be created.
    """
    length = len(os.fsencode(path))
    if length > MAX_SOCKET_PATH:
        text = f"the path has {length} bytes, the most is {MAX_SOCKET_PATH}"
        raise SystemFailure("create socket", path, text, errno.ENAMETOOLONG)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | getattr(socket, "SOCK_CLOEXEC", 0))
    turn = _take_turn(os.path.dirname(path))
    try:
        _remove_stale(path)
        umask = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(umask)
        if owner or gid is not None:
            os.chown(path, owner[0] if owner else -1, gid if gid is not None else owner[1] if owner else -1)
        os.chmod(path, mode)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise SystemFailure("create socket", path, system_reason(error), error.errno or 0) from None
    except TaskmasterError:
        listener.close()
        raise
    finally:
        if turn >= 0:
            os.close(turn)
    return listener


def _take_turn(directory: str) -> int:
    """Return a descriptor that holds a lock of the directory, -1 where there is none to be had.

    Of two daemons with different pid files one could otherwise take the other's new socket, which does not answer before
    listen(2), for a stale one. Waits a moment only: whoever may read a public directory could hold its lock for ever.
    """
    until = time.monotonic() + TURN_WITHIN_S
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # what is wrong with it, bind(2) tells
        return -1
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if time.monotonic() > until:
                os.close(fd)
                return -1
            time.sleep(0.005)
        else:
            return fd


def _remove_stale(path: str) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise SystemFailure("create socket", path, "something that is not a socket is there", errno.EEXIST)
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.settimeout(PROBE_WITHIN_S)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            pass
        except BlockingIOError:  # its queue is full: somebody listens, who has no time (connect(2), EAGAIN)
            raise AlreadyRunningError(f"another daemon (pid unknown) answers on {path}") from None
        except OSError as error:
            raise SystemFailure("replace socket", path, system_reason(error), error.errno or 0) from None
        else:
            raise AlreadyRunningError(f"another daemon (pid {peer_of(probe).pid or 'unknown'}) answers on {path}")
    finally:
        probe.close()
    if found.st_uid not in (0, os.geteuid()) and os.geteuid() != 0:
        raise SystemFailure("replace socket", path, f"it belongs to uid {found.st_uid}", errno.EPERM)
    os.unlink(path)


def inode_of(path: str) -> tuple[int, int] | None:
    """Return (device, inode) of what is at `path`, or None."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def inode_of_fd(fd: int) -> tuple[int, int]:
    """Return (device, inode) of an open file."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino


def unlink_own(path: str, inode: tuple[int, int] | None) -> None:
    """Remove `path` if it is still the same file; anything else there is somebody else's."""
    if inode is not None and inode_of(path) == inode:
        try:
            os.unlink(path)
        except OSError:
            return


def unusable(paths: Iterable[tuple[str, int]]) -> str:
    """Return the first path that this user may not use as `os.access` mode says, or ""."""
    return next((path for path, mode in paths if not os.access(path, mode)), "")


def report(ready: int, exit_code: int, text: str) -> None:
    """Tell the launcher how the start ended, and close the pipe; one that has died (Ctrl-C) is told nothing."""
    try:
        os.write(ready, f"{exit_code} {text}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        pass
    finally:
        os.close(ready)
