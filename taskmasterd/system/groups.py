"""What a program consists of besides its leader: its process group, and descendants that left it.

The daemon is a child subreaper: once a leader is dead, every survivor hangs below one of the daemon's own children. So one
look at these finds all, and the end of each survivor wakes the daemon. Only the daemon's own descendants are ever
signalled, the guardian's orphans among them; an orphan belongs to a program by its session or group, by the variables that it
carries, or by an output pipe that it holds. What an earlier daemon started is not below this one: there the members of the
recorded session count.

A pid is safe to signal while nobody but us can reap it (an own child); others are signalled by pidfd after
their start time was compared. Source: prctl(2) PR_SET_CHILD_SUBREAPER, proc(5), pidfd_open(2).
"""

from __future__ import annotations

import os

from taskmasterd.system.adopted import ticks_now
from taskmasterd.system.lean import signal
from taskmasterd.system.procfs import Survivor, can_see, children, everybody, is_ending, look, pipe_among, tree
from taskmasterd.system.sidelong import answers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from taskmasterd.system.marks import Marks

NOBODY: frozenset[tuple[int, int]] = frozenset()
NO_SESSIONS: frozenset[int] = frozenset()
"""One empty set for all: each other one is 216 bytes."""
MOST_LOOKS = 10
AGE_TICKS = 100
"""Age at which a process that shows no mark is believed to have none."""


