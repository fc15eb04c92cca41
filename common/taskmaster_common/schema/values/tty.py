"""`tty` -> the terminal that a program runs on: its size and its TERM, as plain data."""

from __future__ import annotations

from taskmaster_common.schema.nodes import MAPPING
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.scalars import (
    FALSE_WORDS,
    TRUE_WORDS,
    WrongElementError,
    WrongElementsError,
    elements_of,
    text_of,
)
from taskmaster_common.text.nearest import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoding

MOST = 1000
"""Most rows and columns."""
MOST_TERM = 64
"""Most characters of TERM."""
DEFAULTS: Mapping[str, Any] = {"rows": 24, "cols": 80, "term": "xterm-256color"}


def tty_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return all of it, {} for no terminal. Raises WrongElementsError with each wrong element."""
    if node.kind != MAPPING:
        text = text_of(node, context, key)
        if text.lower() not in TRUE_WORDS + FALSE_WORDS:
            raise ValueError(f"{quoted(text)} is neither true nor false nor a map with {', '.join(DEFAULTS)}")
        return dict(DEFAULTS) if text.lower() in TRUE_WORDS else {}
    unknown = [name for name in node.entries if name not in DECODERS]
    if unknown:
        raise WrongElementsError([WrongElementError(node.entries[name][0], _unknown(name)) for name in unknown])
    found = dict(DEFAULTS)
    for name, (_, value) in node.entries.items():
        found[name] = elements_of([value], context, key, DECODERS[name])[0]
    return found


def _unknown(name: str) -> str:
    near = {"columns": "cols", "width": "cols", "height": "rows", "lines": "rows"}.get(name) or nearest(name, DECODERS)
    return f"unknown key {quoted(name)}; " + (f"did you mean {near}?" if near else f"it has {', '.join(DECODERS)}")


def _count(node: Node, context: Decoding, key: Key) -> int:
    text = text_of(node, context, key)
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    if not 1 <= number <= MOST:
        raise ValueError(f"{quoted(text)} is not between 1 and {MOST}")
    return number


def _term(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if not text or len(text) > MOST_TERM or not all("!" <= each <= "~" for each in text):
        raise ValueError(f"{quoted(text)} is no name of a terminal, such as xterm-256color, screen or dumb")
    return text


DECODERS: Mapping[str, Callable[[Node, Decoding, Key], Any]] = {"rows": _count, "cols": _count, "term": _term}
