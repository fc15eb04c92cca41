"""`depends_on` -> edges: a name, a list of names, or a map of names, each with a condition or with a map of its own.

Whether the names exist, and what else holds between programs, is for `checks.dependencies`.
"""

from __future__ import annotations

from taskmaster_common.config.graph import CONDITIONS, Edge
from taskmaster_common.schema.nodes import MAPPING, SCALAR, SEQUENCE
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.scalars import (
    WrongElementError,
    WrongElementsError,
    boolean_of,
    elements_of,
    expect,
    named_of,
    not_one_of,
    text_of,
)
from taskmaster_common.text.names import name_problem
from taskmaster_common.text.nearest import nearest
from taskmaster_common.text.patterns import MAX_INDEX_DIGITS, instance_meant, is_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoder, Decoding

CONDITION: Final = "condition"
REQUIRED: Final = "required"
RESTART: Final = "restart"
FOREIGN_CONDITIONS = {
    "service_started": "started",
    "service_healthy": "ready",
    "service_completed_successfully": "done",
    "process_started": "started",
    "process_healthy": "ready",
    "process_log_ready": "ready",
    "process_completed": "ended",
    "process_completed_successfully": "done",
    "running": "ready",
}
"""Words of Compose and process-compose, and ours."""
GUESSED_CONDITIONS = {
    **dict.fromkeys(("completed_successfully", "succeeded", "success"), "done"),
    **dict.fromkeys(("completed", "complete", "exited", "finished", "stopped"), "ended"),
}
"""Words that people guess, and ours."""


def dependencies_of(node: Node, context: Decoding, key: Key) -> tuple[str, ...]:
    """Return the edges as texts (`config.graph`), in the order in which they are written."""
    if node.kind == MAPPING:
        places = places_of(node)
        edges = elements_of(
            places, context, key, lambda name, within, of: _ruled(name, node.entries[name.text][1], within, of)
        )
    elif node.kind == SEQUENCE:
        edges = elements_of(node.items, context, key, _name)
    else:
        edges = [_name(node, context, key)]
    names = [text.partition(" ")[0] for text in edges]
    if len(set(names)) < len(names):
        raise WrongElementsError(_repeated(names, places_of(node)))
    return tuple(edges)


def _repeated(names: Sequence[str], places: Sequence[Node]) -> list[WrongElementError]:
    """Return a problem for each name that stands before, too."""
    seen: set[str] = set()
    wrong = []
    for name, place in zip(names, places):
        if name in seen:
            wrong.append(WrongElementError(place, f"{name} is named twice"))
        seen.add(name)
    return wrong


def places_of(node: Node) -> list[Node]:
    """Return the node of each edge's name, in the order of the edges."""
    if node.kind == MAPPING:
        return [name for name, _ in node.entries.values()]
    return node.items if node.kind == SEQUENCE else [node]


def _name(node: Node, context: Decoding, key: Key) -> str:
    """Return the name of what a program depends on; alone it is the text of an edge."""
    text = text_of(node, context, key)
    if "," in text or " " in text.strip():
        names = ", ".join(text.replace(",", " ").split())
        raise ValueError(f"{quoted(text)} is not one name; write a list: [{names}]")
    if problem := target_problem(text):
        raise ValueError(problem)
    return text


def target_problem(text: str) -> str:
    """Return why `text` cannot name what a program depends on, or ""."""
    if is_pattern(text):
        why = "a new program must not change what another depends on unseen"
        return f"{quoted(text)} is a pattern, and depends_on has names, since {why}; a group may have patterns"
    program, colon, index = text.partition(":")
    if problem := name_problem(program):
        return f"{quoted(text)} cannot be a name: {problem}"
    right = index.isascii() and index.isdecimal() and len(index) < MAX_INDEX_DIGITS and str(int(index)) == index
    if colon and not right:
        meant = instance_meant(text) or (
            program,
            int(index) if index.isdecimal() and len(index) < MAX_INDEX_DIGITS else 0,
        )
        return f"{quoted(text)} cannot be an instance: write its number, such as {meant[0]}:{meant[1]}"
    return ""


def _ruled(name: Node, value: Node, context: Decoding, key: Key) -> str:
    """Return the edge to a name with what is written behind it."""
    edge = Edge(_name(name, context, key))
    if value.kind != MAPPING:
        return edge.replace(condition=elements_of([value], context, key, _condition)[0]).text()
    edge = edge.replace(
        **named_of(value, context, key, _RULES, lambda word: f"unknown key {quoted(word)}; {_meant(word)}")
    )
    if edge.restart and not edge.required:
        reason = "restart: true says that it cannot do without, required: false that it can; remove one of the two"
        raise WrongElementError(value.entries[RESTART][1], reason)
    return edge.text()


def _condition(node: Node, context: Decoding, key: Key) -> str:
    expect(node, SCALAR)
    if node.is_null():
        raise ValueError(f"has no condition; write {' or '.join(CONDITIONS)}, or the names alone as a list")
    text = text_of(node, context, key)
    if text not in CONDITIONS:
        raise ValueError(_other_condition(text))
    return text


def _other_condition(text: str) -> str:
    """Return why a word is no condition."""
    called = {**FOREIGN_CONDITIONS, **GUESSED_CONDITIONS}.get(text.lower().replace("-", "_"), "")
    if called in CONDITIONS:
        return f"{text} is called {called} here"
    if called:
        return f"{text} has no counterpart yet; the conditions are {', '.join(CONDITIONS)}"
    return not_one_of(text, CONDITIONS)


_RULES: Mapping[str, Decoder] = {CONDITION: _condition, REQUIRED: boolean_of, RESTART: boolean_of}


def _meant(word: str) -> str:
    near = nearest(word, _RULES)
    return f"did you mean {near}?" if near else f"the keys are {', '.join(_RULES)}"
