"""Which program depends on which: the edges of `depends_on`, and the graph that all of them make. Pure.

A configuration keeps an edge as a text: the name of a program, of an instance or of a group, then the condition where one is
written, then `optional` or `restart` where the edge says so: "db", "web:1 started", "cache ready optional". As texts the edges
are equal where their meaning is, and go through JSON as they are.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from typing import Final


STARTED: Final = "started"
READY: Final = "ready"
DONE: Final = "done"
ENDED: Final = "ended"
CONDITIONS = (STARTED, READY, DONE, ENDED)
"""What a dependency may have to be: executed; RUNNING; EXITED as expected and not run again since; EXITED or FATAL."""
OPTIONAL: Final = "optional"
RESTART: Final = "restart"


class Edge(Record):
    """One entry of `depends_on`. `condition` "" stands for what suits the target."""

    name: str
    condition: str = ""
    required: bool = True
    restart: bool = False

    def text(self) -> str:
        """Return the edge as configurations keep it."""
        marks = ("" if self.required else OPTIONAL, RESTART if self.restart else "")
        return " ".join(filter(None, (self.name, self.condition, *marks)))


def edge_of(text: str) -> Edge:
    """Return the edge that `Edge.text` wrote."""
    name, *words = text.split()
    condition = next((word for word in words if word in CONDITIONS), "")
    return Edge(name, condition, OPTIONAL not in words, RESTART in words)


class Need(Record):
    """An edge from a program to one other: `index` None means every instance of it."""

    program: str
    index: int | None
    condition: str
    required: bool
    restart: bool


class Graph:
    """Who needs whom, by program, from the edges of every program (as texts) and the programs of every group; `jobs` are the one-shot programs.

    Names that nobody has make no edge.

    `needs[p]` are the edges from a program, `dependents[p]` the programs that have one to it. `rank[p]` is the length of the
    longest way from a program down to one that needs nothing: whoever needs has the higher rank, unless there is a circle.
    """

    def __init__(
        self,
        edges: Mapping[str, tuple[str, ...]],
        groups: Mapping[str, tuple[str, ...]],
        jobs: Container[str] = (),
    ) -> None:
        self.needs: dict[str, tuple[Need, ...]] = {
            name: tuple(_needs(texts, edges, groups, jobs)) for name, texts in edges.items() if texts
        }
        dependents: dict[str, dict[str, None]] = {}
        for name, needs in self.needs.items():
            for need in needs:
                dependents.setdefault(need.program, {})[name] = None
        self.dependents = {name: tuple(some) for name, some in dependents.items()}
        self.rank, self._stuck = _ranks(self.needs, self.dependents)

    def keep(self, other: Graph, names: Iterable[str]) -> None:
        """Take over the edges of programs that this graph does not know and that still exist."""
        for name in names:
            self.needs[name] = needs = other.needs.get(name, ())
            self.rank[name] = other.rank.get(name, 0)
            for need in needs:
                self.dependents[need.program] = (*self.dependents.get(need.program, ()), name)

    def rank_of(self, program: str) -> int:
        """Return the rank of a program, 0 for one without edges."""
        return self.rank.get(program, 0)

    def cycle(self) -> tuple[str, ...]:
        """Return a circle of edges, the first name again at the end: ("a", "b", "a"); () where there is none."""
        if not self._stuck:
            return ()
        path: dict[str, None] = {}
        name = next(iter(self._stuck))
        while name not in path:
            path[name] = None
            name = next(need.program for need in self.needs[name] if need.program in self._stuck)
        names = tuple(path)
        return (*names[names.index(name) :], name)

    def above(self, programs: Iterable[str], *, restart_only: bool = False) -> tuple[str, ...]:
        """Return all programs that depend on these, directly or not, without these; only over edges with `restart`."""
        found: dict[str, None] = dict.fromkeys(programs)
        first = len(found)
        waiting = list(found)
        while waiting:
            name = waiting.pop()
            for dependent in self.dependents.get(name, ()):
                if dependent not in found and (not restart_only or self._restarts(dependent, name)):
                    found[dependent] = None
                    waiting.append(dependent)
        return tuple(found)[first:]

    def _restarts(self, dependent: str, program: str) -> bool:
        return any(need.restart for need in self.needs[dependent] if need.program == program)


def _needs(
    texts: Iterable[str],
    programs: Mapping[str, object],
    groups: Mapping[str, tuple[str, ...]],
    jobs: Container[str],
) -> Iterable[Need]:
    """Return the edges to programs. Of two to the same one, as itself and by a group, the stricter holds."""
    found: dict[tuple[str, int | None, str], Need] = {}
    for text in texts:
        edge = edge_of(text)
        program, _, digits = edge.name.partition(":")
        index = int(digits) if digits else None
        for name in groups.get(program, (program,)):
            if name in programs:
                need = Need(
                    name, index, edge.condition or (DONE if name in jobs else READY), edge.required, edge.restart
                )
                key = (name, index, need.condition)
                other = found.get(key, need)
                required, restart = need.required or other.required, need.restart or other.restart
                found[key] = need.replace(required=required, restart=restart)
    return found.values()


def _ranks(
    needs: Mapping[str, tuple[Need, ...]], dependents: Mapping[str, tuple[str, ...]]
) -> tuple[dict[str, int], dict[str, None]]:
    """Return the ranks of all programs with edges, and those that are in a circle or need one that is."""
    open_edges = {name: len({need.program for need in some}) for name, some in needs.items()}
    rank = {name: 0 for name in dependents if not open_edges.get(name)}
    waiting = list(rank)
    while waiting:
        name = waiting.pop()
        for dependent in dependents.get(name, ()):
            rank[dependent] = max(rank.get(dependent, 0), rank[name] + 1)
            open_edges[dependent] -= 1
            if not open_edges[dependent]:
                waiting.append(dependent)
    return rank, dict.fromkeys(name for name, count in open_edges.items() if count)
