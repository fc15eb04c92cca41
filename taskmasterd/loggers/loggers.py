"""The loggers of all slots: one for each target, made before the instance, kept over its restarts, ended after it."""

from __future__ import annotations

import os

from taskmaster_common.states import EXITED, FATAL, STOPPED
from taskmasterd.loggers.logger import Logger, kept_pipe
from taskmasterd.output.targets import ids_of
from taskmasterd.system.loop.cmodules import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import Any

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.loggers.logger import LoggerMeans
    from taskmasterd.system.users import Account

DOWN = (STOPPED, EXITED, FATAL)
LOST = "the keeper has died with the daemon; it ends with what it reads now"


class Loggers:
    """Makes loggers and ends them."""

    def __init__(self, means: LoggerMeans) -> None:
        self._means = means
        self._loggers: dict[tuple[Entry, str], Logger] = {}
        self._ending: list[Logger] = []
        self._number = 0

    def open(self, entry: Entry, program: ProgramConfig, target: str, who: Account | None) -> int:
        """Return the write end of a logger's pipe for an instance or a hook, with its logger started.

        Raises SetupError or, for a shortage, OSError.
        """
        logger = self._loggers.get((entry, target))
        if logger and _differs(logger.program, program):
            self._end([logger])
            logger = None
        if logger is None:
            self._number += 1
            key = f"logger/{entry.canonical}/{os.getpid()}.{self._means.reactor.now():.6f}.{self._number}"
            logger = Logger(self._means, entry, target, key, kept_pipe(self._means, key, ids_of(who)), self._over)
            logger.serve(program)
            self._loggers[entry, target] = logger  # first: its row is written as soon as it has a child
            try:
                logger.begin()
            except BaseException:
                del self._loggers[entry, target]
                logger.abandon()
                raise
        logger.serve(program)
        return logger.pipe.open()

    def keep_only(self, entry: Entry, targets: Collection[str]) -> None:
        """End the loggers of a slot to which its next instance does not write."""
        self._end(
            [logger for (whose, target), logger in self._loggers.items() if whose is entry and target not in targets]
        )

    def changed(self, entry: Entry, _before: Process, _event: Event, after: Process) -> None:
        """End the loggers of a slot that is down and stays so."""
        if after.state in DOWN:
            self.keep_only(entry, ())

    def gone(self, entry: Entry) -> None:
        """End the loggers of a slot that has left the table."""
        self.keep_only(entry, ())

    def when_read(self, entries: Iterable[Entry], done: Callable[[], None]) -> None:
        """Call `done` once the loggers of those of these slots that are down have read everything, or are late."""
        wanted = set(entries)
        for entry in wanted:
            if entry.process.state in DOWN or entry.removed:
                self.keep_only(entry, ())
        self._when_over([logger for logger in self._ending if logger.entry in wanted], done)

    def end_all(self, done: Callable[[], None]) -> None:
        """End all, and call `done` then."""
        self._end(list(self._loggers.values()))
        self._when_over(list(self._ending), done)

    def _when_over(self, loggers: Sequence[Logger], done: Callable[[], None]) -> None:
        left = set(loggers)

        def over(logger: Logger) -> None:
            left.discard(logger)
            if not left:
                done()

        if not left:
            done()
        for logger in loggers:
            logger.waiters.append(partial(over, logger))

    def _end(self, loggers: Iterable[Logger]) -> None:
        for logger in loggers:
            del self._loggers[logger.entry, logger.target]
            self._ending.append(logger)
            logger.end()

    def _over(self, logger: Logger) -> None:
        self._ending.remove(logger)

    # -- for people

    def of(self, entry: Entry) -> list[Logger]:
        """Return the loggers of a slot, including those that only read the rest of its output."""
        return [logger for logger in (*self._loggers.values(), *self._ending) if logger.entry is entry]

    # -- a later daemon

    def to_data(self) -> list[dict[str, Any]]:
        """Return what a later daemon needs to go on; what only reads what is left ends by itself."""
        return [logger.to_data() for logger in self._loggers.values()]

    def begin(self, table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
        """Go on with the loggers of an earlier daemon, from the data of `to_data`, now that the table has its slots."""
        for row in rows:
            entry = table.slot(row["program"], row["index"])
            if entry is None:
                continue  # nobody claims its pipe: it ends by itself
            ends = self._means.keeping().claim(row["key"])
            if not ends:
                self._means.say(entry, "error", f"a logger cannot be reached any more: {LOST}")
                continue
            logger = Logger(self._means, entry, row["target"], row["key"], (ends[0], ends[1]), self._over)
            self._loggers[entry, logger.target] = logger
            logger.resume(row)
            if entry.process.state in DOWN or entry.removed:
                self._end([logger])


def _differs(old: ProgramConfig, new: ProgramConfig) -> bool:
    return (old.run_as, old.workingdir, old.umask) != (new.run_as, new.workingdir, new.umask)
