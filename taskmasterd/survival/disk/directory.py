"""The directory of state files: finds the file of an earlier daemon of ours, and removes files that no daemon can use.

A state file is named after the path of a socket. The same daemon can be started with another path to the same socket, or with
another socket: then other things that have not changed identify it, and its file gets the new name. The launcher does this, as
the user that the daemon will run as, while it holds the pid file.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time

from taskmaster_common.jsontext import read_json
from taskmaster_common.records import Record
from taskmasterd.ondemand import on_demand
from taskmasterd.processes.members.proofs import KEY_SUFFIX
from taskmasterd.survival.disk.file import DRAFT, HISTORY, KEEPER_SUFFIX, OVERRIDES, SUFFIX, file_name, pid_namespace
from taskmasterd.system.loop.sockets import socket
from taskmasterd.system.paths.held import inode_of
from taskmasterd.system.paths.locks import AlreadyRunningError
from taskmasterd.system.paths.walk import CAN_WALK, enter_directory
from taskmasterd.system.procfs import look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

    from typing_extensions import Self

    from taskmasterd.survival.disk import forgotten
    from taskmasterd.system.paths.held import Inode
else:
    forgotten = on_demand("taskmasterd.survival.disk.forgotten")

LONGEST_HEAD = 64 * 1024
"""Most bytes to read of a file for its first line, which is far shorter."""
PROBE_WITHIN_S = 0.5
DAY_S = 86_400.0
FORGOTTEN_AFTER_S = DAY_S
"""How long a state has to be as it is before it may be removed though its boot is the present one, seconds."""
MOST_TO_READ = 16 * 1024 * 1024
"""Largest state file, bytes, that is read for the processes in it; a larger one stays until the next boot."""
NOT_THERE = frozenset({errno.ENOENT, errno.ENOTDIR})


class Known(Record):
    """What identifies a daemon, as in the first line of its state file.

    `socket` is the real path, `named` the path as given. `pidfile` is None without one. `door` is the inode of the socket; for a
    daemon that starts, of the socket it finds there: a killed daemon leaves its socket, even if the directory is moved.
    """

    boot: str
    uid: int
    socket: str
    named: str
    pidfile: str | None
    door: Inode | None = None

    def follows(self, earlier: Known) -> bool:
        """Return whether this daemon succeeds an `earlier` one: they share a pid file, a socket, or the place of a socket."""
        if (self.boot, self.uid) != (earlier.boot, earlier.uid):
            return False
        if self.door is not None and self.door == earlier.door:
            return True
        if self.socket == earlier.socket or self.named == earlier.named:
            return True
        if self.pidfile is not None and self.pidfile == earlier.pidfile:
            return True
        place, name = os.path.split(self.socket)
        before, earlier_name = os.path.split(earlier.socket)
        return name == earlier_name and _is_same_directory(place, before)


class Left(Record):
    """A state file that was found; `pid` and `config`, the configuration's path, are those of its daemon.

    `pids` is the number of its pid namespace, 0 if an older version has not noted it.
    """

    name: str
    known: Known
    pid: int
    config: str
    changed: float
    pids: int = 0

    def is_alive_beside(self, socket_path: str) -> bool:
        """Return whether its daemon lives: a process has its pid and name, or one answers at its socket, not `socket_path`."""
        process = look(self.pid)
        if process is not None and process.name == "taskmasterd":
            return True
        return inode_of(self.known.socket) != inode_of(socket_path) and _answers(self.known.socket)


class StateDirectory:
    """The state files in a directory, which is held open while this is entered. Raises OSError or PlantedError when entered."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> Self:
        if CAN_WALK and os.geteuid() == 0:
            held = enter_directory(self._path)
            try:
                self._fd = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=held)
            finally:
                os.close(held)
        else:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        os.close(self._fd)

    def found(self) -> Iterator[Left]:
        """Yield the readable state files of this user."""
        for name in sorted(os.listdir(self._fd)):
            left = self._look(name) if name.endswith(SUFFIX) else None
            if left:
                yield left

    def take_over_name(self, mine: Known) -> str:
        """Rename the state file that an earlier daemon of ours has left under another name to the name for `mine`.

        Returns the socket that it was written for, "" if no file was renamed. Raises AlreadyRunningError if its daemon lives,
        OSError.
        """
        name = file_name(mine.socket)
        own = self._look(name)
        if (own and own.known.boot == mine.boot) or (own is None and self._status(name)):
            return ""
        left = [each for each in self.found() if each.name != name and mine.follows(each.known)]
        if not left:
            return ""
        newest = max(left, key=lambda each: each.changed)
        if (newest.known.pidfile is None or newest.known.pidfile != mine.pidfile) and newest.is_alive_beside(
            mine.socket
        ):
            text = f"another daemon (pid {newest.pid}) listens at {newest.known.socket}; it runs {newest.config}"
            raise AlreadyRunningError(text)
        for suffix in (KEY_SUFFIX, KEEPER_SUFFIX, ""):
            try:
                os.rename(newest.name + suffix, name + suffix, src_dir_fd=self._fd, dst_dir_fd=self._fd)
            except FileNotFoundError:
                continue  # an older version had no key, and most daemons have no keeper
        for folder in (HISTORY, OVERRIDES):
            self._move(folder, newest.name.removesuffix(SUFFIX), name.removesuffix(SUFFIX))
        return newest.known.socket

    def _move(self, folder: str, before: str, after: str) -> None:
        """Rename the files of a history, or of overrides, unless there are some of the other name."""
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._fd)
        except OSError:
            return
        try:
            names = os.listdir(fd)
            if not any(name.startswith(f"{after}.") for name in names):
                for name in names:
                    if name.startswith(f"{before}."):
                        os.rename(name, after + name.removeprefix(before), src_dir_fd=fd, dst_dir_fd=fd)
        finally:
            os.close(fd)

    def remove_useless(self, boot: str) -> None:
        """Remove state files of earlier boots: none of the processes in them can be alive."""
        if not boot:
            return
        for left in self.found():
            if left.known.boot != boot and not self._is_locked(left.name) and not _answers(left.known.socket):
                for suffix in (DRAFT, KEY_SUFFIX, KEEPER_SUFFIX, ""):
                    self._remove(left.name + suffix)
        booted = time.time() - time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
        for name in os.listdir(self._fd):
            if name.endswith(SUFFIX + KEY_SUFFIX) and not self._status(name.removesuffix(KEY_SUFFIX)):
                found = self._status(name)
                if found and found.st_uid == os.geteuid() and found.st_mtime < booted - DAY_S:
                    self._remove(name)

    def remove_forgotten(self, mine: Known) -> None:
        """Remove state files of this boot that no daemon will ask for: their socket is gone for a day, and nothing of them lives.

        A file goes only if all that is certain. Without the kernel's word on boots and processes (no Linux) nothing is.
        """
        namespace = pid_namespace()
        if not mine.boot or not namespace:
            return
        own = file_name(mine.socket)
        for left in self.found():
            if left.name != own and left.pids == namespace and self._is_forgotten(left, mine):
                for suffix in (DRAFT, KEY_SUFFIX, KEEPER_SUFFIX, ""):
                    self._remove(left.name + suffix)

    def _is_forgotten(self, left: Left, mine: Known) -> bool:
        known = left.known
        if (known.boot, known.uid) != (mine.boot, mine.uid) or mine.follows(known):
            return False
        if left.changed > time.time() - FORGOTTEN_AFTER_S or not (
            _is_missing(known.socket) and _is_missing(known.named)
        ):
            return False
        if self._is_locked(left.name) or self._has_keeper(left.name):
            return False
        try:
            content, key = self._read(left.name), self._read(left.name + KEY_SUFFIX)
        except (OSError, ValueError):
            return False
        return not forgotten.may_live(content, key, known.named)

    def _has_keeper(self, name: str) -> bool:
        """Return whether a process may listen at the keeper's socket, which keeps descriptors for a later daemon."""
        if self._status(name + KEEPER_SUFFIX) is None:
            return False
        probe = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            probe.settimeout(PROBE_WITHIN_S)
            probe.connect(f"/proc/self/fd/{self._fd}/{name}{KEEPER_SUFFIX}")
        except OSError as error:
            return error.errno != errno.ECONNREFUSED
        finally:
            probe.close()
        return True

    def _read(self, name: str) -> bytes:
        """Return the content of a file of ours. Raises OSError, ValueError with its name if it is not, or too large."""
        fd = self._open(name)
        try:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_size > MOST_TO_READ:
                raise ValueError(name)
            return b"".join(iter(lambda: os.read(fd, LONGEST_HEAD), b""))
        finally:
            os.close(fd)

    def _look(self, name: str) -> Left | None:
        """Return the first line of a state file as a record; None if we cannot trust it, or it makes no sense."""
        try:
            fd = self._open(name)
            try:
                found = os.fstat(fd)
                ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
                text = os.read(fd, LONGEST_HEAD) if ours and not stat.S_IMODE(found.st_mode) & 0o022 else b""
            finally:
                os.close(fd)
            return _left_of(name, read_json(text.partition(b"\n")[0].decode("ascii")), found.st_mtime)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
            return None

    def _is_locked(self, name: str) -> bool:
        """Return whether the daemon of a state file may be alive, perhaps on another host with the same directory."""
        try:
            fd = self._open(name)
        except OSError:
            return True
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(fd)
        return False

    def _open(self, name: str) -> int:
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._fd)

    def _status(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._fd, follow_symlinks=False)
        except OSError:
            return None

    def _remove(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._fd)
        except OSError:
            return


