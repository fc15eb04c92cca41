"""What to do about processes that an earlier daemon left and that no state tells about. Pure.

Their variables say which slot they belong to, but a descendant carries the same ones. An instance's leader leads its session, runs
as the program's user, and was there before its descendants; so identity is certain where exactly one of the processes that
carry a slot's mark leads a session. A process as which the program cannot run is none of them, whatever it carries.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ADOPT, KILL, REFUSE = "adopt", "kill", "refuse"
POLICIES = (ADOPT, KILL, REFUSE)

UNKNOWN = -1
"""The uid of a process that has gone."""

Slot = tuple[str, int]


class Orphan(Record):
    """A live process that carries the mark of a slot. `started` in clock ticks since boot."""

    pid: int
    started: int
    session: int
    uid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.pid})"


class Verdict(Record):
    """What follows for one slot: `leader` is its instance, None where nobody knows which of `all` is; oldest first."""

    leader: Orphan | None
    all: tuple[Orphan, ...]


def _can_be(orphan: Orphan, uid: int | None) -> bool:
    """Return whether a program that runs as `uid` can have started a process: one of root, or of whom nobody knows, any."""
    return uid in (None, 0) or orphan.uid in (uid, 0, UNKNOWN)


def judge(orphans: Iterable[tuple[Slot, Orphan]], uid_of: Callable[[Slot], int | None]) -> dict[Slot, Verdict]:
    """Return the verdict for each slot that has orphans; `uid_of` says as whom its instances run, None where nobody knows."""
    by_slot: dict[Slot, list[Orphan]] = {}
    for slot, orphan in orphans:
        if _can_be(orphan, uid_of(slot)):
            by_slot.setdefault(slot, []).append(orphan)
    return {slot: _verdict(some, uid_of(slot)) for slot, some in by_slot.items()}


def _verdict(orphans: list[Orphan], uid: int | None) -> Verdict:
    leaders = [orphan for orphan in orphans if orphan.pid == orphan.session]
    certain = len(leaders) == 1 and leaders[0].uid == uid
    return Verdict(leaders[0] if certain else None, tuple(sorted(orphans, key=lambda each: (each.started, each.pid))))
