"""What all rules work with, and how a delivery is reported."""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from taskmaster_common.config import Config
    from taskmaster_common.config.alerts.rule import AlertRule
    from taskmasterd.alerts.queue import Waiting
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.probing.children import Children
    from taskmasterd.processes.errand import Errands
    from taskmasterd.system.loop.reactor import Reactor


class AlertContext(Record):
    """What all rules work with. `command` executes a helper, in `environment`; `signals` maps numbers to names without SIG.

    `say(level, text)` writes to the event log; `failed(rule, text)` notes an `alert-failed`.
    `outdated()` returns why no helper can be started, or "". `name(entry)` is the shown name of a slot, `log(entry)` where
    its stderr goes. `socket` is the path of the daemon's socket. `read(done)` reads the configuration again, for `done(config)`; None: that was impossible.
    `learned(name, rule)` puts a rule, with the URL that the state did not have, into the current configuration.
    """

    reactor: Reactor
    errands: Callable[[], Errands]
    children: Callable[[], Children]
    command: Sequence[str]
    environment: Mapping[str, str]
    host: str
    pid: int
    signals: Mapping[int, str]
    say: Callable[[str, str], None]
    failed: Callable[[str, str], None]
    outdated: Callable[[], str]
    wall: Callable[[], float]
    name: Callable[[Entry], str]
    log: Callable[[Entry], str]
    read: Callable[[Callable[[Config | None], None]], object]
    learned: Callable[[str, Mapping[str, Any]], None]
    socket: str = ""


class DeliveryResult(Record):
    """What came of one message: `text` is "" where it was delivered, else why not; the rest as in `helper.protocol`."""

    text: str = ""
    final: bool = False
    after: float | None = None
    certificate: bool = False


class Delivery(Record):
    """Messages on their way to a rule's destination.

    `report(number, outcome)` is called for each message, in their order, until one has to wait; `ended(text)` once, when nothing of
    the delivery is left: `text` says why it could not do its work, "" where it could. `lost` events are told by the first message.
    `said(line)` gets the dialogue.
    """

    rule: AlertRule
    messages: Sequence[Waiting]
    lost: int
    report: Callable[[int, DeliveryResult], None]
    ended: Callable[[str], None]
    said: Callable[[str], None] | None = None
