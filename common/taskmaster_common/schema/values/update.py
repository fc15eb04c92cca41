"""`update` -> how instances are replaced: a map of limits, whole with its defaults, as plain data."""

from __future__ import annotations

from taskmaster_common.schema.nodes import MAPPING
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.scalars import (
    WrongElementError,
    WrongElementsError,
    elements_of,
    expect,
    not_one_of,
    text_of,
)
from taskmaster_common.text.nearest import nearest
from taskmaster_common.text.units import parse_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoding

MOST_AT_ONCE = 10_000
ON_FAILURE = ("stop", "rollback")
DEFAULTS: Mapping[str, Any] = {"max_unavailable": 1, "pause": 0.0, "monitor": 5.0, "on_failure": "stop"}


def update_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return every limit. Raises WrongElementsError with each wrong element."""
    expect(node, MAPPING)
    unknown = [name for name in node.entries if name not in DECODERS]
    if unknown:
        raise WrongElementsError([WrongElementError(node.entries[name][0], _unknown(name)) for name in unknown])
    found = dict(DEFAULTS)
    for name, (_, value) in node.entries.items():
        found[name] = elements_of([value], context, key, DECODERS[name])[0]
    return found


def _unknown(name: str) -> str:
    near = nearest(name, DECODERS)
    return f"unknown key {quoted(name)}; " + (f"did you mean {near}?" if near else f"it has {', '.join(DECODERS)}")


def _count(node: Node, context: Decoding, key: Key) -> int:
    text = text_of(node, context, key)
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    if not 1 <= number <= MOST_AT_ONCE:
        raise ValueError(f"{quoted(text)} is not between 1 and {MOST_AT_ONCE}")
    return number


def _seconds(node: Node, context: Decoding, key: Key) -> float:
    return parse_seconds(text_of(node, context, key))


def _on_failure(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if text not in ON_FAILURE:
        raise ValueError(not_one_of(text, ON_FAILURE))
    return text


DECODERS: Mapping[str, Callable[[Node, Decoding, Key], Any]] = {
    "max_unavailable": _count,
    "pause": _seconds,
    "monitor": _seconds,
    "on_failure": _on_failure,
}
