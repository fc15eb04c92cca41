"""Reads the files that an import names, within bounds."""

from __future__ import annotations

import glob
import os
import stat
import time

from taskmaster_common.errors import system_reason

MAX_FILE = 16 * 1024 * 1024
"""Largest input, bytes."""
MAX_TIME_S = 5.0
"""Most processor time for all inputs together, seconds."""
MAX_FILES = 1000
"""Most files, includes among them."""
STDIN = "-"


class Unreadable(Exception):
    """A file cannot be read; the text says which one and why."""


class WrongInput(Exception):
    """The rest of the input is useless; the report has the lines, or the text says why."""


class InputFile:
    """One file: `name` as the user wrote it, its `text`, its absolute `directory`."""

    __slots__ = ("directory", "name", "text")

    def __init__(self, name: str, text: str, directory: str) -> None:
        self.name = name
        self.text = text
        self.directory = directory


class InputReader:
    """Reads files, each one once."""

    def __init__(self) -> None:
        self._deadline = time.process_time() + MAX_TIME_S
        self._seen: set[tuple[int, int]] = set()

    def check_time(self) -> None:
        """Raise WrongInput if the reading has taken too long."""
        if time.process_time() > self._deadline:
            raise WrongInput(f"the input takes more than {MAX_TIME_S:g} s of processor time")

    def named(self, name: str) -> InputFile:
        """Return a file of the command line, `-` for standard input. Raises Unreadable, WrongInput."""
        if name == STDIN:
            return InputFile("stdin", self._text("stdin", 0), os.getcwd())
        descriptor = self._open(name, named=True)
        try:
            return InputFile(name, self._text(name, descriptor), _directory(name))
        finally:
            os.close(descriptor)

    def included(self, path: str) -> InputFile | None:
        """Return a file that an input names, None if it was read before. Raises Unreadable, WrongInput."""
        self.check_time()
        if len(self._seen) >= MAX_FILES:
            raise WrongInput(f"{path}: more than {MAX_FILES} files")
        descriptor = self._open(path, named=False)
        try:
            status = os.fstat(descriptor)
            if (status.st_dev, status.st_ino) in self._seen:
                return None
            return InputFile(path, self._text(path, descriptor), _directory(path))
        finally:
            os.close(descriptor)

    def matching(self, pattern: str) -> list[str]:
        """Return the sorted paths that match a pattern."""
        self.check_time()
        return sorted(glob.glob(pattern))

    def exists(self, path: str) -> bool:
        """Return whether there is a regular file."""
        return os.path.isfile(path)

    def _open(self, path: str, *, named: bool) -> int:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | (0 if named else os.O_NONBLOCK))
        except OSError as error:
            raise Unreadable(f"cannot read {path}: {system_reason(error)}") from None
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode) and not (named and stat.S_ISFIFO(mode)):
            os.close(descriptor)
            raise Unreadable(f"cannot read {path}: not a regular file")
        return descriptor

    def _text(self, name: str, descriptor: int) -> str:
        status = os.fstat(descriptor)
        self._seen.add((status.st_dev, status.st_ino))
        content = bytearray()
        try:
            while len(content) <= MAX_FILE and (more := os.read(descriptor, 1 << 20)):
                content += more
        except OSError as error:
            raise Unreadable(f"cannot read {name}: {system_reason(error)}") from None
        if len(content) > MAX_FILE:
            raise WrongInput(f"{name}: error: more than {MAX_FILE >> 20} MiB")
        return _decoded(name, bytes(content))


def _decoded(name: str, content: bytes) -> str:
    """Return the text without a byte order mark, with LF at the end of each line. Raises WrongInput."""
    if b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise WrongInput(f"{name}:{line}: error: a NUL character; this is no text file, or not in UTF-8")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        byte = content[error.start]
        raise WrongInput(
            f"{name}:{line}: error: not UTF-8: it holds the byte 0x{byte:02x}; if it is Latin-1: iconv -f latin1 -t utf-8"
        ) from None
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _directory(path: str) -> str:
    return os.path.dirname(os.path.abspath(path))
