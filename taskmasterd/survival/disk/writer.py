"""Writes what a later daemon has to know: the configuration, every slot with its live instance, and the facts of the daemon.

It writes a changed slot once per turn, before anything is spawned and before any client gets an answer: so nobody ever learns
of a change that a daemon which dies now would forget. The event log's lines about the change are written before that.
"""

from __future__ import annotations

from taskmasterd.processes.members.proofs import KEY_SUFFIX
from taskmasterd.survival.disk.replacement import NOT_ADOPTED, Replacement
from taskmasterd.survival.disk.rows import line
from taskmasterd.system.paths.held import unlink_held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmaster_common.config import Config
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.steps import Steps
    from taskmasterd.survival.disk.file import StateFile
    from taskmasterd.survival.disk.rows import Rows
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.telling.eventlog import EventLog

ROWS_AT_ONCE = 500
"""Most slots of a table for which a removed file is written again at once."""
GROWN_BYTES = 1024 * 1024
"""Growth after which the file is replaced, if it has also more than doubled, bytes."""


class StateWriter:
    """Keeps the state file. An orderly stop removes it, unless the daemon leaves processes alone.

    With `file` None the daemon remembers nothing, but `flush` still writes the event log.
    """

    def __init__(self, reactor: Reactor, table: Table, rows: Rows, file: StateFile | None, log: EventLog) -> None:
        self._reactor = reactor
        self._table = table
        self._rows = rows
        self._file = file
        self._log = log
        self._dirty: dict[Entry, None] = {}
        self._blocks: list[bytes] = []
        self._flushing = False
        self._replacement = Replacement(reactor, file, rows, log, self.flush) if file else None

    @property
    def trouble(self) -> str:
        """Why the file cannot be written properly, or ""."""
        return self._replacement.trouble if self._replacement else ""

    # -- what has changed

    def begin(self, identity: Mapping[str, Any], config: Config) -> None:
        """Write a new file with the present state. `identity` is the daemon's, as in the first line."""
        self._rows.begin(identity, config)
        if self._replacement:
            self._replacement.write_at_once()

    def changed(self, entry: Entry, *_change: object) -> None:
        """Write a slot at the end of this turn, because it or its instance has changed."""
        if self._replacement:
            self._dirty[entry] = None
            self._replacement.changed(entry)
        self.flush_soon()

    def spawning(self, entry: Entry, began: float, pipes: Sequence[int]) -> None:
        """Write at once that an instance is about to be spawned: these pipes will identify it. What has changed comes first."""
        block = line("spawning", (entry.program, entry.index, began, list(pipes)))
        if self._replacement:
            self._replacement.add(block)
        self._write_at_once(block, first=True)

    def gone(self, entry: Entry) -> None:
        """Write that a slot has left the table."""
        self._dirty.pop(entry, None)
        if self._replacement:
            self._replacement.gone(entry)
        self._add(line("gone", [entry.program, entry.index]))

    def ends(self, entry: Entry, status: int) -> None:
        """Write a leader's wait status at once, before the kernel forgets it. What has changed of the slot comes first."""
        if self._replacement:
            self._replacement.changed(entry)
        first = bool(self._blocks) or entry in self._dirty
        self._write_at_once(line("end", [entry.program, entry.index, status]), first=first)

    def applying(self, plan: ReloadPlan) -> Steps[None]:
        """Write a plan that is applied next; its slots follow as they change."""
        self._add((yield from self._rows.plan(plan)))
        if self._replacement and self._replacement.under_way:  # the unfinished file has the old configuration
            self._replacement.begin()

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Write all slots of an applied plan: keys that affect no process may have changed, too."""
        for program in plan.programs:
            if program.changes:
                for entry in self._table.slots(program.name):
                    self.changed(entry)
                    yield
        self._rows.plan_is_applied()

    # -- writing

    def flush_soon(self) -> None:
        """Flush at the end of this turn."""
        if not self._flushing:
            self._flushing = True
            self._reactor.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flushing = False
        self.flush()

    def flush(self) -> None:
        """Write the waiting lines of the event log, then all changes, those of facts too."""
        self._log.flush()
        if self._file is None or not self._rows.begun:
            return
        became = self._file.what_became_of_it()
        if became:
            self._write_again(self._file, became)
        facts = self._rows.facts()
        if facts:
            self._add(facts)
        self._write_changes(self._file)

    def _write_at_once(self, block: bytes, *, first: bool) -> None:
        """Write a line, with `first` the changes before it; a look at facts, and at the path of the file, once a turn is enough."""
        if first:
            self._log.flush()
        if self._file is not None and self._rows.begun:
            if self._file.touched:
                self.flush()
            if first:
                self._write_changes(self._file, block)
            elif self._file.open:
                self._append(self._file, block)
        self.flush_soon()

    def _write_changes(self, file: StateFile, last: bytes = b"") -> None:
        if not (self._dirty or self._blocks or last):
            return
        blocks, self._blocks = self._blocks, []
        dirty, self._dirty = self._dirty, {}
        if file.open:
            self._append(file, b"".join([*blocks, *self._rows.slots(dirty), last]))

    def _add(self, block: bytes) -> None:
        if self._replacement:
            self._blocks.append(block)
            self._replacement.add(block)
            self.flush_soon()

    def _append(self, file: StateFile, block: bytes) -> None:
        """Append. On failure delete the file, which would soon be out of date, and schedule a full rewrite."""
        if self._replacement is None:
            return
        try:
            file.append(block)
        except OSError as error:
            self._replacement.cancel()
            file.remove()
            self._replacement.failed(f"cannot write {file.path}", error, NOT_ADOPTED)
            return
        if not (self._replacement.under_way or self._replacement.due) and file.size > 2 * file.base + GROWN_BYTES:
            self._replacement.begin()

    def _write_again(self, file: StateFile, became: str) -> None:
        """Write the whole file again, because others have removed, replaced or changed it."""
        if self._replacement is None:
            return
        file.forget()
        self._replacement.cancel()
        self._log.write("warning", f"the state file {file.path} {became}; it is written again")
        if len(self._table) <= ROWS_AT_ONCE:
            self._replacement.write_at_once()
        else:
            self._replacement.begin()

    def end(self, *, keep: bool = False, forget_key: bool = False) -> None:
        """Remove the state file after an orderly stop. With `keep`, write one that holds only the facts, marked `ended`.

        `forget_key`: no process with a proof lives, so the key is of no more use.
        """
        if self._replacement:
            self._replacement.end()
        file, self._file, self._replacement = self._file, None, None
        if file is None:
            return
        try:
            if keep:
                file.begin()
                file.add(b"".join([*self._rows.head(), line("facts", {"ended": True})]))
                file.replace()
                return
        except OSError:
            pass
        file.remove()
        if forget_key and not keep:
            unlink_held(file.path + KEY_SUFFIX)
