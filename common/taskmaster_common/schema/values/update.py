"""`update` -> how instances are replaced: a map of limits, whole with its defaults, as plain data."""

from __future__ import annotations

from taskmaster_common.schema.values.scalars import count_of, expect_map, limits_of, not_one_of, text_of
from taskmaster_common.text.units import parse_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoder, Decoding

MOST_AT_ONCE = 10_000
ON_FAILURE = ("stop", "rollback")
DEFAULTS: Mapping[str, Any] = {"max_unavailable": 1, "pause": 0.0, "monitor": 5.0, "on_failure": "stop"}


def update_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return every limit. Raises WrongElementsError with each wrong element."""
    expect_map(node, f"{key.name}: {{max_unavailable: 1}}")
    return {**DEFAULTS, **limits_of(node, context, key, DECODERS)}


def _count(node: Node, context: Decoding, key: Key) -> int:
    return count_of(node, context, key, MOST_AT_ONCE)


def _seconds(node: Node, context: Decoding, key: Key) -> float:
    return parse_seconds(text_of(node, context, key))


def _on_failure(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if text not in ON_FAILURE:
        raise ValueError(not_one_of(text, ON_FAILURE))
    return text


DECODERS: Mapping[str, Decoder] = {
    "max_unavailable": _count,
    "pause": _seconds,
    "monitor": _seconds,
    "on_failure": _on_failure,
}
