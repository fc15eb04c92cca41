"""The words of a command, as a shell splits them, without a shell."""

from __future__ import annotations

import shlex

from taskmaster_common.schema.nodes import SCALAR, SEQUENCE
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.scalars import elements_of, expect, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoding


def words_of(node: Node, context: Decoding, key: Key, *, shell: bool) -> list[str]:
    """Return the words of a command, split before they are expanded, so that a value is never split.

    With `shell` that is one text for /bin/sh. Raises ValueError for a command without a word.
    """
    if node.kind == SEQUENCE:
        if shell:
            raise ValueError("with shell: true the command is one text, not a list")
        words = elements_of(node.items, context, key, text_of)
    elif shell:
        expect(node, SCALAR)
        return [_not_blank(node)]
    else:
        expect(node, SCALAR)
        words = [context.variables.expand(word) for word in split(_not_blank(node), node)]
    if not words or not words[0]:
        raise ValueError("the command has no first word")
    return words


def _not_blank(node: Node) -> str:
    if node.is_null() or not node.text.strip():
        raise ValueError("has no value; write a command")
    return node.text


def split(text: str, node: Node) -> list[str]:
    """Return the words of a command line. Raises ValueError for an unclosed quote. Source: POSIX XCU 2.2."""
    text = without_continuations(text)
    if text.isascii() and text.isprintable() and not any(character in text for character in "'\"\\"):
        return text.split()
    try:
        return shlex.split(text)
    except ValueError as error:
        reason = str(error)[:1].lower() + str(error)[1:]
        comment = node.plain and " #" in node.source.line(node.line)[node.column :]
        hint = "; in YAML a # after a blank begins a comment: quote the whole value" if comment else ""
        raise ValueError(f"{quoted(text)} cannot be split into words: {reason}{hint}") from None


def without_continuations(text: str) -> str:
    """Return the text without line continuations, which shlex keeps. Source: POSIX XCU 2.2.1."""
    if "\\\n" not in text:
        return text
    kept: list[str] = []
    quote = ""
    characters = iter(text)
    for character in characters:
        pair = character
        if character == "\\" and quote != "'":
            pair += next(characters, "")
        elif character in "'\"" and quote in ("", character):
            quote = "" if quote else character
        kept.append("" if pair == "\\\n" else pair)
    return "".join(kept)
