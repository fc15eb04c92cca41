"""Asks `pre_restart` before a restart stops what runs. Mutable and free of I/O, as `supervisor`.

A restart that is asked for by an operator, a reload or a failed health check is a good idea only if the new instance will come
up. So nothing is stopped before the program's own check has said that it may: `nginx -t`.
"""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmaster_common.states import RUNNING, STOPPED
from taskmasterd.core.process.state import PRE_RESTART, STOP
from taskmasterd.core.programs.ticket import Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Protocol

    from taskmasterd.core.programs.table import Entry

    Then = Callable[[Mapping[Entry, "Refusal"]], None]

    class PreRestart(Protocol):
        """One run of a pre_restart."""

        def cancel(self) -> None:
            """End it; its answer does not matter any more."""

    Begin = Callable[[Entry, str, Callable[[str], None]], PreRestart]


class Refusal(Record):
    """Why a process is not restarted: the outcome for who has asked, and the reason."""

    outcome: str
    because: str = ""

    def answer(self) -> Outcome:
        """Return the outcome of the operation on this process."""
        return Outcome(ok=False, outcome=self.outcome, because=self.because)


def has_to_be_asked(entry: Entry) -> bool:
    """Return whether a restart would stop an instance that runs, and the program wants to be asked before."""
    process = entry.process
    return bool(entry.policy.pre_restart) and process.state == RUNNING and not process.leaving and not entry.removed


class Checks:
    """The pre_restart of some processes, all at once; `then` gets those that must not be restarted, and why.

    `begin(entry, reason, done)` runs one and calls `done("")`, or with the reason why the process must not be restarted, in a later
    turn. A newer wish wins: what is stopped meanwhile is refused, and what ends by itself is not asked any more.
    """

    def __init__(self, entries: Iterable[Entry], reason: str, begin: Begin, then: Then) -> None:
        self._then = then
        self._refused: dict[Entry, Refusal] = {}
        self._open: dict[Entry, tuple[int | None, PreRestart]] = {}
        for entry in entries:
            entry.tickets.append(self)
            entry.ask(PRE_RESTART)
            self._open[entry] = entry.process.pid, begin(entry, reason, self._answer_to(entry))

    def _answer_to(self, entry: Entry) -> Callable[[str], None]:
        return lambda because: self._answered(entry, because)

    def observe(self, entry: Entry) -> None:
        """Look at a process that has changed: somebody may have stopped it, or it has ended by itself."""
        if entry not in self._open:
            return
        process, (pid, running) = entry.process, self._open[entry]
        if process.pid == pid and process.state == RUNNING and not process.leaving:
            return
        running.cancel()
        stopped = STOPPED in (process.state, process.then) or process.leaving == STOP or entry.removed
        self._settle(entry, Refusal("overtaken") if stopped else None)

    def tried(self, dependency: Entry) -> None:
        """Nothing that it waits for starts."""

    def _answered(self, entry: Entry, because: str) -> None:
        if entry in self._open:
            self._settle(entry, Refusal("refused", because) if because else None)

    def _settle(self, entry: Entry, refusal: Refusal | None) -> None:
        del self._open[entry]
        entry.ask("")
        entry.tickets.remove(self)
        if refusal:
            self._refused[entry] = refusal
        if not self._open:
            self._then(self._refused)
