"""All targets of output that are open, by path, and what is remembered of those that were."""

from __future__ import annotations

import os
import time

from taskmasterd.system.logmarks import LogMarks
from taskmasterd.system.logsink import LogSink
from taskmasterd.system.logtrouble import Trouble
from taskmasterd.system.safeopen import is_system_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmasterd.system.logsink import Owner

PAST_PATHS = 256
"""Of so many paths more than were ever open at once is remembered what was written and told: reloads may bring new ones for ever."""


class Sinks:
    """All targets that are open, by the real path: pipes that lead to one place share one sink."""

    def __init__(self, on_trouble: Callable[[str], None]) -> None:
        self._on_trouble = on_trouble
        self._sinks: dict[str, LogSink] = {}
        self._troubles: dict[str, Trouble] = {}
        self._watchers: dict[str, list[Callable[[], None]]] = {}
        self._retired: dict[str, int] = {}
        self._marks: dict[str, LogMarks] = {}
        self._past: dict[str, None] = {}
        self._most_open = 0
        self._inherited: dict[str, Mapping[str, Any]] = {}

    def acquire(self, path: str, max_bytes: int, backups: int, owner: Owner, *, lazily: bool = False) -> LogSink:
        """Return the sink of a path, opened; the newest limits and owner hold. Raises SystemFailure if it is wrong.

        `lazily`: opened with the first byte, and what is wrong then costs output.
        """
        key = _real(path)
        sink = self._sinks.get(key)
        if sink is None:
            sink = LogSink(path, max_bytes, backups, owner, self._on_trouble)
            sink.key = key
            sink.trouble = self._troubles.setdefault(key, sink.trouble)  # a crash loop must not tell it at each start
            sink.marks = self._marks.setdefault(key, sink.marks)
            if key in self._inherited:
                sink.inherit(self._inherited.pop(key))
        else:
            sink.owner = owner
            sink.set_limits(max_bytes, backups)
        if not lazily:
            sink.open()
        if key in self._watchers:
            sink.watchers = self._watchers[key]
        self._sinks[key] = sink
        self._past.pop(key, None)
        self._most_open = max(self._most_open, len(self._sinks))
        sink.holders += 1
        return sink

    def release(self, sink: LogSink) -> None:
        """Give back what `acquire` returned; the last one closes it. After `close` there is nothing to do."""
        if not sink.holders:
            return
        sink.holders -= 1
        if sink.holders:
            return
        key = sink.key
        if key in self._watchers:
            self._retired[key] = self._retired.get(key, 0) + sink.retired
        del self._sinks[key]
        sink.close()
        self._past[key] = None
        if len(self._past) > self._most_open + PAST_PATHS:
            oldest = next(iter(self._past))
            del self._past[oldest], self._troubles[oldest], self._marks[oldest]

    def find(self, path: str) -> LogSink | None:
        """Return the sink that is open for a path, or None."""
        return self._sinks.get(_real(path))

    def watch(self, path: str, changed: Callable[[], None]) -> None:
        """Call `changed` whenever something is written to `path`, whoever has it open by then."""
        key = _real(path)
        self._watchers.setdefault(key, []).append(changed)
        if key in self._sinks:
            self._sinks[key].watchers = self._watchers[key]

    def unwatch(self, path: str, changed: Callable[[], None]) -> None:
        """Undo `watch`."""
        key = _real(path)
        watchers = self._watchers.get(key, [])
        if changed in watchers:
            watchers.remove(changed)
        if not watchers:
            self._watchers.pop(key, None)
            self._retired.pop(key, None)

    def retired(self, path: str) -> int:
        """Return how many bytes were at `path` and are not any more; it only grows while the path is watched."""
        key = _real(path)
        sink = self._sinks.get(key)
        return self._retired.get(key, 0) + (sink.retired if sink else 0)

    def written_since(self, path: str, moment: float) -> int:
        """Return how many of the last bytes of `path` we have written since then (monotonic seconds), and a few more."""
        marks = self._marks.get(_real(path))
        return marks.since(moment) if marks else 0

    def reopen_all(self) -> None:
        """Open all paths anew, because somebody has renamed the files."""
        for sink in self._sinks.values():
            sink.reopen()

    def to_data(self) -> dict[str, Any]:
        """Return what another life of this process needs to write on; the descriptors have to be inherited."""
        return {
            "open": {key: sink.to_data() for key, sink in self._sinks.items()},
            "past": {key: (self._marks[key].to_data(), self._troubles[key].to_data()) for key in self._past},
            "retired": self._retired,
        }

    def inherit(self, data: Mapping[str, Any]) -> None:
        """Go on where `to_data` was taken: what was open is so again once somebody acquires it."""
        self._inherited = dict(data["open"])
        self._retired = dict(data["retired"])
        for key, (marks, trouble) in data["past"].items():
            self._past[key] = None
            self._marks[key], self._troubles[key] = LogMarks(), Trouble(key, self._on_trouble, time.monotonic)
            self._marks[key].inherit(marks)
            self._troubles[key].inherit(trouble)

    def settle(self) -> None:
        """Close what was open in an earlier life and nobody has acquired in this one."""
        for row in self._inherited.values():
            if row["fd"] is not None:
                os.close(row["fd"])
        self._inherited.clear()

    def close(self) -> None:
        """Close all of them."""
        for sink in self._sinks.values():
            sink.close()
            sink.holders = 0
        self._sinks.clear()


def _real(path: str) -> str:
    """Return the path by which a place is known: links among its directories resolved, the last name as it is."""
    if is_system_name(path):
        return path
    directory, name = os.path.split(path)
    real = os.path.join(os.path.realpath(directory), name)
    return path if real == path else real  # a thousand programs need not keep each path twice
