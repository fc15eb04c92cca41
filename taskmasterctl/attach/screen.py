"""The terminal in front of an attached client: raw while the program has it, and always given back as it was found."""

from __future__ import annotations

import os
import select
import termios
from contextlib import suppress

from taskmaster_common.text.escapes import Modes, shows_alternate
from taskmasterctl.output import ERR, OUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

IN = 0
INPUT, OUTPUT, CONTROL, LOCAL, SPECIAL = 0, 1, 2, 3, 6
"""Places in what tcgetattr returns."""
DEFAULT_SIZE = (24, 80)
MOST = 1000


class OwnTerminal:
    """The terminal on descriptors 0 and 1. `keeps` says that the program has no terminal: then ours stays in line mode."""

    def __init__(self, *, keeps: bool = False) -> None:
        self._saved = termios.tcgetattr(IN)
        self._keeps = keeps
        self._modes = Modes()
        self._ours = False

    @property
    def alternate(self) -> bool:
        """Whether an alternate screen is shown."""
        return self._modes.alternate

    @property
    def keeps_lines(self) -> bool:
        """Whether the terminal stays in line mode."""
        return self._keeps

    @property
    def ours(self) -> bool:
        """Whether it has to be given back."""
        return self._ours

    def enter(self, modes: Iterable[str], banner: str = "") -> None:
        """Hand the terminal to the program: raw mode, then the banner, then these modes (sequences without their ESC).

        Once the banner is there every key goes to the program, Ctrl-C too, so people may type at once.
        """
        if not self._keeps:
            self._set_raw()
        self._ours = True
        if banner:
            _say(f"{banner}\n".replace("\n", "\n" if self._keeps or not os.isatty(ERR) else "\r\n"))
        self.apply(modes)

    def _set_raw(self) -> None:
        """As cfmakeraw(3); written when all output has been shown."""
        raw = termios.tcgetattr(IN)
        raw[INPUT] &= ~(
            termios.IGNBRK
            | termios.BRKINT
            | termios.PARMRK
            | termios.ISTRIP
            | termios.INLCR
            | termios.IGNCR
            | termios.ICRNL
            | termios.IXON
        )
        raw[OUTPUT] &= ~termios.OPOST
        raw[CONTROL] = raw[CONTROL] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        raw[LOCAL] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        special = list(raw[SPECIAL])
        special[termios.VMIN], special[termios.VTIME] = 1, 0
        raw[SPECIAL] = special
        termios.tcsetattr(IN, termios.TCSADRAIN, raw)

    def apply(self, modes: Iterable[str]) -> None:
        """Take back the modes that are on, and set these."""
        modes = tuple(modes)
        if self._modes.on():
            self.show(_sequences(self._modes.off()))
        self._modes = Modes()
        self.show(_sequences(modes))
        if shows_alternate(modes):
            self.clear()

    def clear(self) -> None:
        """Clear it."""
        self.show(b"\x1b[H\x1b[2J")

    def show(self, data: bytes) -> None:
        """Show output of the program."""
        self._modes.feed(data)
        _write(OUT, data)

    def notice(self, text: str) -> None:
        """Show a line of ours: below the output, or over the last row of a full screen, until that is painted again."""
        line = f"-- {text} --".encode("utf-8", "replace")
        if self._modes.alternate:
            line = line[: terminal_rows_columns()[1] - 1]  # a line that is too long would scroll the screen
            _write(OUT, b"\x1b7\x1b[999;1H\x1b[0;7m" + line + b"\x1b[0m\x1b[K\x1b8")
        elif self._ours and not self._keeps:
            _write(OUT, b"\r\n" + line + b"\r\n")
        else:
            _write(OUT, line + b"\n")

    def leave(self) -> None:
        """Give it back: each mode that is on is taken back, and the terminal is as it was found. A second call does nothing."""
        if not self._ours:
            return
        self._ours = False
        if not self._keeps:
            alternate = self._modes.alternate
            _write(OUT, _sequences(self._modes.off()) + (b"" if alternate else b"\r\n"), lenient=True)
        with suppress(termios.error):  # it has gone
            termios.tcsetattr(IN, termios.TCSADRAIN, self._saved)
        self._modes = Modes()


def terminal_rows_columns() -> tuple[int, int]:
    """Return the size of the terminal."""
    try:
        columns, rows = os.get_terminal_size(OUT)
    except OSError:
        columns, rows = DEFAULT_SIZE[1], DEFAULT_SIZE[0]
    return max(1, min(rows or DEFAULT_SIZE[0], MOST)), max(1, min(columns or DEFAULT_SIZE[1], MOST))


def say(text: str) -> None:
    """Write a line of ours to stderr, while the terminal is not raw."""
    _say(f"{text}\n")


def _say(text: str) -> None:
    _write(ERR, text.encode("utf-8", "replace"), lenient=True)


def _sequences(modes: Iterable[str]) -> bytes:
    return b"".join(b"\x1b" + mode.encode("ascii", "replace") for mode in modes)


def _write(fd: int, data: bytes, *, lenient: bool = False) -> None:
    """Write all of it. A descriptor that others have made non-blocking is waited for."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError:
            if lenient:
                return
            raise