def _left_of(name: str, head: dict[str, object], changed: float) -> Left:
    """Return a first line as a record. Raises KeyError, TypeError or ValueError if it is not one."""
    if "taskmaster_state" not in head:
        raise ValueError("not a state file")
    socket_path, pidfile, pid = str(head["socket"]), head.get("pidfile"), head.get("pid", 0)
    door = head.get("door")
    known = Known(
        boot=str(head["boot"]),
        uid=_integer(head["uid"]),
        socket=socket_path,
        named=str(head.get("named", socket_path)),
        pidfile=str(pidfile) if pidfile else None,
        door=(_integer(door[0]), _integer(door[1])) if isinstance(door, list) else None,
    )
    return Left(name, known, _integer(pid), str(head.get("config", "")), changed, _integer(head.get("pids", 0)))


def _is_missing(path: str) -> bool:
    """Return whether it is certain that nothing is at a path."""
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno in NOT_THERE
    return False


def _is_same_directory(one: str, other: str) -> bool:
    """Return whether two paths lead to the same directory, by links that were made since, too."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _integer(value: object) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no integer")
    return value


def _answers(path: str) -> bool:
    """Return whether a process listens at a socket."""
    probe = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        probe.settimeout(PROBE_WITHIN_S)
        probe.connect(path)
    except BlockingIOError:  # its queue is full
        return True
    except (OSError, ValueError):
        return False
    finally:
        probe.close()
    return True
