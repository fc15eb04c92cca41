"""Slots that must not be started, because live processes of an earlier daemon may be their instances."""

from __future__ import annotations

from taskmasterd.ondemand import on_demand
from taskmasterd.system.procfs import look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from taskmasterd.core.programs.orphans import Orphan
    from taskmasterd.core.words import describe
    from taskmasterd.system.lineage import Slot
else:
    describe = on_demand("taskmasterd.core.words.describe")


class Occupants:
    """`by_slot` are the processes that nobody could tell apart when the daemon began."""

    def __init__(self) -> None:
        self.by_slot: dict[Slot, list[Orphan]] = {}

    def to_data(self) -> list[tuple[str, int, list[dict[str, Any]]]]:
        """Return what a later daemon has to know of it."""
        return [(*slot, [orphan.to_data() for orphan in orphans]) for slot, orphans in self.by_slot.items()]

    def resume(self, rows: Iterable[tuple[str, int, Iterable[Orphan]]]) -> None:
        """Take over what `to_data` returned, with its orphans as records."""
        self.by_slot.update({(program, index): list(orphans) for program, index, orphans in rows})

    def warnings(self) -> list[str]:
        """Return the reason of each slot that has one, after its name."""
        reasons = [(slot, self.reason(*slot)) for slot in tuple(self.by_slot)]
        return [f"{program}:{index}: {reason}" for (program, index), reason in reasons if reason]

    def reason(self, program: str, index: int) -> str:
        """Return why a slot must not be started and how to go on; "" where none of its occupants is alive."""
        slot = (program, index)
        alive = [one for one in self.by_slot.get(slot, ()) if (now := look(one.pid)) and now.started == one.started]
        if not alive:
            self.by_slot.pop(slot, None)
            return ""
        named = ", ".join(map(str, alive[: describe.NAMED_LEFT]))
        kill = " ".join(str(one.pid) for one in alive)
        return f"an earlier daemon's {named} may be a copy of it; end that (kill {kill}), then start it"
