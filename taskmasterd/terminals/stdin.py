"""The daemon's end of a `stdin: pipe`."""

from __future__ import annotations

from taskmasterd.terminals.writing import HeldInput

STDIN = "stdin"


class InputPipe(HeldInput):
    """The write end of one instance's standard input."""

    kind = STDIN

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
