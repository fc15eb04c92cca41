"""`deps`: the edges between programs, and whether each is satisfied."""

from __future__ import annotations

from taskmaster_common.protocol import end
from taskmasterd.control.replies import MORE
from taskmasterd.core.words.edges import edge_view, roots, tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from taskmasterd.control.call import Call
    from taskmasterd.core.steps import Steps

EDGES_PER_OBJECT = 100


def deps(call: Call) -> Steps[None]:
    """All edges, or those that one comes to from the named programs."""
    upwards = call.request.has("reverse")
    if call.request.targets:
        entries = yield from call.looked_at()
        begin = tuple(dict.fromkeys(entry.program for entry in entries))
    else:
        yield from call.sight.prepared()
        begin = roots(call.sight.table(), upwards=upwards)
    yield
    call.connection.pull(_edges(call, begin, upwards=upwards))


def _edges(call: Call, begin: tuple[str, ...], *, upwards: bool) -> Iterator[dict[str, Any]]:
    context = call.context
    sight = call.sight
    table = sight.table()
    edges: list[dict[str, Any]] = []
    yield {"type": "deps", "roots": list(begin), "reverse": upwards, "edges": []}
    for program, need in tree(table, begin, upwards=upwards):
        edge = edge_view(table, program, need, context.reactor.now(), context.identity.signals)
        edges.append({**edge, "because": sight.text(edge["because"])})
        if len(edges) == EDGES_PER_OBJECT:
            yield {"type": "deps", "edges": edges}
            edges = []
        else:
            yield MORE
    if edges:
        yield {"type": "deps", "edges": edges}
    call.connection.end(end(0))


VERBS = {"deps": deps}
