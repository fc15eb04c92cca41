"""One rule at work: hears events, queues what it tells, and has it delivered when it is due."""

from __future__ import annotations

from taskmaster_common.config.alerts.words import SYSLOG, batch_of, kind_of, limit_of
from taskmaster_common.errors import SystemFailure
from taskmaster_common.text.names import ALL
from taskmaster_common.text.patterns import ungrouped
from taskmasterd.alerts.delivering import Delivering
from taskmasterd.alerts.queue import AlertQueue
from taskmasterd.core.alerting import Alerting, Settings, Tell
from taskmasterd.ondemand import on_demand
from taskmasterd.output.safe.journal import Journal, LatestValues

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from taskmaster_common.config.alerts.rule import AlertRule
    from taskmasterd.alerts import datagrams
    from taskmasterd.alerts.context import AlertContext
    from taskmasterd.alerts.datagrams import Datagrams
    from taskmasterd.alerts.sending import Helpers
    from taskmasterd.core.alerting import Deliver
    from taskmasterd.output.safe.journal import Place
    from taskmasterd.system.loop.reactor import Timer

    Event = Mapping[str, Any]
    Groups = Mapping[str, Sequence[str]]
else:
    datagrams = on_demand("taskmasterd.alerts.datagrams")

OPEN = "~open"
"""Ends the name of the file with the open troubles."""


def settings_of(rule: AlertRule, groups: Groups) -> Settings:
    """Return what a rule asks for, groups resolved."""
    targets = ungrouped(rule.targets, groups) if rule.targets else (ALL,)
    return Settings(rule.events, targets, rule.for_, batch_of(rule), limit_of(rule))


def _direct(context: AlertContext, rule: AlertRule) -> Datagrams | None:
    """Return what sends the rule's messages from the daemon itself, None where children deliver them."""
    direct = kind_of(rule) == SYSLOG and datagrams.is_direct(rule)
    return datagrams.Datagrams(context, rule) if direct else None


