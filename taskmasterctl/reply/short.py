"""The DETAIL of a process in fewer columns: when it goes on and why it ended, without how long it lived and how often it was tried. Pure.

Loaded when a row does not fit into a terminal. A text that is not known is left as it is: these are words for people.
"""

from __future__ import annotations

EXECUTE = "cannot execute "


def shortened(text: str) -> str:
    """Return the text with the most useful words first: `in 15s; exit 3: "bind: in use"`."""
    text, _, _tries = text.partition(" (try ")
    known, mark, words = text.partition(': "')
    parts = [_part(part) for part in known.split("; ")]
    parts[-1] += mark + words
    if parts[0].startswith("in ") and len(parts) > 2:  # how it ended says more than the limit that it has met
        parts = [parts[0], *parts[:0:-1]]
    return "; ".join(parts)


def _part(part: str) -> str:
    if part.startswith(EXECUTE) and ": " in part:
        path, _, reason = part[len(EXECUTE) :].rpartition(": ")
        return f"{reason}: {path}"
    if part.startswith("retry ") and " in " in part:
        return f"in {part.rpartition(' in ')[2]}"
    if part.startswith("again in "):
        return part.removeprefix("again ")
    if part.startswith(("exit ", "killed ")):
        before, after, rest = part.partition(" after ")
        return before + rest[len(rest.split(",", 1)[0]) :] if after else part
    return part
