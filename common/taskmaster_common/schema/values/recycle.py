"""`recycle` -> when an instance is replaced as planned: a map of limits, those with a default whole, as plain data."""

from __future__ import annotations

from taskmaster_common.config.recycle import RecycleRules
from taskmaster_common.schema.nodes import SEQUENCE
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.scalars import count_of, elements_of, expect_map, limits_of, text_of
from taskmaster_common.text.calendar.cron import parse_cron
from taskmaster_common.text.formats import format_seconds
from taskmaster_common.text.units import parse_seconds, parse_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoder, Decoding

MOST_SAMPLES = 100
REASONS = ("memory", "age", "cron")
"""What an instance is replaced for; at least one of them is written."""
LEAST_S = 1.0
"""Least age and interval, seconds."""
MEANT = {
    "max_memory": "memory",
    "mem": "memory",
    "rss": "memory",
    "max_memory_restart": "memory",
    "max_age": "age",
    "every": "age",
    "cron_restart": "cron",
    "schedule": "cron",
    "zone": "timezone",
}


def recycle_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return every limit. Raises WrongElementsError with each wrong element, ValueError where nothing is to be done."""
    expect_map(node, f"{key.name}: {_as_map(node)}")
    found = limits_of(node, context, key, DECODERS, MEANT)
    if not any(name in found for name in REASONS):
        raise ValueError(f"says not when; write {', '.join(REASONS[:-1])} or {REASONS[-1]}")
    if "timezone" in found and "cron" not in found:
        raise ValueError("timezone is that of cron; write cron, or remove it")
    rules = RecycleRules()
    given = {"interval": rules.interval, "samples": rules.samples, "jitter": rules.jitter, **found}
    whole = {name: given[name] for name in DECODERS if name in given}
    if whole["jitter"] and "age" in whole and whole["jitter"] >= whole["age"]:
        raise ValueError(f"jitter is not less than age ({format_seconds(whole['age'])})")
    return whole


def _as_map(node: Node) -> str:
    """Return the map that a value alone probably means."""
    for name, parse in (("age", parse_seconds), ("memory", parse_size), ("cron", parse_cron)):
        try:
            parse(node.text)
        except ValueError:
            continue
        if not node.text.isdecimal():
            return f"{{{name}: '{node.text}'}}" if name == "cron" else f"{{{name}: {node.text}}}"
    return "{memory: 400MB}"


def _memory(node: Node, context: Decoding, key: Key) -> int:
    size = parse_size(text_of(node, context, key))
    if not size:
        raise ValueError("no program needs no memory; write a size such as 400MB, or remove the line")
    return size


def _samples(node: Node, context: Decoding, key: Key) -> int:
    return count_of(node, context, key, MOST_SAMPLES)


def _period(node: Node, context: Decoding, key: Key) -> float:
    text = text_of(node, context, key)
    seconds = parse_seconds(text)
    if seconds < LEAST_S:
        raise ValueError(f"{quoted(text)} is less than {LEAST_S:g}s")
    return seconds


def _seconds(node: Node, context: Decoding, key: Key) -> float:
    return parse_seconds(text_of(node, context, key))


def _crons(node: Node, context: Decoding, key: Key) -> list[str]:
    return elements_of(node.items if node.kind == SEQUENCE else [node], context, key, _cron)


def _cron(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    parse_cron(text)
    return " ".join(text.split())


def _zone(node: Node, context: Decoding, key: Key) -> str:
    return text_of(node, context, key)


DECODERS: Mapping[str, Decoder] = {
    "memory": _memory,
    "age": _period,
    "cron": _crons,
    "timezone": _zone,
    "interval": _period,
    "samples": _samples,
    "jitter": _seconds,
}
