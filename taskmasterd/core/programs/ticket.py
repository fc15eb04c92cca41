"""Who waits for which outcome. A ticket covers some entries; each is answered once, and then the ticket is done.

Nobody polls: the supervisor shows a ticket every change of its entries. A ticket that nobody listens to any more goes on
without effect; the operation lives in the table, not here.
"""

from __future__ import annotations

from taskmaster_common.config import ONESHOT
from taskmaster_common.records import Record
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STOPPED
from taskmasterd.core.process.state import BLOCKED, STOP, Process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.core.programs.table import Entry

UP = "up"  # start, restart, and what a reload starts
BEGUN = "begun"  # what a reload makes a job of: the file has changed what it is, so nobody waits for a whole run
DOWN = "down"  # stop, and what a reload stops
CHECKED = "checked"  # a restart whose pre_restart has not answered yet
ROLLED = "rolled"  # what a rolling restart does; the roll itself answers
TRIED = "tried"  # what a reload on trial starts or restarts; the trial itself answers
ANSWERED = (ROLLED, TRIED)


class Outcome(Record):
    """How the operation on one entry ended; the words are the wire's (see protocol, `result`).

    `because` says why, where the process does not.
    """

    ok: bool
    outcome: str
    because: str = ""


def reached(goal: str, process: Process, done: str, *, job: bool = False) -> Outcome | None:
    """Return the outcome for somebody who waits for `goal`, or None while it is open. `done` is the word for success.

    A `job` is up when it is done, and begun when it runs.
    """
    if goal in ANSWERED:
        return None
    if goal == CHECKED:
        return None
    if process.stuck:
        return Outcome(ok=False, outcome="stuck")
    if goal == DOWN:
        return _gone(process, done)
    if process.leaving == STOP or STOPPED in (process.state, process.then):
        return Outcome(ok=False, outcome="overtaken")
    if job and process.done:
        return Outcome(ok=True, outcome="done")
    if process.state == RUNNING and not process.leaving and not (job and goal == UP):
        return Outcome(ok=True, outcome=done)
    if process.phase == BLOCKED:
        return Outcome(ok=False, outcome="blocked")
    if process.state in (FATAL, EXITED):
        return Outcome(ok=False, outcome="failed")
    return None


def _gone(process: Process, done: str) -> Outcome | None:
    if process.going_down:
        return None
    return Outcome(ok=False, outcome="taken-back") if process.pid is not None else Outcome(ok=True, outcome=done)


def goal_of(entry: Entry, wanted: ProgramConfig) -> str:
    """Return what a reload waits for that starts or restarts a process as what is wanted, before the process knows of that."""
    becomes_job = wanted.policy.type == ONESHOT and entry.present.policy.type != ONESHOT
    return BEGUN if becomes_job else UP


def _nothing(*_news: object) -> None:
    pass


class Ticket:
    """One waiting operation.

    `on_result(entry, outcome)` is called once for each entry, `on_try(entry)` at each failed try of a start, `on_done()` once
    after the last result, `on_said(name, text, final)` for what a rolling restart of a program, or a reload on trial, says.
    `failed` becomes true with the first result that is not ok.
    """

    def __init__(
        self,
        on_result: Callable[[Entry, Outcome], None],
        on_done: Callable[[], None],
        on_try: Callable[[Entry], None],
        on_said: Callable[[str, str, bool], None] = _nothing,
    ) -> None:
        self._on_result = on_result
        self._on_done = on_done
        self._on_try = on_try
        self._on_said = on_said
        self._open: dict[Entry, tuple[str, str]] = {}
        self._sealed = False
        self._told = False
        self.failed = False

    @property
    def waiting(self) -> tuple[Entry, ...]:
        """The entries that have no result yet."""
        return tuple(self._open)

    @property
    def open(self) -> tuple[tuple[Entry, str, str], ...]:
        """(entry, goal, word for success) of each that has no result yet."""
        return tuple((entry, goal, done) for entry, (goal, done) in self._open.items())

    @property
    def done(self) -> bool:
        """Whether every entry has its result."""
        return self._sealed and not self._open

    def wait_for(self, entry: Entry, goal: str, done: str) -> None:
        """Add an entry that has just been told; it is answered at once where the outcome is there."""
        if self._told:  # nobody listens any more
            return
        if entry not in self._open:
            entry.tickets.append(self)
        self._open[entry] = (goal, done)
        self.observe(entry)

    def answer(self, entry: Entry, outcome: Outcome) -> None:
        """Give the result of an entry."""
        if self._open.pop(entry, None):
            entry.tickets.remove(self)
        self.failed = self.failed or not outcome.ok
        self._on_result(entry, outcome)
        self._finish()

    def seal(self) -> None:
        """Say that no more entries follow; a ticket over nothing is done now."""
        self._sealed = True
        self._finish()

    def observe(self, entry: Entry) -> None:
        """Look at an entry that has changed."""
        goal, done = self._open.get(entry, ("", ""))
        outcome = reached(goal, entry.process, done, job=entry.policy.type == ONESHOT) if goal else None
        if outcome is not None:
            self.answer(entry, outcome)
        elif goal and entry.process.state == BACKOFF:
            self._on_try(entry)

    def tried(self, dependency: Entry) -> None:
        """Report a failed try of something that an entry waits for."""
        if self._open:
            self._on_try(dependency)

    def conclude(self, goal: str, entry: Entry, outcome: Outcome) -> None:
        """Give the result of what answers itself, if the entry waits for that; a success is called as it was asked for."""
        wanted, done = self._open.get(entry, ("", ""))
        if wanted == goal:
            self.answer(entry, outcome.replace(outcome=done) if outcome.ok else outcome)

    def say(self, goal: str, name: str, text: str, *, final: bool) -> None:
        """Pass on what a rolling restart or a trial says, if somebody waits for that goal; `final`: what has become of it."""
        if any(wanted == goal for wanted, _done in self._open.values()):
            self._on_said(name, text, final)

    def abandon(self) -> None:
        """Stop listening: the client has gone. The operation goes on."""
        for entry in self._open:
            entry.tickets.remove(self)
        self._open.clear()
        self._told = True

    def _finish(self) -> None:
        if self.done and not self._told:
            self._told = True
            self._on_done()


def unheard() -> Ticket:
    """Return a ticket of which nobody hears anything."""
    return Ticket(_nothing, _nothing, _nothing)
