"""The history: a line of JSON for each event, in files that outlive the daemon. This writes it; `segments` knows the files.

    history.note("web:1", "exited", pid=4711, status=256, after=0.2)

`note` queues one record. The next flush of the event log writes all that wait, before any client learns of them: so who notes
something has just changed a process, or writes a line of the event log next. `name` is the shown name of a process, the name of
a program, or "" for the daemon. `event` is one of `core.words.history.EVENTS`. A field is what JSON can hold, a few hundred
bytes of it; None is left out, and what is callable is called when the record is queued. Names of fields that mean the same
everywhere: `pid`, `status` (of wait(2)), `after` (seconds that it took), `try` and `of`, `deadline` (of the clock `mono`), `by`
(an object: uid, login, pid, command, from, as far as known, or text), `cause`, `keys`, `reason`, `left`, `words`. `over`: true
marks the end of a trouble that has no word of its own.

A record begins with `seq` (1, 2, ... over all daemons of a socket), `time` (UTC), `mono` (seconds) and `boot`. Of one name 60
are written within a minute. The rest is counted, and its last one is written at the minute's end, with the number of the others
as `more`. Who wants each record as it is queued, or to know that some are on the disk, joins with `watch`.
"""

from __future__ import annotations

import os
import time

from taskmaster_common.errors import SystemFailure, system_reason
from taskmaster_common.jsontext import write_json
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from taskmasterd.telling import segments

    class Watcher(Protocol):
        """Somebody who follows the history."""

        def noted(self, record: Mapping[str, Any], /) -> None:
            """A record is queued: it has all its fields, and is not on the disk yet."""

        def written(self) -> None:
            """All records of which `noted` was called are on the disk, or wait because it cannot be written."""

else:
    segments = on_demand("taskmasterd.telling.segments")

MOST_A_MINUTE = 60
"""Records of one name within a minute that are written one by one."""
MINUTE_S = 60.0
MOST_WAITING = 500
"""Most records that wait while the files cannot be written; the oldest are lost."""


OFF: Mapping[str, Any] = {"size": 0, "age": 0.0}
"""The value of the key `history` without a history."""


