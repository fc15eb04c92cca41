"""Runs in an interpreter of its own: reads an order and messages, delivers them in their order, says what came of each, ends."""

from __future__ import annotations

import os
import signal
import sys

from taskmaster_common.errors import system_reason
from taskmaster_common.jsontext import read_json, write_json
from taskmasterd.alerts.helper.message import MOST_REASON, Envelope, Notice, Secrets, Undelivered, command_for
from taskmasterd.alerts.helper.protocol import OTHER_VERSION, VERSION
from taskmasterd.alerts.helper.secret import SecretError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    Deliver = Callable[[Notice, Envelope, Secrets], None]


MAIL = "mail"


class TimeIsUp(BaseException):
    """One delivery has taken too long; no handler of the libraries takes this for one of its own."""


def main() -> int:
    """Deliver; returns the exit code."""
    first, *rest = sys.stdin.buffer.read().split(b"\n")
    head = read_json(first.decode("ascii"))
    if head.get("taskmaster_alert") != VERSION:
        _answer({"stop": OTHER_VERSION})
        return 0
    secrets = Secrets()

    def say(line: str) -> None:
        if head["dialogue"]:
            _answer({"said": secrets.hidden(line)[: 2 * MOST_REASON]})

    order = Envelope(head["rule"], head["kind"], head["destination"], head["host"], head["timeout"], head["pid"], say)
    order = order.replace(command=command_for(head.get("socket", ""), os.geteuid()))
    deliver = _way(order.kind)
    messages = [_message(read_json(line.decode("ascii"))) for line in rest if line]
    if order.kind == MAIL:
        order = order.replace(stories=_stories(head.get("socket", ""), messages))
    signal.signal(signal.SIGALRM, _time_is_up)
    for message in messages:
        if not _deliver(deliver, message, order, secrets):
            break
    return 0


def _stories(path: str, messages: Sequence[Notice]) -> Mapping[str, Any]:
    """Return what `why` says of the processes whose trouble is told."""
    from taskmasterd.alerts.helper.story import stories_of  # noqa: PLC0415 - only mails have them

    return stories_of(path, [name for message in messages for name in message.troubled])


def _message(data: dict[str, Any]) -> Notice:
    return Notice(data["id"], data["at"], tuple(data["events"]), data["left_out"], data["lost"])


def _way(kind: str) -> Deliver:
    if kind == MAIL:
        from taskmasterd.alerts.helper.by_mail import deliver  # noqa: PLC0415 - one of the three is used
    elif kind == "http":
        from taskmasterd.alerts.helper.by_http import deliver  # noqa: PLC0415 - see above
    else:
        from taskmasterd.alerts.helper.by_syslog import deliver  # noqa: PLC0415 - see above
    return deliver


def _deliver(deliver: Deliver, message: Notice, order: Envelope, secrets: Secrets) -> bool:
    """Deliver one message and answer for it; return whether the next one may follow."""
    signal.setitimer(signal.ITIMER_REAL, order.timeout)
    try:
        try:
            deliver(message, order, secrets)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        failure = None
    except TimeIsUp:
        failure = Undelivered(f"it took longer than {order.timeout:g}s")
    except Undelivered as error:
        failure = error
    except SecretError as error:
        failure = Undelivered(str(error))
    except OSError as error:
        failure = Undelivered(system_reason(error))
    except Exception as error:  # noqa: BLE001 - whatever a server makes of the libraries: the next try may do better
        failure = Undelivered(f"{type(error).__name__}: {error}")
    if failure is None:
        _answer({"id": message.id, "done": True})
        return True
    text = secrets.hidden(failure.text)[:MOST_REASON]
    found: dict[str, Any] = {"id": message.id, "failed": text, "final": failure.final}
    found |= {} if failure.after is None else {"after": failure.after}
    found |= {"certificate": True} if failure.certificate else {}
    _answer(found)
    return failure.final


def _time_is_up(_number: int, _frame: object) -> None:
    raise TimeIsUp


def _answer(value: dict[str, Any]) -> None:
    """Write one line; without a daemon that reads it this ends the helper, before it delivers what another one will deliver again."""
    sys.stdout.buffer.write(write_json(value) + b"\n")
    sys.stdout.buffer.flush()
