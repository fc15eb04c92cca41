"""The part of the composition root for commands that read what programs write: made with the first program that has one."""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmasterd.ondemand import Made, on_demand
from taskmasterd.system.loop.signals import signal_numbers
from taskmasterd.telling.bus import REACT, BusMember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.keeping.keeping import Keeping
    from taskmasterd.loggers import logger, loggers
    from taskmasterd.loggers.loggers import Loggers
    from taskmasterd.probing.children import Children
    from taskmasterd.survival.disk.writer import StateWriter
    from taskmasterd.survival.state import Registry
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


class Piping(Record):
    """The loggers; `begin()` goes on with those of an earlier daemon, now that the table has its slots."""

    loggers: Made[Loggers]
    begin: Callable[[], None]


def build_piping(registry: Registry, parts: Callable[[], PipingParts]) -> Piping:
    """Return what has commands read the output of slots. `parts()` is called once all of them are there."""
    left: list[Mapping[str, Any]] = []
    made = Made(lambda: _loggers(parts(), made))
    registry.register("loggers", lambda: made.made.to_data() if made.made else left, left.extend)

    def begin() -> None:
        if left:
            made().begin(parts().table, left)

    return Piping(made, begin)


def _loggers(parts: PipingParts, made: Made[Loggers]) -> Loggers:
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
