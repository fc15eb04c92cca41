"""What a daemon holds from its start on: pid file, locks, listening socket, and the pipe on which the launcher waits."""

from __future__ import annotations

import os
import stat

from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from taskmaster_common import paths
    from taskmasterd.system.paths import locks
else:
    paths = on_demand("taskmaster_common.paths")
    locks = on_demand("taskmasterd.system.paths.locks")

LOG_DIR, LOGFILE = "log_dir", "logfile"
CLAIMED = (LOG_DIR, LOGFILE)


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
        locks.write_pid(self._fds["pidfile"])

    def release_pidfile(self) -> None:
        """Remove the pid file."""
        locks.release(self._places["pidfile"], self._fds["pidfile"])

    def give_back_logs(self) -> None:
        """Release the locks, so that another daemon may write our logs."""
        give_back(self._places, self._fds)


def report(ready: int, exit_code: int, text: str) -> None:
    """Send the launcher the outcome of the start, and close the pipe; ignore a launcher that has died (Ctrl-C)."""
    try:
        os.write(ready, f"{exit_code} {text}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        pass
    finally:
        os.close(ready)


def lock_paths(places: Mapping[str, str | None]) -> Iterator[tuple[str, str]]:
    """Yield (key, path of the lock) for each place that the daemon claims."""
    log_dir, logfile = places.get(LOG_DIR), places.get(LOGFILE)
    if log_dir:
        yield LOG_DIR, f"{log_dir}/{paths.LOG_DIR_LOCK}"
    if logfile and not logfile.startswith("/dev/") and _may_be_regular(logfile):
        yield LOGFILE, paths.log_lock(logfile)


def give_back(places: Mapping[str, str | None], held: Mapping[str, int | None]) -> None:
    """Remove the locks in `held`, descriptors by key."""
    for key, path in lock_paths(places):
        locks.release(path, held.get(key))


def _may_be_regular(path: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return True
