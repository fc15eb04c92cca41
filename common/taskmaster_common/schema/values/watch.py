"""`watch` -> whose change restarts a program or is signalled to it: a path, or a map, whole with its defaults, as plain data."""

from __future__ import annotations

from taskmaster_common.config.watch import RESTART, SIGNAL, WatchRules
from taskmaster_common.schema.nodes import MAPPING, SCALAR, SEQUENCE
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.scalars import (
    FALSE_WORDS,
    TRUE_WORDS,
    boolean_of,
    elements_of,
    limits_of,
    not_one_of,
    text_of,
)
from taskmaster_common.text.formats import signal_name
from taskmaster_common.text.units import parse_seconds, parse_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoder, Decoding

LEAST_POLL_S = 0.1
MOST_DEBOUNCE_S = 3600.0
MEANT = {
    "path": "paths",
    "watch_delay": "debounce",
    "delay": "debounce",
    "ignore_watch": "ignore",
    "exclude": "ignore",
    "only": "include",
    "signal": "action",
    "interval": "poll",
}


def watch_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return all of it. Raises ValueError, or WrongElementsError with each wrong element."""
    rules = WatchRules(())
    whole: dict[str, Any] = {
        "paths": [],
        "include": [],
        "ignore": [],
        "debounce": rules.debounce,
        "action": rules.action,
        "poll": rules.poll,
        "default_ignores": rules.default_ignores,
    }
    if node.kind == MAPPING:
        whole.update(limits_of(node, context, key, DECODERS, MEANT))
    else:
        whole["paths"] = _paths(node, context, key)
    if not whole["paths"]:
        raise ValueError("says not what; write paths, such as paths: [src]")
    return whole


def _texts(node: Node, context: Decoding, key: Key) -> list[str]:
    nodes = node.items if node.kind == SEQUENCE else [node]
    return elements_of(nodes, context, key, _text)


def _text(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if not text:
        raise ValueError("a path or pattern has at least one character")
    return text


def _paths(node: Node, context: Decoding, key: Key) -> list[str]:
    if node.kind == SCALAR and not node.is_null() and node.text.lower() in TRUE_WORDS + FALSE_WORDS:
        raise ValueError(f"{quoted(node.text)} is not a path; write watch: . for the directory it runs in")
    return _texts(node, context, key)


def _debounce(node: Node, context: Decoding, key: Key) -> float:
    text = text_of(node, context, key)
    seconds = parse_seconds(text)
    if seconds > MOST_DEBOUNCE_S:
        raise ValueError(f"{quoted(text)} is more than an hour")
    return seconds


def _poll(node: Node, context: Decoding, key: Key) -> float:
    text = text_of(node, context, key)
    seconds = parse_seconds(text)
    if 0 < seconds < LEAST_POLL_S:
        raise ValueError(f"{quoted(text)} is less than {LEAST_POLL_S:g}s")
    return seconds


def _action(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    word, _, name = text.partition(" ")
    if word == SIGNAL and name.strip():
        return f"{SIGNAL} {signal_name(parse_signal(name.strip(), context.signals), context.signals)}"
    if text != RESTART:
        raise ValueError(not_one_of(text, (RESTART, f"{SIGNAL} NAME")))
    return text


DECODERS: Mapping[str, Decoder] = {
    "paths": _paths,
    "include": _texts,
    "ignore": _texts,
    "debounce": _debounce,
    "action": _action,
    "poll": _poll,
    "default_ignores": boolean_of,
}
