"""How a leader ended, and what a wait status says. Source: wait(2), the bits are the same on all UNIXes."""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.core.process.events import Failure


TIME_USED = "it had used "
"""How the `memory` of an end begins that its limit of processor time has probably caused."""


class End(Record):
    """How a leader ended, `after_s` seconds after its start, `at` a moment.

    `status` is that of wait(2), None where nobody knows it, because it ended while no daemon was there. `expected`: one of
    `exitcodes`, or any end while a stop was under way. `why` is the reason for which the daemon had given it up, "" without
    one. `failure` is set where the program was never executed; `started` is false where that was a failed start; `left` is what
    it left behind, `silent` that it is known to have written nothing. `memory` is that of Exited. `pid` was the leader's, 0 where
    there was none or an older daemon wrote it. `unready`: it had a way to become ready, or a post_start, and that was not over.
    """

    status: int | None
    failure: Failure | None
    after_s: float
    at: float
    expected: bool
    started: bool
    left: tuple[str, ...] = ()
    silent: bool = False
    why: str = ""
    memory: str = ""
    pid: int = 0
    unready: bool = False


def exit_code(status: int | None) -> int | None:
    """Return the exit code of a wait status, or None for a death by a signal. Source: wait(2), bits as on all UNIXes."""
    return status >> 8 & 0xFF if status is not None and status & 0x7F == 0 else None


def exit_signal(status: int | None) -> int | None:
    """Return the signal that ended the process, or None where it exited by itself."""
    return (status & 0x7F or None) if status is not None else None


def dumped_core(status: int | None) -> bool:
    """Return whether the wait status says that a core was dumped."""
    return status is not None and bool(status & 0x80) and exit_signal(status) is not None


def shortage(end: End) -> dict[str, str]:
    """Return what was short when somebody else killed a leader, by its name on the wire: `memory`, or a `limit` that was used up."""
    if not end.memory:
        return {}
    return {"limit" if end.memory.startswith(TIME_USED) else "memory": end.memory}
