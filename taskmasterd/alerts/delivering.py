"""Takes the messages of one rule to its destination: one delivery at a time, tried again until it works or is given up."""

from __future__ import annotations

import os

from taskmaster_common.config.alerts.words import CMD, kind_of
from taskmasterd.alerts.context import Delivery, DeliveryResult
from taskmasterd.alerts.sending import MOST_MESSAGES
from taskmasterd.ondemand import on_demand
from taskmasterd.system.loop.cmodules import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmaster_common.config.alerts.rule import AlertRule
    from taskmasterd.alerts import command
    from taskmasterd.alerts.command import Awaited, CommandRun
    from taskmasterd.alerts.context import AlertContext
    from taskmasterd.alerts.queue import AlertQueue, Waiting
    from taskmasterd.alerts.sending import HelperRun, Helpers
    from taskmasterd.probing.leftovers import Mark
else:
    command = on_demand("taskmasterd.alerts.command")

FIRST_RETRY_S, LONGEST_RETRY_S = 10.0, 3600.0
DISTRUST = 3
"""Tries after which a bad certificate counts as final."""


def ran(context: AlertContext, helpers: Helpers, delivery: Delivery) -> HelperRun | CommandRun:
    """Begin a delivery by a child."""
    if kind_of(delivery.rule) != CMD:
        return helpers.begin(delivery)
    run: CommandRun = command.CommandRun(context, delivery)
    run.start()
    return run


class Delivering:
    """The deliveries of one rule. `error` says why the last one failed, "" after a success; `last` is when one succeeded (wall clock).

    `again()` is called when it is time for another look.
    """

    def __init__(
        self, context: AlertContext, helpers: Helpers, queue: AlertQueue, rule: AlertRule, again: Callable[[], None]
    ) -> None:
        self.error = ""
        self.last = 0.0
        self._context = context
        self._helpers = helpers
        self._queue = queue
        self._rule = rule
        self._again = again
        self._run: HelperRun | CommandRun | Awaited | None = None
        self._busy: list[Waiting] = []
        self._attempts = 0
        self._retry_at = 0.0

    def change(self, rule: AlertRule) -> None:
        """Deliver by another rule from now on; what is under way finishes with the old one."""
        self._rule = rule
        self.hurry()

    def hurry(self) -> None:
        """Let the next try be due."""
        self._attempts, self._retry_at = 0, 0.0

    @property
    def next(self) -> float | None:
        """When the next try is due, None where nothing waits for one."""
        return self._retry_at if not self._run and self._queue.due else None

    @property
    def idle(self) -> bool:
        """Whether nothing is being delivered, and nothing will be before somebody asks or time passes."""
        return self._run is None and not (self._queue.due and self._retry_at <= self._context.reactor.now())

    def begin(self, now: float) -> None:
        """Deliver what is due, unless something is being delivered or has to wait."""
        due = self._queue.due
        if self._run or self._retry_at > now or not due:
            return
        self._busy = due[: 1 if kind_of(self._rule) == CMD else MOST_MESSAGES]
        for message in self._busy:
            message.take()
        lost, first = self._queue.lost, self._busy[0].number
        report = partial(self._reported, first, lost)
        self._run = ran(self._context, self._helpers, Delivery(self._rule, self._busy, lost, report, self._ended))

    def _reported(self, first: int, lost: int, number: int, result: DeliveryResult) -> None:
        if not result.text:
            self.error, self.last = "", self._context.wall()
            self.hurry()
            self._queue.gone(number)
            if number == first:
                self._queue.told(lost)
        else:
            self._failed(number, result)
        self._queue.flush()

    def _failed(self, number: int, result: DeliveryResult) -> None:
        message = self._queue.get(number)
        if message is None:
            return
        distrusted = message.distrust() if result.certificate else 0
        waited = self._context.wall() - message.begun
        if result.final or distrusted >= DISTRUST:
            self._drop(message, result.text)
        elif waited >= self._rule.give_up:
            self._drop(message, f"given up after {int(waited)}s: {result.text}")
        else:
            self._wait(result, self._rule.give_up - waited)

    def _drop(self, message: Waiting, text: str) -> None:
        name, count = self._rule.name, max(1, len(message.events))
        self.error = text
        self._queue.gone(message.number)
        events = f"{count} event{'s' if count != 1 else ''}"
        self._context.failed(name, text)
        self._context.say("warning", f"alert {name}: dropped a message of {events}: {text}")

    def _wait(self, result: DeliveryResult, left_s: float) -> None:
        self._attempts += 1
        jitter = os.urandom(1)[0] / 255
        delay = min(FIRST_RETRY_S * 2.0 ** min(self._attempts - 1, 20), LONGEST_RETRY_S) * (0.9 + 0.2 * jitter)
        if result.after is not None:
            delay = result.after * (1.0 + 0.1 * jitter) if result.after else min(delay, 1.0)
        if self._attempts == 1 or result.text != self.error:
            text = f"alert {self._rule.name}: not delivered: {result.text}; again in {delay:.0f}s"
            self._context.say("warning", text)
        self.error = result.text
        self._retry_at = self._context.reactor.now() + min(delay, max(left_s, 1.0))

    def _ended(self, text: str) -> None:
        """Take that nothing of a delivery is left; with a text it has not done all it should."""
        self._run = None
        busy, self._busy = self._busy, []
        for message in busy:
            message.give_back()
        left = [each for each in busy if self._queue.get(each.number)]
        if text and left and self._retry_at <= self._context.reactor.now():
            self._failed(left[0].number, DeliveryResult(text))
            self._queue.flush()
        self._again()

    def cancel(self) -> None:
        """End what is being delivered: it waits on the disk."""
        if self._run:
            self._run.cancel()
            self._run = None

    # -- for a later daemon

    def to_data(self) -> Mapping[str, Any]:
        """Return what runs, {} where nothing does."""
        return self._run.to_data() if self._run else {}

    def go_on(self, row: Mapping[str, Any]) -> None:
        """Wait for what an earlier daemon has started: two at a time would be out of order."""
        message = self._queue.get(row["message"])
        if kind_of(self._rule) == CMD and message:
            self._busy = [message]
            message.take()
            report = partial(self._reported, message.number, 0)
            run = command.CommandRun(self._context, Delivery(self._rule, self._busy, 0, report, self._ended))
            run.go_on(row)
            self._run = run
        else:
            self._run = command.Awaited(self._context, row, self._ended)

    @property
    def mark(self) -> Mark | None:
        """What identifies a child of an earlier daemon that goes on, None without one."""
        return self._run.mark if self._run else None
