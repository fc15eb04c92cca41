"""Asks running instances again and again whether they are well, and does what `health` says about those that are not.

Made with the first configuration that has `health`; it follows the change bus from then on. When an answer counts, and what follows
from it, is in `core.process.health` and `core.programs.restraint`; what becomes of the process is in `core.process.machine`.
"""

from __future__ import annotations

from taskmaster_common.config.health import NOTHING, RESTART, SIGNAL, STOP, rules_of
from taskmaster_common.records import Record
from taskmaster_common.states import RUNNING
from taskmaster_common.text.units import parse_signal
from taskmasterd.core.process.events import Judged, Unfit
from taskmasterd.core.process.health import Answer, answered, begun, counts, health_of, is_due
from taskmasterd.core.process.state import HEALTHY, UNHEALTHY
from taskmasterd.core.programs.checks import has_to_be_asked
from taskmasterd.core.programs.restraint import held_back
from taskmasterd.probing.tries.execute import ExecTry
from taskmasterd.probing.ways import WATCHDOG, try_of, way_of
from taskmasterd.system.loop.cmodules import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.health import Health
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.checks import Refusal
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.steps import Steps
    from taskmasterd.probing.text.result import Result
    from taskmasterd.probing.tries.queue import QueuedTry
    from taskmasterd.probing.ways import Asking
    from taskmasterd.system.loop.reactor import Timer

FIRST_WITHIN_S = 1.0
"""Longest time until the first check of an instance, seconds; those of many spread over it."""
AGAIN_S = 1.0
"""Pause after a check that came to no result because the system had no room for it, seconds."""
JITTER = 0.1
PARTS = 2001
"""Steps of a spread."""
STUCK_AFTER_S = 2.0
"""Time after a check's limit from which its child may be stuck, seconds."""


class Means(Record):
    """What checks work with.

    `deliver(entry, event)` hands an event to the supervisor, `signal(entry, number)` signals a leader and returns whether that
    is allowed, `say(level, text)` writes to the event log, `note(name, event, fields...)` to the history. `ask(entry, then)` asks pre_restart; `then(refusal)` gets None where
    it allows the restart.
    """

    asking: Asking
    table: Table
    deliver: Callable[[Entry, Event], None]
    signal: Callable[[Entry, int], bool]
    say: Callable[[str, str], None]
    ask: Callable[[Entry, Callable[[Refusal | None], None]], None]
    note: Callable[..., None]


