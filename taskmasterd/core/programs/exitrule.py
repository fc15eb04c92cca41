"""When the daemon ends with its programs, and with which exit code: `essential` and `exit_when`. Pure.

Only an end for good counts: EXITED or FATAL. What somebody stops becomes STOPPED, and what restarts never gets there.
"""

from __future__ import annotations

from taskmaster_common.config import ON_FAILURE
from taskmaster_common.states import BACKOFF, EXITED, FATAL, STOPPED
from taskmasterd.core.process.ends import exit_code, exit_signal
from taskmasterd.core.programs.gate import blocking, chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry, Table

ENDED = (EXITED, FATAL)
NOT_EXECUTED, NOT_FOUND, BY_SIGNAL = 126, 127, 128
"""Exit codes of a shell: the command cannot be executed, is not found, was ended by this plus a signal. Source: POSIX XCU 2.8.2."""
FAILED = 1
"""Exit code of a failure that has no code of its own."""
OF_A_STEP = {"search": NOT_FOUND, "exec": NOT_EXECUTED}
"""Exit codes by the step of the set-up that failed; FAILED for any other."""


def is_bad(process: Process) -> bool:
    """Return whether a process that has ended for good has failed: FATAL, or an unexpected end."""
    return process.state == FATAL or process.end is None or not process.end.expected


def code_of(process: Process) -> int:
    """Return the exit code that a process which has ended for good gives the daemon. A bad end never gives 0."""
    end = process.end
    if end is None:
        return FAILED
    if end.failure is not None:
        return OF_A_STEP.get(end.failure.step, FAILED)
    if process.state == FATAL and end.expected:  # the daemon itself had stopped it, so its own code says nothing
        return FAILED
    number = exit_signal(end.status)
    if number is not None:
        return BY_SIGNAL + number
    code = exit_code(end.status) or 0
    return code or (FAILED if is_bad(process) else 0)


def essential_code(essential: bool | str, before: Process, after: Process) -> int | None:
    """Return the exit code if this change is an end that ends the daemon, or None. `essential` is the program's key."""
    if not essential or after.state not in ENDED or before.state == after.state or _is_armed_only(after):
        return None
    return None if essential == ON_FAILURE and not is_bad(after) else code_of(after)


def _is_armed_only(process: Process) -> bool:
    """Return whether nothing has ended: it waits for its own time, and has never run."""
    return process.state == EXITED and process.end is None


def waits_for_its_time(entry: Entry) -> bool:
    """Return whether the clock will start it: that keeps the daemon alive."""
    is_over = entry.planned is not None and entry.planned.at is None
    return bool(entry.wanted.schedule) and entry.process.state in ENDED and not is_over


def is_blocked(process: Process) -> bool:
    """Return whether a process waits for something that does not come by itself."""
    return process.state == BACKOFF and process.deadline is None


def keeps_daemon(process: Process) -> bool:
    """Return whether a process keeps a daemon alive that ends when all is done.

    It does if it is up or on its way, or if somebody has stopped it: that somebody is still there. A process that was never
    started does not.
    """
    if process.state == STOPPED:
        return bool(process.by)
    return process.state not in ENDED and not is_blocked(process)


def last_keeper(table: Table) -> Entry | None:
    """Return the last entry that keeps the daemon alive, or None.

    The last one: programs that start in the order of the table mostly end in that order, too, so it stays the last for long.
    """
    keeper = None
    for entry in table:
        if keeps_daemon(entry.process) or waits_for_its_time(entry):
            keeper = entry
    return keeper


def all_done(table: Table, now: float) -> tuple[int, Entry | None] | None:
    """Return the exit code if everything is done, and the entry that was the first to fail; None if nothing has ended.

    No entry may keep the daemon alive (`last_keeper`). An entry that is blocked has failed only if nothing else has: it gives the
    code of what it is blocked by, 1 if that has none or ended well. One whose gate has just opened is about to start: None.
    """
    blocked = [entry for entry in table if is_blocked(entry.process)]
    if not all(blocking(table, entry, now) for entry in blocked):
        return None
    ended = [entry for entry in table if entry.process.state in ENDED]
    bad = [entry for entry in ended if is_bad(entry.process)]
    if bad:
        first = min(bad, key=lambda entry: entry.process.since)
        return code_of(first.process), first
    if blocked:
        last = chain(table, blocked[0], now)[-1].entry.process
        return (code_of(last) if last.state in ENDED else 0) or FAILED, blocked[0]
    return (0, None) if ended else None
