"""What the decoders of alert rules share: maps of parts, texts for headers, hosts and ports."""

from __future__ import annotations

from taskmaster_common.schema.nodes import MAPPING, SEQUENCE
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.surroundings import absolute
from taskmaster_common.schema.values.scalars import WrongElementError, WrongElementsError, elements_of, expect, text_of
from taskmaster_common.text.nearest import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoder, Decoding


def parts_of(
    node: Node, context: Decoding, key: Key, decoders: Mapping[str, Decoder], instead: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return a map of parts, decoded; `instead` says what to write in place of a part that is refused.

    Raises WrongElementsError with each wrong part.
    """
    expect(node, MAPPING)
    found: dict[str, Any] = {}
    wrong: list[WrongElementError] = []
    for name, (written, value) in node.entries.items():
        if instead and name in instead:
            wrong.append(WrongElementError(written, f"{name}: {instead[name]}"))
            continue
        if name not in decoders:
            near = nearest(name, decoders)
            hint = f"did you mean {near}?" if near else f"the keys of {key.name} are {', '.join(decoders)}"
            wrong.append(WrongElementError(written, f"unknown key {quoted(name)}; {hint}"))
            continue
        try:
            found[name] = elements_of([value], context, key, decoders[name])[0]
        except WrongElementsError as several:
            wrong.extend(
                WrongElementError(each.node, f"{name}: {each}" if str(each) else "") for each in several.elements
            )
    if wrong:
        raise WrongElementsError(wrong)
    return found


def path_of(node: Node, context: Decoding, key: Key) -> str:
    """Return an absolute path."""
    text = text_of(node, context, key)
    if not text:
        raise ValueError("a path has at least one character")
    return absolute(context.directory, text)


def line_of(node: Node, context: Decoding, key: Key) -> str:
    """Return a text that can stand in a header: at least one character, none of them a control character."""
    text = text_of(node, context, key)
    if not text or not text.isprintable():
        raise ValueError(f"{quoted(text)} is not one line of text")
    return text


def several_of(node: Node, context: Decoding, key: Key, decode: Decoder) -> list[Any]:
    """Return one value or a list of values."""
    if node.kind == SEQUENCE and not node.items:
        raise ValueError("names nobody")
    return elements_of(node.items if node.kind == SEQUENCE else [node], context, key, decode)
