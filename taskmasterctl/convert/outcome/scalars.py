"""Scalars and small collections as YAML, so that YAML 1.1 and 1.2 read the same text. Pure."""

from __future__ import annotations

import re

from taskmasterctl.convert.outcome.model import Plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

WIDTH = 100
"""Longest line of a text before it is folded, columns."""
INDICATORS = frozenset("&*!|>%@`\"'{}[],?-#:=<~")
_OTHER_TYPE = re.compile(
    r"(?ix) ( y | n | yes | no | on | off | true | false | null | ~ | = | << "
    r"| [-+]? ( 0b[01_]+ | 0o[0-7_]+ | 0x[0-9a-f_]+ | \.(inf|nan) ) "
    r"| [-+]? ( [0-9][0-9_,]* ( \.[0-9_]* )? | \.[0-9_]+ ) ( e[-+]?[0-9]+ )? "
    r"| [-+]? [0-9][0-9_]* ( :[0-9]+ )+ ( \.[0-9_]* )? "
    r"| [0-9]{4}-[0-9]{1,2}-[0-9]{1,2} .* )"
)
"""Texts that are no texts in YAML 1.1 or 1.2. Source: yaml.org/type; YAML 1.2.2, 10.3."""


def scalar(text: str, *, flow: bool = False) -> str:
    """Return a text as a scalar: plain where that is safe, else in single quotes, else in double quotes."""
    if isinstance(text, Plain) or _is_plain(text, flow=flow):
        return text
    if text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return '"' + "".join(map(_escaped, text)) + '"'


def _is_plain(text: str, *, flow: bool) -> bool:
    if not text or not text.isprintable() or text != text.strip():
        return False
    if text[0] in INDICATORS and not re.match(r"-[^ -]", text):
        return False
    if ": " in text or " #" in text or text.endswith(":") or _OTHER_TYPE.fullmatch(text):
        return False
    return not flow or not any(character in text for character in ",[]{}:#?\"'")


def _escaped(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character == "\n":
        return "\\n"
    if character == "\t":
        return "\\t"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def number(value: float) -> str:
    """Return a number without an exponent: 5, 0.5."""
    return str(value) if isinstance(value, int) else f"{value:.6f}".rstrip("0").rstrip(".")


def in_line(value: Any) -> str:
    """Return a value in one line, collections in brackets."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{scalar(str(name), flow=True)}: {in_line(each)}' for name, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(in_line, value))}]"
    return _atom(value, flow=True)


def _atom(value: Any, *, flow: bool = False) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return number(value)
    return "null" if value is None else scalar(value, flow=flow)


def lines_of(name: str, value: Any, indent: str) -> Iterator[str]:
    """Yield the lines of one key with its value."""
    head = f"{indent}{scalar(name)}:"
    if isinstance(value, dict) and value:
        short = f"{head} {in_line(value)}"
        if name != "env" and len(value) <= 3 and len(short) <= WIDTH:
            yield short
            return
        yield head
        for inner, each in value.items():
            yield from lines_of(str(inner), each, f"{indent}  ")
    elif isinstance(value, list | tuple) and len(f"{head} {in_line(value)}") > WIDTH:
        yield head
        yield from (f"{indent}  - {in_line(each)}" for each in value)
    elif isinstance(value, dict | list | tuple):
        yield f"{head} {in_line(value)}"
    else:
        yield from _scalar_lines(head, value, indent)


def _scalar_lines(head: str, value: Any, indent: str) -> Iterator[str]:
    if isinstance(value, str) and _may_be_literal(value):
        yield f"{head} |-"
        yield from (f"{indent}  {line}".rstrip() if not line else f"{indent}  {line}" for line in value.split("\n"))
        return
    text = _atom(value)
    if len(head) + 1 + len(text) <= WIDTH or not isinstance(value, str) or not _may_be_folded(value):
        yield f"{head} {text}"
        return
    yield f"{head} >-"
    line = ""
    for word in value.split(" "):
        if line and len(indent) + 2 + len(line) + 1 + len(word) > WIDTH:
            yield f"{indent}  {line}"
            line = word
        else:
            line = f"{line} {word}" if line else word
    yield f"{indent}  {line}"


def _may_be_literal(text: str) -> bool:
    """Return whether a text of several lines can stand as it is: printable lines, none of blanks alone, no end of line last."""
    lines = text.split("\n")
    return (
        len(lines) > 1
        and bool(lines[0] and lines[-1])
        and lines[0][0] != " "
        and all(line.isprintable() and (not line or bool(line.strip())) for line in lines)
    )


def _may_be_folded(text: str) -> bool:
    """Return whether folding keeps the text: single blanks only, nothing but printable characters."""
    return " " in text and text.isprintable() and "  " not in text and text == text.strip()