class HealthChecks:
    """The checks of all instances that run and have `health`."""

    def __init__(self, means: Means) -> None:
        self._means = means
        self._reactor = means.asking.reactor
        self._checks: dict[Entry, _Check] = {}
        self._due: dict[str, dict[Entry, None]] = {}
        self._looking = False
        for entry in means.table:
            self.added(entry)

    # -- changes

    def changed(self, entry: Entry, before: Process, _event: Event, after: Process) -> None:
        """Begin with an instance that has become RUNNING, end with one that is no more; look again at who waits for it."""
        if after.state == RUNNING and before.state != RUNNING:
            self._begin(entry, listening=True)
        elif after.state != RUNNING and entry in self._checks:
            self.gone(entry)
        if self._due:
            self._look_soon()

    def added(self, entry: Entry) -> None:
        """Go on with an instance of an earlier daemon: its verdict stays, the counters restart."""
        if entry.process.state == RUNNING and entry not in self._checks:
            self._begin(entry, listening=False)

    def gone(self, entry: Entry) -> None:
        """Check an instance no more."""
        check = self._checks.pop(entry, None)
        if check:
            check.end()
        entry.check(None)
        self._forget_due(entry)

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Follow a reload: where `health` is another one, the verdict stays and the counters restart."""
        for program in plan.programs:
            if "health" in program.keys:
                for entry in self._means.table.slots(program.name):
                    self._renew(entry)
                    yield

    def _renew(self, entry: Entry) -> None:
        check = self._checks.get(entry)
        if entry.process.state != RUNNING or (check and check.value == entry.health):
            return
        self.gone(entry)
        if entry.health:
            self._begin(entry, listening=check.listening if check else False)
        elif entry.process.health:
            self._means.deliver(entry, Judged(entry.process.pid or 0, ""))

    def heard(self, entry: Entry, said: bool) -> None:
        """Take a WATCHDOG=1 of an instance, if it has `said` one; else know that from now on none is missed."""
        check = self._checks.get(entry)
        if isinstance(check, _Watchdog):
            if said:
                check.heard()
            else:
                check.listen(listening=True)

    def _begin(self, entry: Entry, *, listening: bool) -> None:
        value = entry.health
        if not value:
            return
        rules = rules_of(value)
        health = begun(entry.process.health, acted=rules.action not in (RESTART, STOP))
        kind = _Watchdog if WATCHDOG in value else _Asked
        self._checks[entry] = check = kind(self._means, entry, health, self._heard)
        check.listen(listening=listening)
        entry.check(health)
        check.begin()

    # -- answers

    def _heard(self, check: _Check, answer: Answer) -> None:
        """Take an answer about an instance."""
        entry, before, now = check.entry, check.health, self._reactor.now()
        counting = counts(check.rules, entry.policy, entry.process, before, now)
        check.health = health = answered(check.rules, before, answer, counting=counting)
        entry.check(health)
        if health.verdict != before.verdict:
            self._forget_due(entry)
            self._means.deliver(entry, Judged(entry.process.pid or 0, health.verdict, health.changes[-1][2]))
        if entry in self._checks and is_due(check.rules, health):
            self._due.setdefault(entry.program, {})[entry] = None
            self._look_soon()

    # -- what is to be done

    def _look_soon(self) -> None:
        """Look at those about whom something is to be done, in a turn of its own: perhaps it may be done now."""
        if not self._looking:
            self._looking = True
            self._reactor.call_soon(self._look)

    def _look(self) -> None:
        self._looking = False
        for program in tuple(self._due):
            waiting = tuple(self._due[program])
            reason = next(filter(None, map(self._act, waiting)), "")
            if reason:  # it holds back all that wait
                for entry in self._due.get(program, ()):
                    self._know(self._checks[entry], self._checks[entry].health.replace(held_back=reason))

    def _act(self, entry: Entry) -> str:
        """Do what is to be done about an unhealthy instance, or return why it may not be done yet."""
        if entry not in self._due.get(entry.program, ()):  # what was done about another one has concerned it
            return ""
        check = self._checks[entry]
        action = check.rules.action
        if action == RESTART:
            reason = held_back(self._means.table, entry, self._reactor.now())
            if reason:
                return reason
        self._forget_due(entry)
        self._know(check, check.health.replace(acted=True, held_back=""))
        if action == SIGNAL:
            self._signal(entry, check.rules.signal)
        elif action == RESTART and has_to_be_asked(entry):
            self._means.ask(entry, partial(self._allowed, entry, entry.process.pid or 0))
        elif action != NOTHING:
            self._means.deliver(entry, Unfit(entry.process.pid or 0, stop=action == STOP))
        return ""

    def _allowed(self, entry: Entry, pid: int, refusal: Refusal | None) -> None:
        """Restart an instance that may be restarted; another one is asked again after another round of failures.

        Asking takes its time: meanwhile the instance may have become healthy, or another one of the program gone down.
        """
        check = self._checks.get(entry)
        if check is None or entry.process.pid != pid or check.health.verdict != UNHEALTHY:
            return
        if refusal is None:
            reason = held_back(self._means.table, entry, self._reactor.now())
            if reason:
                self._know(check, check.health.replace(acted=False, held_back=reason))
                self._due.setdefault(entry.program, {})[entry] = None
            else:
                self._means.deliver(entry, Unfit(pid))
        elif refusal.because:
            self._know(check, check.health.replace(acted=False, failures=0, held_back=refusal.because))

    def _signal(self, entry: Entry, name: str) -> None:
        means = self._means
        allowed = means.signal(
            entry, parse_signal(name, {name: number for number, name in means.asking.signals.items()})
        )
        said = f"{name} to its leader" if allowed else f"its leader may not be signalled with {name}"
        shown = means.table.name(entry)
        if allowed:
            means.note(shown, "signalled", pid=entry.process.pid, signal=name, reason=UNHEALTHY)
        means.say("info" if allowed else "warning", f"{shown} is unhealthy: {said}")

    @staticmethod
    def _know(check: _Check, health: Health) -> None:
        check.health = health
        check.entry.check(health)

    def _forget_due(self, entry: Entry) -> None:
        waiting = self._due.get(entry.program, {})
        waiting.pop(entry, None)
        if not waiting:
            self._due.pop(entry.program, None)

    # -- what others ask

    def ask(self, entry: Entry, done: Callable[[Result], None]) -> QueuedTry | None:
        """Ask an instance that runs once more, now; no counter changes. None: it has a watchdog, so nobody can ask it."""
        asking, value = self._means.asking, entry.health
        return None if WATCHDOG in value else asking.queue(way_of(value)).begin(try_of(asking, entry, value), done)

    def overdue(self) -> list[Entry]:
        """Return the instances whose check has been waiting for its turn for longer than its interval."""
        now = self._reactor.now()
        return [entry for entry, check in self._checks.items() if check.waits_s(now) > check.rules.interval]

    def to_data(self) -> Iterable[Mapping[str, Any]]:
        """Return the counters, for the daemon that is executed next."""
        for entry, check in self._checks.items():
            yield {
                "program": entry.program,
                "index": entry.index,
                "listening": check.listening,
                "health": check.health.to_data(),
            }

    def resume(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Go on with the counters of the daemon before, of which this is the same process."""
        for row in rows:
            entry = self._means.table.slot(row["program"], row["index"])
            check = self._checks.get(entry) if entry else None
            if check and check.health.verdict == row["health"].get("verdict", ""):
                self._know(check, health_of(row["health"]))
                check.listen(listening=row["listening"])


