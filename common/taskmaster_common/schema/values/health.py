"""`health` -> how it is known that a program is well, and what to do where it is not: a map with one way, its limits and `action`.

The value is plain data: {"http": "http://127.0.0.1/live", "retries": 2, "action": "signal HUP"}, {"watchdog": 30.0}.
"""

from __future__ import annotations

from taskmaster_common.config.health import NOTHING, RESTART, SIGNAL, STOP, WATCHDOG
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.ready import ASKED, LIMITS, probe_of, seconds_of
from taskmaster_common.schema.values.scalars import expect_map, not_one_of, text_of
from taskmaster_common.text.formats import signal_name
from taskmaster_common.text.units import parse_seconds, parse_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.ready import Decoder
    from taskmaster_common.schema.values.scalars import Decoding

ACTIONS = (RESTART, STOP, NOTHING)
"""Actions that are one word; the other one is `signal NAME`."""
MOST_COUNT = 100
"""Most `retries` and `successes`."""
NOT_OF_A_WATCHDOG = ("interval", "timeout", "retries")


def health_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return the way with its limits. Raises ValueError, or WrongElementsError with each wrong element."""
    expect_map(node, f"{key.name}: {{{_way_of(node.text)}: …}}")
    found = probe_of(node, context, key, HEALTH_WAYS, HEALTH_LIMITS)
    vain = [name for name in NOT_OF_A_WATCHDOG if name in found and WATCHDOG in found]
    if vain:
        raise ValueError(
            f"nobody asks a program with a watchdog: {WATCHDOG} says how long it may be silent; remove {vain[0]}"
        )
    return found


def _way_of(text: str) -> str:
    """Return the way that a value alone probably means."""
    if text.startswith(("http:", "https:", "unix:")):
        return "http"
    host, _, port = text.rpartition(":")
    return "tcp" if port.isdecimal() and " " not in host else "exec"


def _count(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    text = text_of(node, context, key)
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0
    if not 1 <= number <= MOST_COUNT:
        raise ValueError(f"{quoted(text)} is not between 1 and {MOST_COUNT}")
    return {"": number}


def _period(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    return {"": parse_seconds(text_of(node, context, key))}


def _action(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    text = text_of(node, context, key)
    word, _, name = text.partition(" ")
    if word == SIGNAL and name.strip():
        return {"": f"{SIGNAL} {signal_name(parse_signal(name.strip(), context.signals), context.signals)}"}
    if text not in ACTIONS:
        raise ValueError(not_one_of(text, (*ACTIONS, f"{SIGNAL} NAME")))
    return {"": text}


HEALTH_WAYS: Mapping[str, Decoder] = {**ASKED, WATCHDOG: seconds_of}
HEALTH_LIMITS: Mapping[str, Decoder] = {
    **LIMITS,
    "retries": _count,
    "successes": _count,
    "start_period": _period,
    "action": _action,
}
