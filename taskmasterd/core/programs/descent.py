"""Counts what others wait for before they go down, so that a change costs a look at direct edges only. Pure.

`gate.above` says the same by a walk, of whom exactly; this says at once whether there is anybody.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskmaster_common.config.graph import Graph
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry


class Descent:
    """How many processes of each program are alive and go down, under the edges of one graph.

    A program *holds up* what it needs while some of it goes down, or while it is down and something holds up itself.
    """

    def __init__(self, graph: Graph, entries: Iterable[Entry]) -> None:
        self._needs = graph.needs
        self._alive: dict[str, int] = {}
        self._going: dict[str, int] = {}
        self._holding: set[str] = set()
        self._held_up: dict[str, dict[int | None, int]] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Count a slot that is new here."""
        if entry.process.alive:
            for _ in self._count(entry.program, 1, int(_goes(entry.process))):
                pass

    def changed(self, entry: Entry, before: Process, after: Process) -> Iterator[tuple[str, int | None]]:
        """Count a change; yield (program, index) of what a program holds up no more, `index` None for all of a program."""
        return self._count(entry.program, after.alive - before.alive, _goes(after) - _goes(before))

    def is_held_up(self, entry: Entry) -> bool:
        """Return whether anything goes down that has to be down before this process goes."""
        counts = self._held_up.get(entry.program)
        return counts is not None and (None in counts or entry.index in counts)

    def _count(self, program: str, alive: int, going: int) -> Iterator[tuple[str, int | None]]:
        if (alive or going) and program in self._needs:
            self._alive[program] = self._alive.get(program, 0) + alive
            self._going[program] = self._going.get(program, 0) + going
            if going or program in self._held_up:
                yield from self._weigh(program)

    def _weigh(self, program: str) -> Iterator[tuple[str, int | None]]:
        """Let what is below know where a program begins or ceases to hold it up, and so on through what is down."""
        waiting = [program]
        while waiting:
            name = waiting.pop()
            through = not self._alive.get(name) and name in self._held_up
            holds = bool(self._going.get(name)) or through
            if holds == (name in self._holding):
                continue
            (self._holding.add if holds else self._holding.discard)(name)
            for target in dict.fromkeys(
                (need.program, need.index) for need in self._needs.get(name, ()) if need.program != name
            ):
                if not self._shift(target, 1 if holds else -1):
                    yield target
                waiting.append(target[0])

    def _shift(self, target: tuple[str, int | None], by: int) -> int:
        """Change by how many programs a target is held up, and return that number."""
        program, index = target
        counts = self._held_up.setdefault(program, {})
        counts[index] = number = counts.get(index, 0) + by
        if not number:
            del counts[index]
            if not counts:
                del self._held_up[program]
        return number


def _goes(process: Process) -> bool:
    """Return whether others wait until a process is down; who cannot be ended is waited for no longer."""
    return process.alive and process.going_down and not process.stuck
