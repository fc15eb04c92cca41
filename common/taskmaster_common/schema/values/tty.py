"""`tty` -> the terminal that a program runs on: its size and its TERM, as plain data."""

from __future__ import annotations

from taskmaster_common.schema.nodes import MAPPING
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.scalars import FALSE_WORDS, TRUE_WORDS, count_of, limits_of, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoder, Decoding

MOST = 1000
"""Most rows and columns."""
MOST_TERM = 64
"""Most characters of TERM."""
DEFAULTS: Mapping[str, Any] = {"rows": 24, "cols": 80, "term": "xterm-256color"}
MEANT = {"columns": "cols", "width": "cols", "height": "rows", "lines": "rows"}


def tty_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return all of it, {} for no terminal. Raises WrongElementsError with each wrong element."""
    if node.kind != MAPPING:
        text = text_of(node, context, key)
        if text.lower() not in TRUE_WORDS + FALSE_WORDS:
            raise ValueError(f"{quoted(text)} is neither true nor false nor a map with {', '.join(DEFAULTS)}")
        return dict(DEFAULTS) if text.lower() in TRUE_WORDS else {}
    return {**DEFAULTS, **limits_of(node, context, key, DECODERS, MEANT)}


def _count(node: Node, context: Decoding, key: Key) -> int:
    return count_of(node, context, key, MOST)


def _term(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if not text or len(text) > MOST_TERM or not all("!" <= each <= "~" for each in text):
        raise ValueError(f"{quoted(text)} is no name of a terminal, such as xterm-256color, screen or dumb")
    return text


DECODERS: Mapping[str, Decoder] = {"rows": _count, "cols": _count, "term": _term}
