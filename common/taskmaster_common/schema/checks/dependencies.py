"""Checks of all `depends_on` together: names of nothing, circles, and what follows that one may not expect."""

from __future__ import annotations

from itertools import pairwise

from taskmaster_common.config import ALWAYS, ONESHOT, SERVICE
from taskmaster_common.config.graph import DONE, HEALTHY, READY, STARTED, Graph, edge_of
from taskmaster_common.errors import BugError
from taskmaster_common.records import Record
from taskmaster_common.schema.programs import names_text
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.dependencies import places_of
from taskmaster_common.schema.values.groups import SHOWN_NAMES, Guesses, shown_path
from taskmaster_common.text.patterns import ranges

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from taskmaster_common.config import DaemonConfig
    from taskmaster_common.config.graph import Edge
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.programs import Program
    from taskmaster_common.schema.report import Report

KEY = "depends_on"
MOST_EDGES = 100_000
"""Most edges between two programs: five for each of the most programs; the daemon keeps them all."""
LEAST_CIRCLE = 2
"""Names in the circle of a program with itself."""


class Named(Record):
    """The names of a configuration: `programs` those that are usable, `known` the positions of all, `groups` resolved."""

    programs: Mapping[str, Program]
    known: Mapping[str, Node]
    groups: Mapping[str, tuple[str, ...]]

    def members(self, name: str) -> tuple[str, ...]:
        """Return the programs that an edge to this name leads to."""
        program = name.partition(":")[0]
        return self.groups.get(name, (program,) if program in self.known else ())


def check_dependencies(named: Named, daemon: DaemonConfig, daemon_nodes: Mapping[str, Node], report: Report) -> None:
    """Report problems and doubts about the edges of all programs."""
    dependent = [program for program in named.programs.values() if program.config.policy.depends_on]
    if not dependent:
        return
    guesses = Guesses((*named.known, *named.groups))
    total = 0
    for program in dependent:
        for edge, node in _edges(program):
            members = named.members(edge.name)
            total += len(members)
            if total > MOST_EDGES:
                reason = (
                    f"all programs together depend on more than {MOST_EDGES} others, each program of a group counted"
                )
                report.error(node, program.place(KEY), reason)
                return
            if problem := _unknown(edge, named, guesses):
                tell = report.error if edge.required else report.warn
                tell(node, program.place(KEY), problem)
            else:
                _check_edge(program, edge, node, named, report)
    graph = Graph({name: program.config.policy.depends_on for name, program in named.programs.items()}, named.groups)
    circle = graph.cycle()
    if circle:
        _report_circle(circle, named, report)
    else:
        _check_stops(graph, named, daemon, daemon_nodes, report)


def _edges(program: Program) -> Iterator[tuple[Edge, Node]]:
    """Yield each edge of a program with the node of its name."""
    return zip(map(edge_of, program.config.policy.depends_on), places_of(program.at(KEY)))


def _check_edge(program: Program, edge: Edge, node: Node, named: Named, report: Report) -> None:
    """Report an edge to the program itself, and one that starts what is not started by itself."""
    name, members = program.config.name, named.members(edge.name)
    if name in members:
        by_group = f"{name} is itself in the group {edge.name}"
        report.error(node, program.place(KEY), by_group if edge.name in named.groups else "it depends on itself")
    elif wrong := next(filter(None, (_never_met(edge, each, named) for each in members)), ""):
        report.error(node, program.place(KEY), wrong)
    elif early := _too_early(edge, members, named):
        reason = f"{early} has ready, and this waits only until its program is executed; leave the condition out"
        report.warn(node, program.place(KEY), reason)
    elif edge.required and program.config.autostart:
        idle = [each for each in members if each in named.programs and not named.programs[each].config.autostart]
        if idle:
            verb = "is" if len(idle) == 1 else "are"
            reason = f"{names_text(idle)} {verb} started with {name}, although autostart is false"
            report.warn(node, program.place(KEY), reason)


