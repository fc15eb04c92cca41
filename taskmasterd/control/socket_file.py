"""Creates the file of the control socket, with its final rights from the first moment, and replaces a stale one.

It replaces no socket on which a daemon answers. Root creates the socket of a configured user as that user, and never changes
owner or mode by name: in that user's directory any name may lead elsewhere a moment later.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time

from taskmaster_common.errors import SystemFailure, TaskmasterError, system_reason
from taskmaster_common.paths import MAX_SOCKET_PATH
from taskmasterd.control.listener import BACKLOG
from taskmasterd.system.loop.sockets import socket
from taskmasterd.system.paths.bound import bind_path
from taskmasterd.system.paths.held import Held
from taskmasterd.system.paths.locks import AlreadyRunningError
from taskmasterd.system.paths.rights import set_rights
from taskmasterd.system.peers import peer_of
from taskmasterd.system.users import Account, ActingAs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.system.paths.held import Inode

PROBE_WITHIN_S = 2.0
TURN_WITHIN_S = 0.5
"""Longest wait for the lock of the socket's directory, seconds."""
OP = "create socket"


def listen_on(path: str, mode: int, gid: int | None, who: Account | None) -> socket.socket:
    """Return a listening socket at `path`, replacing a stale one; never reachable with wider rights than `mode`.

    The file belongs to `who`, None for this process, and to the group `gid`, None for that user's.
    Raises AlreadyRunningError if a daemon answers there, SystemFailure if the socket cannot be created.
    """
    length = len(os.fsencode(path))
    if length > MAX_SOCKET_PATH:
        text = f"the path has {length} bytes, the most is {MAX_SOCKET_PATH}"
        raise SystemFailure(OP, path, text, errno.ENAMETOOLONG)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | getattr(socket, "SOCK_CLOEXEC", 0))
    turn = _take_turn(os.path.dirname(path))
    try:
        _refuse_if_answered(path)
        group = gid if gid is not None or who is None else who.gid
        with ActingAs(who, group), Held(path, OP) as held:
            _remove_stale(held)
            _bind(listener, bind_path(held, OP), mode, group)
            listener.listen(BACKLOG)  # at once: who finds the file meanwhile is refused, as if no daemon were there
            set_rights(held, OP, mode, gid=group)
    except OSError as error:
        listener.close()
        raise SystemFailure(OP, path, system_reason(error), error.errno or 0) from None
    except TaskmasterError:
        listener.close()
        raise
    finally:
        if turn >= 0:
            os.close(turn)
    return listener


def change_mode(path: str, inode: Inode | None, mode: int) -> None:
    """Give our socket another mode. Raises SystemFailure if another file is at its place, OSError."""
    with Held(path, OP) as held:
        found = held.status()
        if found is None or (found.st_dev, found.st_ino) != inode:
            raise SystemFailure("change socket", path, "it is another file than this daemon's socket", errno.EPERM)
        set_rights(held, OP, mode)


def _take_turn(directory: str) -> int:
    """Lock the directory; return the descriptor, or -1 if it cannot be locked.

    Otherwise, of two daemons with different pid files, one could take the other's new socket for a stale one, because it does not
    answer before listen(2). Waits TURN_WITHIN_S at most: any user who may read a public directory could hold its lock for ever.
    """
    until = time.monotonic() + TURN_WITHIN_S
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # bind(2) will say what is wrong with it
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


def _refuse_if_answered(path: str) -> None:
    """Raise AlreadyRunningError if a daemon listens at `path`. The check connects with our own rights and sends nothing."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return
    except FileNotFoundError:
        return
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.settimeout(PROBE_WITHIN_S)
        probe.connect(path)
    except (ConnectionRefusedError, FileNotFoundError):
        return
    except BlockingIOError:  # its queue is full: a busy daemon listens (connect(2), EAGAIN)
        raise AlreadyRunningError(f"another daemon (pid unknown) answers on {path}") from None
    except OSError as error:
        raise SystemFailure("replace socket", path, system_reason(error), error.errno or 0) from None
    else:
        raise AlreadyRunningError(f"another daemon (pid {peer_of(probe).pid or 'unknown'}) answers on {path}")
    finally:
        probe.close()


def _remove_stale(held: Held) -> None:
    found = held.status()
    if found is None:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise SystemFailure(OP, held.path, "something that is not a socket is there", errno.EEXIST)
    if found.st_uid not in (0, os.geteuid()) and os.geteuid() != 0:
        raise SystemFailure("replace socket", held.path, f"it belongs to uid {found.st_uid}", errno.EPERM)
    held.unlink()


def _bind(listener: socket.socket, path: str, mode: int, gid: int | None) -> None:
    """Create the file, with its group right from the first moment, or else with no rights for any group."""
    first = mode if gid in (None, os.getegid()) else mode & 0o700
    umask = os.umask(0o777 & ~first)
    try:
        listener.bind(path)
    finally:
        os.umask(umask)
