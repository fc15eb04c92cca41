r"""Files of `NAME=VALUE` lines: `.env`. Pure.

Source: honcho 2 and the rules of `env_file`: `export` before a name, `'...'` as it is, `"..."` with \n, \t, \\ and \", which may
span lines, and `#` at the start of a line or after a blank. Nothing is expanded.
"""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*(.*)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", '"': '"'}


def variables(text: str) -> Iterator[tuple[int, str, str]]:
    """Yield line, name and value of each variable; a line that is none has the name "" and itself as value."""
    lines = text.split("\n")
    at = 0
    while at < len(lines):
        first = at
        line = lines[at]
        while _open_quote(line) and at + 1 < len(lines):
            at += 1
            line += "\n" + lines[at]
        at += 1
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        yield (first + 1, found[1], _value(found[2])) if found else (first + 1, "", line.strip())


def _open_quote(line: str) -> bool:
    found = _LINE.fullmatch(line)
    if not found or found[2][:1] != '"':
        return False
    return not re.match(r'"(?:[^"\\]|\\.)*"', found[2], re.DOTALL)


def _value(text: str) -> str:
    made: list[str] = []
    rest = text
    while rest:
        if found := re.match(r"'([^']*)'", rest):
            made.append(found[1])
        elif found := re.match(r'"((?:[^"\\]|\\.)*)"', rest, re.DOTALL):
            made.append(re.sub(r"\\(.)", lambda each: _ESCAPES.get(each[1], each[0]), found[1], flags=re.DOTALL))
        elif rest[0] == "#" and (not made or made[-1][-1:].isspace()):
            break
        else:
            found = re.match(r".", rest, re.DOTALL)
            made.append(rest[0])
        rest = rest[found.end() if found else 1 :]
    value = "".join(made)
    return value if text[:1] in ("'", '"') and text.rstrip()[-1:] == text[:1] else value.strip()