class History:
    """Writes records. `seq` is the number of the last one; `trouble` says why they cannot be written, "" where they can.

    `place` is how the paths of the files begin; None: a daemon without a directory for its state has no history.
    """

    def __init__(
        self,
        place: str | None = None,
        limits: Mapping[str, Any] = OFF,
        boot: str = "",
        later: Callable[[float, Callable[[], None]], object] = lambda _seconds, _callback: None,
        clocks: tuple[Callable[[], float], Callable[[], float]] = (time.time, time.monotonic),
    ) -> None:
        """`limits` is the value of the key `history`. `later(seconds, callback)` is the loop's. `clocks`: wall, monotonic."""
        self.place = place
        self.limits = limits
        self.seq = 0
        self.trouble = self._said = ""
        self._boot = boot
        self._later = later
        self._wall, self._mono = clocks
        self._watchers: tuple[Watcher, ...] = ()
        self._listeners: tuple[Callable[[Mapping[str, Any]], None], ...] = ()
        self._waiting: list[dict[str, Any]] = []
        self._lost = 0
        self._minute = 0.0
        self._counts: dict[str, int] = {}
        self._more: dict[str, dict[str, Any]] = {}
        self._fd = -1
        self._size = self._most = 0
        self._until, self._numbered = 0.0, False
        self._goes_on = False
        if self.on:
            self._write()

    @property
    def on(self) -> bool:
        """Whether records go to the disk."""
        return self.place is not None and bool(self.limits["size"])

    def limit(self, limits: Mapping[str, Any]) -> None:
        """Let another value of the key `history` hold, from the next line on."""
        self.limits = limits
        self.close()
        self._goes_on = True
        self.trouble = self.trouble if self.on else ""

    def watch(self, watcher: Watcher) -> None:
        """Call this watcher from now on, even where nothing goes to the disk."""
        self._watchers = (*self._watchers, watcher)

    def unwatch(self, watcher: Watcher) -> None:
        """Call this watcher no more."""
        self._watchers = tuple(each for each in self._watchers if each is not watcher)

    def listen(self, listener: Callable[[Mapping[str, Any]], None]) -> None:
        """Call this listener with each record from now on, also with those that are only counted; these have no `seq`."""
        self._listeners = (*self._listeners, listener)

    def note(self, name: str, event: str, **fields: Any) -> None:
        """Queue one record for the next flush."""
        if not (self.on or self._watchers or self._listeners):
            return
        mono = self._mono()
        if mono >= self._minute + MINUTE_S:
            self.sum_up()
            self._minute = mono
        count = self._counts[name] = self._counts.get(name, 0) + 1
        times = {"time": stamp(self._wall()), "mono": round(mono, 6), "boot": self._boot}
        record = {**times, "name": name, "event": event, **fields}
        if self._listeners:
            record = _made(record)
        if count <= MOST_A_MINUTE:
            record = self._queue(record)
        else:
            if not self._more:
                self._later(self._minute + MINUTE_S - mono, self._minute_over)
            self._more[name] = {**record, "more": count - MOST_A_MINUTE - 1}
        for listener in self._listeners:
            listener(record)

    def sum_up(self) -> None:
        """Queue what was counted only, and begin to count again: the minute is over, or this daemon is at its end."""
        more, self._more = self._more, {}
        self._counts.clear()
        for record in more.values():
            self._queue(record)

    def _minute_over(self) -> None:
        """Write what was counted only, unless a record of a new minute has led to that."""
        if self._mono() >= self._minute + MINUTE_S:
            self.sum_up()
            self.flush()
        elif self._more:
            self._later(self._minute + MINUTE_S - self._mono(), self._minute_over)

    def _number_apart(self) -> None:
        """Give numbers above all that were ever given: somebody learns them now, and the last one cannot be read.

        They are those of the clock in ms, since no history has had a thousand records in each second. The numbers between are never used.
        """
        above = int(self._wall() * 1000)
        self.seq += above
        for record in self._waiting:
            record["seq"] += above
        self._numbered = True

    def _queue(self, record: dict[str, Any]) -> dict[str, Any]:
        if not self._numbered and self.on and (self._watchers or self._listeners):
            self._number_apart()
        self.seq += 1
        made = {"seq": self.seq, **_made(record)}
        for watcher in self._watchers:
            watcher.noted(made)
        self._waiting.append(made)
        return made

    def flush(self) -> str:
        """Write what waits; returns a line for the event log where that has become impossible, or possible again, else ""."""
        if not self._waiting:
            return ""
        if self.on and not self._write():
            self._lost += max(0, len(self._waiting) - MOST_WAITING)
            del self._waiting[:-MOST_WAITING]
        else:
            self._waiting = []
        for watcher in self._watchers:
            watcher.written()
        said, self._said = self._said, self.trouble
        if bool(said) == bool(self.trouble):
            return ""
        lost, self._lost = self._lost, self._lost if self.trouble else 0
        return self.trouble or f"the history can be written again; {lost} events are missing in it"

    def _write(self) -> bool:
        """Append what waits; returns whether that was possible."""
        try:
            if self._fd < 0 or self._is_full():
                self._next_segment()
            block = b"".join([write_json(record) + b"\n" for record in self._waiting])
            append(self._fd, block, self._size)
        except (OSError, SystemFailure) as error:
            reason = str(error) if isinstance(error, SystemFailure) else system_reason(error)
            self.trouble = f"cannot write the history: {reason}"
            return False
        self._size += len(block)
        self.trouble = ""
        return True

    def _is_full(self) -> bool:
        """Return whether the next line belongs into another file, because this one is large, old or removed."""
        return self._size >= self._most or self._wall() >= self._until or os.fstat(self._fd).st_nlink == 0

    def _next_segment(self) -> None:
        """Open the file that the next line belongs into. Raises OSError or SystemFailure."""
        first = self._waiting[0]["seq"] if self._waiting else self.seq + 1
        self.close()
        fresh = self._numbered and not self._goes_on
        found = segments.open_segment(self.place or "", self.limits, first if fresh else 0, self._wall())
        self._goes_on = False
        self._fd, self._size, self._most, self._until = found.fd, found.size, found.most, found.until
        if not self._numbered:
            self._numbered = True
            self.seq += found.seq
            for record in self._waiting:  # queued before anybody could know the number of the last one
                record["seq"] += found.seq

    def close(self) -> None:
        """Close the file; the next record opens it again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _made(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record with the values that had to be called for, and without those that are not there."""
    called = {key: value() if callable(value) else value for key, value in record.items()}
    return {key: value for key, value in called.items() if value is not None}


def append(fd: int, block: bytes, offset: int) -> None:
    """Write a block at the end of a file. Raises OSError, and then leaves the file as it was."""
    view = memoryview(block)
    try:
        while view:
            view = view[os.pwrite(fd, view, offset + len(block) - len(view)) :]
    except OSError:
        os.ftruncate(fd, offset)
        raise


def stamp(seconds: float) -> str:
    """Return a time of the wall clock as RFC 3339 in UTC, with microseconds."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds % 1 * 1_000_000):06d}Z"