def _never_met(edge: Edge, name: str, named: Named) -> str:
    """Return why a program cannot become what an edge asks of it, or ""."""
    if name not in named.programs:
        return ""
    config, policy = named.programs[name].config, named.programs[name].config.policy
    if edge.condition == DONE and policy.type == SERVICE and policy.autorestart == ALWAYS:
        return f"{name} is never done: autorestart: always starts it again after each end"
    if edge.condition == READY and policy.type == ONESHOT:
        return f"{name} is a oneshot, which is never ready but done; write {name}: done"
    if edge.condition == HEALTHY and not config.health:
        return f"{name} has no health and is never healthy; write {name}: ready, or give it health"
    return ""


def _too_early(edge: Edge, members: Sequence[str], named: Named) -> str:
    """Return which of these has a readiness that an edge on `started` does not wait for, or ""."""
    if edge.condition != STARTED:
        return ""
    return next((each for each in members if each in named.programs and named.programs[each].config.ready), "")


def _unknown(edge: Edge, named: Named, guesses: Guesses) -> str:
    """Return why the edge leads to nothing, or ""."""
    program, colon, index = edge.name.partition(":")
    if colon and program in named.groups:
        return f"{program} is a group, whose programs have no numbers; write {program}"
    if not named.members(edge.name) and program not in named.groups:
        return f"there is no program or group {quoted(edge.name)}{guesses.hint(program)}"
    target = named.programs.get(program)
    if colon and target and int(index) >= target.config.numprocs:
        return f"there is no {edge.name}; {program} has {ranges(program, range(target.config.numprocs))}"
    return ""


def _report_circle(circle: Sequence[str], named: Named, report: Report) -> None:
    """Report a circle of several programs with the place of each edge; one of a program with itself is reported already."""
    if len(circle) <= LEAST_CIRCLE:
        return
    places = [_place(named.programs[name], other, named) for name, other in pairwise(circle)]
    lines = [f"{node.source.shown}:{node.line + 1}: {said}" for node, said in places[:SHOWN_NAMES]]
    more = len(places) - len(lines)
    node, first = places[0][0], named.programs[circle[0]]
    example = (*lines, *([f"and {more} more"] if more else []))
    report.error(node, first.place(KEY), f"a circle: {shown_path(circle)}", example=example)


def _place(program: Program, other: str, named: Named) -> tuple[Node, str]:
    """Return the node of the edge that leads to another program, and the edge in words."""
    for edge, node in _edges(program):
        if other in named.members(edge.name):
            by = "" if edge.name == other else f" ({edge.name})"
            return node, f"{program.config.name} depends on {other}{by}"
    raise BugError(f"{program.config.name} has no edge to {other}")


def _check_stops(
    graph: Graph, named: Named, daemon: DaemonConfig, daemon_nodes: Mapping[str, Node], report: Report
) -> None:
    """Warn of the longest chain of stops: each program is stopped when those that depend on it are down."""
    seconds: dict[str, float] = {}
    below: dict[str, str] = {}
    for name in sorted((*graph.needs, *graph.dependents), key=graph.rank_of):
        seconds[name] = named.programs[name].config.policy.stoptime
        others = [need.program for need in graph.needs.get(name, ())]
        if others:
            below[name] = max(others, key=seconds.__getitem__)
            seconds[name] += seconds[below[name]]
    if not below:
        return
    path = [max(below, key=seconds.__getitem__)]
    limit = daemon.shutdown_timeout
    longest = max(named.programs[name].config.policy.stoptime for name in below | dict.fromkeys(below.values()))
    total = seconds[path[0]]
    if total <= limit or longest > limit:
        return  # a single one that takes longer has a warning of its own
    while path[-1] in below:
        path.append(below[path[-1]])
    at = daemon_nodes.get("shutdown_timeout") or named.programs[path[0]].at(KEY)
    reason = (
        f"{shown_path(path)} stop one after the other, which may take {total:g}s, but at shutdown everything is killed "
        f"after {limit:g}s (taskmasterd.shutdown_timeout)"
    )
    report.warn(at, named.programs[path[0]].place(KEY), reason)