class Group:
    """One live copy of a program: its leader's pid, which is session and group too, and who was told which signal.

    `pipes` are the inodes of its output pipes: whoever holds one of them descends from this copy. An adopted copy is no child
    of ours: `handle` is the pidfd of its leader, None where that has gone, and `sessions` are those whose members are its own
    (`certain`: whatever marks they carry, because its leader was alive when it was adopted).
    """

    __slots__ = (
        "certain",
        "handle",
        "leader_alive",
        "leader_first",
        "pid",
        "pipes",
        "sessions",
        "slot",
        "told",
        "whole",
    )

    def __init__(self, pid: int, slot: tuple[str, int], *, whole: bool, pipes: tuple[int, ...] = ()) -> None:
        self.pid = pid
        self.slot = slot
        self.pipes = pipes
        self.whole = whole
        self.leader_first = False
        self.leader_alive = True
        self.handle: int | None = None
        self.sessions = NO_SESSIONS
        self.certain = False
        self.told = NOBODY

    def follow(self, *, whole: bool, leader_first: bool) -> None:
        """Know what belongs to it: `whole`, all that its leader leaves; `leader_first`, no signal but KILL before that."""
        self.whole, self.leader_first = whole, leader_first

    def signal_leader(self, number: int) -> None:
        """Signal the leader alone; it must be alive or unreaped."""
        if self.handle is not None:
            _quietly(signal.pidfd_send_signal, self.handle, number)
        elif self.leader_alive:
            _quietly(os.kill, self.pid, number)

    def signal_group(self, number: int) -> None:
        """Signal the leader's group, followed by CONT so that a stopped process hears it. The leader must be unreaped."""
        if not self._leader_is_there():
            return
        by_group = self.whole and (number == signal.SIGKILL or not self.leader_first)
        for each in (number, signal.SIGCONT):
            if not (by_group and _quietly(os.killpg, self.pid, each)):
                self.signal_leader(each)
        if number == signal.SIGKILL:
            self.signal_leader(number)  # before its setsid it is in no group of its own
        if by_group:
            self.told |= {(0, number)}

    def tell(self, survivors: Iterable[Survivor], number: int) -> None:
        """Signal each survivor that was not told `number` before, alone or with its group."""
        for survivor in survivors:
            by_group = (0, number) in self.told and survivor.group == self.pid
            if by_group and number != signal.SIGKILL:
                continue
            if (survivor.pid, number) not in self.told:
                self.told |= {(survivor.pid, number)}
                _signal_survivor(survivor, number)

    def forget_told(self) -> None:
        """Make the next `tell` speak to everybody again."""
        self.told = NOBODY

    def leader_has_ended(self) -> None:
        """Know that the leader was reaped: its pid may become anybody's."""
        self.leader_alive = False
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None

    def _leader_is_there(self) -> bool:
        """Return whether the group's number cannot be anybody else's: its leader was not reaped."""
        if self.handle is None:
            return self.leader_alive
        try:
            signal.pidfd_send_signal(self.handle, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True


class Groups:
    """All live copies, and the look at what is left of dead ones; `marks` judges which slot a process carries the mark of.

    `guardian` is the pid of the parent that inherits what a dead daemon leaves, 0 where there is none. `ignored` are
    descendants that belong to no program; None: whatever runs below us, or below the guardian, already. `left` are
    (pid, start time) of those that an earlier daemon left alone when it was stopped in order. What had been started before
    `proven_since`, in clock ticks since boot, may carry the mark of a version that gave no proofs.
    """

    def __init__(self, marks: Marks, guardian: int = 0, ignored: Iterable[int] | None = None) -> None:
        self._marks = marks
        self.proven_since = 0
        self._guardian = guardian
        self._leaders: dict[int, Group] = {}
        self._owner: dict[int, tuple[int, tuple[str, int] | None]] = {}
        self.freed_sessions: set[int] = set()
        self.left: frozenset[tuple[int, int]] = frozenset()
        self.ignored = set(self._below() if ignored is None else ignored)
        self.can_see = can_see()

    def add(self, group: Group) -> None:
        """Take in a new copy."""
        self._leaders[group.pid] = group

    def ignore(self, pid: int) -> None:
        """Know an own child that belongs to no program (the configuration's parser)."""
        self.ignored.add(pid)

    def reaped(self, pid: int) -> None:
        """Forget a pid that was reaped; a group whose leader it was is without one from now on."""
        self.ignored.discard(pid)
        self._owner.pop(pid, None)
        group = self._leaders.pop(pid, None)
        if group:
            group.leader_has_ended()
            if not group.whole:
                self.freed_sessions = {pid for pid in self.freed_sessions if group_exists(pid)} | {group.pid}

    def guardian_died(self, emptying: Iterable[Group]) -> None:
        """Know that what was the guardian's child is init's now; of present copies only sessions tell who belongs to them."""
        self._guardian = 0
        for group in (*self._leaders.values(), *emptying):
            group.certain = group.certain or group.leader_alive
            group.sessions = group.sessions or frozenset({group.pid})

    def wakes(self, group: Group) -> bool:
        """Return whether the end of a survivor of this group surely wakes us: it is our child, or the guardian's."""
        return self.can_see and not group.sessions

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
            return {group: [_nameless(group)] for group in wanted if group_exists(group.pid)}
        by_session = {session: group for group in wanted for session in group.sessions or (group.pid,)}
        found, vanished = self._attributed(wanted, by_session)
        looks = 1
        while vanished and looks < MOST_LOOKS:
            found, vanished = self._attributed(wanted, by_session)
            looks += 1
        if vanished:  # again and again, so it has successors, and may be anybody's: nobody may say that nothing is left
            for group in wanted:
                found.setdefault(group, [vanished])
        if any(group.sessions for group in wanted):
            self._add_members_of_sessions(found, by_session)
        for group in wanted:
            # the list of children may miss one while another exits (proc(5)); the kernel's answer about a group does not
            if group not in found and not group.sessions and group_exists(group.pid):
                members = _members(group.pid)
                if members:
                    found[group] = members
        return found

    def _attributed(
        self, wanted: Iterable[Group], by_session: Mapping[int, Group]
    ) -> tuple[dict[Group, list[Survivor]], Survivor | None]:
        """Return what is alive of each group, and one that has gone before anybody could know whose it was."""
        by_slot = {group.slot: group for group in wanted}
        by_pipe = {inode: group for group in wanted for inode in group.pipes}
        found: dict[Group, list[Survivor]] = {}
        vanished = None
        for orphan in self._orphans():
            group = by_session.get(orphan.group) or by_session.get(orphan.session)
            group = group or by_slot.get(self._slot_of(orphan) or ("", -1)) or _holder(orphan.pid, by_pipe)
            if group:
                found.setdefault(group, []).extend(tree(orphan))
            elif is_ending(orphan.pid):  # it has lost its variables and descriptors already, or was never seen alive
                vanished = orphan
        return found, vanished

    def strays(self, free: Collection[str]) -> list[Survivor]:
        """Return every live descendant that is no leader's, but for what the programs `free` left behind."""
        if not self.can_see:
            return []
        found: list[Survivor] = []
        for orphan in self._orphans():
            slot = self._slot_of(orphan)
            if not (slot and slot[0] in free) and orphan.session not in self.freed_sessions:
                found.extend(tree(orphan))
        return found

    def left_alone(self, free: Collection[str]) -> frozenset[tuple[int, int]]:
        """Return (pid, start time) of every live process that the programs `free` left behind, now or in an earlier life."""
        if not (free or self.freed_sessions or self.left):
            return frozenset()
        everyone = [(one.pid, one.started, one.session) for one in everybody().values()]
        slots = self._ask([(pid, started) for pid, started, _session in everyone])
        return frozenset(
            (pid, started)
            for pid, started, session in everyone
            if (pid, started) in self.left
            or ((slot := slots.get(pid)) and (slot[0] in free or session in self.freed_sessions))
        )

    @staticmethod
    def tell_all(survivors: Iterable[Survivor], number: int) -> None:
        """Signal each of the given processes."""
        for survivor in survivors:
            _signal_survivor(survivor, number)

    def _below(self) -> list[int]:
        """Return our children, and the guardian's less ourselves."""
        ours = children(os.getpid())
        return ours + [pid for pid in children(self._guardian) if pid != os.getpid()] if self._guardian else ours

    def _orphans(self) -> Iterable[Survivor]:
        """Yield all that is below us and no leader's; looks until nobody new is there.

        One that forks and ends all the time has gone from where it was listed before it is looked at: where there is always
        a new one, the last that was listed is yielded for it, dead as it is.
        """
        seen: set[int] = set()
        for _ in range(MOST_LOOKS):
            new = [
                pid for pid in self._below() if pid not in seen and pid not in self._leaders and pid not in self.ignored
            ]
            if not new:
                return
            seen.update(new)
            yield from filter(None, map(look, new))
        yield Survivor(new[-1], 0, "process", 0, 0, 0)

    def _add_members_of_sessions(self, found: dict[Group, list[Survivor]], by_session: dict[int, Group]) -> None:
        """Add what an earlier daemon's copies left: members of their sessions, wherever they hang now."""
        for survivor in everybody().values():
            group = by_session.get(survivor.session)
            if group is None or not group.sessions or survivor.pid in self._leaders:
                continue
            if any(survivor.pid == one.pid for one in found.get(group, ())):
                continue  # it is below us as well
            if group.certain or self._slot_of(survivor) == group.slot or pipe_among(survivor.pid, group.pipes):
                found.setdefault(group, []).append(survivor)

    def _slot_of(self, orphan: Survivor) -> tuple[str, int] | None:
        """Return program and index that the orphan's variables name, None where they name another daemon's or nothing."""
        known = self._owner.get(orphan.pid)
        if known and known[0] == orphan.started:
            return known[1]
        slot = self._ask([(orphan.pid, orphan.started)]).get(orphan.pid)
        if slot or ticks_now() - orphan.started > AGE_TICKS:  # during its exec a process shows no variables
            self._owner[orphan.pid] = (orphan.started, slot)
        return slot

    def _ask(self, processes: Sequence[tuple[int, int]]) -> dict[int, tuple[str, int]]:
        """Return the slot that the variables of each process, (pid, start time), prove, or may have been given without proof."""
        since = dict(processes)
        said = answers([*since], self._marks.judged, self.ignore)
        found = ((pid, self._marks.slot_in(text, older=since[pid] < self.proven_since)) for pid, text in said.items())
        return {pid: slot for pid, slot in found if slot}


def _holder(pid: int, by_pipe: dict[int, Group]) -> Group | None:
    """Return the copy whose output pipe the process holds; nginx, for one, overwrites the variables it was started with."""
    inode = pipe_among(pid, by_pipe)
    return by_pipe[inode] if inode is not None else None


def _members(pgid: int) -> list[Survivor]:
    """Return the live members of a process group that descend from us, by a look at every process."""
    processes = everybody()
    found = []
    for survivor in processes.values():
        ancestor = survivor if survivor.group == pgid else None
        while ancestor is not None and ancestor.parent != os.getpid():
            ancestor = processes.get(ancestor.parent)
        if ancestor is not None:
            found.append(survivor)
    return found


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
        again = look(survivor.pid)
        if again and again.started == survivor.started:
            for each in send_both:
                _quietly(signal.pidfd_send_signal, handle, each)
    finally:
        os.close(handle)


def _nameless(group: Group) -> Survivor:
    return Survivor(0, 0, "process group", group.pid, group.pid, 0)


def group_exists(pgid: int) -> bool:
    """Return whether any process, be it a zombie, is a member of the group."""
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _quietly(send: Callable[[int, int], object], target: int, number: int) -> bool:
    """Send a signal and return whether that was possible; that it was not, the caller notices by what stays alive."""
    try:
        send(target, number)
    except OSError:
        return False
    return True
