"""The shell's history in a file: one command a line, private to its owner, without duplicates, the newest 2000.

Several shells may share the file: each appends, and only a starting shell rewrites it. If the file cannot be used, the
history lasts as long as the shell, and `problem` says why.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from taskmaster_common.errors import RequestError, system_reason
from taskmasterctl.options import split_line

FILE, EARLIER_FILE = "shell-history", "history"
"""The name of the file, and the one that it had before the daemon kept a history of its own beside it."""
MOST_LINES = 2000
MOST_BYTES = 4 * 1024 * 1024
MODE = 0o600


class HistoryFile:
    """The lines of the file `path`, oldest first: those that were there at the start, and those added since.

    A file at the `earlier` path moves to `path`, unless there is one.
    """

    def __init__(self, path: str, earlier: str = "") -> None:
        self.path = path
        self._earlier = earlier
        self.problem = ""
        self.lines: list[str] = []
        try:
            self._load()
        except OSError as error:
            self.problem = f"the history is not kept: cannot use {path}: {system_reason(error)}"

    def add(self, line: str) -> bool:
        """Add a line unless it is blank or repeats the last one; return whether it was added."""
        line = " ".join(_one_line(line).splitlines()).strip()
        if not line or (self.lines and self.lines[-1] == line):
            return False
        self.lines = [*(each for each in self.lines if each != line), line][-MOST_LINES:]
        if not self.problem:
            try:
                self._append(line)
            except OSError as error:
                self.problem = f"the history is not kept any more: {system_reason(error)}"
        return True

    def _load(self) -> None:
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        with suppress(OSError):
            if stat.S_ISREG(os.lstat(self._earlier).st_mode) and not os.path.lexists(self.path):
                os.rename(self._earlier, self.path)
        descriptor = self._open(self.path, os.O_RDWR | os.O_CREAT)
        with open(descriptor, "rb") as file:
            found = file.read(MOST_BYTES).decode("utf-8", "surrogateescape").splitlines()
            more = file.read(1) != b""
        newest_last = dict.fromkeys(reversed([line for line in found if line.strip()]))
        self.lines = list(newest_last)[:MOST_LINES][::-1]
        if more or self.lines != found:
            self._rewrite()

    def _open(self, path: str, flags: int) -> int:
        """Return a descriptor of a regular file that only this user may read. Raises OSError. A FIFO does not block it.

        Root's state directory may belong to the daemon's user, who could put a link to another file there.
        """
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, MODE)
        found = os.fstat(descriptor)
        wrong = _what_is_wrong(found)
        if wrong:
            os.close(descriptor)
            raise OSError(0, wrong)
        if found.st_mode & 0o077:
            os.fchmod(descriptor, MODE)
        return descriptor

    def _append(self, line: str) -> None:
        with open(self._open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "ab", buffering=0) as file:
            file.write(_encoded(line))

    def _rewrite(self) -> None:
        """Replace the file at once: another shell reads either the old or the new one."""
        draft = f"{self.path}.{os.getpid()}"
        with suppress(FileNotFoundError):
            os.unlink(draft)  # left by a shell that had the same pid and died
        with open(self._open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
            file.write(b"".join(map(_encoded, self.lines)))
        os.replace(draft, self.path)


def _what_is_wrong(found: os.stat_result) -> str:
    if not stat.S_ISREG(found.st_mode):
        return "it is not a regular file"
    if found.st_uid != os.geteuid():
        return f"it belongs to uid {found.st_uid}"
    return f"it has {found.st_nlink} hard links" if found.st_nlink > 1 else ""


def _encoded(line: str) -> bytes:
    return line.encode("utf-8", "backslashreplace" if _has_lone_surrogate(line) else "surrogateescape") + b"\n"


def _has_lone_surrogate(line: str) -> bool:
    """Return whether a line holds a surrogate that does not stand for a byte."""
    return any("\ud800" <= character <= "\udfff" and not "\udc80" <= character <= "\udcff" for character in line)


def _one_line(text: str) -> str:
    """Return the commands of pasted lines as one line that runs the same: a comment would take the commands behind it with it."""
    if "\n" not in text:
        return text
    from shlex import join  # noqa: PLC0415 - only pasted lines need it

    try:
        return "; ".join(map(join, split_line(text)))
    except RequestError:  # what cannot be read was refused; it comes back to be mended
        return text
