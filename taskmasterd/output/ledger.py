"""What is remembered of one path that output goes to, whichever targets are open there: what was written, lost, taken away."""

from __future__ import annotations

import time

from taskmasterd.output.timeline import LogMarks
from taskmasterd.output.trouble import Trouble

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmasterd.output.rotation import Allowance


class Ledger:
    """`watchers` are called when something was written or dropped; `trouble` counts what was lost.

    `retired` counts the bytes in files that were at this path and are not any more. `writers` is the number of targets that
    are open at the path, `turns` that of the files that they have moved away. `allowance` bounds their rotations.
    """

    __slots__ = ("allowance", "marks", "now", "retired", "trouble", "turns", "watchers", "writers")

    def __init__(
        self,
        path: str,
        say: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
        allowance: Allowance | None = None,
    ) -> None:
        """`say` is told what fails for now; `now` returns monotonic seconds."""
        self.now = now
        self.allowance = allowance
        self.marks = LogMarks()
        self.trouble = Trouble(path, say, now)
        self.watchers: tuple[Callable[[], None], ...] = ()
        self.retired = 0
        self.writers = 0
        self.turns = 0

    def retire(self, size: int, *, ours: bool) -> None:
        """Note that a file of `size` bytes is not at the path any more; `ours`: because its writer has moved or emptied it.

        Otherwise, with several writers, each of them notices what one has done.
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
        """Return what another life of this process needs to go on."""
        return {"retired": self.retired, "marks": self.marks.to_data(), "trouble": self.trouble.to_data()}

    def inherit(self, row: Mapping[str, Any]) -> None:
        """Go on where `to_data` was taken."""
        self.retired = row["retired"]
        self.marks.inherit(row["marks"])
        self.trouble.inherit(row["trouble"])
