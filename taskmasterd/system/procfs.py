"""What /proc tells of processes: who they are, below whom, with which marks, and how they ended. Source: proc(5).

Read-only. A process that is gone, or refused, is no error; that there is no descriptor to look with is one, because then
nothing is known. Where there is no /proc (no Linux) everything here finds nothing.
"""

from __future__ import annotations

import errno
import os
import stat

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator
    from typing import TypeVar

    Found = TypeVar("Found")

NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
"""Unit of start times. Source: proc(5), /proc/pid/stat, field 22."""
DEAD = ("Z", "X")
PF_EXITING = 0x4
THREADS_AT = 18
"""Where `_stat` has the number of threads. Source: proc(5), field 20."""
MOST_CONTENT = 16 * 1024 * 1024
"""Bytes of any file that are read; the longest are lists of children."""
MOST_VARIABLES = 256 * 1024
"""Bytes of a process's variables that are read."""
MOST_IN_TREE = 20_000
"""Processes of one tree that are found: one that grows all the time must not be looked at for ever."""
MOST_THREADS = 64
"""Threads that are looked at to find a living one; a process with more of them counts as alive."""


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
    """Return whether /proc tells of children and sessions."""
    return os.path.exists(f"/proc/self/task/{os.getpid()}/children")


def boot_id() -> str:
    """Return what names this boot of the kernel, "" where nothing does. Source: random(4)."""
    return read("/proc/sys/kernel/random/boot_id").decode("ascii", "replace").strip()


def look(pid: int) -> Survivor | None:
    """Return the process unless it is gone or a zombie.

    The state in /proc/pid/stat is the main thread's: where that has ended, the process lives as long as another thread.
    """
    fields = _stat(pid)
    if not fields or _is_dead(pid, fields):
        return None
    return Survivor(pid, int(fields[20]), fields[0], int(fields[3]), int(fields[4]), int(fields[2]))


def is_ending(pid: int) -> bool:
    """Return whether a process is gone, a zombie, or on its way there. Source: proc(5), field 9; PF_EXITING of the kernel."""
    fields = _stat(pid)
    return not fields or (_is_leaving(fields) and not _thread(pid, fields, _is_leaving))


def started_at(pid: int) -> int | None:
    """Return the start time of a process or zombie in clock ticks, None where there is none."""
    fields = _stat(pid)
    return int(fields[20]) if fields else None


def parent_of(pid: int) -> int | None:
    """Return the parent of a process or zombie, None where there is none."""
    fields = _stat(pid)
    return int(fields[2]) if fields else None


def zombie_status(pid: int) -> int | None:
    """Return the wait status of a zombie that is somebody else's child, None where it is none or it may not be known.

    Source: proc(5), field 52; shown to root and to the same user.
    """
    fields = _stat(pid)
    return int(fields[50]) if len(fields) > 50 and fields[1] == "Z" and _is_dead(pid, fields) else None


def children(pid: int) -> list[int]:
    """Return the children of all threads of a process."""
    return finished(_children(pid))


def _children(pid: int) -> Generator[None, None, list[int]]:
    """Find the children of all threads of a process, a thread a step."""
    found: list[int] = []
    for thread in listing(f"/proc/{pid}/task"):
        found += map(int, read(f"/proc/{pid}/task/{thread}/children").split())
        yield
    return found


def tree(root: Survivor) -> Generator[None, None, list[Survivor]]:
    """Find a process and all its live descendants, a process a step; MOST_IN_TREE of them."""
    found, waiting = [root], [root.pid]
    while waiting and len(found) < MOST_IN_TREE:
        for pid in (yield from _children(waiting.pop())):
            child = look(pid)
            if child:
                found.append(child)
                waiting.append(pid)
            yield
    return found


def finished(work: Generator[None, None, Found]) -> Found:
    """Return what comes of work in steps, done at once."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            result: Found = end.value
            return result


def each() -> Iterator[Survivor]:
    """Yield every live process, one at a time: thousands of them at once are a megabyte that never goes back."""
    for name in listing("/proc"):
        survivor = look(int(name)) if name.isdecimal() else None
        if survivor:
            yield survivor


def everybody() -> dict[int, Survivor]:
    """Return every live process."""
    return {survivor.pid: survivor for survivor in each()}


def variables_of(pid: int) -> bytes:
    """Return the variables of a process, b"" where they may not be read; the first MOST_VARIABLES bytes of them.

    May wait for ever where the owner of the process wants that: `child_reads` asks. How many there are is his choice, too
    (prctl(2), PR_SET_MM_MAP).
    """
    return _variables_at(f"/proc/{pid}") or _variables_at(_living_path(pid))


def _variables_at(directory: str) -> bytes:
    return _reserve.look(lambda path: _content(path, MOST_VARIABLES), f"{directory}/environ", b"")


def state_of(pid: int) -> str:
    """Return the state of a process's main thread, one letter, "" where it is gone. Source: proc(5), field 3."""
    fields = _stat(pid)
    return fields[1] if fields else ""


