"""The daemon's end of a `stdin: pipe`."""

from __future__ import annotations

from taskmasterd.terminals.writing import InputWriting

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.keeping.keeping import Keeping
    from taskmasterd.system.loop.reactor import Reactor

STDIN = "stdin"


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
