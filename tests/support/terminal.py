"""A terminal of a fixed size with a program in it: keys in, a screen to look at. It answers like a real one."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import subprocess
import sys
import termios
import threading
from contextlib import suppress
from pathlib import Path

import pyte

from tests.support.forkserver import Forked, ForkServer, take_terminal
from tests.support.wait import wait_until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Self


SHELL = ("taskmasterctl.shell.shell", "taskmasterctl.shell.prompt")
"""Modules of the shell: importing prompt_toolkit costs most of its start."""


def _as_in_a_terminal() -> None:
    """Take the terminal, and let Ctrl-C end the program, even if the tests were started with `&`, which ignores it."""
    take_terminal()
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class _Screen(pyte.HistoryScreen):
    """A screen whose answers (where is the cursor?) go back to the program."""

    fd = -1

    def write_process_input(self, data: str) -> None:
        with suppress(OSError):
            os.write(self.fd, data.encode())


class Terminal:
    """Runs `python -m taskmasterctl WORDS` while entered. A thread keeps the screen up to date."""

    def __init__(
        self,
        environment: Mapping[str, str],
        words: Sequence[str] = (),
        *,
        size: tuple[int, int] = (80, 24),
        under: Sequence[str] = (),
        forks: ForkServer | None = None,
    ) -> None:
        """`under` is a command that gets the whole command line as its arguments and runs it; else `forks` may run it."""
        self._forks = forks
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
        self._fd, theirs = os.openpty()
        self._screen.fd = self._fd
        self._resize()
        self.modes = self.modes_now()
        try:
            self.child = self._started(("taskmasterctl", *self._words), theirs)
        finally:
            os.close(theirs)
        self._thread.start()
        return self

    def _started(self, words: tuple[str, ...], terminal: int) -> subprocess.Popen[bytes] | Forked:
        streams = (terminal, terminal, terminal)
        if self._forks and not self._under and self._forks.runs(words, self._environment, ""):
            return self._forks.start(words, self._environment, os.getcwd(), streams, terminal=True)
        return subprocess.Popen(
            [*self._under, sys.executable, "-m", *words],
            env=self._environment,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            preexec_fn=_as_in_a_terminal,  # noqa: PLW1509 - two system calls, and no lock
        )

    def __exit__(self, *_error: object) -> None:
        self.child.send_signal(signal.SIGKILL)
        self.child.wait()
        self._thread.join(20)
        os.close(self._fd)

    def _pump(self) -> None:
        while True:
            try:
                received = os.read(self._fd, 65_536)
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
        os.write(self._fd, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Change the size, as dragging a window does."""
        with self._lock:
            self.columns, self.lines = columns, lines
            self._screen.resize(lines, columns)
        self._resize()

    def _resize(self) -> None:
        """Tell the terminal its size. Source: ioctl_tty(2), TIOCSWINSZ."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", self.lines, self.columns, 0, 0))

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

    def see(self, text: str, within_s: float = 20.0) -> None:
        """Wait until the text is on the screen; fails with the screen."""
        try:
            wait_until(lambda: text in self.text(), within_s=within_s)
        except AssertionError:
            raise AssertionError(f"{text!r} did not appear on:\n{self.text()}") from None

    def prompt(self, text: str = "taskmaster>", within_s: float = 20.0) -> None:
        """Wait until the row of the cursor is exactly this."""
        try:
            wait_until(lambda: self.cursor_row() == text, within_s=within_s)
        except AssertionError:
            raise AssertionError(f"the cursor is not behind {text!r}:\n{self.text()}") from None

    # -- the end of the program

    def ended(self, within_s: float = 20.0) -> tuple[int | None, int | None]:
        """Wait for the end of the program and its last output; return the exit code and the signal."""
        code = self.child.wait(within_s)
        self._thread.join(within_s)
        return (code, None) if code >= 0 else (None, -code)

    def modes_now(self) -> list[object]:
        """Return the terminal's modes. Source: both ends of a pty share them, ioctl_tty(2)."""
        return list(termios.tcgetattr(self._fd))

    def local_modes(self) -> int:
        """Return those of its modes that are in c_lflag (termios(3)): ICANON, ISIG and others."""
        return int(termios.tcgetattr(self._fd)[3])


def in_front(pid: int) -> str:
    """Return the command line of the process that has the foreground of the terminal of `pid`, "" where none has it."""
    try:
        group = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[5]  # tpgid, proc(5)
        return Path(f"/proc/{group}/cmdline").read_bytes().decode().replace("\0", " ").strip()
    except OSError:  # it has just ended
        return ""