def owner_of(pid: int) -> int | None:
    """Return the effective uid of a process."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None


def uid_of(pid: int) -> int | None:
    """Return the real uid of a process, which decides who may signal it. Source: proc(5), /proc/pid/status; kill(2)."""
    found = read(f"/proc/{pid}/status").partition(b"\nUid:")[2].split(None, 1)
    return int(found[0]) if found else None


def may_be_read(pid: int) -> bool:
    """Return whether a process shows its variables to its own user; else these are root's. Source: proc(5), PR_SET_DUMPABLE."""
    try:
        return os.stat(f"/proc/{pid}/environ").st_uid == owner_of(pid)
    except OSError:
        return True


def pipe_among(pid: int, inodes: Collection[int]) -> int | None:
    """Return which of these pipes a process can write into, None where none or where it may not be known.

    Who can only read belongs to no program: a child of the daemon that reads the configuration. Source: proc(5),
    /proc/pid/fd: the links' permissions are the access mode.
    """
    return next((inode for path, inode in _pipes(pid) if inode in inodes and _mode(path) & stat.S_IWUSR), None)


def _mode(path: str) -> int:
    try:
        return os.lstat(path).st_mode
    except OSError:
        return 0


def pipe_at(pid: int, fd: int) -> int | None:
    """Return the inode of the pipe of ours that is a process's descriptor `fd`, None where it is none, or may not be known.

    Ours are open for reading, too (`child_pipe`); a pipe that a program has made for itself is not. Source: as above.
    """
    path = next((path for path, _inode in _pipes(pid) if path.endswith(f"/{fd}")), None)
    if path is None or _mode(path) & (stat.S_IRUSR | stat.S_IWUSR) != stat.S_IRUSR | stat.S_IWUSR:
        return None
    return int(os.stat(path).st_ino)


def open_pipe(pid: int, inode: int) -> int | None:
    """Return a new read end (non-blocking) of a pipe that a process holds, None where it does not.

    Raises OSError where it may not be opened. Source: proc(5), /proc/pid/fd; ptrace(2), PTRACE_MODE_READ_FSCREDS.
    """
    path = next((path for path, found in _pipes(pid) if found == inode), None)
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC) if path else None


def _pipes(pid: int) -> list[tuple[str, int]]:
    """Return (path below /proc, inode) of each pipe that a process holds."""
    found = []
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
    """Return whether no thread of a process lives; `fields` are those of its main thread."""
    return _has_ended(fields) and not _thread(pid, fields, _has_ended)


def _has_ended(fields: list[str]) -> bool:
    return fields[1] in DEAD


def _is_leaving(fields: list[str]) -> bool:
    """Return whether a thread has ended or is on its way there: it has lost its variables and descriptors."""
    return _has_ended(fields) or bool(int(fields[7]) & PF_EXITING)


def _thread(pid: int, fields: list[str], gone: Callable[[list[str]], bool]) -> str:
    """Return the id of a thread besides the main one for which `gone` does not hold, "" where there is none."""
    if int(fields[THREADS_AT]) <= 1:
        return ""
    threads = [thread for thread in listing(f"/proc/{pid}/task") if thread != str(pid)]
    for thread in threads[:MOST_THREADS]:
        found = _stat(f"{pid}/task/{thread}")
        if found and not gone(found):
            return thread
    return threads[MOST_THREADS] if len(threads) > MOST_THREADS else ""


def _living_path(pid: int) -> str:
    """Return where the variables and descriptors of a process are found whose main thread may have ended."""
    fields = _stat(pid)
    thread = _thread(pid, fields, _is_leaving) if fields and _is_leaving(fields) else ""
    return f"/proc/{pid}/task/{thread}" if thread else f"/proc/{pid}"


def _stat(pid: int | str) -> list[str]:
    """Return name, state, parent, group, session, ... of a process: the fields from the second on; [] where it is gone.

    "PID/task/TID" asks for a thread.
    """
    text = read(f"/proc/{pid}/stat").decode("utf-8", "replace")
    name, closing, rest = text[text.find("(") + 1 :].rpartition(")")
    return [name, *rest.split()] if closing else []


class _Reserve:
    """One descriptor that is given up for the length of a look when there is no other one left."""

    def __init__(self) -> None:
        self._fd = -1

    def look(self, action: Callable[[str], Found], path: str, nothing: Found) -> Found:
        """Return `action(path)`, `nothing` where the path is gone or refused.

        Raises OSError (EMFILE, ENFILE) where not even the reserve helps: then nothing is known.
        """
        if self._fd < 0:
            self._fd = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return action(path)
        except OSError as error:
            if error.errno not in NO_DESCRIPTOR:
                return nothing
        os.close(self._fd)
        self._fd = -1
        try:
            return action(path)
        except OSError as error:
            if error.errno in NO_DESCRIPTOR:
                raise
            return nothing


_reserve = _Reserve()


def listing(path: str) -> list[str]:
    """Return the names in a directory of /proc."""
    return _reserve.look(os.listdir, path, [])


def read(path: str) -> bytes:
    """Return a file of /proc."""
    return _reserve.look(_content, path, b"")


def _content(path: str, most: int = MOST_CONTENT) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while most > 0 and (piece := os.read(fd, min(65_536, most))):
            pieces.append(piece)
            most -= len(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)
