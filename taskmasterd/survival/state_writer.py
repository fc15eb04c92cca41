"""Writes what a later daemon has to know: the configuration, every slot, what is alive of it, and a few facts of the daemon.

A slot that has changed is written once a turn, before anything is spawned, and before any client is told: nobody ever
knows of something that a daemon which dies now would forget. What the event log says of it is written before that.

Each line is one JSON object; the later one of a slot holds. What it does not say of its configuration is that of the
`program` lines before it:

    {"taskmaster_state": 1, "boot": ..., "socket": ..., "uid": ..., "named": ..., "pidfile": ..., "door": ..., "pid": ...,
     "config": ..., "version": ...}                                      the first line; by what a later daemon knows whose it is (`statedir.Known`)
    {"facts": {...}}                           of the daemon; each line replaces the names that it has
    {"config": {path, daemon, files, order}}   `order`: the programs, those of earlier lines
    {"program": {...}}                         an entry of the configuration, as read or as changed by a reload
    {"slot": {program, index, process, removed, wanted, current, copy, began}}
    {"end": [program, index, status]}          the leader of its copy has ended; what follows comes with the next "slot"
    {"gone": [program, index]}
    {"spawning": [program, index, boot seconds, [inode of a pipe...]]}      at once, before a copy is spawned
"""

from __future__ import annotations

from taskmaster_common import __version__
from taskmaster_common.errors import system_reason
from taskmaster_common.jsontext import write_json
from taskmasterd.core.programs.plan import KEPT
from taskmasterd.core.words.snapshot import entry_to_data
from taskmasterd.processes.members.marks import KEY_SUFFIX
from taskmasterd.survival.state_reader import STATE_VERSION
from taskmasterd.system.paths.held import unlink_held

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, Protocol

    from taskmaster_common.config import Config, ProgramConfig
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.steps import Steps
    from taskmasterd.processes.instance import Instances
    from taskmasterd.survival.statefile import StateFile
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.telling.eventlog import EventLog

    class Host(Protocol):
        """What the journal needs of the daemon, and tells it."""

        def facts(self) -> dict[str, Any]:
            """Return what of the daemon itself is to be remembered."""

        def noted(self) -> None:
            """All that has happened is written."""


ROWS_A_TURN = 100
"""So many slots are written in one turn when the file is replaced: 10 000 of them must not stall an answer."""
ROWS_AT_ONCE = 500
"""Most slots for which a file that somebody removed is written again at once."""
GROWN_BYTES = 1024 * 1024
"""The file is replaced when it has grown by so much and more than doubled."""
AGAIN_AFTER_S = 5.0


def line(kind: str, value: object) -> bytes:
    """Return one line of the state."""
    return write_json({kind: value}) + b"\n"


