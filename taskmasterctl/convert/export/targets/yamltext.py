"""Plain data as YAML: every text in double quotes, so that no reader takes it for anything else. Pure."""

from __future__ import annotations

import re

from taskmaster_common.config.written import NOT_TEXT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")


def lines(value: object, indent: int = 0) -> Iterator[str]:
    """Yield a map or a list as lines; what is empty or None in a map is left out."""
    before = " " * indent
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _pair(f"{before}{key(name)}:", each, indent)
    elif isinstance(value, (list, tuple)):
        for each in value:
            if isinstance(each, dict):
                first, *rest = lines(each, indent + 2)
                yield f"{before}- {first[indent + 2 :]}"
                yield from rest
            else:
                yield f"{before}- {scalar(each)}"


def _pair(start: str, value: object, indent: int) -> Iterator[str]:
    if value is None or value in ({}, [], ()):
        return
    if isinstance(value, dict) or (isinstance(value, (list, tuple)) and any(isinstance(each, dict) for each in value)):
        yield start
        yield from lines(value, indent + 2)
    elif isinstance(value, (list, tuple)):
        yield f"{start} [{', '.join(map(scalar, value))}]"
    else:
        yield f"{start} {scalar(value)}"


def key(name: str) -> str:
    """Return the name of a map's entry."""
    return name if _KEY.fullmatch(name) and name.lower() not in NOT_TEXT else scalar(name)


def scalar(value: object) -> str:
    """Return a number or boolean as it is, a text in double quotes. Source: YAML 1.2, 5.7 (escape sequences)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return f"{value:g}" if isinstance(value, float) else str(value)
    return '"' + "".join(map(_character, str(value))) + '"'


def _character(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
