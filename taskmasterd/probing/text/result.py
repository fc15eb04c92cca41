"""What comes of a try or of a hook, and how much of its output is kept."""

from __future__ import annotations

from taskmaster_common.records import Record

MOST_OUTPUT = 512
MOST_LINES = 5
"""Bytes and lines that are kept of an output, the last ones."""
CANCELLED = "cancelled"


class Result(Record):
    """What came of it: `ok` is None where nobody can know. `text` says why in a few words ("http 503", "exit 2").

    `output` are the last lines that a child wrote, `took_s` the seconds from the start (of a child: from its exec).
    """

    ok: bool | None
    text: str
    output: tuple[str, ...] = ()
    took_s: float = 0.0


def escaped(text: str) -> str:
    """Return a text with its control characters as escapes."""
    return text if text.isprintable() else "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def last_lines(output: bytes) -> tuple[str, ...]:
    """Return at most MOST_LINES lines of the last MOST_OUTPUT bytes, without empty ones, as printable text."""
    text = output[-MOST_OUTPUT:].decode("utf-8", "replace")
    lines = [escaped(line.rstrip()) for line in text.split("\n") if line.strip()]
    return tuple(lines[-MOST_LINES:])


def late_text(seconds: float) -> str:
    """Return what a time limit of so many seconds has to say."""
    return f"timed out after {seconds:g}s"
