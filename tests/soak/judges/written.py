"""What counting programs have written, read from logs of every form: each instance counts without a gap. Pure but for reading files."""

from __future__ import annotations

import json
import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

RAW, PREFIX, JSON = "raw", "prefix", "json"
STAMPED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (.*)")
OWN = "event"
"""The stream of the daemon's own lines in a log with `log_events`."""


def lines_of(log: Path) -> Iterator[str]:
    """Yield the lines of a log from its oldest rotated file to the newest."""
    rotated = sorted(log.parent.glob(f"{log.name}.*"), key=lambda path: -int(path.suffix[1:]))
    for path in (*rotated, log):
        yield from path.read_text().splitlines()


def decoded(lines: Iterable[str], form: str) -> Iterator[str]:
    """Yield what a program has written, from the lines of its log; a line that was not formatted like that stays as it is."""
    for line in lines:
        if form == PREFIX:
            stamped = STAMPED.fullmatch(line)
            yield stamped[1] if stamped else f"without its prefix: {line}"
        elif form == JSON:
            yield from _message(line)
        else:
            yield line


def _message(line: str) -> Iterator[str]:
    try:
        written = json.loads(line)
        if written["stream"] != OWN:
            yield f"{written['message']}{' (partial)' if written.get('partial') else ''}"
    except (ValueError, KeyError, TypeError):
        yield f"no object: {line}"


def count_lines(lines: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with `INSTANCE NUMBER` lines: each instance counts from 1 without gaps, and ends before the next one.

    Sources of such lines write each with one write, so even an instance that is killed leaves whole lines.
    """
    instance, number, over = "", 0, set[str]()
    for line in lines:
        found = re.fullmatch(r"(\d+\.\d+) (\d+)", line)
        if not found:
            yield f"no line that was written: {line!r}"
            continue
        if found[1] != instance:
            if found[1] in over:
                yield f"{found[1]} goes on after {instance}"
            over.add(instance)
            instance, number = found[1], 0
        number += 1
        if int(found[2]) != number:
            yield f"{instance} {found[2]} where {number} was due"
            number = int(found[2])
