"""How programs and processes are named, matched and suggested.

`web` is a program and, when it has one instance, its process; `web:1` is instance 1; `web:*`, `w*` and `all` are
patterns. The matcher is our own because fnmatch keeps a compiled pattern for each of the last 32 768 for ever.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

ALL = "all"
MAX_NAME = 100
_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.@+")


def name_problem(name: str) -> str:
    """Return why `name` cannot be a program's name, or "" when it can."""
    if not name:
        return "a name has at least one character"
    if len(name) > MAX_NAME:
        return f"a name has at most {MAX_NAME} characters, this one has {len(name)}"
    wrong = next((character for character in name if character not in _NAME_CHARACTERS), "")
    if wrong:
        return f"{wrong!r} is not allowed in a name; use letters, digits or _ - . @ +"
    if name[0] in "-.":
        return f"a name does not begin with {name[0]!r}"
    if name == ALL:
        return f'"{ALL}" means every program and cannot be a name'
    return ""


def process_name(program: str, index: int, alone: bool) -> str:
    """Return the shown name of an instance: `web` where it is `alone`, else `web:0`, `web:1`, ..."""
    return program if alone else f"{program}:{index}"


def is_pattern(target: str) -> bool:
    """Return whether `target` may stand for several programs."""
    return target == ALL or "*" in target or "?" in target or "[" in target


def selects(target: str, program: str, instance: int) -> bool:
    """Return whether a target means this instance of this program: `web`, `web:1`, `w*`, `web:*`, `all`."""
    canonical = f"{program}:{instance}"
    if is_pattern(target):
        return target == ALL or matches(target, program) or matches(target, canonical)
    return target in (program, canonical)


def matches(pattern: str, text: str) -> bool:
    """Return whether the whole `text` matches the shell pattern: `*`, `?`, `[a-z]`, `[!a-z]`; case matters.

    An unclosed `[` stands for itself. Takes time proportional to len(pattern) * len(text) at worst.
    Source: POSIX.1-2017, XCU 2.13.1 (patterns matching a single character, and multiple ones).
    """
    at, here = 0, 0
    star, resume = -1, 0
    while here < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume, at = at, here, at + 1
            continue
        width = _single(pattern, at, text[here])
        if width:
            at, here = at + width, here + 1
        elif star >= 0:
            resume += 1
            at, here = star + 1, resume
        else:
            return False
    return not pattern[at:].strip("*")


def _single(pattern: str, at: int, character: str) -> int:
    """Return how many characters of the pattern at `at` match this one character, 0 for none."""
    if at >= len(pattern):
        return 0
    if pattern[at] == "?":
        return 1
    closing = pattern.find("]", at + 2 + pattern.startswith("!", at + 1)) if pattern[at] == "[" else -1
    if closing < 0:
        return 1 if pattern[at] == character else 0
    inside = pattern[at + 1 : closing]
    negated = inside.startswith("!")
    return closing + 1 - at if _in_set(inside[negated:], character) != negated else 0


def _in_set(inside: str, character: str) -> bool:
    at = 0
    while at < len(inside):
        if at + 2 < len(inside) and inside[at + 1] == "-":
            if inside[at] <= character <= inside[at + 2]:
                return True
            at += 3
        else:
            if inside[at] == character:
                return True
            at += 1
    return False


def nearest(word: str, candidates: Iterable[str]) -> str:
    """Return the candidate that `word` was probably meant to be, or "" when none is near.

    Near is at most one slip (a letter wrong, missing, doubled, or two swapped) for each three letters, at least one
    for words of two letters or more; difflib would do but costs resident memory.
    """
    allowed = max(1, len(word) // 3)
    best, best_slips = "", allowed + 1
    for candidate in candidates:
        if abs(len(candidate) - len(word)) < best_slips:
            slips = _slips(word.lower(), candidate.lower())
            if slips < best_slips and slips < max(len(word), len(candidate)):
                best, best_slips = candidate, slips
    return best


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
