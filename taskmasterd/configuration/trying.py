"""A reload on trial: it is taken back unless all that it starts or restarts comes up and stays up.

The plan is applied without its removals first. They follow once everything has stayed up for a while. If something fails before,
the configuration from before is applied again, as a reload would. Loaded by the first `reload --rollback`.
"""

from __future__ import annotations

from taskmaster_common.config import ONESHOT, Config
from taskmaster_common.records import Record
from taskmaster_common.states import BACKOFF, DOWN_STATES, RUNNING, STOPPED, STOPPING
from taskmasterd.configuration.requests import Requester
from taskmasterd.core.programs.ticket import TRIED, Outcome, Ticket
from taskmasterd.core.words.describe import end_text
from taskmasterd.core.words.view import reason_text
from taskmasterd.system.loop.signals import signal_numbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from typing_extensions import Self

    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.supervisor import Supervisor
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.system.loop.reactor import Reactor

MONITOR_S = 5.0
"""How long all have to stay up before a reload with --rollback is final, seconds."""
OPERATORS = ("overtaken", "removed", "taken-back")
"""Outcomes of a start after which somebody wants something else: no fault of the configuration."""
ELSEWHERE = ("untouched", "rolled-back")
"""Outcomes of a rolling restart for those that another instance has kept from it."""


