"""`alert`: the rules, a try of one, and what waits delivered now."""

from __future__ import annotations

import time

from taskmaster_common.config.alerts.words import WORDS
from taskmaster_common.config.events import RECOVERED
from taskmaster_common.errors import RequestError
from taskmaster_common.protocol import end, refusal
from taskmaster_common.text.nearest import hint
from taskmasterd.control.call import UNKNOWN_WHEN_ACTING
from taskmasterd.control.waits import Wait

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmasterd.alerts.rule import RuleAtWork
    from taskmasterd.alerts.rules import Alerts
    from taskmasterd.control.call import Call
    from taskmasterd.control.context import Context

NOT_DELIVERED = 1
USUAL_EVENT = "fatal"


def alert(call: Call) -> None:
    """The rules, or a try of one. Raises RequestError "unknown-name" or "usage"."""
    rules, targets = call.context.alerts.made, call.request.targets
    if not targets or targets[0] == "list":
        views = rules.views() if rules and not call.sight.limited else ()
        for number, view in enumerate(views):
            call.connection.send({**_message(call.context, view), **({} if number else {"first": True})})
        if not views:
            call.connection.send({"type": "text", "text": "no alert rule"})
        call.connection.end(end(0))
        return
    name = targets[1]
    found = rules.get(name) if rules else None
    if rules is None or found is None:
        raise _unknown(rules, name)
    AlertWait(call, rules, found).begin()


def resume(call: Call, _data: Mapping[str, Any]) -> None:
    """Say that an upgrade has ended the wait."""
    error = RequestError("failed", "the daemon was upgraded meanwhile: ask again", NOT_DELIVERED)
    call.connection.end(refusal(error))


def _unknown(rules: Alerts | None, name: str) -> RequestError:
    names = rules.names() if rules else []
    there = hint(name, names) if names else "; the configuration has no alerts"
    return RequestError("unknown-name", f'no alert rule named "{name}"{there}', UNKNOWN_WHEN_ACTING)


def _message(context: Context, view: Mapping[str, Any]) -> dict[str, Any]:
    last = view["last"]
    ago = None if last is None else round(max(0.0, context.wall() - last), 3)
    return {"type": "alert", **view, "last": None if last is None else _stamp(last), "last_ago_s": ago}


def _stamp(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


class AlertWait(Wait):
    """A client that waits for a delivery."""

    def __init__(self, call: Call, rules: Alerts, rule: RuleAtWork) -> None:
        super().__init__(call.context, call.connection, call.request)
        self._call = call
        self._rules = rules
        self._rule = rule

    def begin(self) -> None:
        """Begin the delivery. Raises RequestError "usage"."""
        if self.request.targets[0] == "flush":
            self._begin()
            self._rule.flush(self._flushed)
            return
        event = self._event()
        self._begin()
        self._rules.test(self._rule.rule.name, event, self._say, self._tested)

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade."""
        return {"kind": "alert", "words": self.request.words()}

    def _event(self) -> dict[str, Any]:
        """Return the event that a test pretends. Raises RequestError "usage"."""
        word = self.request.text("event", USUAL_EVENT)
        if word not in WORDS:
            raise RequestError("usage", f'there is no event "{word}"{hint(word, WORDS, most=len(WORDS))}', 2)
        table = self._context.supervisor.table
        name = next((table.name(entry) for entry in table if self._rule.selects(table.name(entry))), "")
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self._context.wall()))
        found = {
            "name": name,
            "event": word,
            "time": f"{stamp}Z",
            "reason": f"this is a test, asked by {self._call.by}",
        }
        return {**found, "state": "RUNNING", "was": "fatal", "lasted": 0.0} if word == RECOVERED else found

    def _say(self, line: str) -> None:
        if not self.ended:
            self._connection.send({"type": "said", "text": line})

    def _tested(self, failure: str) -> None:
        if failure:
            name = self._rule.rule.name
            self._end(NOT_DELIVERED, RequestError("failed", f"alert {name}: not delivered: {failure}", NOT_DELIVERED))
            return
        self._done()

    def _flushed(self) -> None:
        rule = self._rule
        if rule.waiting and rule.trouble:
            text = f"alert {rule.rule.name}: {rule.waiting} still wait: {rule.trouble}"
            self._end(NOT_DELIVERED, RequestError("failed", text, NOT_DELIVERED))
        else:
            self._done()

    def _done(self) -> None:
        if not self.ended:
            self._connection.send(_message(self._context, self._rules.view(self._rule)))
            self._end(0)

    def _waiting_text(self) -> tuple[str, str]:
        return "", f"alert {self._rule.rule.name}: waiting for the delivery"


VERBS = {"alert": alert}
