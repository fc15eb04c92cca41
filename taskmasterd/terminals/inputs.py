"""What the instances of all slots read, and how it outlives the daemon: made before a spawn, kept by the keeper, claimed later.

It holds the daemon's end of each `stdin: pipe`. The child has the read end only, so that it sees an end of its input;
the keeper has a second write end, so that the daemon's death is none.
"""

from __future__ import annotations

import os

from taskmaster_common.errors import SystemFailure
from taskmasterd.output.targets import ids_of
from taskmasterd.processes.preparation import ChildInput
from taskmasterd.system.spawner import SetupError, is_shortage
from taskmasterd.terminals.writing import InputWriting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.core.programs.table import Entry
    from taskmasterd.keeping.keeping import Keeping
    from taskmasterd.output.streams import Streams
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.users import Account

STDIN = "stdin"
LOST = "the keeper has died with the daemon"


class InputPipe:
    """The write end of one instance's standard input."""

    kind = STDIN

    def __init__(self, reactor: Reactor, keeping: Keeping, key: str, fd: int) -> None:
        self.key = key
        self.writing = InputWriting(reactor, fd)
        self._keeping = keeping

    @property
    def open(self) -> bool:
        """Whether something can be written."""
        return self.writing.fd >= 0

    @staticmethod
    def typed(data: bytes) -> bytes:
        """Return what is written for some input."""
        return data

    def end(self) -> None:
        """Close it: the program sees the end of its input once it has read what is there."""
        self._close("its standard input is closed")

    def settle(self) -> bool:
        """Return whether output had yet to be moved: not of a pipe."""
        return False

    def release(self) -> None:
        """Let go of it: nothing is left of the instance."""
        self._close("stopped")

    def _close(self, reason: str) -> None:
        if self.open:
            self._keeping.drop(self.key)
            self.writing.close(reason)


class Inputs:
    """Makes what instances read. `say(level, text)` writes to the event log."""

    def __init__(self, reactor: Reactor, keeping: Keeping, say: Callable[[str, str], None]) -> None:
        self._reactor = reactor
        self._keeping = keeping
        self._say = say
        self._made = 0

    def open(self, entry: Entry, who: Account | None, _streams: Streams) -> ChildInput:
        """Return what the next instance of a slot reads. Raises SetupError or, for a shortage, OSError."""
        try:
            return self._pipe(entry, who)
        except SystemFailure as failure:
            raise SetupError("keeper", str(failure)) from None
        except OSError as error:
            if is_shortage(error):
                raise
            raise SetupError("keeper", f"cannot start the keeper: {error.strerror}") from None

    def _pipe(self, entry: Entry, who: Account | None) -> ChildInput:
        read, write = os.pipe()
        try:
            owner = ids_of(who)
            if owner:
                os.fchown(read, *owner)  # so that a child of another user may open /dev/stdin
            key = self._key(STDIN, entry)
            self._keeping.keep(key, (write,))
        except BaseException:
            os.close(read)
            os.close(write)
            raise
        return ChildInput(InputPipe(self._reactor, self._keeping, key, write), read)

    def _key(self, kind: str, entry: Entry) -> str:
        """Return a key that no other input has had; a later daemon finds the slot in it (`slot_of`)."""
        self._made += 1
        return f"{kind}/{entry.canonical}/{os.getpid()}.{self._reactor.now():.6f}.{self._made}"

    def adopt(self, entry: Entry, row: tuple[str, str]) -> InputPipe | None:
        """Return what an instance of an earlier daemon reads, from its row in the state; None if it is lost, which is reported."""
        _kind, key = row
        fds = self._keeping.claim(key)
        if fds:
            return InputPipe(self._reactor, self._keeping, key, fds[0])
        self._say("error", f"{entry.canonical}: what it reads cannot be reached any more: {LOST}")
        return None

    def find(self, entry: Entry) -> InputPipe | None:
        """Return what an instance reads that no state knows: the newest that was kept for its slot; None without one."""
        found = [key for key in self._keeping.given() if key.split("/")[1:2] == [entry.canonical]]
        return self.adopt(entry, (found[-1].split("/")[0], found[-1])) if found else None
