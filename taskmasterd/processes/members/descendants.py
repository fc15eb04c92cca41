"""The daemon's descendants without a leader, and what is known of each: its tag, or the slot that it proves.

They are children of the daemon, which is a subreaper, or of its guardian. Programs decide how many there are, so a search
works in steps, and its caller does some of them in each turn.
"""

from __future__ import annotations

import os

from taskmaster_common.records import Record
from taskmasterd.ondemand import on_demand
from taskmasterd.system.lineage import BROKEN
from taskmasterd.system.offspring import children
from taskmasterd.system.procfs import Survivor, look, ticks_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from taskmasterd.processes.members.proofs import Proofs
    from taskmasterd.system import child_reads
    from taskmasterd.system.lineage import Slot
else:
    child_reads = on_demand("taskmasterd.system.child_reads")

MOST_LOOKS = 10
BATCH = 50
"""Most processes to look at, or to read the variables of, in one step."""
AGE_TICKS = 100
"""Age from which a process without visible variables has no proof, in clock ticks: an exec hides them for a moment."""


class Evidence(Record):
    """What is known of a process: its `tag` (BROKEN, or None without one), and without a tag the `slot` that it proves."""

    started: int
    tag: int | None
    slot: Slot | None


UNKNOWN = Evidence(0, None, None)


class Descendants:
    """Finds orphans. `leaders` are pids that are not orphans, `ignored` pids of descendants that belong to no program.

    `guardian` is the pid of the parent that inherits the children of a dead daemon, or 0. A process started before
    `proven_since`, in clock ticks since boot, may come from a version that gave no proofs.
    """

    def __init__(
        self,
        proofs: Proofs,
        leaders: Collection[int],
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
        """Ignore an own child that belongs to no program."""
        self.ignored.add(pid)

    def forget_guardian(self) -> None:
        """Stop looking below the guardian: it is dead, and init has inherited its children."""
        self.guardian = 0

    def reaped(self, pid: int) -> None:
        """Forget a reaped pid: the kernel may give it to any process."""
        self.ignored.discard(pid)
        self._known.pop(pid, None)
        for seen in self._open:
            seen.discard(pid)

    def batches(self) -> Iterator[list[Survivor]]:
        """Yield every descendant that is not a leader, in batches; rescan until no new pid appears.

        A process that forks and exits for ever can evade this: then the last pid is yielded as a dead process, so that
        nobody concludes that nothing is left.
        """
        seen: set[int] = set()
        self._open.append(seen)
        try:
            new: list[int] = []
            for _ in range(MOST_LOOKS):
                below = self._below()
                unknown = set(below).difference(self._leaders).difference(self.ignored, seen)
                new = [pid for pid in below if pid in unknown] if unknown else []
                if not new:
                    return
                seen.update(new)
                for start in range(0, len(new), BATCH):
                    yield [one for pid in new[start : start + BATCH] if (one := look(pid))]
            yield [Survivor(new[-1], 0, "process", 0, 0, 0)]
        finally:
            self._open = [each for each in self._open if each is not seen]  # others may have seen the same

    def learn(self, orphans: Sequence[Survivor]) -> None:
        """Read the tags of orphans that are still unknown, and the variables of those without a tag."""
        tagless: list[tuple[Survivor, int | None]] = []
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
        """Return what `learn` has found, UNKNOWN for anything else."""
        found = self._known.get(orphan.pid, UNKNOWN)
        return found if found.started == orphan.started else UNKNOWN

    def slots_of(self, processes: Sequence[tuple[int, int]]) -> Mapping[int, Slot]:
        """Return the slots of processes (pid, start time) by pid: as they prove, or as they claim if they are old enough."""
        since = dict(processes)
        said = child_reads.ask_in_child([*since], self._proofs.judged, self.ignore)
        found = ((pid, self._proofs.slot_in(text, older=since[pid] < self.proven_since)) for pid, text in said.items())
        return {pid: slot for pid, slot in found if slot}

    def _below(self) -> list[int]:
        """Return our children and the guardian's, without ourselves."""
        ours = children(os.getpid())
        return ours + [pid for pid in children(self.guardian) if pid != os.getpid()] if self.guardian else ours
