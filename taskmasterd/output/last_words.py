"""What the last instance of each slot wrote to stderr at its end, read back from the file.

It remembers where the output of an instance begins in the file; the bytes are only in the file.
"""

from __future__ import annotations

from taskmaster_common.config import JSON, RAW
from taskmaster_common.states import EXITED, FATAL
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.text import lineformat
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.output import read
else:
    read = on_demand("taskmasterd.output.read")
    lineformat = on_demand("taskmaster_common.text.lineformat")

MOST_WORD = 200
"""Characters of a last line that are shown."""


class LastWords:
    """The file of stderr and its size at the start of each slot's last instance."""

    def __init__(self) -> None:
        self._starts: dict[Entry, tuple[str, int]] = {}

    def log_start(self, entry: Entry) -> tuple[str, int]:
        """Return path and size at the start; ("", 0) where stderr has no file."""
        return self._starts.get(entry, ("", 0))

    def begin(self, entry: Entry, log_start: tuple[str, int]) -> None:
        """Remember where the stderr of a new instance begins."""
        self._starts[entry] = log_start

    def forget(self, entry: Entry) -> None:
        """Know nothing of a slot: it has left the table, or its next instance has yet to write something."""
        self._starts.pop(entry, None)

    def lines(self, entry: Entry) -> list[str]:
        """Return the last lines that the slot's last instance wrote to stderr; [] where it wrote nothing."""
        path, size = self.log_start(entry)
        lines = read.tail_since(path, size) if path else []
        output = entry.present.output
        return (
            lines
            if output.log_format == RAW
            else lineformat.last_words(lines, output.log_format == JSON, output.log_prefix)
        )

    def parting(self, entry: Entry, before: Process) -> list[tuple[str, str]]:
        """Return the event log's line (level, text) for a slot that has just given up or ended unexpectedly; [] otherwise."""
        after = entry.process
        if after.state not in (FATAL, EXITED) or after.state == before.state or after.as_wanted:
            return []
        words = self.lines(entry)
        return [("info", f"last line of stderr: {words[-1][:MOST_WORD]}")] if words else []