class Tried(Record):
    """What is on trial: the configurations before and after, who asked, when (on the clock), and the stamps of the files."""

    old: Config
    new: Config
    by: str
    at: str
    stamps: tuple[tuple[str, int, int], ...] = ()

    def to_data(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {**super().to_data(), "old": self.old.to_data(), "new": self.new.to_data()}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Self:
        """Return what `to_data` was made from."""
        stamps = tuple((path, mtime, size) for path, mtime, size in data.get("stamps", ()))
        old, new = Config.from_data(data["old"]), Config.from_data(data["new"])
        return cls(old, new, data["by"], data["at"], stamps)


class TrialEffects(Record):
    """What a trial can do.

    `apply(config, requester)` applies a configuration as a reload would, once no other one is being applied. `conclude(tried,
    failure)` is told at the end, with the reason if it was rolled back, or "".
    """

    reactor: Reactor
    supervisor: Supervisor
    apply: Callable[[Config, Requester], None]
    conclude: Callable[[Tried, str], None]


class Trial:
    """One trial; an observer of what it has brought up. `ticket` waits for that; clients wait by tickets with the goal TRIED."""

    def __init__(self, effects: TrialEffects, tried: Tried) -> None:
        self._effects = effects
        self._tried = tried
        self._signals = {number: name for name, number in signal_numbers().items()}
        self._data = tried.to_data()  # the state writer asks at each change
        self.ticket = Ticket(self._result, self._judge, lambda _entry: None, self._said)
        self._touched: dict[Entry, None] = {}
        self._watched: dict[Entry, None] = {}
        self._failure = ""
        self._failed = self._sealed = self._finishing = self._over = False
        self._until = 0.0

    def begin(self, plan: ReloadPlan, clients: Ticket) -> None:
        """Let the clients wait for what the plan has told to start or restart."""
        for program in plan.programs:
            for index in (*program.start, *program.restart):
                entry = self._effects.supervisor.table.slot(program.name, index)
                if entry is not None:
                    self._touched[entry] = None
                    clients.wait_for(entry, TRIED, "restarted" if index in program.restart else "started")
        clients.seal()
        self._sealed = True
        self._judge()

    def overtake(self) -> None:
        """End it: a newer reload holds."""
        self._end()
        for entry in self._touched:
            _answer(entry, "overtaken", ok=False)

    # -- news

    def _result(self, entry: Entry, outcome: Outcome) -> None:
        if outcome.ok:
            self._watch(entry)
        elif outcome.outcome in ELSEWHERE:
            self._fail("")
        elif outcome.outcome not in OPERATORS:
            self._fail(self.reason(entry, outcome))

    def _said(self, program: str, text: str, final: bool) -> None:
        _tell(self._touched, program, text)
        if final:
            self._fail(text)

    def observe(self, entry: Entry) -> None:
        """Look at what has come up: it has changed."""
        process = entry.process
        if process.done if entry.policy.type == ONESHOT else process.state == RUNNING and not process.leaving:
            return
        asked = process.leaving or (process.state in (STOPPING, STOPPED) and process.by and not process.reason)
        self._unwatch(entry)
        if not asked:
            self._fail(self.reason(entry, Outcome(ok=False, outcome="failed", because=self._fall(entry))))

    def _fall(self, entry: Entry) -> str:
        """Return how an instance that was up has gone down."""
        process = entry.process
        if process.state == STOPPING or process.end is None:
            return process.reason
        return process.end.why or end_text(process.end, self._signals)

    def tried(self, dependency: Entry) -> None:
        """A failed start of what something waits for changes nothing."""

    def _watch(self, entry: Entry) -> None:
        self._watched[entry] = None
        entry.tickets.append(self)

    def _unwatch(self, entry: Entry) -> None:
        self._watched.pop(entry, None)
        if self in entry.tickets:
            entry.tickets.remove(self)

    # -- the verdict

    def _fail(self, why: str) -> None:
        self._failure, self._failed = self._failure or why, True
        self._judge()

    def _judge(self) -> None:
        """Go back after a failure, or let the time begin in which all have to stay up."""
        if self._over or self._finishing or not self._sealed:
            return
        reactor = self._effects.reactor
        if self._effects.supervisor.stopping:
            self.overtake()
        elif self._failed:
            self._finishing = True
            reactor.call_soon(self._finish)  # what else fails in this turn may say more
        elif self.ticket.done and not self._until:
            self._until = reactor.now() + MONITOR_S
            reactor.call_at(self._until, self._passed)

    def _passed(self) -> None:
        if not (self._over or self._finishing):
            self._finishing = True
            self._finish()

    def _finish(self) -> None:
        """Apply what holds from now on: the configuration from before, or the removals of the new one."""
        if self._effects.supervisor.stopping:
            self.overtake()
        elif not self._over:
            self._detach()
            self._effects.apply(self._tried.old if self._failed else self._tried.new, _Conclusion(self, self._tried.by))

    def conclude(self, more: str) -> None:
        """Say what holds, and answer all who wait; `more` is what has failed since the verdict."""
        if self._over:
            return
        self._end()
        failure = self._failure + (f"; {more}" if more and self._failed else "")
        text = f"the file was tried at {self._tried.at} and rolled back: {failure}" if self._failed else ""
        self._effects.conclude(self._tried, text)
        if text:
            _tell(self._touched, "", text, final=True)
        for entry in self._touched:
            _answer(entry, _became(entry), ok=not self._failed)

    def reason(self, entry: Entry, outcome: Outcome) -> str:
        """Return what is wrong with an instance."""
        table, now = self._effects.supervisor.table, self._effects.reactor.now()
        text = outcome.because or reason_text(table, entry, outcome.outcome, now, self._signals)
        state = f" {entry.process.state}" if entry.process.state in (*DOWN_STATES, BACKOFF) else ""
        return f"{table.name(entry)}{state}: {text}"

    def _end(self) -> None:
        self._over = True
        self._detach()

    def _detach(self) -> None:
        for entry in tuple(self._watched):
            self._unwatch(entry)
        self.ticket.abandon()

    # -- a live upgrade

    def to_data(self) -> dict[str, Any]:
        """Return everything as plain data, as a fact for the next daemon."""
        return {
            "tried": self._data,
            "touched": _slots(self._touched),
            "watched": _slots(self._watched),
            "open": [(entry.program, entry.index, goal, done) for entry, goal, done in self.ticket.open],
            "failure": self._failure,
            "failed": self._failed,
            "until": self._until,
        }

    def resume(self, row: Mapping[str, Any]) -> None:
        """Go on where the daemon before was interrupted by an upgrade."""
        slot = self._effects.supervisor.table.slot
        self._failure, self._failed, self._until = row["failure"], row["failed"], row["until"]
        self._touched = {entry: None for each in row["touched"] if (entry := slot(*each))}
        for each in row["watched"]:
            if entry := slot(*each):
                self._watch(entry)
                self.observe(entry)
        for program, index, goal, done in row["open"]:
            if entry := slot(program, index):
                self.ticket.wait_for(entry, goal, done)
        self._sealed = True
        self.ticket.seal()
        if self._until:
            self._effects.reactor.call_at(self._until, self._passed)
        self._judge()


class _Conclusion(Requester):
    """The reload that ends a trial."""

    concludes = True

    def __init__(self, trial: Trial, by: str) -> None:
        self.by = by
        self._trial = trial
        self._failures: list[str] = []

    def failed(self, problems: tuple[str, ...], code: str) -> None:
        """Nothing was changed, because the daemon is being shut down."""
        del problems, code
        self._trial.overtake()

    def result(self, entry: Entry, outcome: Outcome) -> None:
        """Note what does not come back."""
        if not outcome.ok:
            self._failures.append(self._trial.reason(entry, outcome))

    def settled(self, ticket: Ticket) -> None:
        """All is as it holds from now on."""
        del ticket
        self._trial.conclude("; ".join(self._failures[:1]))


def _tell(entries: Iterable[Entry], program: str, text: str, *, final: bool = False) -> None:
    for ticket in {each: None for entry in entries for each in entry.tickets}:
        if isinstance(ticket, Ticket):
            ticket.say(TRIED, program, text, final=final)


def _answer(entry: Entry, outcome: str, *, ok: bool) -> None:
    for ticket in tuple(entry.tickets):
        if isinstance(ticket, Ticket):
            ticket.conclude(TRIED, entry, Outcome(ok=ok, outcome=outcome))


def _became(entry: Entry) -> str:
    """Return what has become of something that was on trial and has been taken back."""
    if entry.removed:
        return "removed"
    return "rolled-back" if entry.process.goal_is_up else "overtaken"


def _slots(entries: Iterable[Entry]) -> list[tuple[str, int]]:
    return [(entry.program, entry.index) for entry in entries]
