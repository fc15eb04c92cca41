"""Finds what a probe's or hook's child left behind, wherever it went.

Each such child has a tag of its own (`system.lineage`), which all its descendants inherit; where the system has no tags, the
proof in their variables names role and slot. The daemon is a subreaper, so whatever outlives its parent is a child of the daemon.
"""

from __future__ import annotations

import os

from taskmaster_common.records import Record
from taskmasterd.processes.members.proofs import LOGGER, ROLES
from taskmasterd.system.child_reads import ask_in_child
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.offspring import tree
from taskmasterd.system.procfs import each
from taskmasterd.system.signalling import send, signal_one

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from taskmasterd.processes.members.groups import Groups
    from taskmasterd.processes.members.proofs import Proofs
    from taskmasterd.system.procfs import Survivor


class Mark(Record):
    """What identifies a child: `pid`, which is its session and group too, the `tag` of its lineage or None, role and slot."""

    pid: int
    tag: int | None
    role: str
    program: str
    index: int


class Leftovers:
    """Looks at the daemon's descendants, which `groups` knows apart from the programs' leaders."""

    def __init__(self, groups: Groups, proofs: Proofs) -> None:
        self._groups = groups
        self._proofs = proofs

    def of(self, mark: Mark, *, owns_number: bool, ours: bool) -> Generator[None, None, list[Survivor]]:
        """Find in steps what is alive of a child that has ended. Raises OSError without a descriptor to look with.

        `owns_number`: its session cannot be anybody else's by now. `ours`: it was our child; otherwise init may have inherited
        what it left. Without /proc its process group gets KILL, and nothing is found.
        """
        if not self._groups.can_see:
            send(os.killpg, mark.pid, signal.SIGKILL)
            return []
        found: list[Survivor] = []
        if not ours:
            for one in each():
                if self._belongs(one, mark, owns_number=owns_number):
                    found.append(one)
                yield
            return found
        for batch in self._groups.below.batches():
            yield
            proven = self._proven(batch, mark)
            for orphan in batch:
                if orphan.pid in proven or self._belongs(orphan, mark, owns_number=owns_number):
                    found.extend((yield from tree(orphan)))
                yield
        return found

    def _belongs(self, one: Survivor, mark: Mark, *, owns_number: bool) -> bool:
        if owns_number and mark.pid in (one.session, one.group):
            return True
        return mark.tag is not None and self._proofs.lineage.of(one.pid) == mark.tag

    def _proven(self, batch: Sequence[Survivor], mark: Mark) -> set[int]:
        """Return the pids whose variables prove role and slot, where the system has no tags."""
        if mark.tag is not None or not batch:
            return set()
        said = ask_in_child([one.pid for one in batch], self._proofs.judged, self._groups.ignore)
        return {pid for pid, text in said.items() if text == f"{mark.role} {mark.index} {mark.program}"}


def reader_of(proofs: Proofs, inode: int, role: str, program: str, index: int) -> tuple[Mark, int] | None:
    """Return the child that has this role for a slot and reads this pipe as its standard input, with its start time (clock ticks).

    For a child whose daemon died before it wrote down the pid. The child leads a session and proves its role, as an instance that is
    in no state file proves its slot. Raises OSError if no descriptor is free.
    """
    found = {one.pid: one for one in each() if one.pid == one.session and _reads(one.pid, inode)}
    said = ask_in_child([*found], proofs.judged) if found else {}
    for pid, text in said.items():
        if text == f"{role} {index} {program}":
            return Mark(pid, proofs.lineage.of(pid), role, program, index), found[pid].started
    return None


def _reads(pid: int, inode: int) -> bool:
    try:
        return os.stat(f"/proc/{pid}/fd/0").st_ino == inode
    except OSError:
        return False


def end_orphans(proofs: Proofs, keep: Sequence[Mark] = ()) -> list[str]:
    """Kill the probes and hooks of a daemon that died, less those that go on (`keep`); return their names.

    For the start of a daemon: reads the variables of every process in one go. Raises OSError without a descriptor to look with.
    """
    sessions, tags = {mark.pid for mark in keep}, {mark.tag for mark in keep} - {None}
    there = {one.pid: one for one in each() if one.session not in sessions and one.pid != os.getpid()}
    said = ask_in_child([*there], proofs.judged)
    ended = []
    for pid, text in said.items():
        role = text.partition(" ")[0]
        # a logger ends with its input: what it has read is not lost
        if role in ROLES and role != LOGGER and not (tags and proofs.lineage.of(pid) in tags):
            signal_one(there[pid], signal.SIGKILL)
            ended.append(str(there[pid]))
    return ended
