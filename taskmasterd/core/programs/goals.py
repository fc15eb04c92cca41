"""What `wait` waits for: a level of each process, and the look at it after each change. Free of I/O.

A goal is judged by the present state, so it does not matter how a process got there. Nobody polls, as with tickets.
"""

from __future__ import annotations

from taskmaster_common.config import ONESHOT
from taskmaster_common.states import BACKOFF, DOWN_STATES, EXITED, RUNNING, STOPPED
from taskmasterd.core.process.state import BLOCKED
from taskmasterd.core.programs.gate import blocking
from taskmasterd.core.programs.ticket import UP, Outcome, reached

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.steps import Steps

    Judge = Callable[[Table, Entry, float], Outcome | None]
    """(table, entry, now) -> how it has ended, or None while it is on the way."""


def up(table: Table, entry: Entry, now: float) -> Outcome | None:
    """Judge whether a process runs, and is healthy where somebody checks that. One that nothing keeps up is skipped, see `_rests`."""
    process = entry.process
    if entry.removed:
        return Outcome(ok=False, outcome="removed")
    if _rests(entry):
        return Outcome(ok=True, outcome="skipped")
    if process.phase == BLOCKED:
        return _blocked(table, entry, now)
    outcome = reached(UP, process, "up", job=entry.policy.type == ONESHOT)
    if outcome and outcome.ok and process.state == RUNNING and not entry.well:
        return None  # it may yet become healthy
    return Outcome(ok=False, outcome="failed") if outcome and outcome.outcome == "overtaken" else outcome


def _rests(entry: Entry) -> bool:
    """Return whether it is down as it should be: disabled, without `autostart` and touched by nobody, or before its next run."""
    process, wanted, planned = entry.process, entry.wanted, entry.planned
    if planned and planned.at is not None and not planned.off and process.state in (STOPPED, EXITED):
        return process.as_wanted
    return process.state == STOPPED and not (wanted.enabled and (wanted.autostart or process.by))


def healthy(table: Table, entry: Entry, now: float) -> Outcome | None:
    """Judge whether a process is found healthy. One that nobody checks never is."""
    if not (entry.removed or entry.health):
        return Outcome(ok=False, outcome="unchecked")
    return up(table, entry, now)


def stopped(_table: Table, entry: Entry, _now: float) -> Outcome | None:
    """Judge whether nothing of a process is alive and nothing will start it by itself."""
    if entry.process.stuck:
        return Outcome(ok=False, outcome="stuck")
    return Outcome(ok=True, outcome="stopped") if entry.process.state in DOWN_STATES else None


def settled(table: Table, entry: Entry, now: float) -> Outcome | None:
    """Judge whether nothing of a process is on its way, and if so, whether it is as wanted."""
    process = entry.process
    if entry.removed:
        return Outcome(ok=False, outcome="removed")
    if process.stuck:
        return Outcome(ok=False, outcome="stuck")
    if process.phase == BLOCKED:
        return _blocked(table, entry, now)
    if process.leaving or process.state not in (*DOWN_STATES, RUNNING):
        return None
    if process.state == RUNNING and entry.health and not process.health:
        return None  # its first verdict is on the way
    return Outcome(ok=True, outcome="settled") if process.as_wanted else Outcome(ok=False, outcome="failed")


def _blocked(table: Table, entry: Entry, now: float) -> Outcome | None:
    """Return "blocked", unless what it waits for is on its way again and the gate is only not looked at yet."""
    return Outcome(ok=False, outcome="blocked") if blocking(table, entry, now) else None


def done(table: Table, entry: Entry, now: float) -> Outcome | None:
    """Judge whether a job is done. A service never is; one that has ended for good cannot become it."""
    process = entry.process
    if process.done:
        return Outcome(ok=True, outcome="done")
    if entry.policy.type != ONESHOT and not entry.removed:
        return Outcome(ok=False, outcome="no-job")
    if entry.removed or process.state in DOWN_STATES:
        return Outcome(ok=False, outcome="removed" if entry.removed else "failed")
    return up(table, entry, now)


GOALS: dict[str, Judge] = {"up": up, "healthy": healthy, "done": done, "stopped": stopped, "settled": settled}
"""The words of `wait --for`, and who judges a process by each."""
PATIENT = ("settled",)
"""Goals that a bad outcome does not end: the answer comes when every process has one."""


class Watch:
    """Looks at some entries at each change until all are as a goal wants, or one can no longer be by itself.

    `on_try(entry)` is called at each failed try of a start, `on_end(outcomes)` once, with the outcome of each entry that has
    one. Entries that are as wanted are looked at again in the end: they may have changed since.
    """

    def __init__(
        self,
        table: Table,
        goal: str,
        now: Callable[[], float],
        on_try: Callable[[Entry], None],
        on_end: Callable[[list[tuple[Entry, Outcome]]], None],
    ) -> None:
        self._table = table
        self._judge = GOALS[goal]
        self._patient = goal in PATIENT
        self._now = now
        self._on_try = on_try
        self._on_end = on_end
        self._entries: Sequence[Entry] = ()
        self._open: dict[Entry, None] = {}
        self._begun = self._hopeless = False

    @property
    def waiting(self) -> tuple[Entry, ...]:
        """The entries that are on their way."""
        return tuple(self._open)

    def begin(self, entries: Iterable[Entry]) -> Steps[None]:
        """Look at these entries from now on, and end at once where the outcome is there."""
        self._entries = tuple(entries)
        for entry in self._entries:
            entry.tickets.append(self)
            self._look(entry)
            yield
            if not self._entries:  # abandoned meanwhile
                return
        self._begun = True
        self._end_if_done()

    def observe(self, entry: Entry) -> None:
        """Look at an entry that has changed."""
        self._look(entry)
        if entry in self._open and entry.process.state == BACKOFF:
            self._on_try(entry)
        self._end_if_done()

    def tried(self, dependency: Entry) -> None:
        """Report a failed try of something that an entry waits for."""
        self._on_try(dependency)

    def abandon(self) -> None:
        """Look no more: the client has gone."""
        for entry in self._entries:
            if self in entry.tickets:
                entry.tickets.remove(self)
        self._entries = ()

    def _look(self, entry: Entry) -> Outcome | None:
        outcome = self._judge(self._table, entry, self._now())
        if outcome is None:
            self._open[entry] = None
        else:
            self._open.pop(entry, None)
            self._hopeless = self._hopeless or not (outcome.ok or self._patient)
        return outcome

    def _end_if_done(self) -> None:
        if not self._begun or (self._open and not self._hopeless):
            return
        self._hopeless = False
        outcomes = [(entry, outcome) for entry in self._entries if (outcome := self._look(entry))]
        if not self._open or self._hopeless:
            self.abandon()
            self._on_end(outcomes)
