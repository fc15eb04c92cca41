"""What the instances of all slots read, and how it outlives the daemon: made before a spawn, kept by the keeper, claimed later.

It holds the daemon's end of each `stdin: pipe`. The child has the read end only, so that it sees an end of its input;
the keeper has a second write end, so that the daemon's death is none. Of a terminal the keeper has the master and the write end of the
log's pipe, and moves output from the one into the other; the daemon has a duplicate of the master, to type and to set its size.
"""

from __future__ import annotations

import os

from taskmaster_common.errors import SystemFailure
from taskmasterd.ondemand import on_demand
from taskmasterd.output.targets import ids_of
from taskmasterd.processes.preparation import ChildInput
from taskmasterd.system.loop.cmodules import partial
from taskmasterd.system.spawner import SetupError, is_shortage
from taskmasterd.terminals.stdin import STDIN, InputPipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.keeping.keeping import Keeping
    from taskmasterd.output.streams import Outputs, Streams
    from taskmasterd.processes.instance import Instances
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.users import Account
    from taskmasterd.terminals import desk as desks
    from taskmasterd.terminals import terminal
    from taskmasterd.terminals.desk import Desk
    from taskmasterd.terminals.terminal import Terminal

    Changed = Callable[[Entry, Process, Event, Process], None]
else:
    desks = on_demand("taskmasterd.terminals.desk")
    terminal = on_demand("taskmasterd.terminals.terminal")

LOST = "the keeper has died with the daemon"


class Inputs:
    """Makes what instances read. `changed(entry)` is called when the pipe of a log is another one; `say(level, text)` writes to the event log.

    `follow(changed, gone)` has these called with each change of a process, and with each slot that leaves the table.
    """

    def __init__(
        self,
        reactor: Reactor,
        keeping: Keeping,
        instances: Instances,
        changed: Callable[[Entry], None],
        say: Callable[[str, str], None],
        follow: Callable[[Changed, Callable[[Entry], None]], None],
    ) -> None:
        self._reactor = reactor
        self.keeping = keeping
        self._follow = follow
        self._desks: dict[Entry, Desk] = {}
        self._instances = instances
        self._outputs: Outputs = instances.outputs
        self._changed = changed
        self._say = say
        self._made = 0

    def open(self, entry: Entry, who: Account | None, streams: Streams) -> ChildInput:
        """Return what the next instance of a slot reads. Raises SetupError or, for a shortage, OSError."""
        try:
            return self._terminal(entry, who, streams) if entry.wanted.tty else self._pipe(entry, who)
        except SystemFailure as failure:
            raise SetupError("keeper", str(failure)) from None
        except OSError as error:
            if is_shortage(error):
                raise
            what = "a terminal" if entry.wanted.tty else "standard input"
            raise SetupError("keeper", f"cannot make {what}: {error.strerror}") from None

    def _pipe(self, entry: Entry, who: Account | None) -> ChildInput:
        read, write = os.pipe()
        try:
            owner = ids_of(who)
            if owner:
                os.fchown(read, *owner)  # so that a child of another user may open /dev/stdin
            key = self._key(STDIN, entry)
            self.keeping.keep(key, (write,))
        except BaseException:
            os.close(read)
            os.close(write)
            raise
        return ChildInput(InputPipe(self._reactor, self.keeping, key, write), read)

    def _terminal(self, entry: Entry, who: Account | None, streams: Streams) -> ChildInput:
        desk = self._desks.get(entry)
        master, slave, path = terminal.open_terminal(entry.wanted.tty, ids_of(who), desk.size if desk else None)
        try:
            key = self._key(terminal.TTY, entry)
            log = os.dup(streams.children_ends[0]) if streams.children_ends else -1
            self.keeping.pump(key, master, log, partial(self._renew, entry, key))
        except BaseException:
            os.close(master)
            os.close(slave)
            raise
        return ChildInput(terminal.Terminal(self._reactor, self.keeping, key, master), slave, path)

    def _renew(self, entry: Entry, key: str) -> tuple[int, ...]:
        """Return the master of a terminal, and the write end of another pipe to its log: those of the last keeper died with it."""
        instance = self._instances.of(entry)
        if instance is None or instance.input is None or instance.input.key != key:
            raise LookupError(key)  # it is dropped in this turn
        reads: Terminal = instance.input  # type: ignore[assignment]
        if not instance.pipes:
            return (reads.writing.fd,)
        instance.drain_pipes()
        child, pipe = self._outputs.pipe_to(entry, instance.pipes[0].path, None, "")
        instance.replace_pipes((pipe,) if pipe else ())
        self._changed(entry)
        return reads.writing.fd, child

    # -- clients

    def modes(self, key: str, done: Callable[[tuple[str, ...]], None]) -> None:
        """Call `done` with the modes that are on in a terminal."""
        self.keeping.modes(key, done)

    def desk(self, entry: Entry) -> Desk:
        """Return where clients are attached to a slot; it follows the slot from then on."""
        if not self._desks:
            self._follow(self._instance_changed, self._removed)
        if entry not in self._desks:
            self._desks[entry] = desks.Desk(self._reactor, partial(self._reads, entry))
        return self._desks[entry]

    def _reads(self, entry: Entry) -> InputPipe | Terminal | None:
        instance = self._instances.of(entry)
        return instance.input if instance else None  # type: ignore[return-value]

    def _instance_changed(self, entry: Entry, before: Process, event: Event, after: Process) -> None:
        desk = self._desks.get(entry)
        if desk:
            desk.changed(event, before, after)

    def _removed(self, entry: Entry) -> None:
        desk = self._desks.pop(entry, None)
        if desk:
            desk.removed()

    # -- a later daemon

    def _key(self, kind: str, entry: Entry) -> str:
        """Return a key that no other input has had; a later daemon finds the slot in it (`find`)."""
        self._made += 1
        return f"{kind}/{entry.canonical}/{os.getpid()}.{self._reactor.now():.6f}.{self._made}"

    def adopt(self, entry: Entry, row: tuple[str, str]) -> tuple[InputPipe | Terminal | None, int]:
        """Return what an instance of an earlier daemon reads, from its row in the state, and the pipe of its log, -1 for none.

        None if it is lost, which is reported.
        """
        kind, key = row
        fds = self.keeping.claim(key, partial(self._renew, entry, key) if kind != STDIN else None)
        if not fds:
            self._say("error", f"{entry.canonical}: what it reads cannot be reached any more: {LOST}")
            return None, -1
        if kind == STDIN:
            return InputPipe(self._reactor, self.keeping, key, fds[0]), -1
        return terminal.Terminal(self._reactor, self.keeping, key, fds[0]), fds[1] if len(fds) > 1 else -1

    def find(self, entry: Entry) -> tuple[InputPipe | Terminal | None, int]:
        """Return what an instance reads that no state knows: the newest that was kept for its slot."""
        found = [key for key in self.keeping.given() if key.split("/")[1:2] == [entry.canonical]]
        return self.adopt(entry, (found[-1].split("/")[0], found[-1])) if found else (None, -1)
