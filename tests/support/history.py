"""The history of a daemon, read from its files as nobody should: tests look whether each line is whole and each number there once."""

from __future__ import annotations

import json
from itertools import pairwise

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any


def files_of(home: Path) -> list[Path]:
    """Return the files of the history below a state directory, the oldest first."""
    return sorted((home / "history").iterdir(), key=lambda path: int(path.name.split(".")[-2].split("-")[0]))


def records_of(home: Path) -> list[dict[str, Any]]:
    """Return all records; each line has to be one."""
    return [json.loads(line) for path in files_of(home) for line in path.read_text().splitlines()]


def history_problem(home: Path) -> str:
    """Return what is wrong with a history: a torn line, a number that is missing or there twice, files beyond the limit; or ""."""
    try:
        numbers = [record["seq"] for record in records_of(home)]
    except (OSError, ValueError) as error:
        return f"cannot be read: {error}"
    if not numbers:
        return "it is empty"
    wrong = [(one, other) for one, other in pairwise(numbers) if other != one + 1]
    if wrong:
        return f"after {wrong[0][0]} comes {wrong[0][1]}, and {len(wrong) - 1} more places are wrong"
    size = sum(path.stat().st_size for path in files_of(home))
    return f"it has {size} bytes" if size > 20_000_000 else ""
