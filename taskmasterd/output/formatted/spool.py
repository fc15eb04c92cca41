"""One spool: what a program has written and is not in the log yet, and a head that says what is.

A file of the runtime directory: a head of seven numbers, written at once; the recipe, by which another daemon goes on with it;
then the bytes of the program.
"""

from __future__ import annotations

import os

from taskmaster_common.errors import SystemFailure, system_reason
from taskmaster_common.jsontext import read_json, write_json
from taskmasterd.output.log.file import ERRORS_OF_THE_FILE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

NUMBERS = 7
HEAD = NUMBERS * 8
"""Bytes of the head: NUMBERS C integers."""
DONE, DEVICE, INODE, LENGTH, BEGUN, PID, START = range(NUMBERS)
"""How many bytes are done; the log's inode and length after them; 0 between two lines, else 1 + the severity of the one that has
begun; the pid of the program; where the bytes begin. An inode of 0: nothing was ever written to a file from here."""
PAGE = 4096
RENEWED_AT = 1024 * 1024
"""Bytes at which a spool that is never empty is replaced by a new one."""
CUT_AT = 256 * 1024
"""Bytes at which a spool of a busy stream is cut when nothing is left of it; that of a quiet one is always cut."""
QUIET = 32_768
"""Bytes at once by which a stream is busy."""
MODE = 0o600
FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC


class UntakenError(Exception):
    """The spool could not be written, and `block` has left the pipe."""

    def __init__(self, error: OSError, block: bytes) -> None:
        super().__init__(str(error))
        self.error = error
        self.block = block


class Spool:
    """An open spool `name` in `directory`, a descriptor. `left` counts the bytes that are not done."""

    __slots__ = ("_can_splice", "_directory", "_end", "_fd", "_head", "name")

    def __init__(self, directory: int, name: str, fd: int) -> None:
        self._directory = directory
        self.name = name
        self._fd = fd
        self._head = memoryview(bytearray(os.pread(fd, HEAD, 0).ljust(HEAD, b"\0"))).cast("q")
        self._end = max(self._head[START], os.fstat(fd).st_size)
        self._can_splice = hasattr(os, "splice")
        if self._head[START] + self._head[DONE] > self._end:  # its daemon died after it had cut the spool
            self._head[DONE] = 0
            self._write_head()

    @classmethod
    def make(cls, directory: int, name: str, recipe: Mapping[str, Any]) -> Spool:
        """Return a new spool. Raises SystemFailure."""
        text = write_json(recipe)
        start = -(-(HEAD + len(text)) // PAGE) * PAGE
        head = memoryview(bytearray(HEAD)).cast("q")
        head[START] = start
        try:
            fd = os.open(name, FLAGS | os.O_CREAT | os.O_EXCL, MODE, dir_fd=directory)
            try:
                os.pwrite(fd, head.tobytes() + text.ljust(start - HEAD), 0)
            except OSError:
                os.close(fd)
                os.unlink(name, dir_fd=directory)
                raise
        except OSError as error:
            raise SystemFailure("make spool", name, system_reason(error), error.errno or 0) from None
        return cls(directory, name, fd)

    def recipe(self) -> dict[str, Any]:
        """Return what `make` was given. Raises ValueError or TypeError where the file is none of ours."""
        return dict(read_json(os.pread(self._fd, max(0, self._head[START] - HEAD), HEAD).decode("ascii")))

    # -- what is in it

    @property
    def left(self) -> int:
        """The number of bytes that are not done."""
        return self._end - self._head[START] - self._head[DONE]

    @property
    def place(self) -> tuple[int, int, int]:
        """Device, inode and length of the log after what is done; an inode of 0: none."""
        return self._head[DEVICE], self._head[INODE], self._head[LENGTH]

    @property
    def begun(self) -> int:
        """0 between two lines, else 1 + the severity of the one that has begun."""
        return self._head[BEGUN]

    @property
    def pid(self) -> int:
        """The pid of the program, 0 while it is not known."""
        return self._head[PID]

    def set_pid(self, pid: int) -> None:
        """Remember the pid of the program."""
        self._head[PID] = pid
        self._write_head()

    def take(self, pipe: int, most: int) -> int:
        """Move what is in a pipe to the end; return how many bytes, 0 at its end.

        Raises BlockingIOError for an empty pipe, OSError or UntakenError for a spool that cannot be written.
        """
        moved = self._transfer(pipe, most)
        self._end += moved
        return moved

    def peek(self, most: int) -> bytes:
        """Return the first bytes that are not done."""
        return os.pread(self._fd, most, self._head[START] + self._head[DONE])

    def done(self, amount: int, place: tuple[int, int, int], begun: int) -> None:
        """Say that so many more bytes are in the log, which now ends at `place`; cut off what is done where that is worth it."""
        head = self._head
        head[DONE] += amount
        head[DEVICE], head[INODE], head[LENGTH] = place
        head[BEGUN] = begun
        self._write_head()
        if not self.left and head[DONE] and (amount < QUIET or head[DONE] >= CUT_AT):
            os.ftruncate(self._fd, head[START])  # first: with the head of before nothing is left either
            self._end = head[START]
            head[DONE] = 0
            self._write_head()
        elif head[DONE] >= RENEWED_AT:
            self._renew()

    def close(self, *, keep: bool) -> None:
        """Close it; unless `keep`, remove the file."""
        if not keep:
            self._remove(self.name)
        os.close(self._fd)

    # -- the file

    def _transfer(self, pipe: int, most: int) -> int:
        if self._can_splice:
            try:
                return os.splice(pipe, self._fd, most, offset_dst=self._end, flags=os.SPLICE_F_NONBLOCK)
            except OSError as error:
                if error.errno in ERRORS_OF_THE_FILE:
                    raise
            self._can_splice = False
        block = os.read(pipe, most)
        view = memoryview(block)
        while view:
            try:
                written = os.pwrite(self._fd, view, self._end + len(block) - len(view))
            except OSError as error:
                raise UntakenError(error, block) from None
            view = view[written:]
        return len(block)

    def _write_head(self) -> None:
        os.pwrite(self._fd, self._head, 0)

    def _renew(self) -> None:
        """Put what is left into a new file, and that in the place of this one: a kill leaves the one or the other."""
        head, draft = self._head, f"{self.name}.new"
        rest = self.peek(self.left)
        fresh = memoryview(bytearray(head)).cast("q")
        fresh[DONE] = 0
        try:
            self._remove(draft)
            fd = os.open(draft, FLAGS | os.O_CREAT | os.O_EXCL, MODE, dir_fd=self._directory)
        except OSError:
            return  # a shortage: it is replaced later
        try:
            start = os.pread(self._fd, head[START] - HEAD, HEAD)
            whole = b"".join((fresh.tobytes(), start, rest))
            written = os.pwrite(fd, whole, 0) == len(whole)
            if written:
                os.rename(draft, self.name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
        except OSError:
            written = False
        if not written:
            self._remove(draft)
            os.close(fd)
            return
        os.close(self._fd)
        self._fd, self._head, self._end = fd, fresh, fresh[START] + len(rest)

    def _remove(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._directory)
        except OSError:
            return  # somebody has tidied up
