"""The daemon's own descendants that hang below no leader, and what is known of each: its tag, or the slot that it proves.

They are children of the daemon, which is a subreaper, or of its guardian. What there is to look at is the programs' choice, so
everything is found in steps; who asks does some of them a turn.
"""

from __future__ import annotations

import os

from taskmaster_common.records import Record
from taskmasterd.system.child_reads import ask_in_child
from taskmasterd.system.lineage import BROKEN
from taskmasterd.system.pidfds import ticks_now
from taskmasterd.system.procfs import Survivor, children, look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

    from taskmasterd.processes.members.proofs import Proofs
    from taskmasterd.system.lineage import Slot

MOST_LOOKS = 10
BATCH = 50
"""Processes that are looked at, or whose variables are read, in one step."""
AGE_TICKS = 100
"""Age at which a process that shows no mark is believed to have none: during its exec it shows none."""


class Evidence(Record):
    """What is known of a process: `tag` of its lineage, BROKEN, or None; `slot` that its variables prove where it has none."""

    started: int
    tag: int | None
    slot: Slot | None


UNKNOWN = Evidence(0, None, None)


class Descendants:
    """`leaders` are pids that are no orphans, `ignored` those of descendants that belong to no program.

    `guardian` is the pid of the parent that inherits what a dead daemon leaves, 0 where there is none. What had been started
    before `proven_since`, in clock ticks since boot, may carry the mark of a version that gave no proofs.
    """

    def __init__(
        self,
        proofs: Proofs,
        leaders: Container[int],
        guardian: int,
        ignored: Iterable[int] | None,
        proven_since: int,
    ) -> None:
        self._proofs = proofs
        self._leaders = leaders
        self._known: dict[int, Evidence] = {}
        self._open: list[set[int]] = []
        self.guardian = guardian
        self.proven_since = proven_since
        self.ignored = set(self._below() if ignored is None else ignored)

    def ignore(self, pid: int) -> None:
        """Know an own child that belongs to no program."""
        self.ignored.add(pid)

    def forget_guardian(self) -> None:
        """Know that the guardian is dead: what was its child is init's."""
        self.guardian = 0

    def reaped(self, pid: int) -> None:
        """Forget a pid: it may become anybody's."""
        self.ignored.discard(pid)
        self._known.pop(pid, None)
        for seen in self._open:
            seen.discard(pid)

    def batches(self) -> Iterator[list[Survivor]]:
        """Yield all that is below us and no leader's, some at a time; looks until nobody new is there.

        One that forks and ends all the time has gone from where it was listed before it is looked at: where there is always
        a new one, the last that was listed is yielded for it, dead as it is.
        """
        seen: set[int] = set()
        self._open.append(seen)
        try:
            new: list[int] = []
            for _ in range(MOST_LOOKS):
                new = [
                    pid
                    for pid in self._below()
                    if pid not in seen and pid not in self._leaders and pid not in self.ignored
                ]
                if not new:
                    return
                seen.update(new)
                for start in range(0, len(new), BATCH):
                    yield [one for pid in new[start : start + BATCH] if (one := look(pid))]
            yield [Survivor(new[-1], 0, "process", 0, 0, 0)]
        finally:
            self._open.remove(seen)

    def learn(self, orphans: Sequence[Survivor]) -> None:
        """Find out about those of whom nothing is known yet: by their tags, or else by their variables."""
        tagless = []
        for one in orphans:
            if self.known(one) is UNKNOWN:
                tag = self._proofs.lineage.of(one.pid)
                if tag is None or tag == BROKEN:
                    tagless.append((one, tag))
                else:
                    self._known[one.pid] = Evidence(one.started, tag, None)
        if not tagless:
            return
        slots = self.slots_of([(one.pid, one.started) for one, _tag in tagless])
        for one, tag in tagless:
            slot = slots.get(one.pid)
            if slot or ticks_now() - one.started > AGE_TICKS:
                self._known[one.pid] = Evidence(one.started, tag, slot)

    def known(self, orphan: Survivor) -> Evidence:
        """Return what `learn` has found out."""
        found = self._known.get(orphan.pid, UNKNOWN)
        return found if found.started == orphan.started else UNKNOWN

    def slots_of(self, processes: Sequence[tuple[int, int]]) -> Mapping[int, Slot]:
        """Return the slot that the variables of each process, (pid, start time), prove, or may have been given without proof."""
        since = dict(processes)
        said = ask_in_child([*since], self._proofs.judged, self.ignore)
        found = ((pid, self._proofs.slot_in(text, older=since[pid] < self.proven_since)) for pid, text in said.items())
        return {pid: slot for pid, slot in found if slot}

    def _below(self) -> list[int]:
        """Return our children, and the guardian's less ourselves."""
        ours = children(os.getpid())
        return ours + [pid for pid in children(self.guardian) if pid != os.getpid()] if self.guardian else ours
