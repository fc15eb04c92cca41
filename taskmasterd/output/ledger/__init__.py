"""What is remembered of one path, for all writers: the bytes that were written, lost, or have left it."""

from __future__ import annotations

import time

from taskmasterd.output.ledger.timeline import LogMarks
from taskmasterd.output.ledger.trouble import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class Ledger:
    """`watchers` are called when something was written or dropped; `trouble` counts what was lost.

    `retired` counts the bytes in files that have left this path. `writers` is the number of logs that are open at the path,
    `turns` that of the files that they have rotated away.
    """

    __slots__ = ("marks", "now", "retired", "trouble", "turns", "watchers", "writers")

    def __init__(
        self,
        path: str,
        say: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`say` hears what fails for now; `now` returns monotonic seconds."""
        self.now = now
        self.marks = LogMarks()
        self.trouble = Trouble(path, say, now)
        self.watchers: tuple[Callable[[], None], ...] = ()
        self.retired = 0
        self.writers = 0
        self.turns = 0

    def retire(self, size: int, *, ours: bool) -> None:
        """Note that a file of `size` bytes has left the path; `ours`: because its writer has rotated or emptied it.

        What somebody else did is noticed by each writer, so it counts only where there is one.
        """
        self.turns += ours
        if ours or self.writers <= 1:
            self.retired += size

    def watch(self, changed: Callable[[], None]) -> None:
        """Call `changed` whenever something is written."""
        self.watchers += (changed,)

    def unwatch(self, changed: Callable[[], None]) -> None:
        """Undo one `watch`."""
        at = self.watchers.index(changed) if changed in self.watchers else len(self.watchers)
        self.watchers = self.watchers[:at] + self.watchers[at + 1 :]

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade to go on."""
        return {"retired": self.retired, "marks": self.marks.to_data(), "trouble": self.trouble.to_data()}

    def inherit(self, row: Mapping[str, Any]) -> None:
        """Go on where `to_data` was called."""
        self.retired = row["retired"]
        self.marks.inherit(row["marks"])
        self.trouble.inherit(row["trouble"])
