"""Counts what is not as an edge asks, so that nobody's gate is looked at before it can answer something else. Pure.

`gate.unmet` finds the same by a look at every instance, and says which; this answers for a thousand that wait for a thousand.
"""

from __future__ import annotations

from taskmasterd.core.process.events import Blocked, Opened, Waits
from taskmasterd.core.programs.gate import first_try_s, instances, needs, on_its_way, satisfied, tried

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from taskmaster_common.config.graph import Need
    from taskmasterd.core.programs.table import Entry, Table


class Level:
    """What of some instances is not as one condition asks, and who waits for that.

    `hopeless` is how many of them nothing leads there. `tries` has, of those in their first try, how many may take how long (s).
    """

    __slots__ = ("_condition", "_unmet", "hopeless", "tries", "waiting")

    def __init__(self, condition: str, entries: Iterable[Entry]) -> None:
        self.hopeless = 0
        self.tries: dict[float, int] = {}
        self.waiting: dict[Entry, None] = {}
        self._condition = condition
        self._unmet: dict[Entry, tuple[bool, float]] = {}
        for entry in entries:
            self.count(entry)

    @property
    def unmet(self) -> bool:
        """Whether any is not as the condition asks."""
        return bool(self._unmet)

    def count(self, entry: Entry) -> bool:
        """Count an instance as it is now; return whether that may change an answer."""
        before = (self.unmet, self.hopeless > 0, *self.tries)
        if entry in self._unmet:
            self._shift(*self._unmet.pop(entry), -1)
        process = entry.process
        if not entry.removed and not satisfied(entry.policy, process, self._condition):
            limit_s = 0.0 if tried(process) else first_try_s(entry)
            self._unmet[entry] = found = (not on_its_way(process, self._condition), limit_s)
            self._shift(*found, 1)
        return before != (self.unmet, self.hopeless > 0, *self.tries)

    def _shift(self, hopeless: bool, limit_s: float, by: int) -> None:
        self.hopeless += by * hopeless
        if limit_s:
            self.tries[limit_s] = self.tries.get(limit_s, 0) + by
            if not self.tries[limit_s]:
                del self.tries[limit_s]


class Levels:
    """The levels that gates have asked for, under the table's present graph.

    What a plan adds, removes or wants otherwise is no change of a process: no gate may ask while one is applied.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._levels: dict[str, dict[str, dict[int | None, Level]]] = {}

    def answer(self, entry: Entry, now: float) -> Opened | Waits | Blocked:
        """Return what the gate of a process says; unless it is open, `changed` yields the process once that may differ."""
        asked: list[Level] = []
        waits = blocked = False
        until: float | None = None
        for need in needs(self._table, entry.program):
            level = self._level(need)
            asked.append(level)
            if need.required:
                waits = waits or level.unmet
                blocked = blocked or level.hopeless > 0
            else:
                for limit_s in level.tries:
                    limit = entry.process.since + limit_s
                    if limit > now:
                        waits = True
                        until = limit if until is None else min(until, limit)
        if not waits:
            return Opened()
        for level in asked:
            level.waiting[entry] = None
        return Blocked() if blocked else Waits(until)

    def changed(self, entry: Entry) -> list[Entry]:
        """Count a process that has changed or has come; return those whose gates may answer something else now."""
        found: list[Entry] = []
        for levels in self._levels.get(entry.program, {}).values():
            for index in (None, entry.index):
                level = levels.get(index)
                if level is not None and level.count(entry):
                    found += level.waiting
                    level.waiting = {}
        return found

    def _level(self, need: Need) -> Level:
        levels = self._levels.setdefault(need.program, {}).setdefault(need.condition, {})
        if need.index not in levels:
            levels[need.index] = Level(need.condition, instances(self._table, need))
        return levels[need.index]
