"""`events`, `targets` and `at_most` of an alert rule."""

from __future__ import annotations

from taskmaster_common.config.alerts.words import FAILED_ALERT, WORDS
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.values.alerts.parts import several_of
from taskmaster_common.schema.values.scalars import text_of
from taskmaster_common.text.names import ALL
from taskmaster_common.text.nearest import hint
from taskmaster_common.text.patterns import Pattern, is_pattern
from taskmaster_common.text.units import parse_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoding

MOST_MESSAGES = 1_000_000
LEAST_TIME_S = 1.0
ANY = "*"


def events_of(node: Node, context: Decoding, key: Key) -> tuple[str, ...]:
    """Return words and patterns, each of which matches an event."""
    return tuple(dict.fromkeys(several_of(node, context, key, _event)))


def _event(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if text == FAILED_ALERT:
        raise ValueError(
            f"no rule can be about {FAILED_ALERT}: an alert about it could fail, too; `status` warns of it"
        )
    if text == ALL:
        return ANY
    if is_pattern(text):
        pattern = Pattern(text)
        if not any(pattern.matches(word) for word in WORDS):
            raise ValueError(f"{quoted(text)} matches no event")
    elif text not in WORDS:
        raise ValueError(f"there is no event {quoted(text)}{hint(text, WORDS, most=len(WORDS))}")
    return text


def targets_of(node: Node, context: Decoding, key: Key) -> tuple[str, ...]:
    """Return names and patterns as written; whether they exist is for `section`."""
    return tuple(dict.fromkeys(several_of(node, context, key, _target)))


def _target(node: Node, context: Decoding, key: Key) -> str:
    text = text_of(node, context, key)
    if not text or " " in text or "," in text:
        raise ValueError(f"{quoted(text)} is not one name; write a list: [{', '.join(text.replace(',', ' ').split())}]")
    return text


def rate_of(node: Node, context: Decoding, key: Key) -> tuple[int, float]:
    """Return a number of messages, and a time in seconds, of `30/1h`."""
    text = text_of(node, context, key)
    count, slash, duration = text.partition("/")
    if not (slash and count.isascii() and count.isdecimal() and len(count) < 8 and 1 <= int(count) <= MOST_MESSAGES):
        raise ValueError(f"{quoted(text)} is not a number of messages and a time, such as 30/1h")
    seconds = parse_seconds(duration if duration[:1].isdigit() else f"1{duration}")
    if seconds < LEAST_TIME_S:
        raise ValueError(f"{quoted(duration)} is less than {LEAST_TIME_S:g} s")
    return int(count), seconds
