"""Reads /proc: identity, parent, variables, pipes and wait status of processes. Source: proc(5).

Read-only. A process that is gone, or that we may not look at, is not an error. The lack of a descriptor to look with is one,
because then nothing is known. Without /proc (not Linux) every function here finds nothing.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from taskmaster_common.records import Record
from taskmasterd.reserve import Reserve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator
    from typing import TypeVar

    Found = TypeVar("Found")
    Birth = tuple[float, float]
    """`boot_seconds` before and after the start of a process."""

NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
"""Clock ticks per second, the unit of start times. Source: proc(5), /proc/pid/stat, field 22."""
DEAD = ("Z", "X")
PF_EXITING = 0x4
THREADS_AT = 18
"""Index of the number of threads in the result of `_stat`. Source: proc(5), field 20."""
NO_LOGIN = 2**32 - 1
"""The loginuid of a process without a login. Source: Linux, audit.h, AUDIT_UID_UNSET."""
MOST_CONTENT = 16 * 1024 * 1024
"""Most bytes to read from any file; lists of children are the longest."""
MOST_VARIABLES = 256 * 1024
"""Most bytes to read of a process's variables."""
MOST_THREADS = 64
"""Most threads to look at for a living one; a process with more of them counts as alive."""


class Survivor(Record):
    """A live process. `started` is its start time in clock ticks since boot (proc(5), field 22)."""

    pid: int
    started: int
    name: str
    group: int
    session: int
    parent: int

    def __str__(self) -> str:
        return f"{self.name} ({self.pid})"


def can_see() -> bool:
    """Return whether /proc lists children."""
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def boot_id() -> str:
    """Return the id of this boot of the kernel, "" if it has none. Source: random(4)."""
    return read("/proc/sys/kernel/random/boot_id").decode("ascii", "replace").strip()


def look(pid: int) -> Survivor | None:
    """Return the process, None if it is gone or a zombie.

    /proc/pid/stat has the state of the main thread; after that thread's end the process lives as long as another one.
    """
    fields = _stat(pid)
    if not fields or _is_dead(pid, fields):
        return None
    return Survivor(pid, int(fields[20]), fields[0], int(fields[3]), int(fields[4]), int(fields[2]))


def is_ending(pid: int) -> bool:
    """Return whether a process is gone, a zombie, or exiting. Source: proc(5), field 9; PF_EXITING of the kernel."""
    fields = _stat(pid)
    return not fields or (_is_leaving(fields) and not _thread(pid, fields, _is_leaving))


def started_at(pid: int) -> int | None:
    """Return the start time of a process or zombie in clock ticks, None if it is gone."""
    fields = _stat(pid)
    return int(fields[20]) if fields else None


def parent_of(pid: int) -> int | None:
    """Return the parent of a process or zombie, None if it is gone."""
    fields = _stat(pid)
    return int(fields[2]) if fields else None


def zombie_status(pid: int) -> int | None:
    """Return the wait status of a zombie that is another process's child, None if it is not a zombie or the field is missing.

    Source: proc(5), field 52, which the kernel shows to root and to the same user.
    """
    fields = _stat(pid)
    return int(fields[50]) if len(fields) > 50 and fields[1] == "Z" and _is_dead(pid, fields) else None


def oom_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory since its boot, 0 where it does not say. Source: Linux 4.13."""
    found = read("/proc/vmstat").partition(b"\noom_kill ")[2].split(None, 1)
    return int(found[0]) if found and found[0].isdigit() else 0


def finished(work: Generator[None, None, Found]) -> Found:
    """Do all steps of some work now; return its result."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Found = end.value
            return result


def each() -> Iterator[Survivor]:
    """Yield every live process, one at a time: thousands of them at once take a megabyte that the daemon never gives back."""
    for name in listing("/proc"):
        survivor = look(int(name)) if name.isdecimal() else None
        if survivor:
            yield survivor


def everybody() -> dict[int, Survivor]:
    """Return every live process."""
    return {survivor.pid: survivor for survivor in each()}


