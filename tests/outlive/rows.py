"""What the writers noted themselves, and whether the event log says the same of their ends.

The event log is read as one list for each slot: which pid was started, how it ended. A line may be missing where the daemon
was killed between an act and its line, or be there twice where it was killed between the line and its state.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from tests.soak.judges.chronicle import ENDED, LINE, NAMED, STARTED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Slot = tuple[str, int]

ADOPTED = re.compile(r"adopted \S+ \((\d+)\)")
UNKNOWN = "nobody knows how"
YOUNG_S = 0.05
HOW = re.compile(r"(exit \d+|killed by SIG\w+|.*nobody knows how)")


class Life(NamedTuple):
    """One copy. `how` and `at` (monotonic seconds) of its end are "" and 0 while it has noted none."""

    slot: Slot
    pid: int
    copy: bytes
    wrote: int = 0
    how: str = ""
    at: float = 0.0

    @property
    def began(self) -> float:
        """When it began, in monotonic seconds."""
        return int(self.copy.partition(b".")[2]) / 1e9


def lives(path: Path) -> dict[bytes, Life]:
    """Return all copies by name, in the order in which they began."""
    found: dict[bytes, Life] = {}
    for text in path.read_bytes().splitlines():
        kind, name, index, pid, copy, *more = text.split()
        slot = name.decode(), int(index)
        if kind == b"start":
            found[copy] = Life(slot, int(pid), copy)
        else:
            count, code, number, at = map(int, more)
            how = "killed by SIGKILL" if number else f"exit {code}"
            found[copy] = Life(slot, int(pid), copy, count, how, at / 1e9)
    return found


class Told(NamedTuple):
    """One event of a slot in the event log: a start of `pid`, or an end (`pid` 0)."""

    pid: int
    how: str


def told(lines: Iterable[str]) -> dict[Slot, list[Told]]:
    """Return what the event log says of each slot, in order."""
    found: dict[Slot, list[Told]] = {}
    for text in lines:
        event = LINE.fullmatch(text)
        named = NAMED.fullmatch(event[2]) if event else None
        if not named:
            continue
        slot = named[1], int((named[2] or ":0")[1:])
        began = STARTED.fullmatch(named[3]) or ADOPTED.match(named[3])
        ended = ENDED.match(named[3])
        if began:
            found.setdefault(slot, []).append(Told(int(began[1]), ""))
        elif ended:
            how = HOW.match(named[3][ended.end() :])
            found.setdefault(slot, []).append(Told(0, how[1] if how else named[3]))
    return found


class Ends:
    """Compares both. `gaps` are (began, ended) of when no daemon was there; `excused`: then a status may get lost.

    `young`: an end in a gap of a program that was started in the last moment before a kill (`killed`), or after it. A daemon can
    only write, and say, who it is once it has been started; without a guardian nobody can know whose end that was.
    """

    def __init__(
        self, gaps: Iterable[tuple[float, float]], killed: Iterable[float], margin_s: float, *, excused: bool
    ) -> None:
        self._gaps = tuple(gaps)
        self._killed = tuple(killed)
        self._margin_s = margin_s
        self._excused = excused
        self.right = self.in_gaps = self.unknown = self.twice = self.untold = self.young = 0

    def _young(self, life: Life) -> bool:
        return life.began >= max((killed for killed in self._killed if killed <= life.at), default=life.at) - YOUNG_S

    def in_gap(self, life: Life) -> bool:
        """Return whether a copy ended while no daemon was there."""
        return any(began - self._margin_s <= life.at <= ended for began, ended in self._gaps)

    def look(self, some: Iterable[Life], events: dict[Slot, list[Told]]) -> Iterator[str]:
        """Yield what is wrong about the ends of these copies, which are in the order in which they began."""
        by_slot: dict[Slot, list[Life]] = {}
        for life in some:
            by_slot.setdefault(life.slot, []).append(life)
        for slot, its in by_slot.items():
            yield from self._slot(slot, its, events.get(slot, []))

    def _slot(self, slot: Slot, its: list[Life], events: list[Told]) -> Iterator[str]:
        where = {event.pid: at for at, event in enumerate(events) if event.pid}
        marks = [where.get(life.pid, -1) for life in its]
        for number, life in enumerate(its):
            if not life.how:
                continue
            self.untold += marks[number] < 0
            begin = next((mark for mark in reversed(marks[: number + 1]) if mark >= 0), 0)
            if marks[number] >= 0:
                others = (at for at in range(begin + 1, len(events)) if events[at].pid not in (0, life.pid))
            else:  # the daemon was killed before it could say that it had started this one
                others = (mark for mark in marks[number + 1 :] if mark >= 0)
            end = next(others, len(events))
            hows = [event.how for event in events[begin:end] if not event.pid]
            yield from self._end(slot, life, hows, said=marks[number] >= 0)

    def _end(self, slot: Slot, life: Life, hows: list[str], *, said: bool) -> Iterator[str]:
        gap = self.in_gap(life)
        self.in_gaps += gap
        if life.how in hows:
            self.right += 1
            self.twice += hows.count(life.how) > 1
        elif any(UNKNOWN in how for how in hows) and self._excused and gap:
            self.unknown += 1
        elif self._excused and gap and (not said or self._young(life)):
            self.young += 1
        else:
            where = "in a gap" if gap else "while a daemon was there"
            yield f"{slot} pid {life.pid} ended {where} with {life.how} at {life.at:.3f}, the event log says {hows or 'nothing'}"
