"""What a program consists of besides its leader: its process group, and descendants that left it.

The daemon is a child subreaper: once a leader is dead, every survivor hangs below one of the daemon's own children. So one
look at these finds all, and the end of each survivor wakes the daemon. Only the daemon's own descendants are ever
signalled; an orphan belongs to a program by its session or group, by the variables that it carries, or by an output pipe that it
holds.

A pid is safe to signal while nobody but us can reap it (an own child); deeper descendants are signalled by pidfd after
their start time was compared. Source: prctl(2) PR_SET_CHILD_SUBREAPER, proc(5), pidfd_open(2).
"""

from __future__ import annotations

import errno
import os
import signal

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import TypeVar

    Found = TypeVar("Found")


NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})


class Survivor(Record):
    """A live process that is no leader. `started` is its start time in clock ticks since boot (proc(5), field 22)."""

    pid: int
    started: int
    name: str
    group: int
    session: int
    parent: int

    def __str__(self) -> str:
        return f"{self.name} ({self.pid})"


class Group:
    """One live copy of a program: its leader's pid, which is session and group too, and who was told which signal.

    `pipes` are the inodes of its output pipes: whoever holds one of them descends from this copy.
    """

    __slots__ = ("_told", "leader_alive", "pid", "pipes", "slot", "whole")

    def __init__(self, pid: int, slot: tuple[str, int], *, whole: bool, pipes: frozenset[int] = frozenset()) -> None:
        self.pid = pid
        self.slot = slot
        self.pipes = pipes
        self.whole = whole
        self.leader_alive = True
        self._told: set[tuple[int, int]] = set()

    def signal_leader(self, number: int) -> None:
        """Signal the leader alone; it must be alive or unreaped."""
        if self.leader_alive:
            _quietly(os.kill, self.pid, number)

    def signal_group(self, number: int) -> None:
        """Signal the leader's group, followed by CONT so that a stopped process hears it. The leader must be unreaped."""
        if not self.leader_alive:
            return
        send = os.killpg if self.whole else os.kill
        for each in (number, signal.SIGCONT):
            _quietly(send, self.pid, each)
        if number == signal.SIGKILL:
            _quietly(os.kill, self.pid, number)  # before its setsid it is in no group of its own
        if self.whole:
            self._told.add((0, number))

    def tell(self, survivors: Iterable[Survivor], number: int) -> None:
        """Signal each survivor that was not told `number` before, alone or with its group."""
        for survivor in survivors:
            by_group = (0, number) in self._told and survivor.group == self.pid
            if by_group and number != signal.SIGKILL:
                continue
            if (survivor.pid, number) not in self._told:
                self._told.add((survivor.pid, number))
                _signal_survivor(survivor, number)

    def forget_told(self) -> None:
        """Make the next `tell` speak to everybody again."""
        self._told.clear()