class RuleAtWork:
    """One rule, with its queue, its open troubles and its deliveries."""

    def __init__(self, context: AlertContext, helpers: Helpers, place: Place, rule: AlertRule, groups: Groups) -> None:
        self.rule = rule
        self._context = context
        self._alerting = Alerting(settings_of(rule, groups))
        self._queue = AlertQueue(Journal(place, rule.name))
        self._troubles = LatestValues(Journal(place, rule.name + OPEN))
        self._direct: Datagrams | None = _direct(self._context, rule)
        self.deliveries = Delivering(context, helpers, self._queue, rule, self._kick)
        self._timer: Timer | None = None
        self._kicked = self._held = False
        self._waiters: list[Callable[[], None]] = []

    def change(self, rule: AlertRule, groups: Groups) -> None:
        """Follow a reload. What waits stays; a delivery under way finishes with the old rule."""
        if rule != self.rule:
            self.rule = rule
            self._direct = _direct(self._context, rule)
            self.deliveries.change(rule)
        self._alerting.change(settings_of(rule, groups))
        self._kick()

    def hold(self, held: bool) -> None:
        """Deliver nothing until its URL is known, or known to be unknown."""
        self._held = held
        if not held:
            self._kick()

    # -- how it is

    @property
    def waiting(self) -> int:
        """How many events wait."""
        return self._queue.events + sum(not each.events for each in self._queue)

    @property
    def trouble(self) -> str:
        """Why messages do not arrive, "" where nothing is known to be wrong."""
        return self._direct.trouble if self._direct else self.deliveries.error

    @property
    def last(self) -> float:
        """When a message was delivered last, by the wall clock; 0 for never."""
        return self._direct.last if self._direct else self.deliveries.last

    @property
    def idle(self) -> bool:
        """Whether nothing is being delivered, and nothing will be before somebody asks or time passes."""
        return self._held or self.deliveries.idle

    # -- what happens

    def selects(self, name: str) -> bool:
        """Return whether the rule is about a process."""
        return self._alerting.selects(name)

    def heard(self, event: Event) -> None:
        """Take a record of the history."""
        self._apply(self._alerting.heard(event, self._context.reactor.now(), self._context.wall()))

    def reconcile(self, states: Callable[[str], str]) -> None:
        """End what is over by now: `states(name)` returns in which state a slot is as it should be, "" where it is not."""
        for name in tuple(self._alerting.open):
            state = states(name)
            if state:
                self._apply(self._alerting.over(name, state, self._context.reactor.now(), self._context.wall()))
        self.written()

    def _apply(self, acts: Iterable[Tell | Deliver]) -> None:
        for act in acts:
            if isinstance(act, Tell) and self._direct and not self._alerting.settings.batch_s:
                self._direct.send(act.event)
            elif isinstance(act, Tell):
                self._queue.add(act.message, act.event)
            elif self._direct:
                self._send_all(act.message)
            else:
                self._queue.completed(act.message)
        for name in self._alerting.changed:
            self._troubles.put(name, self._alerting.rows(name))
        self._alerting.changed.clear()
        self._kick()

    def _send_all(self, number: int) -> None:
        """Send a message by datagrams."""
        message = self._queue.get(number)
        if message and self._direct:
            for event in message.records:
                self._direct.send(event)
            self._queue.gone(number)

    def written(self) -> None:
        """Write what is new to the disk."""
        self._queue.flush()
        self._troubles.flush()

    # -- time

    def _kick(self) -> None:
        """Look at the end of this turn what is due: by then all of it is on the disk."""
        if not self._kicked:
            self._kicked = True
            self._context.reactor.call_soon(self._look)

    def _look(self) -> None:
        self._kicked = False
        self.written()
        now = self._context.reactor.now()
        acts = self._alerting.passed(now, self._context.wall())
        if acts:
            self._apply(acts)
            self.written()
        if self._direct:
            for message in self._queue.due:
                self._send_all(message.number)
        if not self._held:
            self.deliveries.begin(now)
        self._arm()
        if self._waiters and self.idle:
            waiters, self._waiters = self._waiters, []
            for waiter in waiters:
                waiter()

    def _arm(self) -> None:
        reactor = self._context.reactor
        tries = None if self._held else self.deliveries.next
        times = [when for when in (self._alerting.next(), tries) if when is not None]
        reactor.cancel(self._timer)
        self._timer = reactor.call_at(min(times), self._kick) if times else None

    # -- what operators ask

    def flush(self, done: Callable[[], None] | None = None) -> None:
        """Have all that waits delivered now; `done()` is called when that has worked, or failed once."""
        self.deliveries.hurry()
        if done:
            self._waiters.append(done)
        self._apply(self._alerting.flush(self._context.reactor.now(), self._context.wall()))
        self.written()

    def cancel(self) -> None:
        """End what is being delivered: it waits on the disk."""
        self.deliveries.cancel()
        self._context.reactor.cancel(self._timer)

    def remove(self) -> int:
        """Drop the rule with all that waits; return how many events that are."""
        waiting = self.waiting
        self.cancel()
        self._queue.remove()
        self._troubles.remove()
        return waiting

    # -- for a later daemon

    def resume(self, row: Mapping[str, Any] | None) -> None:
        """Take what an earlier daemon has left: what waits, open troubles, and what still runs."""
        problem = self._queue.resume()
        now, wall = self._context.reactor.now(), self._context.wall()
        try:
            for name, rows in self._troubles.read().items():
                self._alerting.resume(name, rows, now, wall)
        except (OSError, SystemFailure, KeyError, TypeError, ValueError) as error:
            problem = problem or str(error)
        if problem:
            text = f"alert {self.rule.name}: cannot read what an earlier daemon has left: {problem}"
            self._context.say("warning", text)
        for message in self._queue:
            self._alerting.begin_after(message.number)
        if row:
            self.deliveries.go_on(row)
        self._kick()
