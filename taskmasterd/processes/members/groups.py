"""What a program consists of besides its leader: its process group, and descendants that left it.

The daemon is a child subreaper: once a leader is dead, every survivor is below one of the daemon's own children. So one look
at these finds all survivors, and the end of each one wakes the daemon. The daemon signals only its own descendants, the
guardian's orphans among them. An orphan belongs to a program by its session or group, by its inherited tag (`lineage`), or,
without a tag, by the proof in its variables or an output pipe that it holds. Processes that an earlier daemon started are not
descendants of this one: they belong by their recorded session.

A pid is safe to signal while only the daemon can reap it (an own child). Other processes get signals by pidfd, after a
comparison of their start time. Source: prctl(2) PR_SET_CHILD_SUBREAPER, proc(5), pidfd_open(2).
"""

from __future__ import annotations

import os

from taskmasterd.ondemand import on_demand
from taskmasterd.processes.members.descendants import MOST_LOOKS, Descendants
from taskmasterd.system.offspring import tree
from taskmasterd.system.procfs import (
    Survivor,
    can_see,
    everybody,
    finished,
    is_ending,
    look,
    ticks_now,
)
from taskmasterd.system.procfs import each as each_process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Mapping

    from taskmasterd.processes.members import attribution
    from taskmasterd.processes.members.group import Group
    from taskmasterd.processes.members.proofs import Proofs
    from taskmasterd.system import cgroups, signalling
else:
    signalling = on_demand("taskmasterd.system.signalling")
    cgroups = on_demand("taskmasterd.system.cgroups")
    attribution = on_demand("taskmasterd.processes.members.attribution")