def variables_of(pid: int) -> bytes:
    """Return the first MOST_VARIABLES bytes of a process's variables, b"" if we may not read them.

    The owner of the process can block this for ever, so `child_reads` calls it. The owner chooses their size, too (prctl(2),
    PR_SET_MM_MAP).
    """
    return _variables_at(f"/proc/{pid}") or _variables_at(_living_path(pid))


def _variables_at(directory: str) -> bytes:
    return _look(lambda path: _content(path, MOST_VARIABLES), f"{directory}/environ", b"")


def login_of(pid: int) -> int | None:
    """Return the uid that a process's user has logged in with, whatever he has become since; None without a login.

    Source: proc(5), /proc/pid/loginuid.
    """
    text = read(f"/proc/{pid}/loginuid").strip()
    return int(text) if text.isdigit() and int(text) != NO_LOGIN else None


def command_of(pid: int) -> str:
    """Return the name that a process goes by, "" if it is gone; it may choose one. Source: proc(5), /proc/pid/comm."""
    return read(f"/proc/{pid}/comm").decode("utf-8", "backslashreplace").rstrip("\n")


def state_of(pid: int) -> str:
    """Return the state of a process's main thread as one letter, "" if it is gone. Source: proc(5), field 3."""
    fields = _stat(pid)
    return fields[1] if fields else ""


def owner_of(pid: int) -> int | None:
    """Return the effective uid of a process."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def uid_of(pid: int) -> int | None:
    """Return the real uid of a process, which decides who may signal it, or None. Source: proc(5), /proc/pid/status; kill(2)."""
    found = read(f"/proc/{pid}/status").partition(b"\nUid:")[2].split(None, 1)
    return int(found[0]) if found else None


def may_be_read(pid: int) -> bool:
    """Return whether a process shows its variables to its own user, not only to root. Source: proc(5), PR_SET_DUMPABLE."""
    try:
        return os.stat(f"/proc/{pid}/environ").st_uid == owner_of(pid)
    except OSError:
        return True


def pipe_among(pid: int, inodes: Collection[int]) -> int | None:
    """Return one of these pipes that a process can write into, None if it has none or we may not look.

    A process that can only read one is not a program's: it is a child of the daemon that reads the configuration. Source:
    proc(5), /proc/pid/fd: the permissions of a link are the access mode.
    """
    return next((inode for path, inode in _pipes(pid) if inode in inodes and _mode(path) & stat.S_IWUSR), None)


def _mode(path: str) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def pipe_at(pid: int, fd: int) -> int | None:
    """Return the inode of the daemon's pipe at descriptor `fd` of a process, None if there is none or we may not look.

    The daemon's pipes are open for reading, too (`child_pipe`); a pipe that a program has made is not. Source: as above.
    """
    path = next((path for path, _inode in _pipes(pid) if path.endswith(f"/{fd}")), None)
    if path is None or _mode(path) & (stat.S_IRUSR | stat.S_IWUSR) != stat.S_IRUSR | stat.S_IWUSR:
        return None
    return int(os.stat(path).st_ino)


def open_pipe(pid: int, inode: int) -> int | None:
    """Return a new, non-blocking read end of a pipe that a process holds, None if it does not hold the pipe.

    Raises OSError if we may not open it. Source: proc(5), /proc/pid/fd; ptrace(2), PTRACE_MODE_READ_FSCREDS.
    """
    path = next((path for path, found in _pipes(pid) if found == inode), None)
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC) if path else None


def _pipes(pid: int) -> list[tuple[str, int]]:
    """Return (path below /proc, inode) for each pipe that a process holds."""
    found: list[tuple[str, int]] = []
    directory = f"/proc/{pid}/fd"
    names = listing(directory)
    if not names:
        directory = f"{_living_path(pid)}/fd"
        names = listing(directory)
    for fd in names:
        path = f"{directory}/{fd}"
        try:
            name = os.readlink(path)
        except OSError:
            continue
        if name.startswith("pipe:["):
            found.append((path, int(name[6:-1])))
    return found


def _is_dead(pid: int, fields: list[str]) -> bool:
    """Return whether all threads of a process have ended; `fields` are those of its main thread."""
    return _has_ended(fields) and not _thread(pid, fields, _has_ended)


def _has_ended(fields: list[str]) -> bool:
    return fields[1] in DEAD


def _is_leaving(fields: list[str]) -> bool:
    """Return whether a thread has ended or is exiting, so that it has lost its variables and descriptors."""
    return _has_ended(fields) or bool(int(fields[7]) & PF_EXITING)


def _thread(pid: int, fields: list[str], gone: Callable[[list[str]], bool]) -> str:
    """Return the id of a thread, other than the main one, for which `gone` is false, or ""."""
    if int(fields[THREADS_AT]) <= 1:
        return ""
    threads = [thread for thread in listing(f"/proc/{pid}/task") if thread != str(pid)]
    for thread in threads[:MOST_THREADS]:
        found = _stat(f"{pid}/task/{thread}")
        if found and not gone(found):
            return thread
    return threads[MOST_THREADS] if len(threads) > MOST_THREADS else ""


def _living_path(pid: int) -> str:
    """Return the directory with the variables and descriptors of a process whose main thread may have ended."""
    fields = _stat(pid)
    thread = _thread(pid, fields, _is_leaving) if fields and _is_leaving(fields) else ""
    return f"/proc/{pid}/task/{thread}" if thread else f"/proc/{pid}"


def _stat(pid: int | str) -> list[str]:
    """Return name, state, parent, group, session, ... of a process: the fields from the second on; [] if it is gone.

    "PID/task/TID" names a thread.
    """
    text = read(f"/proc/{pid}/stat").decode("utf-8", "replace")
    name, closing, rest = text[text.find("(") + 1 :].rpartition(")")
    return [name, *rest.split()] if closing else []


_reserve = Reserve(1)
"""A look closes it for its own use when no other one is left.

