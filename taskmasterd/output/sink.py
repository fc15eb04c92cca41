"""Where output ends: takes bytes from pipes, and counts what cannot be written.

A log that fails costs output, which is counted and reported, and never an exception. It is tried again with each chunk.
"""

from __future__ import annotations

import os

from taskmaster_common.errors import SystemFailure
from taskmasterd.ondemand import on_demand
from taskmasterd.output.log.file import GoneError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmasterd.output.ledger import Ledger
    from taskmasterd.output.log import stream
    from taskmasterd.output.log.opening import OpenLog
else:
    stream = on_demand("taskmasterd.output.log.stream")


class LogSink:
    """The end of all pipes of the program `program` that lead to one log. `holders` is the count of them, for `Sinks`."""

    by_lines = False
    """Whether each line costs it something, so that a larger pipe would only mean more of them at once."""

    __slots__ = ("holders", "log", "program")

    def __init__(self, log: OpenLog, program: str = "") -> None:
        self.log = log
        self.program = program
        self.holders = 0

    @property
    def path(self) -> str:
        """The path of the log."""
        return self.log.path

    @property
    def ledger(self) -> Ledger:
        """What is remembered of the path."""
        return self.log.ledger

    def move(self, pipe: int, most: int) -> int:
        """Move what is in a pipe to the log, about `most` bytes; return how many left the pipe, 0 at its end.

        With `most` not below the pipe's capacity, what was written at once (≤ 4096 bytes) stays together in a log that
        others write too. Ask `busy` first. Raises BlockingIOError when the pipe is empty, nothing else.
        """
        dropped = self.ledger.trouble.dropped
        try:
            moved = self.log.target().move(pipe, most)
        except BlockingIOError:
            raise
        except GoneError:
            self.log.leave_deleted()
            return self.move(pipe, most)
        except OSError as error:
            moved = _empty(pipe, most)
            self.log.lost(error, moved)
        except SystemFailure as failure:
            moved = _empty(pipe, most)
            self.ledger.trouble.lost(str(failure), moved)
        self._look_back(dropped, moved)
        return moved

    def append(self, block: bytes, *, turn: bool = True) -> None:
        """Write a block of the daemon's own; never raises. What cannot be written is counted.

        `turn`: the log may rotate after it.
        """
        dropped = self.ledger.trouble.dropped
        try:
            if self.busy(hurry=True):
                self.log.lost(stream.NOBODY_READS, len(block))
            else:
                self.log.target().append(block, turn=turn)
        except GoneError:
            self.log.leave_deleted()
            self.append(block, turn=turn)
        except OSError as error:
            self.log.lost(error, len(block))
        except SystemFailure as failure:
            self.ledger.trouble.lost(str(failure), len(block))
        self._look_back(dropped, len(block))

    def busy(self, *, hurry: bool = False) -> bool:
        """Return whether the log takes nothing yet (`OpenLog.busy`)."""
        return self.log.busy(hurry=hurry)

    # -- what only a formatted log does more for

    def led_by(self, pid: int) -> None:
        """Note the pid of the program that writes into the pipe."""

    def settle(self) -> None:
        """Write what waits for the rest of its line: its program has ended."""

    def hand_over(self) -> None:
        """Get ready for an upgrade, which hands over what `log` holds."""

    def finish(self) -> LogSink:
        """End with the pipe; return the sink to release."""
        return self

    # --

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade to write on; the descriptor, if any, has to be inherited."""
        return {"program": self.program, **self.log.to_data()}

    def belongs_to(self, row: Mapping[str, Any]) -> bool:
        """Return whether `to_data` gave this row for the same log, program and owner; older rows name neither of the last two."""
        if row["path"] != self.path or "program" not in row:
            return bool(row["path"] == self.path)
        theirs = row["owner"]
        return row["program"] == self.program and (tuple(theirs) if theirs else None) == self.log.owner

    def _look_back(self, dropped: int, amount: int) -> None:
        """After each chunk: see whether the trouble is over, and call those who follow the log."""
        trouble = self.ledger.trouble
        if trouble.present and amount and dropped == trouble.dropped:
            trouble.over()
        written = amount - (trouble.dropped - dropped)
        if written > 0:
            self.ledger.marks.add(written, self.ledger.now())
        if amount:
            for watcher in self.ledger.watchers:
                watcher()


def _empty(pipe: int, most: int) -> int:
    """Empty the pipe of a log that cannot be written: the program never waits for it. Return how many bytes."""
    return len(os.read(pipe, most))
