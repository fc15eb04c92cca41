"""Files of variables: `NAME=VALUE` lines. Nothing is expanded: `$` is `$`.

Values are bytes, as the kernel has them. No message quotes a piece of the file: it may be a secret.
"""

from __future__ import annotations

REFUSED = 0
"""errno of an OSError for a file that the system would give, but that is not taken for one of variables."""
MOST_BYTES = 65_536
"""Largest file of variables, or file that is the value of one, in bytes."""
BLANKS = " \t"
ESCAPES = {"n": "\n", "t": "\t", "\\": "\\", '"': '"'}
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
_OTHERS = _FIRST | frozenset("0123456789.-")


class EnvFileError(ValueError):
    """What is wrong with a file, and in which line, counted from 1; 0 for the whole file."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


def parse_variables(content: bytes) -> dict[bytes, bytes]:
    """Return the variables of a file; of two lines with one name the later one holds. Raises EnvFileError."""
    check_size(content)
    # Latin-1 has a character for each byte, so that nothing is lost on the way
    text = content.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").removesuffix(b"\r").decode("latin-1")
    lines = text.split("\n")
    found: dict[bytes, bytes] = {}
    number = 0
    while number < len(lines):
        line = lines[number].lstrip(BLANKS)
        first = number + 1
        number += 1
        if not line or line[0] == "#":
            continue
        name, value = _assignment(line, first)
        if value[:1] == '"':
            value, number = _double_quoted(value, lines, number)
        elif value[:1] == "'":
            value = _single_quoted(value, first)
        if "\0" in value:
            raise EnvFileError("a NUL byte cannot be part of a value", first)
        found[name.encode("latin-1")] = value.encode("latin-1")
    return found


def value_of_file(content: bytes) -> bytes:
    """Return the value that a file is, less one line feed at its end. Raises EnvFileError."""
    check_size(content)
    if b"\0" in content:
        raise EnvFileError("a NUL byte cannot be part of a value")
    return content.removesuffix(b"\n")


def check_size(content: bytes) -> None:
    """Raise EnvFileError for a content that is too large."""
    if len(content) > MOST_BYTES:
        raise EnvFileError(f"has more than {MOST_BYTES >> 10} KiB")


def _assignment(line: str, number: int) -> tuple[str, str]:
    """Return name and value of a line; a quoted value still has its quotes and all that follows."""
    name, equals, value = _without_export(line).partition("=")
    if not equals:
        raise EnvFileError('no "="', number)
    if not name or name[0] not in _FIRST or not _OTHERS.issuperset(name):
        raise EnvFileError("a name has letters, digits and _ . - and begins with a letter or _", number)
    quoted = value.lstrip(BLANKS)
    return name, quoted if quoted[:1] in ("'", '"') else _bare(value)


def _without_export(line: str) -> str:
    word = line[:6]
    return line[6:].lstrip(BLANKS) if word == "export" and line[6:7] in (" ", "\t") else line


def _bare(value: str) -> str:
    """Return an unquoted value: without a comment, trimmed."""
    ends = [value.find(f"{blank}#") for blank in BLANKS]
    end = min((each for each in ends if each >= 0), default=len(value))
    return value[:end].strip(BLANKS)


def _single_quoted(text: str, number: int) -> str:
    value, quote, rest = text[1:].partition("'")
    if not quote:
        raise EnvFileError("an open quote; only double quotes may span lines", number)
    _check_rest(rest, number)
    return value


def _double_quoted(text: str, lines: list[str], following: int) -> tuple[str, int]:
    """Return the value that begins with a double quote in the line before `following`, and the number of the next line."""
    first = following
    pieces: list[str] = []
    text = text[1:]
    while True:
        at = 0
        while at < len(text) and text[at] != '"':
            escaped = ESCAPES.get(text[at + 1 : at + 2], "") if text[at] == "\\" else ""
            pieces.append(escaped or text[at])
            at += 2 if escaped else 1
        if at < len(text):
            _check_rest(text[at + 1 :], following)
            return "".join(pieces), following
        if following >= len(lines):
            raise EnvFileError("an open quote", first)
        pieces.append("\n")
        text = lines[following]
        following += 1


def _check_rest(rest: str, number: int) -> None:
    """Raise EnvFileError for anything but a comment behind a quoted value."""
    if rest.strip(BLANKS) and not (rest[0] in BLANKS and rest.lstrip(BLANKS)[0] == "#"):
        raise EnvFileError("text behind the closing quote", number)
