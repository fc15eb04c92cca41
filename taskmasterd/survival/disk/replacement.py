"""Replaces the state file by a whole new one, some lines per turn; tries again later after a failure.

Changes that happen meanwhile go into the old file, as usual, and at the end into the new one.
"""

from __future__ import annotations

from taskmaster_common.errors import system_reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskmasterd.core.programs.table import Entry
    from taskmasterd.survival.disk.file import StateFile
    from taskmasterd.survival.disk.rows import Rows
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.telling.eventlog import EventLog

ROWS_A_TURN = 100
"""Most slots to write in one turn: 10 000 of them must not stall an answer."""
AGAIN_AFTER_S = 5.0
"""Pause after a failure, seconds."""
NOT_ADOPTED = "a daemon that dies now is not adopted whole"


class Replacement:
    """Runs one replacement at a time. `flush()` writes the latest changes into the old file.

    `trouble` says why the file cannot be written properly, or "". `due`: another try is scheduled.
    """

    def __init__(self, reactor: Reactor, file: StateFile, rows: Rows, log: EventLog, flush: Callable[[], None]) -> None:
        self._reactor = reactor
        self._file = file
        self._rows = rows
        self._log = log
        self._flush = flush
        self._late: dict[Entry, None] | None = None
        self._blocks: list[bytes] = []
        self._rest: Iterator[bytes] = iter(())
        self._ended = False
        self.trouble = ""
        self.due = False

    @property
    def under_way(self) -> bool:
        """Whether a new file is being written."""
        return self._late is not None

    def changed(self, entry: Entry) -> None:
        """Write the line of a slot into the new file, too."""
        if self._late is not None:
            self._late[entry] = None

    def gone(self, entry: Entry) -> None:
        """Do not write a slot that has left the table."""
        if self._late is not None:
            self._late.pop(entry, None)

    def add(self, block: bytes) -> None:
        """Write these lines into the new file, too."""
        if self._late is not None:
            self._blocks.append(block)

    def begin(self) -> None:
        """Begin a new file, and drop an unfinished one."""
        self._attempt(self._begin)

    def write_at_once(self) -> None:
        """Write a new file now, with every slot of the table."""
        self._attempt(self._all)

    def cancel(self) -> None:
        """Drop the unfinished file."""
        self._rest, self._late = iter(()), None

    def end(self) -> None:
        """Drop the unfinished file, and begin no other one."""
        self._ended = True
        self.cancel()

    def failed(self, what: str, error: OSError, consequence: str) -> None:
        """Log, once, that the file cannot be written; schedule another try to write it whole."""
        text = f"{what}: {system_reason(error)}; {consequence}"
        if text != self.trouble:
            self.trouble = text
            self._log.write("warning", text)
        if not self.due:
            self.due = True
            self._reactor.call_later(AGAIN_AFTER_S, self._again)

    def _again(self) -> None:
        self.due = False
        self._attempt(self._begin)

    def _attempt(self, write: Callable[[], object]) -> None:
        """Write some of the new file; where that fails the old one, if it is kept up to date, is as good as before."""
        if self._ended:
            return
        try:
            write()
        except OSError as error:
            self.cancel()
            if self._file.open:
                self._file.abandon()
                self.failed(f"cannot replace {self._file.path}", error, "it grows until that is possible")
            else:
                self._file.remove()
                self.failed(f"cannot write {self._file.path}", error, NOT_ADOPTED)

    def _begin(self) -> None:
        if not self._rows.begun:
            return
        self._file.begin()
        self._late, self._blocks = {}, []
        self._rest = self._rows.lines()
        self._reactor.call_soon(self._go_on)

    def _all(self) -> None:
        self._begin()
        while self._late is not None:
            self._write_some()

    def _go_on(self) -> None:
        if self._late is not None:
            self._attempt(self._write_some)
            self._reactor.call_soon(self._go_on)

    def _write_some(self) -> None:
        """Write some more lines; after the last one write the slots that have changed meanwhile, and replace the old file."""
        some = [each for _, each in zip(range(ROWS_A_TURN), self._rest)]
        if some:
            self._file.add(b"".join(some))
            return
        self._flush()
        if self._late is None:  # the flush has failed, and has dropped the unfinished file
            return
        late, blocks = self._late, self._blocks
        if len(late) > ROWS_A_TURN:
            self._late, self._blocks = {}, []
            self._file.add(b"".join(blocks))
            self._rest = self._rows.slots(late)
            return
        self._late = None
        self._file.add(b"".join([*blocks, *self._rows.slots(late)]))
        self._file.replace()
        if self.trouble:
            self.trouble = ""
            self._log.write("info", f"{self._file.path} can be written again")
