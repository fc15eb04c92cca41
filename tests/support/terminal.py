"""A terminal of a fixed size with a program in it: keys in, a screen to look at. It answers like a real one."""

from __future__ import annotations

import os
import signal
import sys
import termios
import threading
from contextlib import suppress

import pexpect
import pyte

from tests.support.wait import wait_until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self


def default_interrupt() -> None:
    """Let Ctrl-C end the program, even if the tests were started with `&`, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class _Screen(pyte.HistoryScreen):
    """A screen whose answers (where is the cursor?) go back to the program."""

    child: pexpect.spawn[str] | None = None

    def write_process_input(self, data: str) -> None:
        if self.child is not None:
            with suppress(OSError):
                self.child.send(data)


class Terminal:
    """Runs `python -m taskmasterctl WORDS` while entered. A thread keeps the screen up to date."""

    def __init__(
        self,
        environment: Mapping[str, str],
        words: Sequence[str] = (),
        *,
        size: tuple[int, int] = (80, 24),
        under: Sequence[str] = (),
    ) -> None:
        """`under` is a command that gets the whole command line as its arguments and runs it."""
        self.columns, self.lines = size
        self._under = tuple(under)
        self.raw = bytearray()
        self._environment = {"TERM": "xterm-256color", **environment}
        self._words = tuple(words)
        self._screen = _Screen(self.columns, self.lines, history=5000)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._pump, daemon=True)

    def __enter__(self) -> Self:
        words = [*self._under, sys.executable, "-m", "taskmasterctl", *self._words]
        self.child = pexpect.spawn(
            words[0],
            words[1:],
            env=self._environment,
            dimensions=(self.lines, self.columns),
            preexec_fn=default_interrupt,
        )
        self.child.delaybeforesend = None
        self.modes = self.modes_now()
        self._screen.child = self.child
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.child.kill(9)
        self.child.wait()
        self._thread.join(10)
        self.child.close(force=True)

    def _pump(self) -> None:
        while True:
            try:
                received = os.read(self.child.child_fd, 65_536)
            except OSError:  # no process has the other end any more
                return
            if not received:
                return
            with self._lock:
                self.raw += received
                self._stream.feed(received)

    # -- what a user does

    def type(self, keys: str) -> None:
        """Send keys."""
        self.child.send(keys)

    def resize(self, columns: int, lines: int) -> None:
        """Change the size, as dragging a window does."""
        with self._lock:
            self.columns, self.lines = columns, lines
            self._screen.resize(lines, columns)
        self.child.setwinsize(lines, columns)

    # -- what a user sees

    def rows(self) -> list[str]:
        """Return the rows of the screen, without blanks at their ends."""
        with self._lock:
            return [self._row(self._screen.buffer[line]) for line in range(self.lines)]

    def text(self) -> str:
        """Return the screen, without the empty rows at its end."""
        return "\n".join(self.rows()).rstrip()

    def everything(self) -> list[str]:
        """Return the lines that have scrolled away, and the screen."""
        with self._lock:
            above = [self._row(row) for row in self._screen.history.top]
        return above + self.rows()

    def _row(self, row: Mapping[int, pyte.screens.Char]) -> str:
        """Return the text of one row, much faster than `Screen.display`; the second cell of a wide character is empty."""
        return "".join(row[column].data for column in range(self.columns)).rstrip()

    def cursor_row(self) -> str:
        """Return the row that the cursor is in."""
        with self._lock:
            return self._row(self._screen.buffer[self._screen.cursor.y])

    def see(self, text: str, within_s: float = 10.0) -> None:
        """Wait until the text is on the screen; fails with the screen."""
        try:
            wait_until(lambda: text in self.text(), within_s=within_s)
        except AssertionError:
            raise AssertionError(f"{text!r} did not appear on:\n{self.text()}") from None

    def prompt(self, text: str = "taskmaster>", within_s: float = 10.0) -> None:
        """Wait until the row of the cursor is exactly this."""
        try:
            wait_until(lambda: self.cursor_row() == text, within_s=within_s)
        except AssertionError:
            raise AssertionError(f"the cursor is not behind {text!r}:\n{self.text()}") from None

    # -- the end of the program

    def ended(self, within_s: float = 10.0) -> tuple[int | None, int | None]:
        """Wait for the end of the program and its last output; return the exit code and the signal."""
        wait_until(lambda: not self.child.isalive(), within_s=within_s)
        self._thread.join(within_s)
        return self.child.exitstatus, self.child.signalstatus

    def modes_now(self) -> list[object]:
        """Return the terminal's modes. Source: both ends of a pty share them, ioctl_tty(2)."""
        return list(termios.tcgetattr(self.child.child_fd))
