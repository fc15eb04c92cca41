"""`schedule` -> when a program runs: a line of cron, or a map with one of `cron`, `every` and `at` and its limits, as plain data.

{"cron": ["0 3 * * *"], "timezone": "Europe/Berlin", "jitter": 300.0}, {"every": 600.0}, {"at": ["2026-12-24T18:00"]}.
"""

from __future__ import annotations

from taskmaster_common.config.schedule import AT, CRON, EVERY, OVERLAPS, WAYS
from taskmaster_common.schema.nodes import MAPPING, SCALAR, SEQUENCE
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.scalars import boolean_of, elements_of, limits_of, not_one_of, text_of
from taskmaster_common.text.calendar.cron import parse_cron
from taskmaster_common.text.calendar.zone import parse_at
from taskmaster_common.text.units import parse_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoder, Decoding

LEAST_EVERY_S, MOST_EVERY_S = 1.0, 31 * 86_400.0
NONE = "none"
"""The value of a program that has no schedule, though its template has one."""
MOST_TIMES = 100
"""Most lines of cron, or moments, of one program."""
MOST_HISTORY = 1000
MEANT = {
    "interval": EVERY,
    "period": EVERY,
    "tz": "timezone",
    "random_delay": "jitter",
    "persistent": "catch_up",
    "date": AT,
}
"""What keys of other tools are called here."""


def decode_schedule(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return the way and what is written of its limits. Raises ValueError, or WrongElementsError with each wrong element."""
    if node.kind == SCALAR and text_of(node, context, key) == NONE:
        return {}
    if node.kind != MAPPING:
        return {CRON: _crons(node, context, key)}
    found = limits_of(node, context, key, DECODERS, MEANT)
    ways = [way for way in WAYS if way in found]
    if len(ways) != 1:
        several = f"has {' and '.join(ways)}" if ways else "says nothing about when"
        raise ValueError(f"{several}; write exactly one of {', '.join(WAYS)}")
    return {ways[0]: found[ways[0]], **found}


def _crons(node: Node, context: Decoding, key: Key) -> list[str]:
    return _texts(node, context, key, _cron)


def _cron(text: str) -> str:
    try:
        return parse_cron(text).text
    except ValueError:
        if _is_duration(text):
            raise ValueError(f"{quoted(text)} is a period; write every: {text}") from None
        raise


def _is_duration(text: str) -> bool:
    try:
        parse_seconds(text)
    except ValueError:
        return False
    return True


def _ats(node: Node, context: Decoding, key: Key) -> list[str]:
    return _texts(node, context, key, _at)


def _at(text: str) -> str:
    parse_at(text)
    return text.strip().replace(" ", "T", 1)


def _texts(node: Node, context: Decoding, key: Key, check: Callable[[str], str]) -> list[str]:
    nodes = node.items if node.kind == SEQUENCE else (node,)
    if not 1 <= len(nodes) <= MOST_TIMES:
        raise ValueError(f"expected 1 to {MOST_TIMES} of them, not {len(nodes)}")

    def decode(each: Node, decoding: Decoding, row: Key) -> str:
        return check(text_of(each, decoding, row))

    return elements_of(nodes, context, key, decode)


def _every(node: Node, context: Decoding, key: Key) -> float:
    seconds = parse_seconds(text_of(node, context, key))
    if not LEAST_EVERY_S <= seconds <= MOST_EVERY_S:
        raise ValueError(f"{quoted(node.text)} is not between 1s and 31d")
    return seconds


def _seconds(node: Node, context: Decoding, key: Key) -> float:
    return parse_seconds(text_of(node, context, key))


def _overlap(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if text not in OVERLAPS:
        raise ValueError(not_one_of(text, OVERLAPS))
    return text


def _history(node: Node, context: Decoding, key: Key) -> int:
    text = text_of(node, context, key)
    if not (text.isascii() and text.isdecimal() and len(text) <= 4 and int(text) <= MOST_HISTORY):
        raise ValueError(f"{quoted(text)} is not a number of runs from 0 to {MOST_HISTORY}")
    return int(text)


DECODERS: Mapping[str, Decoder] = {
    CRON: _crons,
    EVERY: _every,
    AT: _ats,
    "timezone": text_of,
    "jitter": _seconds,
    "overlap": _overlap,
    "catch_up": _seconds,
    "at_start": boolean_of,
    "history": _history,
}
