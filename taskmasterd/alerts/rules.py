"""All alert rules: hears the history, follows reloads, answers `alert`, and tries for a moment at the end of the daemon."""

from __future__ import annotations

from taskmaster_common.config import alerts_data
from taskmaster_common.config.alerts.rule import AlertRule
from taskmaster_common.config.alerts.words import SYSLOG, kind_of
from taskmaster_common.config.events import OF_PROCESSES
from taskmasterd.alerts import views
from taskmasterd.alerts.context import Delivery
from taskmasterd.alerts.delivering import ran
from taskmasterd.alerts.queue import Waiting
from taskmasterd.alerts.rule import OPEN, RuleAtWork
from taskmasterd.alerts.sending import Helpers
from taskmasterd.ondemand import on_demand
from taskmasterd.output.safe.journal import DRAFT, Place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from taskmaster_common.config import Config
    from taskmasterd.alerts import datagrams
    from taskmasterd.alerts.context import AlertContext, DeliveryResult
    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry

    Rows = Iterable[tuple[str, Mapping[str, Any]]]
else:
    datagrams = on_demand("taskmasterd.alerts.datagrams")

LAST_S = 5.0
"""Longest time that the end of the daemon waits for what is due, seconds."""


class Alerts:
    """The rules of the present configuration. A watcher of the history, and a listener (`heard`)."""

    def __init__(self, context: AlertContext, path: str | None) -> None:
        """`path` is the directory of the queues, None where the daemon has none."""
        self._context = context
        self._place = Place(path, "alerts that wait")
        self._helpers = Helpers(context)
        self._rules: dict[str, RuleAtWork] = {}
        self._tests: list[Any] = []
        self._left: Callable[[], None] | None = None
        self._moved: tuple[Entry, str, str] | None = None

    # -- the configuration

    def begin(self, config: Config, rows: Rows = ()) -> None:
        """Begin with what an earlier daemon has left: its queues, and what it had running (`to_data`)."""
        running = dict(rows)
        for name, data in config.alerts.items():
            rule = AlertRule.from_data(data)
            self._rules[name] = made = RuleAtWork(self._context, self._helpers, self._place, rule, config.groups)
            made.resume(running.get(name))
        self._drop_queues()
        unknown = [each for each in self._rules.values() if each.rule.http.get("unknown")]
        for each in unknown:
            each.hold(True)
        if unknown:
            self._context.read(self._learn)

    def _learn(self, config: Config | None) -> None:
        """Take the URLs, which the state does not have, from the configuration; of a rule that has changed there, nothing."""
        known = config.alerts if config else {}
        for name, data in alerts_data(known, known=False).get("alerts", {}).items():
            found = self._rules.get(name)
            if config and found and found.rule == AlertRule.from_data(data):
                found.change(AlertRule.from_data(known[name]), config.groups)
                self._context.learned(name, known[name])
        for rule in self._rules.values():
            rule.hold(False)

    def follow(self, config: Config) -> None:
        """Follow a reload."""
        for name in [each for each in self._rules if each not in config.alerts]:
            waiting = self._rules.pop(name).remove()
            if waiting:
                self._context.say("warning", f"alert {name} is removed; {waiting} events that waited are dropped")
        for name, data in config.alerts.items():
            rule = AlertRule.from_data(data)
            if name in self._rules:
                self._rules[name].change(rule, config.groups)
            else:
                self._rules[name] = made = RuleAtWork(self._context, self._helpers, self._place, rule, config.groups)
                made.remove()  # what an earlier rule of this name may have left

    def _drop_queues(self) -> None:
        """Drop the queues of rules that are no longer there."""
        kept = {*self._rules, *(f"{name}{OPEN}" for name in self._rules)}
        for name in self._place.names():
            if name not in kept:
                self._place.discard(name)
                if not name.endswith((OPEN, DRAFT)):
                    self._context.say("warning", f"there is no alert {name} any more; what waited for it is dropped")

    # -- what happens

    def heard(self, record: Mapping[str, Any]) -> None:
        """Take a record of the history; one of a process gets the states before and after."""
        if self._moved and record["event"] in OF_PROCESSES and self._context.name(self._moved[0]) == record["name"]:
            entry, before, state = self._moved
            record = {**record, "before": before, "state": state, "log": self._context.log(entry)}
        for rule in self._rules.values():
            rule.heard(record)

    def moved(self, entry: Entry, before: Process, _event: Event, after: Process) -> None:
        """Note a change of a process, the records of which come next."""
        self._moved = (entry, before.state, after.state)

    def noted(self, record: Mapping[str, Any]) -> None:
        """Do nothing: `heard` has it."""

    def written(self) -> None:
        """Write what is new, with the history."""
        for rule in self._rules.values():
            rule.written()

    def reconcile(self, states: Callable[[str], str]) -> None:
        """End troubles that are over by now, see `RuleAtWork.reconcile`."""
        for rule in self._rules.values():
            rule.reconcile(states)

    # -- what operators ask

    def get(self, name: str) -> RuleAtWork | None:
        """Return the rule of that name."""
        return self._rules.get(name)

    def names(self) -> list[str]:
        """Return the names of all rules."""
        return [*self._rules]

    @staticmethod
    def view(rule: RuleAtWork) -> dict[str, Any]:
        """Return the row of one rule."""
        return views.view(rule)

    def views(self) -> list[dict[str, Any]]:
        """Return the rows of `alert list`."""
        return [views.view(rule) for rule in self._rules.values()]

    def warnings(self) -> list[str]:
        """Return what `status` warns of."""
        texts = [views.warning(rule) for rule in self._rules.values()]
        return [text for text in (self._place.trouble if self._rules else "", *texts) if text]

    def test(
        self, name: str, event: Mapping[str, Any], said: Callable[[str], None], done: Callable[[str], None]
    ) -> None:
        """Deliver one event by a rule at once; `done(text)` says why that has failed, "" where it has not."""
        rule = self._rules[name].rule
        message = Waiting(int(self._context.wall() * 1e6))
        message.events.append(event)
        failure = ["nothing came of it"]

        def report(_number: int, outcome: DeliveryResult) -> None:
            failure[0] = outcome.text

        def ended(text: str) -> None:
            self._tests = [each for each in self._tests if each is not run]
            done(text or failure[0])

        if kind_of(rule) == SYSLOG and datagrams.is_direct(rule):
            sender = datagrams.Datagrams(self._context, rule)
            sender.send(event)
            self._context.reactor.call_later(
                0.0 if sender.last or sender.error else 1.0,
                lambda: done(sender.error or ("" if sender.last else "nobody reads it")),
            )
            return
        run = ran(self._context, self._helpers, Delivery(rule, [message], 0, report, ended, said))
        self._tests.append(run)

    # -- the end of the daemon

    def finish(self, done: Callable[[], None]) -> None:
        """Try to deliver what is due, for LAST_S at most; what is left waits on the disk."""
        self._left = done
        timer = self._context.reactor.call_later(LAST_S, self._conclude)

        def look() -> None:
            if self._left and all(rule.idle for rule in self._rules.values()):
                self._context.reactor.cancel(timer)
                self._conclude()

        for rule in self._rules.values():
            rule.flush(look)
        look()

    def _conclude(self) -> None:
        done, self._left = self._left, None
        if done:
            for rule in self._rules.values():
                rule.cancel()
                rule.written()
            for run in self._tests:
                run.cancel()
            done()

    # -- for a later daemon

    def to_data(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return what runs, by rule."""
        rows = [(name, rule.deliveries.to_data()) for name, rule in self._rules.items()]
        return [(name, row) for name, row in rows if row]

    @property
    def marks(self) -> list[Any]:
        """What identifies the children of an earlier daemon that go on."""
        marks = [rule.deliveries.mark for rule in self._rules.values()]
        return [mark for mark in marks if mark]