class Journal:
    """Keeps the state file; after the orderly stop, there is none unless processes were left alone in order.

    `trouble` says why it cannot be written as it should be, "" where it can.
    """

    def __init__(
        self,
        reactor: Reactor,
        table: Table,
        instances: Instances,
        file: StateFile | None,
        log: EventLog,
        host: Host,
    ) -> None:
        self._reactor = reactor
        self._table = table
        self._instances = instances
        self._file = file
        self._log = log
        self._host = host
        self._identity: Mapping[str, Any] = {}
        self._config: Config | None = None
        self._facts: dict[str, Any] = {}
        self._dirty: dict[Entry, None] = {}
        self._blocks: list[bytes] = []
        self._late: dict[Entry, None] | None = None
        self._late_blocks: list[bytes] = []
        self._rest: Iterator[bytes] = iter(())
        self._flushing = False
        self._wanted: dict[str, ProgramConfig] = {}
        self.trouble = ""
        self._again_due = False

    # -- what has changed

    def begin(self, identity: Mapping[str, Any], config: Config) -> None:
        """Write a new file with all that is so now. `identity` tells whose it is, as in the first line."""
        self._identity, self._config = identity, config
        self._facts = self._host.facts()
        if self._file:
            self._try_to_replace(self._begin_anew)

    def changed(self, entry: Entry, *_change: object) -> None:
        """A slot, or what is alive of it, is different."""
        if self._file:
            self._dirty[entry] = None
            if self._late is not None:
                self._late[entry] = None
        self._flush_soon()

    def spawning(self, entry: Entry, began: float, pipes: Sequence[int]) -> None:
        """A copy is about to be spawned, who holds these pipes from then on is one, whatever else happens."""
        block = line("spawning", (entry.program, entry.index, began, list(pipes)))
        if self._late is not None:
            self._late_blocks.append(block)
        self.flush(block)

    def gone(self, entry: Entry) -> None:
        """A slot is not in the table any more."""
        for entries in (self._dirty, self._late or {}):
            entries.pop(entry, None)
        self._add(line("gone", [entry.program, entry.index]))

    def ends(self, entry: Entry, status: int) -> None:
        """A leader has ended, and will be reaped: written at once, since nobody else remembers how."""
        if self._late is not None:
            self._late[entry] = None
        self.flush(line("end", [entry.program, entry.index, status]))  # its start comes first

    def facts_changed(self) -> None:
        """What the daemon says of itself is different, and perhaps nothing else: each `flush` looks at it anyhow."""
        self._flush_soon()

    def reloading(self, plan: ReloadPlan) -> Steps[None]:
        """A plan is about to be applied: what its slots are from now on follows as they change."""
        blocks = []
        for program in plan.programs:
            if program.wanted is not None and program.change != KEPT:
                blocks.append(line("program", program.wanted.to_data()))
                yield
        blocks.append(line("config", _config_data(plan.config)))
        self._config = plan.config
        self._wanted = {program.name: program for program in plan.config.programs}
        self._add(b"".join(blocks))
        if self._late is not None:  # what was begun speaks of the old configuration
            self._try_to_replace(self._begin_to_replace)

    def reloaded(self, plan: ReloadPlan) -> Steps[None]:
        """The plan was applied; keys that touch no process have changed too."""
        for program in plan.programs:
            if program.change != KEPT:
                for entry in self._table.slots(program.name):
                    self.changed(entry)
                    yield
        self._wanted = {}

    def flush(self, last: bytes = b"") -> None:
        """Write what the event log is to say, then what has changed, and one more line."""
        self._log.flush()
        if self._file is None or self._config is None:
            return
        became = self._file.what_became_of_it()
        if became:
            self._write_again(became)
        facts = self._host.facts()
        if facts != self._facts:
            self._facts = facts
            self._add(line("facts", facts))
        if not (self._dirty or self._blocks or last):
            return
        blocks, self._blocks = self._blocks, []
        dirty, self._dirty = self._dirty, {}
        if self._file.open:
            rows = b"".join([self._row(entry) for entry in dirty])
            self._append(b"".join(blocks) + rows + last)

    def note(self) -> None:
        """Write what has changed, and tell who waits for that."""
        self.flush()
        self._host.noted()

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of a whole new file."""
        yield from self._head()
        yield from self._rows(tuple(self._table))

    def _rows(self, entries: Iterable[Entry]) -> Iterator[bytes]:
        for entry in entries:
            yield self._row(entry)

    def _head(self) -> Iterator[bytes]:
        """Yield all lines but those of slots."""
        if self._config is None:
            return
        config = self._config
        yield write_json({"taskmaster_state": STATE_VERSION, **self._identity, "version": __version__}) + b"\n"
        for program in config.programs:
            yield line("program", program.to_data())
        yield line("config", _config_data(config))
        yield line("facts", self._host.facts())

    def end(self, *, keep: bool = False, forget_key: bool = False) -> None:
        """Forget everything, the orderly stop is through; `keep`: all but the facts, of which one is that.

        `forget_key`: no process that carries a mark lives, so the key that proves marks is of no more use.
        """
        self._rest, self._late = iter(()), None
        file, self._file = self._file, None
        if file is None:
            return
        try:
            if keep:
                file.begin()
                file.add(b"".join([*self._head(), line("facts", {"ended": True})]))
                file.replace()
                return
        except OSError:
            pass
        file.remove()
        if forget_key and not keep:
            unlink_held(file.path + KEY_SUFFIX)

    # -- writing

    def _add(self, block: bytes) -> None:
        if self._file:
            self._blocks.append(block)
            if self._late is not None:
                self._late_blocks.append(block)
            self._flush_soon()

    def _flush_soon(self) -> None:
        if not self._flushing:
            self._flushing = True
            self._reactor.call_soon(self._flush_now)

    def _flush_now(self) -> None:
        self._flushing = False
        self.flush()

    def _row(self, entry: Entry) -> bytes:
        row = entry_to_data(entry)
        if self._wanted and entry.wanted is not self._wanted.get(entry.program):
            row["wanted"] = entry.wanted.to_data()  # the plan has not come to it yet
        copy = self._instances.of(entry)
        if copy:
            row["copy"] = copy.to_data()
        began = self._instances.outputs.last_words.log_start(entry)
        if began[0]:
            row["began"] = began
        return line("slot", row)

    def _append(self, block: bytes) -> None:
        """Write; where that fails what the file says would soon be wrong, so it goes, and is written anew later."""
        file = self._file
        if file is None:
            return
        try:
            file.append(block)
        except OSError as error:
            self._rest, self._late = iter(()), None
            file.remove()
            self._failed(f"cannot write {file.path}", error, "a daemon that dies now is not adopted whole")
            return
        if self._late is None and not self._again_due and file.size > 2 * file.base + GROWN_BYTES:
            self._try_to_replace(self._begin_to_replace)

    def _try_to_replace(self, write: Callable[[], object]) -> None:
        """Write some of the new file; where that fails the old one, if there is one that is kept up to date, is as good as before."""
        try:
            write()
        except OSError as error:
            if self._file is None:
                return
            self._rest, self._late = iter(()), None
            if self._file.open:
                self._file.abandon()
                self._failed(f"cannot replace {self._file.path}", error, "it grows until that is possible")
            else:
                self._file.remove()
                self._failed(f"cannot write {self._file.path}", error, "a daemon that dies now is not adopted whole")

    def _write_again(self, became: str) -> None:
        """Write the whole file in the place of one that somebody has removed, replaced or changed."""
        if self._file is None:
            return
        self._file.forget()
        self._rest, self._late = iter(()), None
        self._log.write("warning", f"the state file {self._file.path} {became}; it is written again")
        few = len(self._table) <= ROWS_AT_ONCE
        self._try_to_replace(self._begin_anew if few else self._begin_to_replace)

    def _failed(self, what: str, error: OSError, consequence: str) -> None:
        """Tell it, once, and try to write the whole file a while later."""
        text = f"{what}: {system_reason(error)}; {consequence}"
        if text != self.trouble:
            self.trouble = text
            self._log.write("warning", text)
        if not self._again_due:
            self._again_due = True
            self._reactor.call_later(AGAIN_AFTER_S, self._again)

    def _again(self) -> None:
        self._again_due = False
        self._try_to_replace(self._begin_to_replace)

    # -- the whole file

    @property
    def _replacing(self) -> bool:
        return self._late is not None

    def _begin_anew(self) -> None:
        """Write the file at once, with every slot of the table."""
        self._begin_to_replace()
        while self._late is not None:
            self._replace_some()

    def _begin_to_replace(self) -> None:
        if self._file is None or self._config is None:
            return
        self._file.begin()
        self._late, self._late_blocks = {}, []
        self._rest = self.lines()
        self._reactor.call_soon(self._go_on_replacing)

    def _go_on_replacing(self) -> None:
        if self._late is not None:
            self._try_to_replace(self._replace_some)
            self._reactor.call_soon(self._go_on_replacing)

    def _replace_some(self) -> None:
        """Write some more lines; after the last one the slots that have changed meanwhile, and then the file is the new one."""
        if self._file is None or self._late is None:
            return
        some = [each for _, each in zip(range(ROWS_A_TURN), self._rest)]
        if some:
            self._file.add(b"".join(some))
            return
        self.flush()
        if not self._replacing:  # that has failed, and what was begun went with it
            return
        late, blocks = self._late, self._late_blocks
        if len(late) > ROWS_A_TURN:
            self._late, self._late_blocks = {}, []
            self._file.add(b"".join(blocks))
            self._rest = self._rows(late)
            return
        self._late = None
        self._file.add(b"".join([*blocks, *self._rows(late)]))
        self._file.replace()
        if self.trouble:
            self.trouble = ""
            self._log.write("info", f"{self._file.path} can be written again")


def _config_data(config: Config) -> dict[str, Any]:
    order = [program.name for program in config.programs]
    return {"path": config.path, "daemon": config.daemon.to_data(), "files": config.files, "order": order}
