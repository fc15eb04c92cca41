"""Finds the owner of a process whose leader is dead: by its session, its inherited tag, its proof, or its pipes."""

from __future__ import annotations

from taskmasterd.system.lineage import BROKEN, family_of
from taskmasterd.system.procfs import may_be_read, pipe_among

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from taskmasterd.processes.members.descendants import Evidence
    from taskmasterd.processes.members.group import Group
    from taskmasterd.system.lineage import Lineage
    from taskmasterd.system.procfs import Survivor


class Attribution:
    """Recognizes the processes of some groups."""

    def __init__(self, groups: Collection[Group], by_session: Mapping[int, Group], lineage: Lineage) -> None:
        self._groups = groups
        self._by_session = by_session
        self._by_slot = {group.slot: group for group in groups}
        self._by_pipe = {inode: group for group in groups for inode in group.pipes}
        self._lineage = lineage
        self._by_tag: dict[int | None, Group] | None = None

    def by_session(self, one: Survivor) -> Group | None:
        """Return the group in whose session or process group a process is."""
        return self._by_session.get(one.group) or self._by_session.get(one.session)

    def by_evidence(self, one: Survivor, known: Evidence) -> Group | None:
        """Return the group whose tag a process has inherited. Without a tag, its proof decides, or else its pipe."""
        if known.tag is not None and known.tag != BROKEN:
            if self._by_tag is None:
                self._by_tag = {self._lineage.tag(group.slot): group for group in self._groups}
            return self._by_tag.get(known.tag)
        if known.slot:
            return self._by_slot.get(known.slot)
        inode = pipe_among(one.pid, self._by_pipe)
        return self._by_pipe[inode] if inode is not None else None


def hides(one: Survivor, leaders: Mapping[int, Group], lineage: Lineage) -> bool:
    """Return whether an unattributed process may hide that it belongs to a program: its tag is changed, or it is unreadable.

    A process that is in a leader's session, or holds its pipe, belongs to that leader. One without a tag may have been forked in
    the moment before its leader got one.
    """
    if one.session in leaders or one.group in leaders:
        return False
    if lineage.of(one.pid) != BROKEN and may_be_read(one.pid):
        return False
    return pipe_among(one.pid, {inode for group in leaders.values() for inode in group.pipes}) is None


def program_of(known: Evidence, families: Mapping[int, str]) -> str | None:
    """Return the program of a process. A process that has changed its tag can only claim one, and a claim does not count."""
    if known.tag == BROKEN:
        return None
    by_tag = families.get(family_of(known.tag)) if known.tag is not None else None
    return by_tag or (known.slot[0] if known.slot else None)


def is_strange(known: Evidence) -> bool:
    """Return whether neither a tag nor a proof names the owner of a process."""
    return known.tag in (None, BROKEN) and not known.slot
