"""What schedules say: in the event log, in the history, and in what people are shown of a slot."""

from __future__ import annotations

from taskmaster_common.text.calendar.zone import stamp
from taskmasterd.core.programs.schedule import Planned, Run
from taskmasterd.core.words.schedules import clock_text, missed_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmaster_common.text.calendar.times import Offset
    from taskmasterd.core.programs.schedule import Missed
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.schedules.slot import Slot

SAID_EACH = 3
"""So many skipped runs in a row are said one by one."""


class ScheduleNews:
    """`say(level, text)` writes to the event log, `note(name, event, reason=)` to the history, `name(entry)` is its name there."""

    def __init__(
        self, say: Callable[[str, str], None], note: Callable[..., None], name: Callable[[Entry], str]
    ) -> None:
        self._say = say
        self._note = note
        self._name = name

    def missed(self, slot: Slot, missed: Missed, why: str, offset: Offset, wall: float) -> None:
        """Say that runs are not made up."""
        name = self._name(slot.entry)
        first, last = (clock_text(each, offset(int(each)), wall) for each in (missed.first, missed.last))
        text = missed_text(missed, first, last, why)
        slot.leave_out(Run(missed.last, "missed", wall, result=f"missed {text}", count=missed.count))
        self._note(name, "missed", reason=text)
        self._say("warning", f"{name} missed {text}")

    def skipped(self, slot: Slot, count: int, nominal: float, offset: Offset, wall: float) -> None:
        """Say that a run was left out: the first ones in a row, then each time that their number has doubled."""
        name, clock = self._name(slot.entry), clock_text(nominal, offset(int(nominal)), wall)
        slot.leave_out(Run(nominal, "skipped", wall, result="skipped: the run before was not over", count=1))
        if count <= SAID_EACH or count & (count - 1) == 0:
            text = f"{clock}: the run before is not over ({count} in a row)"
            self._note(name, "skipped", reason=text, count=count)
            self._say("warning" if count >= SAID_EACH else "info", f"{name} skipped {text}")

    def forgotten(self, slot: Slot) -> None:
        """Say that the clock was wrong."""
        text = "its last run was in the future, so the clock was wrong: forgotten"
        self._say("warning", f"{self._name(slot.entry)}: {text}")


def planned(slot: Slot, offset: Offset, wall: float) -> Planned:
    """Return what people are shown of a slot."""
    memory, last = slot.memory, slot.known.last
    following = slot.next if slot.armed else None
    shown = None if following is None else (following.nominal, offset(int(following.nominal)))
    began = last and (last.began or last.at)
    return Planned(
        at=slot.at if following else None,
        clock=clock_text(*shown, wall) if shown else "",
        stamp=stamp(int(shown[0]), shown[1]) if shown else "",
        off=not slot.armed,
        skipped=memory.skipped if memory else 0,
        last=last,
        last_stamp=stamp(int(began), offset(int(began))) if began else "",
    )
