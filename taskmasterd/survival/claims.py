"""What a daemon claims for itself besides its socket: the directory of its programs' default logs, and its event log.

Two daemons that write and rotate the same logs lose each other's lines. So each locks a small file beside its logs, whatever
name leads there, and writes into it whose they are. Where no such file can be created, nothing keeps two daemons apart.
"""

from __future__ import annotations

import fcntl
import os
import stat
import time

from taskmaster_common.errors import SystemFailure, TaskmasterError
from taskmaster_common.jsontext import read_json, write_json
from taskmaster_common.paths import LOG_DIR_LOCK, log_lock
from taskmaster_common.records import Record
from taskmasterd.system.paths.locks import LONGEST_TEXT, LockedError, lock_file, release, report, write_pid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskmasterd.system.paths.locks import Owner

LOG_DIR, LOGFILE = "log_dir", "logfile"
CLAIMED = (LOG_DIR, LOGFILE)
WAIT_S, PAUSE_S = 0.3, 0.02
"""Longest wait for a lock, and the pause between two tries, seconds: a look, or a child of a dying daemon, holds one briefly."""


class Holder(Record):
    """The daemon that holds what we need: its `pid`, `socket` and configuration, 0 and "" if unknown."""

    pid: int
    socket: str
    config: str


class ClaimedError(TaskmasterError):
    """Another daemon holds the places of these configuration `keys`; `holder` is the daemon of the first one."""

    def __init__(self, keys: tuple[str, ...], holder: Holder) -> None:
        super().__init__(holder)
        self.keys = keys
        self.holder = holder


class Holdings:
    """The daemon's descriptors by name: pid file, locks, listening socket, and the pipe on which the launcher waits."""

    def __init__(self, places: Mapping[str, str | None], fds: Mapping[str, int | None]) -> None:
        self._places = places
        self._fds = dict(fds)
        for fd in self._fds.values():
            if fd is not None:
                os.set_inheritable(fd, False)

    @property
    def pidfile(self) -> str | None:
        """The path of the pid file, None without one."""
        return self._places["pidfile"]

    @property
    def listener(self) -> int:
        """The descriptor of the listening socket."""
        return self._fds["listener"] or 0

    def handed_over(self) -> dict[str, int | None]:
        """Return the descriptors that the code executed in our place keeps."""
        return {name: self._fds.get(name) for name in ("pidfile", *CLAIMED)}

    def answer_launcher(self, code: int = 0, text: str = "") -> None:
        """Make the launcher, if it still waits, end with this code and text."""
        ready, self._fds["ready"] = self._fds["ready"], None
        if ready is not None:
            report(ready, code, text)

    def rewrite_pid(self) -> None:
        """Write our pid into the pid file. Raises OSError."""
        write_pid(self._fds["pidfile"])

    def release_pidfile(self) -> None:
        """Remove the pid file."""
        release(self._places["pidfile"], self._fds["pidfile"])

    def give_back_logs(self) -> None:
        """Release the locks, so that another daemon may write our logs."""
        give_back(self._places, self._fds)


def lock_paths(places: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    """Yield (key, path of the lock) for each place that the daemon claims."""
    log_dir, logfile = places.get(LOG_DIR), places.get(LOGFILE)
    if log_dir:
        yield LOG_DIR, f"{log_dir}/{LOG_DIR_LOCK}"
    if logfile and not logfile.startswith("/dev/") and _may_be_regular(logfile):
        yield LOGFILE, log_lock(logfile)


def claim(places: Mapping[str, str | None], owner: Owner | None, mine: Holder) -> dict[str, int]:
    """Lock all places where that is possible; returns the descriptors by key. Raises ClaimedError, and then holds no lock."""
    held: dict[str, int] = {}
    taken: dict[str, Holder] = {}
    for key, path in lock_paths(places):
        try:
            held[key] = _lock(path, owner)
        except LockedError as locked:
            taken[key] = _holder_of(str(locked))
        except SystemFailure:  # a directory where we may not create files, or another user's file
            continue
    if taken:
        give_back(places, held)
        raise ClaimedError(tuple(taken), next(iter(taken.values())))
    text = write_json(mine.to_data()) + b"\n"
    for fd in held.values():
        os.ftruncate(fd, 0)
        os.pwrite(fd, text, 0)
    return held


def give_back(places: Mapping[str, str | None], held: Mapping[str, int | None]) -> None:
    """Remove the locks in `held`, descriptors by key."""
    for key, path in lock_paths(places):
        release(path, held.get(key))


def claimed_by_others(places: Mapping[str, str | None], socket: str) -> tuple[tuple[str, ...], Holder] | None:
    """Return the keys whose places a daemon at another socket holds, and that daemon; None if none does. Changes nothing."""
    found: dict[str, Holder] = {}
    for key, path in lock_paths(places):
        holder = _look(path)
        if holder and holder.socket != socket:
            found[key] = holder
    return (tuple(found), next(iter(found.values()))) if found else None


def _lock(path: str, owner: Owner | None) -> int:
    until = time.monotonic() + WAIT_S
    while True:
        try:
            return lock_file(path, "lock", owner)
        except LockedError:
            if time.monotonic() > until:
                raise
        time.sleep(PAUSE_S)


def _look(path: str) -> Holder | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder_of(os.pread(fd, LONGEST_TEXT, 0).decode("utf-8", "replace"))
    except OSError:
        return None
    finally:
        os.close(fd)
    return None


def _holder_of(text: str) -> Holder:
    try:
        data = read_json(text)
        return Holder(int(data["pid"]), str(data["socket"]), str(data["config"]))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return Holder(0, "", "")


def _may_be_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return True