class Groups:
    """All live copies, and the look at what is left of dead ones. `socket` is the value of TASKMASTER_SOCKET."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._leaders: dict[int, Group] = {}
        self._ignored: set[int] = set()
        self._owner: dict[int, tuple[str, int] | None] = {}
        self._freed_sessions: set[int] = set()
        for pid in _children(os.getpid()):  # what runs below us already is somebody else's
            self.ignore(pid)
        self.can_see = os.path.exists(f"/proc/self/task/{os.getpid()}/children")

    def add(self, group: Group) -> None:
        """Take in a new copy."""
        self._leaders[group.pid] = group

    def ignore(self, pid: int) -> None:
        """Know an own child that belongs to no program (the configuration's parser)."""
        self._ignored.add(pid)

    def reaped(self, pid: int) -> None:
        """Forget a pid that was reaped; a group whose leader it was is without one from now on."""
        self._ignored.discard(pid)
        self._owner.pop(pid, None)
        group = self._leaders.pop(pid, None)
        if group:
            group.leader_alive = False
            if not group.whole:
                self._freed_sessions = {pid for pid in self._freed_sessions if _group_exists(pid)} | {group.pid}

    def survivors(self, groups: Collection[Group]) -> dict[Group, list[Survivor]]:
        """Return what is alive of each of the given groups, whose leaders are dead; empty ones are left out.

        Raises OSError where there is no descriptor to look with: then nothing is known.

        One look serves all of them. Where /proc does not tell (no Linux), a group that still exists is one nameless
        survivor.
        """
        wanted = [group for group in groups if group.whole]
        if not wanted:
            return {}
        if not self.can_see:
            return {group: [_nameless(group)] for group in wanted if _group_exists(group.pid)}
        by_session = {group.pid: group for group in wanted}
        by_slot = {group.slot: group for group in wanted}
        by_pipe = {inode: group for group in wanted for inode in group.pipes}
        found: dict[Group, list[Survivor]] = {}
        for orphan in self._orphans():
            group = by_session.get(orphan.group) or by_session.get(orphan.session)
            group = group or by_slot.get(self._slot_of(orphan) or ("", -1)) or _holder(orphan.pid, by_pipe)
            if group:
                found.setdefault(group, []).extend(_tree(orphan))
        for group in wanted:
            # the list of children may miss one while another exits (proc(5)); the kernel's answer about a group does not
            if group not in found and _group_exists(group.pid):
                members = _members(group.pid)
                if members:
                    found[group] = members
        return found

    def strays(self, free: Collection[str]) -> list[Survivor]:
        """Return every live descendant that is no leader's, but for what the programs `free` left behind."""
        if not self.can_see:
            return []
        found: list[Survivor] = []
        for orphan in self._orphans():
            slot = self._slot_of(orphan)
            if not (slot and slot[0] in free) and orphan.session not in self._freed_sessions:
                found.extend(_tree(orphan))
        return found

    @staticmethod
    def tell_all(survivors: Iterable[Survivor], number: int) -> None:
        """Signal each of the given processes."""
        for survivor in survivors:
            _signal_survivor(survivor, number)

    def _orphans(self) -> Iterable[Survivor]:
        for pid in _children(os.getpid()):
            if pid not in self._leaders and pid not in self._ignored:
                survivor = _look(pid)
                if survivor:
                    yield survivor

    def _slot_of(self, orphan: Survivor) -> tuple[str, int] | None:
        """Return program and index that the orphan's variables name, None where they name another daemon's or nothing."""
        if orphan.pid not in self._owner:
            self._owner[orphan.pid] = self._read_slot(orphan.pid)
        return self._owner[orphan.pid]

    def _read_slot(self, pid: int) -> tuple[str, int] | None:
        variables = dict(entry.partition(b"=")[::2] for entry in _read(f"/proc/{pid}/environ").split(b"\0"))
        index = variables.get(b"TASKMASTER_INSTANCE", b"")
        if os.fsdecode(variables.get(b"TASKMASTER_SOCKET", b"")) != self._socket or not index.isdigit():
            return None
        return os.fsdecode(variables.get(b"TASKMASTER_PROGRAM", b"")), int(index)


def _holder(pid: int, by_pipe: Mapping[int, Group]) -> Group | None:
    """Return the copy whose output pipe the process holds; nginx, for one, overwrites the variables it was started with."""
    for fd in _list(f"/proc/{pid}/fd"):
        try:
            inode = os.stat(f"/proc/{pid}/fd/{fd}").st_ino
            if inode in by_pipe and os.readlink(f"/proc/{pid}/fd/{fd}") == f"pipe:[{inode}]":
                return by_pipe[inode]
        except OSError:  # it was closed meanwhile; what the others hold is still to be seen
            continue
    return None


def _children(pid: int) -> list[int]:
    """Return the children of all threads of a process."""
    threads = _list(f"/proc/{pid}/task")
    return [int(child) for thread in threads for child in _read(f"/proc/{pid}/task/{thread}/children").split()]


def _members(pgid: int) -> list[Survivor]:
    """Return the live members of a process group that descend from us, by a look at every process."""
    everybody = {pid: survivor for pid in _all_pids() if (survivor := _look(pid))}
    found = []
    for survivor in everybody.values():
        ancestor = survivor if survivor.group == pgid else None
        while ancestor is not None and ancestor.parent != os.getpid():
            ancestor = everybody.get(ancestor.parent)
        if ancestor is not None:
            found.append(survivor)
    return found


def _all_pids() -> list[int]:
    return [int(name) for name in _list("/proc") if name.isdecimal()]


def _tree(root: Survivor) -> list[Survivor]:
    """Return a process and all its live descendants."""
    found, waiting = [root], [root.pid]
    while waiting:
        for pid in _children(waiting.pop()):
            child = _look(pid)
            if child:
                found.append(child)
                waiting.append(pid)
    return found


def _look(pid: int) -> Survivor | None:
    """Return the process unless it is gone or a zombie. Source: proc(5), /proc/pid/stat."""
    text = _read(f"/proc/{pid}/stat").decode("utf-8", "replace")
    name, closing, rest = text[text.find("(") + 1 :].rpartition(")")
    fields = rest.split()
    if not closing or fields[0] in ("Z", "X"):
        return None
    return Survivor(pid, int(fields[19]), name, int(fields[2]), int(fields[3]), int(fields[1]))


def _signal_survivor(survivor: Survivor, number: int) -> None:
    send_both = (number, signal.SIGCONT) if number != signal.SIGKILL else (number,)
    if survivor.pid <= 0:
        for each in send_both:
            _quietly(os.killpg, survivor.group, each)
        return
    if survivor.parent == os.getpid() or not hasattr(os, "pidfd_open"):
        for each in send_both:
            _quietly(os.kill, survivor.pid, each)
        return
    try:
        handle = os.pidfd_open(survivor.pid)
    except OSError:
        return
    try:
        again = _look(survivor.pid)
        if again and again.started == survivor.started:
            for each in send_both:
                _quietly(signal.pidfd_send_signal, handle, each)
    finally:
        os.close(handle)


def _nameless(group: Group) -> Survivor:
    return Survivor(0, 0, "process group", group.pid, group.pid, 0)


def _group_exists(pgid: int) -> bool:
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _quietly(send: object, target: int, number: int) -> None:
    """Send a signal; a process that is gone, or may not be signalled, is the caller's to notice by its staying alive."""
    try:
        send(target, number)  # type: ignore[operator]
    except OSError:
        return


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


def _list(path: str) -> list[str]:
    """Return the names in a directory of /proc."""
    return _reserve.look(os.listdir, path, [])


def _read(path: str) -> bytes:
    """Return a file of /proc."""
    return _reserve.look(_content, path, b"")


def _content(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(fd, 65_536):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(fd)
