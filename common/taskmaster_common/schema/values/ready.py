"""`ready` -> how it is known that a program is ready: `notify`, `health`, or a map with one way and its limits.

The value is plain data: {"notify": true}, {"exec": ["pg_isready", "-q"], "timeout": 5.0}, {"http": "http://127.0.0.1/", "status":
[204]}. Whether addresses are possible is for `checks.ready`. The ways that ask a program are those of `health`, too.
"""

from __future__ import annotations

from taskmaster_common.schema.advice.foreign import PROBE_WORDS, squash
from taskmaster_common.schema.nodes import MAPPING, SCALAR, SEQUENCE
from taskmaster_common.schema.report import quoted
from taskmaster_common.schema.surroundings import absolute
from taskmaster_common.schema.values.scalars import (
    boolean_of,
    elements_of,
    expect,
    named_of,
    text_of,
)
from taskmaster_common.schema.values.split import words_of
from taskmaster_common.text.nearest import nearest
from taskmaster_common.text.units import parse_seconds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import Any

    from taskmaster_common.config.keys import Key
    from taskmaster_common.schema.nodes import Node
    from taskmaster_common.schema.values.scalars import Decoding

    Decoder = Callable[[Node, Decoding, Key], dict[str, Any]]

WORDS = ("notify", "health")
"""The ways that are written as a word."""
UNIX = "unix:"
"""Begins a URL that names a socket in the file system."""
LEAST_FD, MOST_FD = 3, 255
LEAST_S = 0.1
"""Least interval and timeout, seconds."""
MOST_PATTERN = 256
"""Most characters of the text for which a log is searched."""


def ready_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return the way with its limits. Raises ValueError, or WrongElementsError with each wrong element."""
    if node.kind != MAPPING:
        text = text_of(node, context, key)
        if text not in WORDS:
            near = nearest(text, WORDS)
            hint = f"; did you mean {near}?" if near else ""
            raise ValueError(
                f"{quoted(text)} is neither notify nor health nor a map with one of {', '.join(WAYS)}{hint}"
            )
        return {text: True}
    return probe_of(node, context, key, WAYS, LIMITS)


def probe_of(
    node: Node, context: Decoding, key: Key, ways: Mapping[str, Decoder], limits: Mapping[str, Decoder]
) -> dict[str, Any]:
    """Return a map with exactly one of these ways, and perhaps limits. Raises as `ready_of`."""
    decoded = named_of(node, context, key, {**ways, **limits}, lambda name: _unknown(name, (*ways, *limits), ways))
    named = [name for name in node.entries if name in ways]
    if len(named) != 1:
        said = f"names {' and '.join(named)}" if named else "names no way"
        raise ValueError(f"{said}; write exactly one of {', '.join(ways)}")
    found: dict[str, Any] = {}
    for name, parts in decoded.items():
        for part, value in parts.items():
            if part in node.entries:
                raise ValueError(f"{part} is written twice, below {name} and beside it")
            found[part or name] = value
    return found


def _unknown(name: str, known: Collection[str], ways: Iterable[str]) -> str:
    foreign = PROBE_WORDS.get(squash(name), "")
    if foreign.startswith("=") and foreign[1:] not in known:
        foreign = ""
    near = foreign[1:] if foreign.startswith("=") else nearest(name, known)
    meant = f"did you mean {near}?" if near else foreign or f"the ways are {', '.join(ways)}"
    return f"unknown key {quoted(name)}; {meant}"


def _fd(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    text = text_of(node, context, key)
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else 0
    if not LEAST_FD <= number <= MOST_FD:
        raise ValueError(f"{quoted(text)} is not between {LEAST_FD} and {MOST_FD}")
    return {"": number}


def _log(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    text = text_of(node, context, key)
    if not text or len(text) > MOST_PATTERN:
        raise ValueError(f"has {len(text)} characters; write 1 to {MOST_PATTERN}")
    if text.startswith("/") and text.endswith("/") and len(text) > 1:
        raise ValueError("looks like a regular expression; * and ? are the patterns here, or write exec: grep ...")
    return {"": text}


def command_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return {"": words}, with "shell": true where the one word is for /bin/sh: a text, a list, or a map {cmd, shell, timeout}."""
    if node.kind != MAPPING:
        return {"": words_of(node, context, key, shell=False)}
    wrong = [name for name in node.entries if name not in ("cmd", "shell", "timeout")]
    if wrong or "cmd" not in node.entries:
        raise ValueError(
            f"unknown key {quoted(wrong[0])}; write {{cmd: ..., shell: true}}" if wrong else "cmd is missing"
        )
    limit = seconds_of(node.entries["timeout"][1], context, key)[""] if "timeout" in node.entries else None
    shell = "shell" in node.entries and boolean_of(node.entries["shell"][1], context, key)
    words = words_of(node.entries["cmd"][1], context, key, shell=shell)
    return {"": words, **({"shell": True} if shell else {}), **({"timeout": limit} if limit is not None else {})}


def _http(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    if node.kind != MAPPING:
        return {"": _url(node, context, key)}
    wrong = [name for name in node.entries if name not in ("url", "status", "headers")]
    if wrong or "url" not in node.entries:
        raise ValueError(f"unknown key {quoted(wrong[0])}; write url, status, headers" if wrong else "url is missing")
    found: dict[str, Any] = {"": _url(node.entries["url"][1], context, key)}
    if "status" in node.entries:
        value = node.entries["status"][1]
        found["status"] = elements_of(value.items if value.kind == SEQUENCE else [value], context, key, _status)
    if "headers" in node.entries:
        value = node.entries["headers"][1]
        expect(value, MAPPING)
        found["headers"] = {name: text_of(each, context, key) for name, (_, each) in value.entries.items()}
    return found


def _url(node: Node, context: Decoding, key: Key) -> str:
    """Return a URL; the path of a socket in it becomes absolute."""
    text = text_of(node, context, key)
    path, colon, target = text[len(UNIX) :].partition(":/")
    return UNIX + absolute(context.directory, path) + colon + target if text.startswith(UNIX) and path else text


def _unix(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    text = _text(node, context, key)[""]
    if not text:
        raise ValueError("a path has at least one character")
    return {"": absolute(context.directory, text)}


def _status(node: Node, context: Decoding, key: Key) -> int:
    text = text_of(node, context, key)
    if not (text.isascii() and text.isdecimal() and len(text) == 3):
        raise ValueError(f"{quoted(text)} is no status, such as 204")
    return int(text)


def _text(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    expect(node, SCALAR)
    return {"": text_of(node, context, key)}


def seconds_of(node: Node, context: Decoding, key: Key) -> dict[str, Any]:
    """Return {"": seconds}, at least LEAST_S."""
    seconds = parse_seconds(text_of(node, context, key))
    if seconds < LEAST_S:
        raise ValueError(f"is less than {LEAST_S} s; write that or more")
    return {"": seconds}


ASKED: Mapping[str, Decoder] = {"exec": command_of, "http": _http, "tcp": _text, "unix": _unix}
"""The ways in which a program is asked, each with a decoder of its value; "" in what it returns stands for the way's name."""
WAYS: Mapping[str, Decoder] = {"fd": _fd, "log": _log, **ASKED}
"""The ways of `ready` that are written in a map."""
LIMITS: Mapping[str, Decoder] = {"interval": seconds_of, "timeout": seconds_of}
