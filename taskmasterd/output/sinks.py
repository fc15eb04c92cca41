"""All targets of output that are open, by path, and what is remembered of those that were."""

from __future__ import annotations

import os
import time

from taskmasterd.output.ledger import Ledger
from taskmasterd.output.sink import LogSink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmasterd.output.rotation import Allowance
    from taskmasterd.output.sink import Owner

PAST_PATHS = 256
"""Of so many paths more than were ever open at once is remembered what was written and told: reloads may bring new ones for ever."""


class Sinks:
    """All targets that are open. Pipes share one where path, program and owner are the same and it is still the same file.

    A path is known by its text: where links lead is judged by each target whenever it opens, moves or reads something.
    """

    def __init__(self, on_trouble: Callable[[str], None], allowance: Allowance | None) -> None:
        """`allowance` bounds the time of all rotations together; None: nothing does."""
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
        """Return the sink of a path, opened; the newest limits hold. Raises SystemFailure if it is wrong.

        `lazily`: opened with the first byte, and what is wrong then costs output.
        """
        known = next((sink for sink in self.at(path) if (sink.program, sink.owner) == (program, owner)), None)
        sink = known or self._new(path, max_bytes, backups, owner, program)
        if known:
            known.set_limits(max_bytes, backups)
        if not lazily:
            known.confirm() if known else sink.open()
        if not known:
            self._sinks[path] = (*self.at(path), sink)
            self._most_open = max(self._most_open, len(self._sinks))
            sink.ledger.writers += 1
            self._ledgers[path] = sink.ledger
            self._past.pop(path, None)
        sink.holders += 1
        return sink

    def _new(self, path: str, max_bytes: int, backups: int, owner: Owner, program: str) -> LogSink:
        ledger = self._ledgers.get(path) or self._ledger(path)  # a crash loop must not tell a trouble at each start
        sink = LogSink(path, max_bytes, backups, owner, ledger, program)
        for row in self._inherited:
            if row["path"] == path and _belongs(row, owner, program):
                self._inherited.remove(row)
                sink.inherit(row)
                break
        return sink

    def _ledger(self, path: str) -> Ledger:
        return Ledger(path, self._on_trouble, time.monotonic, self._allowance)

    def release(self, sink: LogSink) -> None:
        """Give back what `acquire` returned; the last one closes it. After `close` there is nothing to do."""
        if not sink.holders:
            return
        sink.holders -= 1
        if sink.holders:
            return
        sink.close()
        sink.ledger.writers -= 1
        others = tuple(other for other in self.at(sink.path) if other is not sink)
        if others:
            self._sinks[sink.path] = others
        else:
            del self._sinks[sink.path]
            self._leave(sink.path)

    def _leave(self, path: str) -> None:
        """Nothing is open at a path: remember it for a while."""
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
        """Call `changed` whenever something is written to `path`, whoever has it open by then."""
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
        """Return how many bytes were at `path` and are not any more; it only grows while the path is watched."""
        ledger = self._ledgers.get(path)
        return ledger.retired if ledger else 0

    def written_since(self, path: str, moment: float) -> int:
        """Return how many of the last bytes of `path` we have written since then (monotonic seconds), and a few more."""
        ledger = self._ledgers.get(path)
        return ledger.marks.since(moment) if ledger else 0

    def reopen_all(self) -> None:
        """Open all paths anew, because somebody has renamed the files."""
        for sink in self._all():
            sink.reopen()

    def _all(self) -> list[LogSink]:
        return [sink for sinks in self._sinks.values() for sink in sinks]

    def to_data(self) -> dict[str, Any]:
        """Return what another life of this process needs to write on; the descriptors have to be inherited."""
        return {
            "open": {f"{number} {sink.path}": sink.to_data() for number, sink in enumerate(self._all())},
            "ledgers": {path: ledger.to_data() for path, ledger in self._ledgers.items() if path not in self._sinks},
        }

    def inherit(self, data: Mapping[str, Any]) -> None:
        """Go on where `to_data` was taken: what was open is so again once somebody acquires it."""
        self._inherited = list(data["open"].values())
        for path, row in data.get("ledgers", {}).items():
            self._ledgers[path] = self._ledger(path)
            self._ledgers[path].inherit(row)
            self._past[path] = None

    def settle(self) -> None:
        """Close what was open in an earlier life and nobody has acquired in this one."""
        for row in self._inherited:
            if row["fd"] is not None:
                os.close(row["fd"])
        self._inherited.clear()

    def close(self) -> None:
        """Close all of them."""
        for sink in self._all():
            sink.close()
            sink.ledger.writers = 0
            sink.holders = 0
        self._sinks.clear()


def _belongs(row: Mapping[str, Any], owner: Owner, program: str) -> bool:
    """Return whether a sink of an earlier life is that of this program and owner; older ones did not say whose they were."""
    if "program" not in row:
        return True
    theirs = row["owner"]
    return row["program"] == program and (tuple(theirs) if theirs else None) == owner
