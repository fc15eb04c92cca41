"""The graph of all edges: built in steps that stay short however many programs there are."""

from __future__ import annotations

from functools import partial

from taskmaster_common.config.graph import Graph, Need
from tests.support.work import calls


def edges(programs: int) -> dict[str, tuple[str, ...]]:
    """Return the edges of programs each of which needs the five before it."""
    return {f"p{i}": tuple(f"p{j}" for j in range(max(0, i - 5), i)) for i in range(programs)}


def test_a_graph_is_the_same_whether_it_is_built_in_steps_or_at_once() -> None:
    at_once = Graph(
        {"web": ("db", "all optional"), "job": ("web:1 started",), "db": ()}, {"all": ("db", "job")}, ("job",)
    )
    steps = Graph.building(
        {"web": ("db", "all optional"), "job": ("web:1 started",), "db": ()}, {"all": ("db", "job")}, ("job",)
    )
    number = 0
    while True:
        try:
            next(steps)
        except StopIteration as done:
            graph: Graph = done.value
            break
        number += 1
    assert number > 2
    assert (graph.needs, graph.dependents, graph.rank) == (at_once.needs, at_once.dependents, at_once.rank)
    assert graph.cycle() == at_once.cycle() == ("web", "job", "web")
    assert graph.needs["web"] == (
        Need("db", None, "ready", True, False),
        Need("job", None, "done", False, False),
    )


def test_no_step_is_longer_where_there_are_more_programs() -> None:
    most = {}
    for programs in (50, 500):
        steps = Graph.building(edges(programs), {})
        most[programs] = max(calls(partial(next, steps, None)) for _ in range(2 * programs))
        assert next(steps, None) is None
    assert most[500] <= most[50]


def test_an_edge_that_many_programs_have_is_read_once() -> None:
    work = {n: calls(partial(Graph, {"db": (), **{f"p{i}": ("db started",) for i in range(n)}}, {})) for n in (10, 110)}
    assert (work[110] - work[10]) / 100 < 8
