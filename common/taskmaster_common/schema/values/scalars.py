"""What all decoders are made of: what they need besides the node, texts, booleans, lists, and how they refuse a value."""

from __future__ import annotations

from taskmaster_common.config import INSTANCE
from taskmaster_common.schema.advice.foreign import (
    DAEMONS,
    GROUP_WORDS,
    LEVEL_WORDS,
    RESTART_WORDS,
    TYPE_WORDS,
    squash,
)
from taskmaster_common.schema.nodes import BROKEN, MAPPING, SCALAR, SEQUENCE
from taskmaster_common.schema.report import quoted
from taskmaster_common.text.nearest import nearest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeVar

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.variables import Variables

    T = TypeVar("T")
    Decoder = Callable[[Node, "Decoding", Key], Any]

TRUE_WORDS = ("true", "yes", "on")
FALSE_WORDS = ("false", "no", "off")


class WrongElementError(ValueError):
    """A value whose element `node` is wrong; an empty text means that the problem is already reported.

    `below` is where the element is, as the keys that lead to it from the value: "http.backlog", "" for the value itself.
    """

    def __init__(self, node: Node, text: str, below: str = "") -> None:
        super().__init__(text)
        self.node = node
        self.below = below


class WrongElementsError(ValueError):
    """A list with wrong elements."""

    def __init__(self, elements: list[WrongElementError]) -> None:
        super().__init__()
        self.elements = elements


class Decoding:
    """What decoders need besides the node. Relative paths start at `directory`; `shell`: /bin/sh runs cmd."""

    __slots__ = ("directory", "shell", "signals", "variables")

    def __init__(self, variables: Variables, directory: str, signals: Mapping[str, int]) -> None:
        self.variables = variables
        self.directory = directory
        self.signals = signals
        self.shell = False


def expect(node: Node, shape: str) -> None:
    """Raise WrongElementError if the node is of another shape."""
    if node.kind == BROKEN:
        raise WrongElementError(node, "")
    if node.kind != shape:
        raise WrongElementError(node, f"expected {shape}, not {node.kind}")


def is_shape_alone(reason: str) -> bool:
    """Return whether a reason is that of `expect`, which says nothing of what to write."""
    return reason.startswith("expected ") and reason.partition(", not ")[2] in (SCALAR, SEQUENCE, MAPPING)


def expect_map(node: Node, instead: str) -> None:
    """Raise WrongElementError if the node is no map; `instead` is how a value is written as one."""
    if node.kind == SCALAR and not node.is_null():
        raise WrongElementError(node, f"expected {MAPPING}, not {SCALAR}; write {instead}")
    expect(node, MAPPING)


def text_of(node: Node, context: Decoding, key: Key) -> str:
    """Return the expanded text of a scalar. Raises ValueError for a missing value or null."""
    expect(node, SCALAR)
    if node.is_null():
        raise ValueError("has no value; write one, or remove the line")
    text = context.variables.expand(node.text)
    if INSTANCE in text and not key.varies:
        raise ValueError("${TASKMASTER_INSTANCE} cannot be used here: the value is the same for all instances")
    return text


def boolean_of(node: Node, context: Decoding, key: Key) -> bool:
    """Return a boolean. Raises ValueError for any other word."""
    text = text_of(node, context, key)
    if text.lower() not in TRUE_WORDS + FALSE_WORDS:
        raise ValueError(not_one_of(text, TRUE_WORDS + FALSE_WORDS))
    return text.lower() in TRUE_WORDS


def not_one_of(text: str, words: tuple[str, ...]) -> str:
    """Return why a word that is none of `words` is refused."""
    called = [table.get(squash(text), "") for table in (RESTART_WORDS, LEVEL_WORDS, TYPE_WORDS, GROUP_WORDS)]
    near = next((each for each in called if each in words), "") or nearest(text, words)
    stays = " What cmd starts has to stay in the foreground" if squash(text) in DAEMONS and near in called else ""
    return f"{quoted(text)} is not one of {', '.join(words)}" + (f"; did you mean {near}?{stays}" if near else "")


def elements_of(
    nodes: Iterable[Node], context: Decoding, key: Key, decode: Callable[[Node, Decoding, Key], T]
) -> list[T]:
    """Decode several nodes. Raises WrongElementsError with every wrong one."""
    decoded: list[T] = []
    wrong: list[WrongElementError] = []
    for node in nodes:
        try:
            decoded.append(decode(node, context, key))
        except WrongElementsError as error:
            wrong.extend(error.elements)
        except WrongElementError as error:
            wrong.append(error)
        except ValueError as error:
            wrong.append(WrongElementError(node, str(error)))
    if wrong:
        raise WrongElementsError(wrong)
    return decoded


def element_at(name: str, node: Node, context: Decoding, key: Key, decode: Callable[[Node, Decoding, Key], T]) -> T:
    """Decode what stands below a name. Raises WrongElementsError, whose elements say where they are."""
    try:
        return elements_of([node], context, key, decode)[0]
    except WrongElementsError as error:
        raise WrongElementsError(
            [WrongElementError(each.node, str(each), f"{name}.{each.below}".rstrip(".")) for each in error.elements]
        ) from None


def limits_of(
    node: Node, context: Decoding, key: Key, decoders: Mapping[str, Decoder], meant: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Return what a map says, decoded. `meant` has the names that some unknown ones stand for.

    Raises WrongElementsError with all unknown names and all that is wrong in the values.
    """
    return named_of(node, context, key, decoders, lambda name: _unknown(name, decoders, meant or {}))


def named_of(
    node: Node, context: Decoding, key: Key, decoders: Mapping[str, Decoder], unknown: Callable[[str], str]
) -> dict[str, Any]:
    """Return what a map says, decoded; `unknown` says what is wrong with a name without a decoder.

    Raises WrongElementsError with every wrong name and value; of a value the reason begins with its name.
    """
    expect(node, MAPPING)
    found: dict[str, Any] = {}
    wrong: list[WrongElementError] = []
    for name, (written, value) in node.entries.items():
        if name not in decoders:
            wrong.append(WrongElementError(written, unknown(name)))
            continue
        try:
            found[name] = elements_of([value], context, key, decoders[name])[0]
        except WrongElementsError as error:
            wrong += [
                each if each.below else WrongElementError(each.node, _with_name(name, str(each)))
                for each in error.elements
            ]
    if wrong:
        raise WrongElementsError(wrong)
    return found


def _with_name(name: str, reason: str) -> str:
    return f"{name}: {reason}" if reason and not reason.startswith((f"{name}:", f"{name} ")) else reason


def _unknown(name: str, decoders: Mapping[str, Decoder], meant: Mapping[str, str]) -> str:
    near = meant.get(name) or nearest(name, decoders)
    return f"unknown key {quoted(name)}; " + (f"did you mean {near}?" if near else f"it has {', '.join(decoders)}")


def count_of(node: Node, context: Decoding, key: Key, most: int) -> int:
    """Return a whole number from 1 to `most`. Raises ValueError."""
    text = text_of(node, context, key)
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    if not 1 <= number <= most:
        raise ValueError(f"{quoted(text)} is not between 1 and {most}")
    return number
