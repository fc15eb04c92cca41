"""Starts helpers, at most four at once, and reads what came of each message."""

from __future__ import annotations

import os

from taskmaster_common.config.alerts.words import kind_of
from taskmaster_common.errors import system_reason
from taskmaster_common.jsontext import read_json, write_json
from taskmasterd.alerts.context import DeliveryResult
from taskmasterd.alerts.helper.protocol import VERSION
from taskmasterd.fallbacks import file_of
from taskmasterd.processes.errand import Errand, executing
from taskmasterd.processes.members.proofs import ALERT, ROLE
from taskmasterd.system.loop.cmodules import deque
from taskmasterd.system.procfs import started_at

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmasterd.alerts.context import AlertContext, Delivery
    from taskmasterd.processes.errand import Ending

URL_NOT_KNOWN = "the URL is not known since the daemon's restart: run `taskmasterctl reload`"
AT_ONCE = 4
"""Most helpers at once."""
MOST_MESSAGES = 20
"""Most messages that one helper gets."""
START_S = 10.0
"""Time added for the start of the interpreter, seconds."""
MOST_SAID = 64 * 1024
"""Most bytes of a line of a helper."""


class Helpers:
    """All helpers, and the deliveries that wait for one."""

    def __init__(self, context: AlertContext) -> None:
        self._context = context
        self._waiting: deque[HelperRun] = deque()
        self._running: dict[str, HelperRun] = {}

    def begin(self, delivery: Delivery) -> HelperRun:
        """Deliver, at once or when a helper has ended."""
        run = HelperRun(self._context, delivery, self._ended)
        self._waiting.append(run)
        self._begin_next()
        return run

    def _begin_next(self) -> None:
        while self._waiting and len(self._running) < AT_ONCE:
            run = self._waiting.popleft()
            if not run.cancelled:
                self._running[run.name] = run
                run.start()

    def _ended(self, run: HelperRun) -> None:
        if self._running.get(run.name) is run:
            del self._running[run.name]
        self._begin_next()


class HelperRun:
    """One helper: an errand with the order and its messages as standard input."""

    def __init__(self, context: AlertContext, delivery: Delivery, ended: Any) -> None:
        self._context = context
        self._delivery = delivery
        self._ended = ended
        self._errand: Errand | None = None
        self._rest = b""
        self._stop = ""
        self._numbers: dict[str, int] = {}
        self._started = -1
        self.cancelled = False
        self.name = f"{delivery.rule.name}{'~test' if delivery.said else ''}"

    mark = None
    """Only the pid identifies it: a later daemon that waits for it does not continue its work."""

    def to_data(self) -> dict[str, Any]:
        """Return what a later daemon needs to wait for it, {} where nothing runs."""
        return {"message": 0, "pid": self._errand.pid, "started": self._started} if self._errand else {}

    def start(self) -> None:
        """Start it."""
        delivery, rule = self._delivery, self._delivery.rule
        messages = delivery.messages[:MOST_MESSAGES]
        self._numbers = {each.id(rule.name): each.number for each in messages}
        problem = self._context.outdated() or (URL_NOT_KNOWN if rule.http.get("unknown") else "")
        if problem:
            self._conclude(problem)
            return
        try:
            fd = self._input(messages)
        except OSError as error:
            self._conclude(f"cannot start the helper: {system_reason(error)}")
            return
        try:
            self._errand = Errand(
                self._context.errands(),
                executing(list(self._context.command), {**self._context.environment, ROLE: ALERT}),
                self._done,
                timeout_s=rule.timeout * len(messages) + START_S,
                stdin=fd,
                on_output=self._heard,
            )
        finally:
            os.close(fd)
        self._started = started_at(self._errand.pid) or -1

    def cancel(self) -> None:
        """End it; nothing is reported any more."""
        self.cancelled = True
        if self._errand:
            self._errand.cancel()
        self._ended(self)

    def _input(self, messages: Any) -> int:
        delivery, rule = self._delivery, self._delivery.rule
        kind = kind_of(rule)
        order = {
            "taskmaster_alert": VERSION,
            "rule": rule.name,
            "kind": kind,
            "destination": getattr(rule, kind),
            "host": self._context.host,
            "timeout": rule.timeout,
            "pid": self._context.pid,
            "dialogue": delivery.said is not None,
            "socket": self._context.socket,
        }
        rows: list[object] = [order]
        rows += [each.line(rule.name, 0 if number else delivery.lost) for number, each in enumerate(messages)]
        return file_of(b"".join([write_json(row) + b"\n" for row in rows]))

    def _heard(self, piece: bytes) -> None:
        *lines, self._rest = (self._rest + piece)[-MOST_SAID:].split(b"\n")
        for line in lines:
            try:
                self._take(read_json(line.decode("utf-8", "replace")))
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                self._stop = line.decode("utf-8", "replace")[:200]  # the last line of a traceback, say

    def _take(self, answer: Any) -> None:
        if "said" in answer:
            if self._delivery.said:
                self._delivery.said(str(answer["said"]))
        elif "stop" in answer:
            self._stop = str(answer["stop"])
        elif answer.get("done") is True:
            self._delivery.report(self._numbers.pop(answer["id"]), DeliveryResult())
        else:
            after = answer.get("after")
            outcome = DeliveryResult(
                str(answer["failed"]),
                bool(answer["final"]),
                None if after is None else max(0.0, float(after)),
                answer.get("certificate") is True,
            )
            self._delivery.report(self._numbers.pop(answer["id"]), outcome)

    def _done(self, ending: Ending) -> None:
        text = ending.refused or self._stop
        if not text and ending.late:
            text = "the helper did not end in time"
        if not text and ending.status:
            text = f"the helper ended with wait status {ending.status}"
        self._conclude(text)

    def _conclude(self, text: str) -> None:
        def later() -> None:
            self._errand = None
            self._ended(self)
            self._delivery.ended(text)

        self._context.reactor.call_soon(later)