class _Check:
    """The checks of one instance. `heard(self, answer)` gets each answer; `value` is its `health`.

    `listening`: what it announces is heard for certain, because a daemon has listened since its start.
    """

    def __init__(self, means: Means, entry: Entry, health: Health, heard: Callable[[_Check, Answer], None]) -> None:
        self.entry = entry
        self.value = entry.health
        self.rules = rules_of(self.value)
        self.health = health
        self._reactor = means.asking.reactor
        self._means = means
        self._heard = heard
        self._timer: Timer | None = None
        self._over = False
        self.listening = False

    def begin(self) -> None:
        """Begin."""

    def listen(self, *, listening: bool) -> None:
        """Know whether what the instance announces is heard for certain."""
        self.listening = listening

    def end(self) -> None:
        """Ask no more, and drop what is not answered yet."""
        self._over = True
        self._reactor.cancel(self._timer)

    def waits_s(self, _now: float) -> float:
        """Return how long it has been waiting for its turn, seconds."""
        return 0.0

    def _later(self, delay_s: float, callback: Callable[[], None]) -> None:
        self._reactor.cancel(self._timer)
        self._timer = self._reactor.call_later(delay_s, callback)


class _Asked(_Check):
    """Asks one instance by a probe; the next one begins an interval after the end of the last."""

    def __init__(self, means: Means, entry: Entry, health: Health, heard: Callable[[_Check, Answer], None]) -> None:
        super().__init__(means, entry, health, heard)
        self._probe = try_of(means.asking, entry, self.value)
        self._queue = means.asking.queue(way_of(self.value))
        self._running: QueuedTry | None = None

    def begin(self) -> None:
        """Ask for the first time at a moment of its own, counted from the end of what goes on now: a take-over may take long."""
        self._reactor.call_soon(self._arm)

    def _arm(self) -> None:
        if not self._over:
            self._later(
                min(self.rules.interval, FIRST_WITHIN_S) * _spread(self.entry.program, self.entry.index), self._ask
            )

    def end(self) -> None:
        """End the probe that is under way, too."""
        super().end()
        if self._running:
            self._running.cancel()

    def waits_s(self, now: float) -> float:
        """Return how long its probe has been in the queue."""
        return now - self._running.since if self._running and not self._running.begun else 0.0

    def _ask(self) -> None:
        self._running = self._queue.begin(self._probe, self._done)
        if isinstance(self._probe, ExecTry):
            self._later(self.rules.timeout + STUCK_AFTER_S + self.rules.interval, self._look_at_child)

    def _look_at_child(self) -> None:
        """A child that KILL does not end is one failure an interval; nothing else is asked before it is gone."""
        stuck = self._probe.stuck if isinstance(self._probe, ExecTry) else ""
        self._later(self.rules.interval, self._look_at_child)
        if stuck:
            self._heard(self, Answer(False, stuck, self._reactor.now()))

    def _done(self, result: Result) -> None:
        self._running = None
        if self._over:
            return
        pause_s = (
            AGAIN_S
            if result.ok is None
            else self.rules.interval * (1 - JITTER + 2 * JITTER * _spread(self._reactor.now()))
        )
        self._later(pause_s, self._ask)
        self._heard(
            self,
            Answer(
                result.ok, f"{way_of(self.value)}: {result.text}", self._reactor.now(), result.output, result.took_s
            ),
        )


class _Watchdog(_Check):
    """Hears an instance say again and again that it is well. One timer a period, none per message."""

    def __init__(self, means: Means, entry: Entry, health: Health, heard: Callable[[_Check, Answer], None]) -> None:
        super().__init__(means, entry, health, heard)
        self._last = self._reactor.now()

    def begin(self) -> None:
        """Wait for the first word."""
        self._later(self.rules.interval, self._look)

    def heard(self) -> None:
        """Take a word; only the first one, and one that may change the verdict or ends a silence that did not count, is an answer."""
        self._last = now = self._reactor.now()
        self.listening = True
        last = self.health.last
        if self.health.verdict != HEALTHY or last is None or not last.ok:
            self._heard(self, Answer(True, "WATCHDOG=1", now))

    def _look(self) -> None:
        now, period_s = self._reactor.now(), self.rules.interval
        left_s = self._last + period_s - now
        self._later(left_s if left_s > 0 else period_s, self._look)
        if left_s <= 0 and self.listening:
            self._heard(self, Answer(False, f"no WATCHDOG=1 for {now - self._last:.3g}s", now))


def _spread(*what: object) -> float:
    """Return a number from 0 to 1 that is another one for other words."""
    return (hash(what) % PARTS) / (PARTS - 1)
