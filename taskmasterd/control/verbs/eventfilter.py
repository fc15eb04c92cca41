"""`logs --daemon TARGET`: finds the lines of the event log that are about some programs. Pure."""

from __future__ import annotations

from taskmaster_common.text.patterns import Targets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

NAME_AT = 2
"""Place of the name in a line of the event log: time, level, name, text."""
MOST_KNOWN = 10_000
"""Most words for which the filter remembers whether they name one of the programs."""


class EventFilter:
    """Cuts blocks into lines and keeps those whose first word names one of the programs."""

    def __init__(self, targets: Sequence[str]) -> None:
        self.rest = b""
        self._targets = Targets(targets)
        self._known: dict[bytes, bool] = {}

    def take(self, block: bytes) -> list[bytes]:
        """Return the lines about the programs that this block completes; an incomplete line waits in `rest`."""
        *lines, self.rest = (self.rest + block).split(b"\n")
        return [line + b"\n" for line in lines if self._is_about(line)]

    def resume(self, rest: bytes) -> None:
        """Go on with an incomplete line."""
        self.rest = rest

    def _is_about(self, line: bytes) -> bool:
        words = line.split(b" ", NAME_AT + 1)
        if len(words) <= NAME_AT:
            return False
        name = words[NAME_AT]
        known = self._known.get(name)
        if known is None:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            known = self._known[name] = self._names(name.decode("utf-8", "replace"))
        return known

    def _names(self, word: str) -> bool:
        program, _, index = word.rstrip(":").partition(":")
        return (not index or index.isdecimal()) and self._targets.select(program, int(index or 0))
