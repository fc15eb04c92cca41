"""A log that is not a regular file: a FIFO, a device, a terminal, the daemon's own stdout.

Bytes are read and written, and nothing blocks. What the reader does not take is kept and offered again, and dropped after
PATIENCE_S: a reader that does not read holds up no program for long.
"""

from __future__ import annotations

import errno
import os
import select
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_S = 0.25
"""Longest time that a reader which does not read holds up programs, in seconds."""
SURELY_TAKEN = 4096
"""Bytes that a stream which polls as writable takes without blocking. Source: pipe(7), PIPE_BUF."""
NOBODY_READS = BlockingIOError(errno.EAGAIN, "nobody reads it")
WRITABLE = select.POLLOUT | select.POLLERR | select.POLLHUP


class LogStream:
    """An open descriptor that only takes bytes; `unsent` holds those that it has not taken yet.

    `lost(error, amount)` hears what was dropped and why.
    """

    parked = False

    def __init__(self, fd: int, lost: Callable[[OSError, int], None], now: Callable[[], float]) -> None:
        self.fd = fd
        self._lost = lost
        self._now = now
        self.unsent = b""
        self._since = 0.0
        self._patient = True
        # a descriptor shared with others (/dev/stdout) must stay blocking for them
        self._ask_first = not stat.S_ISREG(os.fstat(fd).st_mode) and os.get_blocking(fd)

    def inherit(self, unsent: bytes) -> None:
        """Resume with the bytes that were unsent before an upgrade; the reader's patience starts again."""
        self.unsent = unsent
        self._since = self._now()

    def set_limits(self, max_bytes: int, backups: int) -> None:
        """Do nothing: only regular files rotate."""

    def size(self) -> int:
        """Return 0: nothing is kept."""
        return 0

    def move(self, pipe: int, most: int) -> int:
        """Take at most `most` bytes from a pipe; return how many, 0 at its end. Ask `busy` first.

        Raises BlockingIOError when the pipe is empty.
        """
        block = os.read(pipe, most)
        if block:
            self.append(block)
        return len(block)

    def append(self, block: bytes, *, turn: bool = True) -> None:  # noqa: ARG002 - only regular files rotate
        """Write a block after the unsent bytes."""
        if self.unsent:
            block, self.unsent = self.unsent + block, b""
        rest = self._send(block)
        if not rest:
            self._patient = True
        elif self._patient:
            self.unsent = rest
            self._since = self._now()
        else:
            self._lost(NOBODY_READS, len(rest))

    def busy(self) -> bool:
        """Offer the unsent bytes again; return whether some remain."""
        if not self.unsent:
            return False
        unsent, self.unsent = self.unsent, b""
        rest = self._send(unsent)
        if len(rest) < len(unsent):
            self._since = self._now()
        if rest and self._now() - self._since >= PATIENCE_S:
            self._patient = False
            self._lost(NOBODY_READS, len(rest))
        else:
            self.unsent = rest
        return bool(self.unsent)

    def close(self) -> None:
        """Close it; unsent bytes are lost."""
        os.close(self.fd)

    def _send(self, block: bytes) -> bytes:
        """Write as much as is taken now; return the rest. `lost` hears what can never be written."""
        view = memoryview(block)
        while view:
            if self._ask_first and not _is_writable(self.fd):
                break
            try:
                written = os.write(self.fd, view[:SURELY_TAKEN] if self._ask_first else view)
            except BlockingIOError:
                break
            except OSError as error:
                self._lost(error, len(view))
                return b""
            view = view[written:]
        return bytes(view)


def _is_writable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return any(events & WRITABLE for _, events in poll.poll(0))
