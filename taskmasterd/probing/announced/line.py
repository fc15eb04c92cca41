"""The pipe of `ready: {fd: N}`: a newline on descriptor N means that the program is ready (s6's notification-fd).

The child's end is made as for output (`child_pipe`): the instance is the pipe's last reader and writer, and a later daemon
finds the pipe by /proc/pid/fd as it finds those of logs.
"""

from __future__ import annotations

import os

from taskmasterd.probing.announced.kept import kept_as
from taskmasterd.probing.text.result import Result
from taskmasterd.system.loop.cmodules import partial
from taskmasterd.system.loop.reactor import READ
from taskmasterd.system.procfs import open_pipe, pipe_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping
    from typing import Any

    from taskmasterd.output.streams import DescriptorKeeper
    from taskmasterd.system.loop.reactor import Reactor

PIECE = 4096


class ReadyLine:
    """The read end `row["fd"]` of such a pipe, which it owns from now on. `done(result)` is called once, in a later turn.

    `row["number"]` is the descriptor's number in the program, for the texts; whatever else the row holds is for a later daemon.
    """

    def __init__(
        self,
        reactor: Reactor,
        row: Mapping[str, Any],
        done: Callable[[Result], None],
        keeper: DescriptorKeeper | None = None,
    ) -> None:
        self._reactor = reactor
        self._row = row
        self._fd: int = row["fd"]
        self._number: int = row["number"]
        self._done: Callable[[Result], None] | None = done
        self._keeper = keeper
        self._began = reactor.now()
        self.inode = os.fstat(self._fd).st_ino
        os.set_blocking(self._fd, False)
        os.set_inheritable(self._fd, False)
        if keeper:
            keeper.keep(self.inode, self._fd, kept_as(row))
        reactor.watch(self._fd, READ, self._readable)

    @property
    def fd(self) -> int:
        """The read end, -1 once it is closed."""
        return self._fd

    def to_data(self) -> dict[str, Any]:
        """Return what another daemon needs to go on; the descriptor has to be inherited, kept, or found by `find_line`."""
        return {**self._row, "fd": self._fd}

    def close(self) -> None:
        """Close the pipe without a result. A second call does nothing."""
        self._done = None
        self._close()

    def _readable(self, _events: int) -> None:
        try:
            piece = os.read(self._fd, PIECE)
        except BlockingIOError:
            return
        if b"\n" in piece:
            self._conclude(Result(True, f"newline on descriptor {self._number}"))
        elif not piece:
            self._conclude(Result(False, f"closed descriptor {self._number} without a newline"))

    def _conclude(self, result: Result) -> None:
        self._close()
        done, self._done = self._done, None
        if done:
            self._reactor.call_soon(partial(done, result.replace(took_s=self._reactor.now() - self._began)))

    def _close(self) -> None:
        if self._fd >= 0:
            self._reactor.remove(self._fd)
            os.close(self._fd)
            self._fd = -1
            if self._keeper:
                self._keeper.drop(self.inode)


def find_line(pid: int, number: int, others: Container[int]) -> int | None:
    """Return a new read end of the pipe that the process `pid` has as descriptor `number`, None without one.

    What a program has put there itself is none of ours (`pipe_at`), and `others` are the inodes of our pipes to logs.
    """
    try:
        inode = pipe_at(pid, number)
        return None if inode is None or inode in others else open_pipe(pid, inode)
    except OSError:  # it is gone, or we may not look
        return None
