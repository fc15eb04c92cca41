"""Terminals of programs: a pty whose other side is an instance's standard streams, its size, and what is typed into it.

The keeper reads it; here is only the daemon's duplicate of its master. Source: pty(7), ioctl_tty(2), termios(3).
"""

from __future__ import annotations

import fcntl
import os
import sys
import termios

from taskmasterd.terminals.writing import HeldInput

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Size = tuple[int, int]
    """Rows and columns."""

TTY = "tty"
MOST = 1000
"""Most rows and columns."""
MODE = 0o620
"""Mode of the program's side: its user reads and writes it, others may only write, and only if they are in its group. Source: tty(4)."""
CTRL_D, LINE_FEED, ENTER = b"\x04", b"\n", b"\r"
INPUT_MODES = 0
"""Place of the input modes in what tcgetattr returns."""


class Terminal(HeldInput):
    """The terminal of one instance; the keeper moves what it has yet to say once it is released.

    `size` are its rows and columns, as they were set last.
    """

    kind = TTY

    @staticmethod
    def typed(data: bytes) -> bytes:
        """Return what is typed for some input: the Enter key where a line ends."""
        return data.replace(LINE_FEED, ENTER)

    def end(self) -> None:
        """Type Ctrl-D, the end of the input for a program that reads lines."""
        self.writing.push(Typed(CTRL_D))

    def settle(self) -> bool:
        """Have the keeper move what the instance has written; return whether it has."""
        return self._keeping.drain(self.key)

    @property
    def size(self) -> Size:
        """Rows and columns; (0, 0) once it is closed."""
        try:
            raw = fcntl.ioctl(self.writing.fd, termios.TIOCGWINSZ, bytes(8)) if self.open else bytes(8)
        except OSError:
            raw = bytes(8)
        return int.from_bytes(raw[:2], sys.byteorder), int.from_bytes(raw[2:4], sys.byteorder)

    def resize(self, size: Size) -> None:
        """Set rows and columns; the kernel tells the program if they are others. What has hung up has none."""
        if self.open:
            set_size(self.writing.fd, size)


class Typed:
    """Something that is typed for a client, and of which nobody hears again."""

    more = False

    def __init__(self, data: bytes) -> None:
        self.pending = bytearray(data)

    def wrote(self, count: int) -> None:
        """Forget it."""

    def refused(self, reason: str) -> None:
        """Forget it."""


def open_terminal(
    settings: Mapping[str, Any], owner: tuple[int, int] | None, size: Size | None = None
) -> tuple[int, int, str]:
    """Return master, the other side and its path, with everything set: a program finds it right. Raises OSError."""
    master, slave = os.openpty()
    try:
        set_size(master, size or (settings["rows"], settings["cols"]))
        modes = termios.tcgetattr(slave)
        modes[INPUT_MODES] &= ~termios.IXON  # or a Ctrl-S that somebody types would stop the program
        termios.tcsetattr(slave, termios.TCSANOW, modes)
        path = os.ttyname(slave)
        if owner and owner[0] != os.geteuid():
            os.fchown(slave, owner[0], -1)
        os.fchmod(slave, MODE)
    except BaseException:
        os.close(master)
        os.close(slave)
        raise
    return master, slave, path


def set_size(fd: int, size: Size) -> None:
    """Set the size of a terminal; ignore one that has hung up."""
    rows, columns = (max(1, min(each, MOST)) for each in size)
    raw = rows.to_bytes(2, sys.byteorder) + columns.to_bytes(2, sys.byteorder) + bytes(4)
    try:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, raw)
    except OSError:
        return
