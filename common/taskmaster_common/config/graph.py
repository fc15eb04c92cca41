"""Which program depends on which: the edges of `depends_on`, and the graph that all of them make. Pure.

A configuration keeps an edge as a text: the name of a program, of an instance or of a group, then the condition where one is
written, then `optional` or `restart` where the edge says so: "db", "web:1 started", "cache ready optional". As texts the edges
are equal where their meaning is, and go through JSON as they are.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Generator, Iterable, Mapping
    from typing import Final


STARTED: Final = "started"
READY: Final = "ready"
HEALTHY: Final = "healthy"
DONE: Final = "done"
ENDED: Final = "ended"
CONDITIONS = (STARTED, READY, HEALTHY, DONE, ENDED)
"""What a dependency may have to be: executed; RUNNING; RUNNING and found well; EXITED as expected and not run again since; EXITED or FATAL."""
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
    """Who needs whom, by program, from the edges of every program (as texts) and the programs of every group.

    `jobs` are the one-shot programs. Names that nobody has make no edge.

    `needs[p]` are the edges from a program, `dependents[p]` the programs that have one to it. `rank[p]` is the length of the
    longest way from a program down to one that needs nothing. A program ranks above those that it needs, unless there is a circle.
    """

    def __init__(
        self,
        edges: Mapping[str, tuple[str, ...]],
        groups: Mapping[str, tuple[str, ...]],
        jobs: Container[str] = (),
    ) -> None:
        self.needs: dict[str, tuple[Need, ...]] = {}
        self.dependents: dict[str, tuple[str, ...]] = {}
        self.rank: dict[str, int] = {}
        self._stuck: dict[str, None] = {}
        for _ in self._build(edges, groups, jobs):
            pass

    @classmethod
    def building(
        cls, edges: Mapping[str, tuple[str, ...]], groups: Mapping[str, tuple[str, ...]], jobs: Container[str] = ()
    ) -> Generator[None, None, Graph]:
        """Make a graph in steps, a program a step: it is the result of the generator."""
        graph = cls({}, {})
        yield from graph._build(edges, groups, jobs)
        return graph

    def _build(
        self, edges: Mapping[str, tuple[str, ...]], groups: Mapping[str, tuple[str, ...]], jobs: Container[str]
    ) -> Generator[None, None, None]:
        dependents: dict[str, dict[str, None]] = {}
        read: dict[str, tuple[Need, ...]] = {}
        open_edges: dict[str, int] = {}
        for name, texts in edges.items():
            if texts:
                for text in texts:
                    if text not in read:
                        read[text] = tuple(_read(text, edges, groups, jobs))
                self.needs[name] = needs = _strictest([need for text in texts for need in read[text]])
                for need in needs:
                    dependents.setdefault(need.program, {})[name] = None
                open_edges[name] = len({need.program for need in needs})
                yield
        self.dependents = {name: tuple(some) for name, some in dependents.items()}
        yield from self._find_ranks(open_edges)

    def _find_ranks(self, open_edges: dict[str, int]) -> Generator[None, None, None]:
        """Find the ranks of all programs with edges, and those that are in a circle or need one that is.

        `open_edges`: how many others a program needs whose rank is not known yet.
        """
        self.rank = rank = {name: 0 for name in self.dependents if not open_edges.get(name)}
        waiting = list(rank)
        while waiting:
            name = waiting.pop()
            for dependent in self.dependents.get(name, ()):
                rank[dependent] = max(rank.get(dependent, 0), rank[name] + 1)
                open_edges[dependent] -= 1
                if not open_edges[dependent]:
                    waiting.append(dependent)
            yield
        self._stuck = dict.fromkeys(name for name, count in open_edges.items() if count)

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


def _read(
    text: str, programs: Container[str], groups: Mapping[str, tuple[str, ...]], jobs: Container[str]
) -> Iterable[Need]:
    """Yield the edges to programs that the text of one stands for."""
    edge = edge_of(text)
    program, _, digits = edge.name.partition(":")
    for name in groups.get(program, (program,)):
        if name in programs:
            condition = edge.condition or (DONE if name in jobs else READY)
            yield Need(name, int(digits) if digits else None, condition, edge.required, edge.restart)


def _strictest(needs: list[Need]) -> tuple[Need, ...]:
    """Return these edges, each once: of two to the same program, as itself and by a group, the stricter holds."""
    found: dict[tuple[str, int | None, str], Need] = {}
    for need in needs:
        key = (need.program, need.index, need.condition)
        other = found.get(key)
        if other is None:
            found[key] = need
        else:
            required, restart = need.required or other.required, need.restart or other.restart
            found[key] = need.replace(required=required, restart=restart)
    return tuple(found.values())
