"""What a misspelt word may mean."""

from __future__ import annotations

from taskmaster_common.text.names import MAX_NAME

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_CELLS = 100_000
"""Most table cells that one suggestion computes: 1/60 s, so that a typo among 10 000 names delays no other client."""

FEW = 8
"""Most names that are listed where none is near."""


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Return the candidate that `word` was probably meant to be, or "" when none is near.

    Near means at most one slip (a letter wrong, missing, doubled, or two swapped) in three letters, and at least one is
    allowed. difflib would do but costs resident memory.
    """
    if len(word) > 2 * MAX_NAME:
        return ""
    allowed = max(1, len(word) // 3)
    best, best_slips, cells = "", allowed + 1, 0
    letters = set(word.lower())
    for candidate in candidates:
        # a slip takes at most one letter away and brings at most one
        if abs(len(candidate) - len(word)) < best_slips and len(letters ^ set(candidate.lower())) < 2 * best_slips:
            cells += len(word) * len(candidate)
            if cells > MOST_CELLS:
                break
            slips = _slips(word.lower(), candidate.lower())
            if slips < best_slips and slips < max(len(word), len(candidate)):
                best, best_slips = candidate, slips
    return best


def begun(word: str, candidates: Iterable[str]) -> str:
    """Return the only candidate that begins with `word`, or "" when there are none or several."""
    found = [candidate for candidate in candidates if word and candidate.startswith(word)]
    return found[0] if len(found) == 1 else ""


def hint(word: str, candidates: Iterable[str], most: int = FEW) -> str:
    """Return what follows a word that is none of these: `; did you mean NAME?`, all of them where there are few, or ""."""
    known = tuple(candidates)
    if near := nearest(word, known):
        return f"; did you mean {near}?"
    if not 0 < len(known) <= most:
        return ""
    *others, last = known
    return f"; there {'are' if others else 'is'} {', '.join(others)}{' and ' if others else 'only '}{last}"


def _slips(left: str, right: str) -> int:
    """Return the optimal string alignment distance: insert, delete, replace, or swap of neighbours."""
    before: list[int] = []
    above = list(range(len(right) + 1))
    for row, a in enumerate(left, 1):
        line = [row]
        for column, b in enumerate(right, 1):
            cost = min(above[column] + 1, line[-1] + 1, above[column - 1] + (a != b))
            if row > 1 and column > 1 and a == right[column - 2] and left[row - 2] == b:
                cost = min(cost, before[column - 2] + 1)
            line.append(cost)
        before, above = above, line
    return above[-1]
