"""The names in requests: instances, runs of them, and patterns.

`web:*`, `w*` and `all` are patterns. The matcher is our own because fnmatch caches the last 32 768 compiled patterns for ever.
A pattern from a client is matched against thousands of names, so matching must not cost more than the length of the name.
"""

from __future__ import annotations

from taskmaster_common.text.names import ALL

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

LONGEST_TEXT = 256
"""Longest pattern, characters; names of instances are shorter."""
OTHERS = 128
"""Number of the bit that stands for every character beyond ASCII."""
EVERY = (1 << OTHERS + 1) - 1
"""The bits of all characters."""
MAX_INDEX_DIGITS = 9
SHOWN_NAMES = 5
"""Most instances, or runs of them, that a message names."""


def instance_meant(target: str) -> tuple[str, int] | None:
    """Return the program and number of an instance as other tools write it: `web_1`, `web-01`, `web1`, `web:web_1`.

    None if the name does not end in a number. The program need not exist.
    """
    head = target.rstrip("0123456789")
    digits = target[len(head) :]
    if not digits.isascii() or not 0 < len(digits) < MAX_INDEX_DIGITS or not head:
        return None
    program, colon, below = head.partition(":")
    if colon:
        return (program, int(digits)) if below.rstrip("_-.#@") == program else None
    return (head.rstrip("_-.#@") if head[-1] in "_-.#@" else head), int(digits)


def ranges(program: str, numbers: Sequence[int]) -> str:
    """Return the names of a program's instances for a message: all if few, else the first and last of each run."""
    if len(numbers) <= SHOWN_NAMES:
        return ", ".join(f"{program}:{number}" for number in numbers)
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    shown = [
        f"{program}:{first}" + (f" to {program}:{last}" if last > first else "") for first, last in runs[:SHOWN_NAMES]
    ]
    return ", ".join(shown) + (f" and more, {len(numbers)} in all" if len(runs) > SHOWN_NAMES else "")


def is_pattern(target: str) -> bool:
    """Return whether `target` may stand for several programs."""
    return target == ALL or "*" in target or "?" in target or "[" in target


def ungrouped(targets: Iterable[str], groups: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return the targets with the programs of each group in place of its name."""
    return tuple(name for target in targets for name in groups.get(target, (target,)))


class Targets:
    """Matches instances against the targets of a request: `web`, `web:1`, `w*`, `web:*`, `all`; groups are resolved before."""

    def __init__(self, targets: Iterable[str]) -> None:
        distinct = dict.fromkeys(targets)
        self._everything = ALL in distinct
        self._exact = frozenset(target for target in distinct if not is_pattern(target))
        self._patterns = tuple(Pattern(target) for target in distinct if is_pattern(target) and target != ALL)

    def select(self, program: str, instance: int) -> bool:
        """Return whether a target selects this instance of this program."""
        return (
            self._everything
            or not self._exact.isdisjoint((program, f"{program}:{instance}"))
            or any(pattern.selects(program, instance) for pattern in self._patterns)
        )


class Pattern:
    """A shell pattern: `*`, `?`, `[a-z]`, `[!a-z]`; case matters; an unclosed `[` stands for itself.

    It is made for names, which are short and ASCII: only `?`, `*` and `[!...]` match other characters, and a pattern of
    more than `LONGEST_TEXT` characters matches nothing.

    The bits of a number follow all ways to match at once: bit n means "the first n atoms have matched". So a text costs
    one step a character, for any pattern, and reading a pattern costs its length.
    Source: POSIX.1-2017, XCU 2.13.1 (patterns matching a single character, and multiple ones); Baeza-Yates and Gonnet,
    "A new approach to text searching", 1992.
    """

    __slots__ = ("_accepting", "_atoms", "_goal", "_stars")

    def __init__(self, pattern: str) -> None:
        self._atoms: list[int] = []
        self._stars = 0
        self._accepting: dict[str, int] = {}
        at = 0
        while at < len(pattern) and len(self._atoms) <= LONGEST_TEXT:
            if pattern[at] == "*":
                self._stars |= 1 << len(self._atoms)
                at += 1
            else:
                width = _width(pattern, at)
                self._atoms.append(_accepted(pattern, at, width))
                at += width
        self._goal = 1 << len(self._atoms)

    def matches(self, text: str) -> bool:
        """Return whether the whole `text` matches."""
        return bool(self.advance(1, text) & self._goal)

    def selects(self, program: str, instance: int) -> bool:
        """Return whether the name of the program or of that instance matches."""
        state = self.advance(1, program)
        return bool(state & self._goal) or bool(self.advance(state, f":{instance}") & self._goal)

    def instances(self, program: str) -> Callable[[int], bool] | bool:
        """Return which instances of a program match: all (True), none (False), or a predicate."""
        state = self.advance(1, program)
        if state & self._goal:
            return True
        state = self.advance(state, ":")
        if not state or state & self._goal & self._stars:
            return bool(state)
        return lambda instance: bool(self.advance(state, str(instance)) & self._goal)

    def advance(self, state: int, text: str) -> int:
        """Return the state after `text`, starting with 1; 0 means that nothing can match any more."""
        if len(self._atoms) > LONGEST_TEXT:
            return 0
        for character in text:
            if not state:
                return 0
            accepting = self._accepting.get(character)
            if accepting is None:
                accepting = self._accepting[character] = self._atoms_that_accept(character)
            state = ((state & accepting) << 1) | (state & self._stars)
        return state

    def _atoms_that_accept(self, character: str) -> int:
        bit = min(ord(character), OTHERS)
        return sum(1 << number for number, accepted in enumerate(self._atoms) if accepted >> bit & 1)


def _width(pattern: str, at: int) -> int:
    """Return the length of the atom at `at`: more than one character for a set."""
    closing = pattern.find("]", at + 2 + pattern.startswith("!", at + 1)) if pattern[at] == "[" else -1
    return closing + 1 - at if closing > 0 else 1


def _accepted(pattern: str, at: int, width: int) -> int:
    """Return the characters that an atom accepts: bit n is character n, bit OTHERS every one beyond ASCII."""
    if width == 1:
        return EVERY if pattern[at] == "?" else _bits(pattern[at], pattern[at])
    inside = pattern[at + 1 : at + width - 1]
    negated = inside[0] == "!"
    accepted = 0
    for first, last in _ranges(inside[negated:]):
        accepted |= _bits(first, last)
    return EVERY & ~accepted if negated else accepted


def _ranges(inside: str) -> set[tuple[str, str]]:
    """Return the distinct ranges (first, last) of a set, which may be long."""
    if "-" not in inside:
        return {(character, character) for character in set(inside)}
    found: set[tuple[str, str]] = set()
    at = 0
    while at < len(inside):
        is_range = at + 2 < len(inside) and inside[at + 1] == "-"
        found.add((inside[at], inside[at + 2 * is_range]))
        at += 3 if is_range else 1
    return found


def _bits(first: str, last: str) -> int:
    """Return the bits of the ASCII characters from `first` to `last`."""
    low, high = ord(first), min(ord(last) + 1, OTHERS)
    return (1 << high) - (1 << low) if low < high else 0
