"""Control groups, version 2: makes, reads, kills and removes them. Source: cgroup-v2 of the kernel's documentation.

Nothing here is resident: it is imported when the first program asks for a group.
"""

from __future__ import annotations

import errno
import os

from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.procfs import listing, read
from taskmasterd.system.signalling import send

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskmasterd.system.loop.reactor import Reactor

DELEGATED = ("user.delegate", "trusted.delegate")
BOOTED = "/run/systemd/system"
"""There where systemd is the init. Source: sd_booted(3)."""
MOST_EVENTS = 4096
"""Most bytes of a file of events."""
DEEPEST = 16
"""Most levels of groups that a program has made below its own to look at."""


def mounted_at() -> str:
    """Return where cgroup v2 is mounted, "" for nowhere. Source: proc(5), /proc/pid/mountinfo."""
    for line in read("/proc/self/mountinfo").decode("utf-8", "surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        if after.startswith("cgroup2 "):
            return before.split(" ")[4].replace("\\040", " ")
    return ""


def own_group() -> str:
    """Return this process's group below the mount: "/system.slice/x.service". Source: cgroups(7), /proc/pid/cgroup."""
    for line in read("/proc/self/cgroup").decode("utf-8", "surrogateescape").splitlines():
        if line.startswith("0::"):
            return line[3:].rstrip("/")
    return ""


def is_delegated(path: str) -> bool:
    """Return whether systemd has given a group away."""
    for name in DELEGATED:
        try:
            if os.getxattr(path, name) == b"1":
                return True
        except OSError:
            continue
    return False


def is_booted() -> bool:
    """Return whether systemd is the init of this host."""
    return os.path.isdir(BOOTED)


def is_read_only(path: str) -> bool:
    """Return whether the file system of a path is mounted read-only."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def is_group(path: str) -> bool:
    """Return whether a path is a control group."""
    return os.path.exists(f"{path}/cgroup.procs")


def make(path: str) -> None:
    """Make a group, unless it is there. Raises OSError."""
    if not is_group(path):
        os.mkdir(path, 0o755)


def write(path: str, file: str, content: str) -> None:
    """Write into a file of a group, in one call. Raises OSError."""
    fd = os.open(f"{path}/{file}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, content.encode())
    finally:
        os.close(fd)


def words(path: str, file: str) -> list[str]:
    """Return the words of a file of a group, [] where there is none."""
    return read(f"{path}/{file}").decode("ascii", "replace").split()


def events(path: str, file: str) -> dict[str, int]:
    """Return a file of names and numbers: cgroup.events, memory.events."""
    found = words(path, file)
    return {name: int(value) for name, value in zip(found[::2], found[1::2]) if value.isdigit()}


class FileNotice:
    """Calls `changed()` after each change of a file of events of a group, until `close`.

    Source: cgroup-v2, "file modified event": poll(2) reports POLLPRI and POLLERR until the file is read again; epoll_ctl(2) has the
    latter reported in any case, so nothing else is asked for.
    """

    def __init__(self, reactor: Reactor, path: str, file: str, changed: Callable[[], None]) -> None:
        """Raise OSError where there is no such file, ValueError for a loop that cannot wait for it."""
        self._reactor = reactor
        self._changed = changed
        self._fd = os.open(f"{path}/{file}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._read()
            reactor.watch(self._fd, 0, self._woken)
        except (OSError, ValueError):
            os.close(self._fd)
            raise

    def close(self) -> None:
        """Take no more notice."""
        self._reactor.remove(self._fd)
        os.close(self._fd)

    def _woken(self, _events: int) -> None:
        self._read()
        self._changed()

    def _read(self) -> None:
        os.pread(self._fd, MOST_EVENTS, 0)


def populated(path: str) -> bool:
    """Return whether a process is in a group or below it."""
    return events(path, "cgroup.events").get("populated", 0) == 1


def below(path: str, depth: int = 0) -> Iterator[str]:
    """Yield a group and all groups below it, the deepest first."""
    if depth < DEEPEST:
        for name in listing(path):
            if os.path.isdir(f"{path}/{name}"):
                yield from below(f"{path}/{name}", depth + 1)
    yield path


def members(path: str) -> list[int]:
    """Return the processes in a group and below it."""
    return [int(pid) for group in below(path) for pid in words(group, "cgroup.procs")]


def kill(path: str) -> None:
    """Kill all processes in a group and below it, those too that fork on. Before Linux 5.14 it freezes them first."""
    try:
        write(path, "cgroup.kill", "1")
    except OSError as error:
        if error.errno != errno.ENOENT or not is_group(path):
            return
        _kill_each(path)


def _kill_each(path: str) -> None:
    for content in ("1", "0"):
        try:
            write(path, "cgroup.freeze", content)
        except OSError:  # before Linux 5.2: what forks on may escape this round
            continue
        finally:
            for pid in members(path):
                send(os.kill, pid, signal.SIGKILL)


def remove(path: str) -> bool:
    """Remove a group with those below it; return whether it is gone."""
    for group in below(path):
        try:
            os.rmdir(group)
        except FileNotFoundError:
            continue
        except OSError:
            return False
    return True
