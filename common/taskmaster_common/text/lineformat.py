"""How lines of programs are written to a log with `log_format`, and what a line of such a log was made from. Pure.

A block is either whole lines, each with its newline, or a piece of one line without it. Nothing is lost: without its prefixes a
log is what the program has written, and so are the messages of JSON objects, joined, each with a newline unless it is partial.
"""

from __future__ import annotations

from taskmaster_common.jsontext import json_quoter, read_json
from taskmaster_common.records import Record

PLACEHOLDERS = ("time", "name", "stream", "pid")
LEVELS = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
"""The severities of syslog by number. Source: RFC 5424, 6.2.1; syslog.conf(5) for the words."""
USUAL_LEVEL = 6
LEVEL_MARKS = {b"<%d>" % number: number for number in range(len(LEVELS))}
MARK_LENGTH = 3
STAMP_LENGTH = 29
"""Characters of a time: 2026-11-28T10:02:31.402+01:00."""
STAMP_PATTERN = "0000-00-00T00:00:00.000+00:00"
STAMP_WITHIN = 512
"""Bytes at the start of a line in which its time is looked for."""
NEWLINE = b"\n"
STARTED = " started (pid "
"""What a line of `log_events` about a start says."""
PARTIAL = ',"partial":true'

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

_quoted = json_quoter()


class LineOrigin(Record):
    """Whose lines they are. `name` is that of the process in messages, `pid` 0 where it is not known."""

    program: str
    instance: int
    name: str
    stream: str
    pid: int = 0


def placeholder_problem(template: str) -> str:
    """Return why a text cannot be a prefix, or ""."""
    if "\n" in template:
        return "has a line break; a prefix is the beginning of a line"
    for piece in template.split("{")[1:]:
        name, closed, _ = piece.partition("}")
        if closed and name not in PLACEHOLDERS and name.isidentifier():
            return f"{{{name}}} is unknown; use {', '.join(f'{{{each}}}' for each in PLACEHOLDERS)}"
    return ""


def prefix_of(template: str, stamp: str, origin: LineOrigin) -> bytes:
    """Return the prefix of lines with this time."""
    values = {"time": stamp, "name": origin.name, "stream": origin.stream, "pid": str(origin.pid or "-")}
    first, *pieces = template.split("{")
    text = first
    for piece in pieces:
        name, closed, rest = piece.partition("}")
        text += values[name] + rest if closed and name in values else f"{{{piece}"
    return text.encode("utf-8", "surrogateescape")


def prefixed(block: bytes, prefix: bytes, *, begun: bool) -> bytes:
    """Return a block with a prefix before each line; its first line gets none where it was `begun` before."""
    whole = block.endswith(NEWLINE)
    body = block[:-1] if whole else block
    return b"".join(
        (b"" if begun else prefix, body.replace(NEWLINE, NEWLINE + prefix), NEWLINE if whole else b""),
    )


class Objects:
    """Makes JSON objects of one stream's lines. `level` is that of the line that has begun; None between two lines."""

    __slots__ = ("_levels", "_origin", "level")

    def __init__(self, origin: LineOrigin, *, levels: bool, level: int | None = None) -> None:
        self._origin = origin
        self._levels = levels
        self.level = level

    def of(self, block: bytes, stamp: str) -> bytes:
        """Return a block of lines as objects, one a line."""
        origin = self._origin
        before = (
            f'{{"time":{_quoted(stamp)},"program":{_quoted(origin.program)},"instance":{origin.instance},'
            f'"stream":{_quoted(origin.stream)},"pid":{origin.pid or "null"},"level":'
        )
        marked = self._levels and (block.startswith(b"<") or b"\n<" in block)
        whole = block.endswith(NEWLINE)
        if whole and not marked and self.level is None:  # what nearly all lines are
            before += f'"{LEVELS[USUAL_LEVEL]}","message":'
            between = f"}}\n{before}"
            lines = block[:-1].decode("utf-8", "surrogateescape").split("\n")
            return (before + between.join(map(_quoted, lines)) + "}\n").encode("ascii")
        pieces = (block[:-1] if whole else block).split(NEWLINE)
        texts = [self._object(before, piece, cut=False) for piece in pieces[:-1]]
        texts.append(self._object(before, pieces[-1], cut=not whole))
        return "".join(texts).encode("ascii")

    def _object(self, before: str, line: bytes, *, cut: bool) -> str:
        level, message = self.level, line
        if level is None:
            level, message = split_level(line) if self._levels else (USUAL_LEVEL, line)
        self.level = level if cut else None
        text = _quoted(message.decode("utf-8", "surrogateescape"))
        return f'{before}"{LEVELS[level]}","message":{text}{PARTIAL if cut else ""}}}\n'


