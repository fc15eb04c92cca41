"""Results of an action on many processes: a line for each where they are few, else what is not ordinary, and a sum. Pure.

Lines of successes are held back until it is known whether they are few: until the end, or until the daemon says that the
operation takes its time. Failures are shown by others, at once; here they are only counted.
"""

from __future__ import annotations

from taskmasterctl.reply.results import failed_words, success_text
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Message = Mapping[str, Any]

FEW = 10
"""Most results of which each has a line."""


class Bulk:
    """The results of one request; `goal` is what a `wait` waits for."""

    def __init__(self, verb: str, goal: str) -> None:
        self._verb = verb
        self._goal = goal
        self._held: list[tuple[str, bool]] = []
        self._counts: dict[str, int] = {}

    def take(self, result: Message) -> str:
        """Count a result, and return the lines to show now, "" for none."""
        if not result.get("ok"):
            self._count(failed_words(result, self._verb, self._goal))
        else:
            self._count(str(result.get("outcome", "done")).replace("-", " "))
            self._held.append((success_text(result, self._verb), bool(result.get("reason") or result.get("killed"))))
        return "".join(self._unusual()) if self._many() else ""

    def flush(self) -> str:
        """Return the lines that were held back: it takes its time."""
        lines, self._held = [line for line, _unusual in self._held], []
        return "".join(lines)

    def end(self) -> str:
        """Return what is still to be shown at the end."""
        return self.flush() + (self._sum() if self._many() else "")

    def _count(self, words: str) -> None:
        self._counts[words] = self._counts.get(words, 0) + 1

    def _many(self) -> bool:
        return sum(self._counts.values()) > FEW

    def _unusual(self) -> list[str]:
        lines, self._held = [line for line, unusual in self._held if unusual], []
        return lines

    def _sum(self) -> str:
        """Return the sum: `38 stopped, 1 already stopped, 1 did not stop`."""
        asked = f"{self._verb} of {{}} requested"
        parts = [
            asked.format(n) if words == "requested" else f"{n} {clean(words)}" for words, n in self._counts.items()
        ]
        return f"{', '.join(parts)}\n"