class Groups:
    """All live instances, and the search for survivors of dead leaders; `proofs` judges which slot a process belongs to.

    `left` are processes, as (pid, start time), that the orderly stop of an earlier daemon left alone. `hidden` are processes
    of the last look that hide their owner. For the other arguments see `Descendants`.
    """

    def __init__(
        self,
        proofs: Proofs,
        guardian: int = 0,
        ignored: Iterable[int] | None = None,
        proven_since: int = 0,
        freed: Iterable[int] = (),
        left: Iterable[tuple[int, int]] = (),
    ) -> None:
        """`freed` are sessions of dead leaders whose programs leave their descendants alone."""
        self._lineage = proofs.lineage
        self._leaders: dict[int, Group] = {}
        self.below = Descendants(proofs, self._leaders, guardian, ignored, proven_since)
        self.freed_sessions = set(freed)
        self.left = frozenset(left)
        self.hidden: list[Survivor] = []
        self.can_see = can_see()

    def add(self, group: Group) -> None:
        """Add a new instance."""
        self._leaders[group.pid] = group

    def ignore(self, pid: int) -> None:
        """Ignore an own child that belongs to no program, such as the configuration's parser."""
        self.below.ignore(pid)

    def reaped(self, pid: int) -> None:
        """Forget a pid that was reaped, or is about to be; its group, if it led one, has no leader from now on."""
        self.below.reaped(pid)
        group = self._leaders.pop(pid, None)
        if group:
            group.keeps_number()
            group.leader_has_ended()
            if not group.stop_group:
                self.freed_sessions = {pid for pid in self.freed_sessions if group_exists(pid)} | {group.pid}

    def guardian_died(self, emptying: Iterable[Group]) -> None:
        """Recognize members of present instances by session: the guardian is dead, and init has inherited its children."""
        self.below.forget_guardian()
        for group in (*self._leaders.values(), *emptying):
            group.outlive_guardian()

    def wakes(self, group: Group) -> bool:
        """Return whether the end of each survivor of this group wakes us: as a child of ours, or of the guardian."""
        return self.can_see and not group.sessions

    def survivors(self, groups: Collection[Group]) -> dict[Group, list[Survivor]]:
        """Return the survivors of these groups, whose leaders are dead; empty groups are left out.

        Raises OSError without a free descriptor to look with: then nothing is known.
        """
        return finished(self.look(groups))

    def look(self, groups: Collection[Group]) -> Generator[None, None, dict[Group, list[Survivor]]]:
        """Find `survivors` in steps.

        One look serves all groups. Without /proc (not Linux) a group that still exists counts as one nameless survivor.
        """
        wanted = [group for group in groups if group.stop_group]
        if not wanted:
            return {}
        if not self.can_see:
            return {group: [_nameless(group)] for group in wanted if group_exists(group.pid)}
        by_session = {session: group for group in wanted for session in group.sessions or (group.pid,)}
        evidence = attribution.Attribution(wanted, by_session, self._lineage)
        found, vanished = yield from self._attributed(evidence)
        looks = 1
        while vanished and looks < MOST_LOOKS:
            found, vanished = yield from self._attributed(evidence)
            looks += 1
        if vanished:  # in every look, so an unknown process forks on, and may belong to any of these groups
            for group in wanted:
                found.setdefault(group, [vanished])
        if any(group.sessions for group in wanted):
            yield from self._add_members_of_sessions(found, by_session)
        yield from self._add_unlisted(found, wanted)
        return found

    def _add_unlisted(self, found: dict[Group, list[Survivor]], wanted: Iterable[Group]) -> Generator[None, None, None]:
        """Add what no list of children has shown."""
        for group in wanted:
            if group.cgroup:
                yield from self._add_members_of_cgroup(found, group)
        for group in wanted:
            # the list of children may miss one while another exits (proc(5)); the kernel's answer about a group cannot
            if group not in found and not group.sessions and group_exists(group.pid):
                members = yield from _members(group.pid)
                if members:
                    found[group] = members

    def _attributed(
        self, evidence: attribution.Attribution
    ) -> Generator[None, None, tuple[dict[Group, list[Survivor]], Survivor | None]]:
        """Find the survivors of each group, and one process that vanished before its owner was known, or None."""
        found: dict[Group, list[Survivor]] = {}
        vanished = None
        hidden: list[Survivor] = []
        for batch in self.below.batches():
            yield
            self.below.learn([orphan for orphan in batch if evidence.by_session(orphan) is None])
            yield
            for orphan in batch:
                known = self.below.known(orphan)
                group = evidence.by_session(orphan) or evidence.by_evidence(orphan, known)
                if group:
                    found.setdefault(group, []).extend((yield from tree(orphan)))
                elif attribution.is_strange(known) and is_ending(
                    orphan.pid
                ):  # without variables, or gone before the first look
                    vanished = orphan
                elif attribution.is_strange(known) and attribution.hides(orphan, self._leaders, self._lineage):
                    hidden.append(orphan)
                yield
        self.hidden = hidden
        return found, vanished

    def strays(self, free: Collection[str]) -> list[Survivor]:
        """Return every live descendant without a leader, except those that the programs `free` left behind."""
        return finished(self.look_for_strays(free))

    def look_for_strays(self, free: Collection[str]) -> Generator[None, None, list[Survivor]]:
        """Find `strays` in steps."""
        if not self.can_see:
            return []
        families = {self._lineage.family(program): program for program in free}
        found: list[Survivor] = []
        for batch in self.below.batches():
            yield
            orphans = [orphan for orphan in batch if orphan.session not in self.freed_sessions]
            self.below.learn(orphans)
            yield
            for orphan in orphans:
                if attribution.program_of(self.below.known(orphan), families) not in free:
                    found.extend((yield from tree(orphan)))
                yield
        return found

    def leave_alone(self, free: Collection[str]) -> bool:
        """Remember the processes that are `left_alone` at the daemon's end; returns whether there are any."""
        self.left = self.left_alone(free)
        return bool(self.left)

    def left_alone(self, free: Collection[str]) -> frozenset[tuple[int, int]]:
        """Return (pid, start time) of each live process that the programs `free` left behind, under this or an earlier daemon."""
        if not (free or self.freed_sessions or self.left):
            return frozenset()
        everyone = [(one.pid, one.started, one.session) for one in everybody().values()]
        slots = self.below.slots_of([(pid, started) for pid, started, _session in everyone])
        return frozenset(
            (pid, started)
            for pid, started, session in everyone
            if (pid, started) in self.left
            or ((slot := slots.get(pid)) and (slot[0] in free or session in self.freed_sessions))
        )

    @staticmethod
    def signal_all(survivors: Iterable[Survivor], number: int) -> list[Survivor]:
        """Signal each of these processes; return those we may not signal."""
        return finished(Groups.signalling_all(survivors, number))

    @staticmethod
    def signalling_all(survivors: Iterable[Survivor], number: int) -> Generator[None, None, list[Survivor]]:
        """Do `signal_all` in steps."""
        refused: list[Survivor] = []
        for survivor in survivors:
            if not signalling.signal_one(survivor, number):
                refused.append(survivor)
            yield
        return refused

    def _add_members_of_sessions(
        self, found: dict[Group, list[Survivor]], by_session: Mapping[int, Group]
    ) -> Generator[None, None, None]:
        """Add survivors of an earlier daemon's instances: members of their sessions, whatever their parent is now.

        A stranger may have got a session's number since. It has not while a process lives that was in the session when it was
        ours; otherwise only members with the tag, the proof or a pipe are ours.
        """
        began = ticks_now()
        there = {one.pid for some in found.values() for one in some}
        members: dict[Group, list[Survivor]] = {}
        for survivor in each_process():
            group = by_session.get(survivor.session)
            if group and group.sessions and survivor.pid not in self._leaders and survivor.pid not in there:
                members.setdefault(group, []).append(survivor)
            yield
        for group, some in members.items():
            if any(one.started < group.ours_until for one in some):
                group.own_number_until(began)
                ours = some
            else:
                self.below.learn(some)
                evidence = attribution.Attribution([group], {}, self._lineage)
                ours = [one for one in some if evidence.by_evidence(one, self.below.known(one))]
            if ours:
                found.setdefault(group, []).extend(ours)

    def _add_members_of_cgroup(self, found: dict[Group, list[Survivor]], group: Group) -> Generator[None, None, None]:
        """Add what is in an instance's control group, besides its leader: whatever it has done to escape, it is in there."""
        there = {one.pid for one in found.get(group, ())}
        for pid in cgroups.members(group.cgroup):
            one = look(pid) if pid not in there and self._leaders.get(pid) is not group else None
            if one:
                found.setdefault(group, []).append(one)
            yield


def _members(pgid: int) -> Generator[None, None, list[Survivor]]:
    """Find the live members of a process group that descend from us, by a look at every process."""
    processes: dict[int, Survivor] = {}
    for one in each_process():
        processes[one.pid] = one
        yield
    found: list[Survivor] = []
    for survivor in processes.values():
        ancestor = survivor if survivor.group == pgid else None
        while ancestor is not None and ancestor.parent != os.getpid():
            ancestor = processes.get(ancestor.parent)
        if ancestor is not None:
            found.append(survivor)
    return found


def _nameless(group: Group) -> Survivor:
    return Survivor(0, 0, "process group", group.pid, group.pid, 0)


def group_exists(pgid: int) -> bool:
    """Return whether any process, zombies included, is a member of the group."""
    try:
        os.killpg(pgid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # refused, so the group has a member
        pass
    return True
