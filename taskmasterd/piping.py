"""The part of the composition root for commands that read what programs write: made with the first program that has one."""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmasterd.ondemand import on_demand
from taskmasterd.system.loop.signals import signal_numbers
from taskmasterd.telling.bus import REACT, BusMember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.keeping.keeping import Keeping
    from taskmasterd.loggers import logger, loggers
    from taskmasterd.loggers.loggers import Loggers
    from taskmasterd.ondemand import Made
    from taskmasterd.probing.children import Children
    from taskmasterd.survival.disk.writer import StateWriter
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.telling.bus import Bus
    from taskmasterd.telling.eventlog import EventLog
else:
    logger = on_demand("taskmasterd.loggers.logger")
    loggers = on_demand("taskmasterd.loggers.loggers")


class PipingParts(Record):
    """What loggers are made from."""

    reactor: Reactor
    children: Made[Children]
    keeping: Made[Keeping]
    log: EventLog
    bus: Bus
    table: Table
    writer: StateWriter


def make_loggers(parts: PipingParts, made: Made[Loggers]) -> Loggers:
    """Return what has commands read the output of slots; `made` will hold it."""

    def say(entry: Entry, level: str, text: str) -> None:
        parts.log.write(level, f"{parts.table.name(entry)}: {text}")

    def told(entry: Entry) -> None:
        texts = [each.text for each in made().of(entry) if each.text]
        entry.lack("; ".join(texts), logger=True)
        parts.writer.flush_soon()

    signals = {number: name for name, number in signal_numbers().items()}
    means = logger.LoggerMeans(parts.reactor, parts.children, parts.keeping, signals, say, parts.writer.flush, told)
    found: Loggers = loggers.Loggers(means)
    parts.bus.join(BusMember(REACT, changed=found.changed, gone=found.gone))
    return found
