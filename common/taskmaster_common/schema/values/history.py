"""`history` -> how much of it is kept: a map of its limits, whole with its defaults, as plain data; 0 for none."""

from __future__ import annotations

from taskmaster_common.schema.nodes import SCALAR
from taskmaster_common.schema.values.scalars import limits_of, text_of
from taskmaster_common.text.units import parse_seconds, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoder, Decoding

LEAST_SIZE = 64_000
"""Smallest size but 0, bytes."""
LEAST_AGE_S = 3600.0
"""Shortest age but 0, seconds."""


def history_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return both limits. Raises ValueError, or WrongElementsError with each wrong element."""
    found: dict[str, Any] = {**key.default}  # type: ignore[dict-item]  # the table's row has a map
    if node.kind == SCALAR:
        if text_of(node, context, key) != "0":
            raise ValueError("expected a map of size and age, or 0 for no history")
        return {**found, "size": 0}
    return {**found, **limits_of(node, context, key, DECODERS)}


def _size(node: Node, context: Decoding, key: Key) -> int:
    size = parse_size(text_of(node, context, key))
    if 0 < size < LEAST_SIZE:
        raise ValueError("is less than 64KB; write that or more, or 0 for no history")
    return size


def _age(node: Node, context: Decoding, key: Key) -> float:
    age = parse_seconds(text_of(node, context, key))
    if 0 < age < LEAST_AGE_S:
        raise ValueError("is less than an hour; write that or more, or 0 for no limit")
    return age


DECODERS: Mapping[str, Decoder] = {"size": _size, "age": _age}