It is opened again at once: between two looks a client may take the last place in the table.
"""
keep_reserve = _reserve.fill
"""Called at the daemon's start: the first look may come when no descriptor is left."""


def _look(action: Callable[[str], Found], path: str, nothing: Found) -> Found:
    """Return `action(path)`, or `nothing` if the path is gone or refused.

    Raises OSError (EMFILE, ENFILE) if not even the reserve helps: then nothing is known.
    """
    _reserve.fill()
    try:
        return action(path)
    except OSError as error:
        if error.errno not in NO_DESCRIPTOR:
            return nothing
        if not _reserve:
            raise
    _reserve.release(1)
    try:
        return action(path)
    except OSError as error:
        if error.errno in NO_DESCRIPTOR:
            raise
        return nothing
    finally:
        _reserve.fill()


def listing(path: str) -> list[str]:
    """Return the names in a directory of /proc, [] if it is gone or refused."""
    return _look(os.listdir, path, [])


def read(path: str) -> bytes:
    """Return the content of a file of /proc, b"" if it is gone or refused."""
    return _look(_content, path, b"")


def _content(path: str, most: int = MOST_CONTENT) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces: list[bytes] = []
        while most > 0 and (piece := os.read(fd, min(65_536, most))):
            pieces.append(piece)
            most -= len(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)


def boot_seconds() -> float:
    """Return the seconds since boot, suspended time included, as start times count. Source: clock_gettime(2), CLOCK_BOOTTIME."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def ticks_now() -> int:
    """Return the start time of a process that starts now, in clock ticks since boot."""
    return int(boot_seconds() * TICKS_PER_S)


def highest_fd() -> int:
    """Return the highest open descriptor of this process; closing up to the limit could be a million calls."""
    try:
        return max(int(name) for name in os.listdir("/dev/fd"))
    except (OSError, ValueError):
        return os.sysconf("SC_OPEN_MAX")


def can_adopt() -> bool:
    """Return whether the system can prove the identity of a process: with pidfds (Linux 5.3), start times and the boot's id."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        return False
    return bool(boot_id()) and started_at(os.getpid()) is not None


def is_within(started: int, birth: Birth) -> bool:
    """Return whether a start time in clock ticks can lie between these two `boot_seconds`."""
    return int(birth[0] * TICKS_PER_S) - 1 <= started <= int(birth[1] * TICKS_PER_S) + 1