def split_level(line: bytes, usual: int = USUAL_LEVEL) -> tuple[int, bytes]:
    """Return the severity that a line names, and the line without it. Source: sd-daemon(3), "<N>"."""
    level = LEVEL_MARKS.get(line[:MARK_LENGTH])
    return (usual, line) if level is None else (level, line[MARK_LENGTH:])


def first_lines(block: bytes, most: int) -> bytes:
    """Return the first `most` lines of a block, all of it where there are no more."""
    if block.count(NEWLINE) <= most:
        return block
    return block[: -len(block.split(NEWLINE, most)[most])]


def cut_at(block: bytes, most: int) -> int:
    """Return where a line that is too long is cut: at `most` bytes or, within a character, before it."""
    at = most
    while at > most - 4 and block[at : at + 1] and block[at] & 0xC0 == 0x80:
        at -= 1
    return at if block[at : at + 1] and block[at] & 0xC0 != 0x80 else most


# -- read back


def object_of(line: str) -> dict[str, Any]:
    """Return the object that a line of a JSON log is, with a message in any case: the line itself where it is none."""
    try:
        found = read_json(line)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) and isinstance(found.get("message"), str) else {"message": line}


def last_words(lines: Sequence[str], as_objects: bool, template: str) -> list[str]:
    """Return what lines of a log say, less those of the daemon's own; of objects only what was written to stderr."""
    if as_objects:
        found = [object_of(line) for line in lines]
        return [each["message"] for each in found if each.get("stream", "stderr") == "stderr"]
    texts = [without_prefix(line, template) for line in lines]
    return [text for text in texts if STARTED not in text]


def without_prefix(line: str, template: str) -> str:
    """Return a line without its prefix; the line itself where it is not clear what that was."""
    pieces = template.split("{")
    known = [piece.partition("}") for piece in pieces[1:]]
    rest = line.removeprefix(pieces[0])
    for name, _closed, after in known:
        if name == "time":
            rest = rest[STAMP_LENGTH:] if is_stamp(rest[:STAMP_LENGTH].encode("utf-8", "surrogateescape")) else ""
        else:
            rest = rest[rest.find(after or " ") :] if after or " " in rest else ""
        if not rest.startswith(after):
            return line
        rest = rest[len(after) :]
    return rest


def stamp_at(line: bytes) -> int:
    """Return where in a line its time begins, -1 where it has none."""
    at = line.find(b"T", 0, STAMP_WITHIN)
    while at >= 0:
        start = at - STAMP_PATTERN.index("T")
        if start >= 0 and is_stamp(line[start : start + STAMP_LENGTH]):
            return start
        at = line.find(b"T", at + 1, STAMP_WITHIN)
    return -1


def is_stamp(text: bytes) -> bool:
    """Return whether a text has the form of a time."""
    if len(text) != STAMP_LENGTH:
        return False
    signs = b"+-"
    return all(
        48 <= code <= 57 if wanted == "0" else code in signs if wanted == "+" else code == ord(wanted)
        for code, wanted in zip(text, STAMP_PATTERN)
    )


def seconds_of(stamp: bytes) -> float:
    """Return a time as seconds since the epoch. Source: Howard Hinnant, days_from_civil, for the days of the calendar."""
    year, month, day = int(stamp[:4]), int(stamp[5:7]), int(stamp[8:10])
    hour, minute, second = int(stamp[11:13]), int(stamp[14:16]), float(stamp[17:23])
    offset = int(stamp[24:26]) * 3600 + int(stamp[27:29]) * 60
    year -= month <= 2
    day_of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    days = year * 365 + year // 4 - year // 100 + year // 400 + day_of_year - 719_468
    return days * 86_400 + hour * 3600 + minute * 60 + second - (-offset if stamp[23:24] == b"-" else offset)
