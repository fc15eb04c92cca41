"""What a change of watched files does to a process, in each of its states; and when nothing is done about it any more. Pure."""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.state import HELD, STOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from taskmasterd.core.process.state import Process

ACT: Final = "act"
"""Restart or signal the instance that runs."""
START: Final = "start"
"""Start it, with a new budget: who saves the fix of what has failed wants it up."""
MARK: Final = "mark"
"""Remember the change: whether the instance that comes up has seen it, nobody knows."""
NOTHING: Final = "nothing"
"""What was stopped stays down, and what has not begun yet will see the change."""

MOST_IN_A_ROW = 5
"""Changes in a row, each with a start, before a watch is paused."""
NEAR_S = 1.0
"""Time around a start within which a change may be the program's own, seconds: a program on another processor may write before
the daemon, which waits for one, has noted the start."""


def answer(process: Process) -> str:
    """Return what a change does: one of the words above."""
    if process.leaving == STOP or STOPPED in (process.state, process.then):
        return NOTHING
    if process.state == RUNNING:
        return MARK if process.leaving else ACT
    if process.state in (BACKOFF, EXITED, FATAL):
        return START
    return NOTHING if process.phase == HELD else MARK


def after_mark(process: Process) -> str:
    """Return what is done about a remembered change now; MARK: nothing yet."""
    return MARK if process.state in (STARTING, STOPPING) and answer(process) != NOTHING else answer(process)


class OwnChanges(Record):
    """Changes of one program's files in a row that came with a start; `paused` names the file, once these were too many."""

    count: int = 0
    paused: str = ""


def counted(row: OwnChanges, path: str, changed_at: float, started_at: float | None) -> OwnChanges:
    """Return the row after a change at `changed_at`, of a program that was last started at `started_at`."""
    if row.paused:
        return row
    own = started_at is not None and abs(changed_at - started_at) <= NEAR_S
    count = row.count + 1 if own else 0
    return OwnChanges(count, path if count >= MOST_IN_A_ROW else "")
