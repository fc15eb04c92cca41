"""What the texts of the command table are made of."""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


WIDTH = 80
"""Longest line of a text, columns."""


class Help(Record):
    """What there is to say about one verb; `flags` maps the names of its flags to their texts."""

    group: str
    summary: str
    exits: str
    details: str = ""
    examples: tuple[str, ...] = ()
    flags: Mapping[str, str] = {}


NO_WAIT = "return at once; the operation goes on in the daemon"
NO_DEPS = "without a look at dependencies: start nothing else, wait for nothing"


def wrapped(text: str, indent: str = "", mark: str = "") -> list[str]:
    """Return a text in lines of at most WIDTH: those after the first one begin with `indent`, those before the last end with `mark`.

    Only blanks between words are places to break. (textwrap would import re.)
    """
    rest = text.lstrip(" ")
    lines = [text[: len(text) - len(rest)]]
    for word in rest.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1].strip() else lines[-1] + word
        if len(longer) > WIDTH - len(mark) and lines[-1].strip():
            lines[-1] += mark
            longer = indent + word
            lines.append(longer)
        lines[-1] = longer
    return lines
