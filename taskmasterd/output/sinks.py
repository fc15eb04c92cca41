"""All logs that are open, by path, and what is remembered of those that were."""

from __future__ import annotations

import os
import time

from taskmasterd.output.ledger import Ledger
from taskmasterd.output.log.opening import OpenLog
from taskmasterd.output.log.parking import Parking
from taskmasterd.output.sink import LogSink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmasterd.output.ledger.timeline import LogMarks
    from taskmasterd.output.log.rotation import Allowance
    from taskmasterd.output.safe.open import Owner

PAST_PATHS = 256
"""Closed paths that are remembered, beyond as many as were ever open at once: reloads may bring new ones for ever."""


class Sinks:
    """All sinks. Pipes share one where path, program and owner are the same and it is still the same file.

    A path is known by its text: each log judges where links lead whenever it opens, renames or reads something.
    """

    def __init__(self, on_trouble: Callable[[str], None], allowance: Allowance | None) -> None:
        """`allowance` bounds the time of all rotations together; None: nothing does."""
        self._parking = Parking()
        self._on_trouble = on_trouble
        self._sinks: dict[str, tuple[LogSink, ...]] = {}
        self._ledgers: dict[str, Ledger] = {}
        self._past: dict[str, None] = {}
        self._most_open = 0
        self._inherited: list[Mapping[str, Any]] = []
        self._allowance = allowance

    def acquire(
        self, path: str, max_bytes: int, backups: int, owner: Owner, program: str = "", *, lazily: bool = False
    ) -> LogSink:
        """Return the sink of a path, opened; the newest limits hold. Raises SystemFailure if the path is wrong.

        `lazily`: opened with the first byte, and what is wrong then costs output.
        """
        known = next((sink for sink in self.at(path) if (sink.program, sink.log.owner) == (program, owner)), None)
        sink = known or self._new(path, owner, program)
        sink.log.set_limits(max_bytes, backups)
        if not lazily:
            self._parking.make_room()
            sink.log.confirm() if known else sink.log.open()
        if not known:
            self._sinks[path] = (*self.at(path), sink)
            self._most_open = max(self._most_open, len(self._sinks))
            sink.ledger.writers += 1
            self._ledgers[path] = sink.ledger
            self._past.pop(path, None)
        sink.holders += 1
        return sink

    def _new(self, path: str, owner: Owner, program: str) -> LogSink:
        ledger = self._ledgers.get(path) or self._ledger(path)  # a crash loop must not report a trouble at each start
        sink = LogSink(OpenLog(path, owner, ledger, self._allowance, self._parking), program)
        for row in self._inherited:
            if sink.belongs_to(row):
                self._inherited.remove(row)
                sink.log.inherit(row)
                break
        return sink

    def _ledger(self, path: str) -> Ledger:
        return Ledger(path, self._on_trouble, time.monotonic)

    def release(self, sink: LogSink) -> None:
        """Give back what `acquire` returned; the last call closes it. After `close` it does nothing."""
        if not sink.holders:
            return
        sink.holders -= 1
        if sink.holders:
            return
        sink.log.close()
        sink.ledger.writers -= 1
        others = tuple(other for other in self.at(sink.path) if other is not sink)
        if others:
            self._sinks[sink.path] = others
        else:
            del self._sinks[sink.path]
            self._leave(sink.path)

    def _leave(self, path: str) -> None:
        """Remember a path at which nothing is open any more, for a while."""
        self._past.pop(path, None)
        self._past[path] = None
        while len(self._past) > self._most_open + PAST_PATHS:
            oldest = next(iter(self._past))
            del self._past[oldest]
            if not self._ledgers[oldest].watchers:
                del self._ledgers[oldest]

    def at(self, path: str) -> tuple[LogSink, ...]:
        """Return the sinks that are open for a path."""
        return self._sinks.get(path, ())

    def watch(self, path: str, changed: Callable[[], None]) -> None:
        """Call `changed` whenever something is written to `path`, by any sink."""
        if path not in self._ledgers:
            self._ledgers[path] = self._ledger(path)
        self._ledgers[path].watch(changed)

    def unwatch(self, path: str, changed: Callable[[], None]) -> None:
        """Undo `watch`."""
        ledger = self._ledgers.get(path)
        if ledger is None:
            return
        ledger.unwatch(changed)
        if not ledger.watchers and not self.at(path):
            self._leave(path)

    def retired(self, path: str) -> int:
        """Return how many bytes have left `path`; the number only grows while the path is watched."""
        ledger = self._ledgers.get(path)
        return ledger.retired if ledger else 0

    def marks(self, path: str) -> LogMarks | None:
        """Return when how much was written to `path`, None where nothing is known of it."""
        ledger = self._ledgers.get(path)
        return ledger.marks if ledger else None

    def loses(self, path: str) -> bool:
        """Return whether what is written to a path is dropped now."""
        ledger = self._ledgers.get(path)
        return ledger is not None and ledger.trouble.present

    def reopen_all(self) -> None:
        """Open all paths again: somebody has renamed the files."""
        for sink in self._all():
            sink.log.reopen()

    def _all(self) -> list[LogSink]:
        return [sink for sinks in self._sinks.values() for sink in sinks]

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade to write on; the descriptors have to be inherited."""
        self._parking.bring_all_back()
        return {
            "open": {f"{number} {sink.path}": sink.to_data() for number, sink in enumerate(self._all())},
            "ledgers": {path: ledger.to_data() for path, ledger in self._ledgers.items() if path not in self._sinks},
        }

    def inherit(self, data: Mapping[str, Any]) -> None:
        """Go on where `to_data` was called: what was open is open again once it is acquired."""
        self._inherited = list(data["open"].values())
        for path, row in data.get("ledgers", {}).items():
            self._ledgers[path] = self._ledger(path)
            self._ledgers[path].inherit(row)
            self._past[path] = None

    def settle(self) -> None:
        """Close what was open before the upgrade and has not been acquired since."""
        for row in self._inherited:
            if row["fd"] is not None:
                os.close(row["fd"])
        self._inherited.clear()

    def close(self) -> None:
        """Close all of them."""
        for sink in self._all():
            sink.log.close()
            sink.ledger.writers = 0
            sink.holders = 0
        self._sinks.clear()
