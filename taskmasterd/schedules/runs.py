"""What is kept of schedules on the disk: for each slot the last time that was taken, the run that is not over, and the runs before.

`runs/STEM` below the directory of the state has it, one line for each begin and end; unlike the state it outlives an orderly stop.
A line of a run that begins is written before anything is spawned, so no death of the daemon lets it run twice.
"""

from __future__ import annotations

from taskmaster_common.errors import SystemFailure, system_reason
from taskmasterd.core.programs.schedule import Memory, Run
from taskmasterd.output.safe.journal import Journal, Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    Row = tuple[str, str, Any]
    """A line of the file: slot, kind, and what there is of it."""

MOST_OLD = 1000
"""Lines beyond those that count after which the file is written again."""
MEMORY, BEGUN, OVER, FORGOTTEN = "m", "b", "r", "x"
"""Kinds of lines: the memory of a slot, its run that begins, a run that is over, and that nothing of it counts any more."""


class SlotRuns:
    """One slot. `memory` is None while its schedule is off; `current` is the run that is not over."""

    __slots__ = ("_keep", "current", "memory", "past")

    def __init__(self) -> None:
        self.memory: Memory | None = None
        self.current: Run | None = None
        self.past: list[Run] = []
        self._keep = 0

    def limit(self, keep: int) -> None:
        """Keep so many runs from now on."""
        self._keep = keep
        del self.past[: max(0, len(self.past) - keep)]

    def remember(self, memory: Memory | None) -> None:
        """Take the memory."""
        self.memory = memory

    def begin(self, run: Run, memory: Memory | None) -> None:
        """Take a run that begins."""
        self.current, self.memory = run, memory

    def spawned(self, wall: float) -> None:
        """Take the time at which the present run was spawned, the first one if it is tried several times."""
        if self.current and self.current.began is None:
            self.current = self.current.replace(began=wall)

    def add(self, run: Run) -> None:
        """Take a run that is over; runs that were left out in a row are one."""
        if run.count and self.past and self.past[-1].count and self.past[-1].how == run.how:
            self.past.pop()
        self.past.append(run)
        self.current = self.current if run.count else None
        self.limit(self._keep)

    @property
    def last(self) -> Run | None:
        """The last run that is over and was one."""
        return next((run for run in reversed(self.past) if not run.count), None)


class Runs:
    """The runs of all slots, by their names: "backup:0"."""

    def __init__(self, path: str | None, stem: str, say: Callable[[str, str], None]) -> None:
        """`path` is the directory of such files, None where there is none."""
        self._place = Place(path, "runs of schedules")
        self._journal = Journal(self._place, stem)
        self._say = say
        self._slots: dict[str, SlotRuns] = {}
        self._lines = 0
        self._said = ""

    def of(self, name: str, keep: int) -> SlotRuns:
        """Return what is known of a slot, of which so many runs are kept from now on."""
        found = self._slots.setdefault(name, SlotRuns())
        found.limit(keep)
        return found

    def known(self, name: str) -> SlotRuns | None:
        """Return what is known of a slot; None: it has never had a schedule."""
        return self._slots.get(name)

    # -- the file

    def read(self, wanted: Callable[[str], int | None], handed: Sequence[Row] = ()) -> None:
        """Read what an earlier daemon has left, of slots for which `wanted(name)` is a number of runs to keep, and write only that again.

        `handed` are its rows if it could not write them. What cannot be read is set aside, and schedules begin as if they were new.
        """
        if handed:
            for row in handed:
                self._take(row, wanted)
            self._write_again()
            return
        try:
            lines = self._journal.read()
        except (OSError, SystemFailure) as error:
            reason = str(error) if isinstance(error, SystemFailure) else system_reason(error)
            aside = self._place.set_aside(self._journal.name)
            self._say("warning", f"cannot read the runs of schedules ({reason}); {aside or 'they'} count no more")
            return
        for line in lines:
            self._take(line, wanted)
        self._write_again()

    def _take(self, line: Any, wanted: Callable[[str], int | None]) -> None:
        try:
            name, kind, data = line
            keep = wanted(name)
            if keep is None:
                return
            slot = self.of(name, keep)
            if kind == MEMORY:
                slot.remember(Memory.from_data(data) if data else None)
            elif kind == FORGOTTEN:
                self._slots.pop(name)
            else:
                run = Run.from_data({key: value for key, value in data.items() if key != MEMORY})
                if kind == BEGUN:
                    slot.begin(run, Memory.from_data(data[MEMORY]) if data[MEMORY] else None)
                else:
                    slot.add(run)
        except (TypeError, ValueError, KeyError, AttributeError):
            return

    def unwritten(self) -> Iterable[Row]:
        """Return all rows if the disk lacks some of them, for the daemon after an upgrade."""
        return self._rows() if self._place.trouble else ()

    def _rows(self) -> Iterator[Row]:
        for name, slot in self._slots.items():
            yield name, MEMORY, slot.memory and slot.memory.to_data()
            for run in slot.past:
                yield name, OVER, run.to_data()
            if slot.current:
                yield name, BEGUN, {**slot.current.to_data(), MEMORY: slot.memory and slot.memory.to_data()}

    def _write_again(self) -> None:
        rows = list(self._rows())
        self._lines = -len(rows)
        self._journal.replace(rows)
        self._tell()

    def _write(self, name: str, kind: str, data: object) -> None:
        self._journal.add((name, kind, data))
        self._lines += 1
        if self._lines > MOST_OLD + sum(len(slot.past) for slot in self._slots.values()):
            self._write_again()
        else:
            self._journal.flush()
            self._tell()

    def _tell(self) -> None:
        """Say once that nothing can be written, and once that it can be again."""
        trouble = self._place.trouble
        if trouble != self._said:
            self._said = trouble
            text = f"{trouble}; missed runs cannot be made up" if trouble else "runs of schedules are on the disk again"
            self._say("warning" if trouble else "info", text)

    # -- what happens

    def remember(self, name: str, memory: Memory | None) -> None:
        """Keep the memory of a slot; None: its schedule is off."""
        slot = self._slots[name]
        if slot.memory != memory:
            slot.remember(memory)
            self._write(name, MEMORY, memory and memory.to_data())

    def begin(self, name: str, run: Run, memory: Memory | None) -> None:
        """Keep that a run begins, and with it the memory of the slot: in one line, so that no death comes between."""
        self._slots[name].begin(run, memory)
        self._write(name, BEGUN, {**run.to_data(), MEMORY: memory and memory.to_data()})

    def over(self, name: str, run: Run) -> None:
        """Keep a run that is over, or runs that were left out."""
        self._slots[name].add(run)
        self._write(name, OVER, run.to_data())

    def close(self) -> None:
        """Close the file."""
        self._journal.close()
        self._place.close()

    def forget(self, name: str) -> None:
        """Keep nothing of a slot."""
        if self._slots.pop(name, None):
            self._write(name, FORGOTTEN, None)
