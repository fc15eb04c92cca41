"""What `logs` sends: what programs wrote, read back from their files as fast as the client takes it."""

from __future__ import annotations

import math
import time

from taskmaster_common.config import DISCARD, INHERIT, is_elsewhere
from taskmaster_common.errors import RequestError, SystemFailure
from taskmaster_common.protocol import end
from taskmaster_common.records import Record
from taskmaster_common.text.formats import format_size
from taskmasterd.control.replies import MORE
from taskmasterd.ondemand import on_demand
from taskmasterd.output.read import check_readable, search_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmaster_common.config import elsewhere
    from taskmasterd.control.connection import Connection
    from taskmasterd.control.verbs import eventfilter
    from taskmasterd.control.verbs.eventfilter import EventFilter
    from taskmasterd.core.steps import Steps
    from taskmasterd.output.formatted import search
    from taskmasterd.output.read import Follower, Past
    from taskmasterd.output.streams import Outputs
else:
    eventfilter = on_demand("taskmasterd.control.verbs.eventfilter")
    elsewhere = on_demand("taskmaster_common.config.elsewhere")
    search = on_demand("taskmasterd.output.formatted.search")

DEFAULT_LINES = "20"
MOST_LINES = 1_000_000
MOST_BYTES = 4 * 1024 * 1024
"""Most of the past of each log that one request brings, bytes."""
PIECE = 32 * 1024
"""Text in one object, bytes."""
LINES_AT_ONCE = 100
"""Lines of the event log in one object."""

Source = tuple[str, str, str]
"""(process name, stream, path)"""


def show_logs(
    connection: Connection,
    outputs: Outputs,
    sources: Sequence[Source],
    request: Request,
    period: Period,
) -> Steps[None]:
    """Answer `logs` for some streams: the last lines of each, or those of a period; then what is added, if that is asked for.

    Raises RequestError where none can be read.
    """
    tail = LogTail(connection, outputs, request, period)
    yield from tail.take(sources)
    if tail.refused and not tail.sources:
        raise RequestError("failed", tail.refused[0], 1)
    tail.begin()


class Period(Record):
    """What was written from `since` on, and before `until` (monotonic seconds; None: without a bound).

    `stamped` are the paths of logs whose lines have times; of the others it is known by when how much was written.
    """

    since: float | None = None
    until: float | None = None
    stamped: tuple[str, ...] = ()

    @property
    def bounded(self) -> bool:
        """Whether there is a bound."""
        return self.since is not None or self.until is not None

    def lengths(self, path: str, outputs: Outputs) -> Generator[None, None, tuple[int, int]]:
        """Return how many of the last bytes of a log were written since the beginning, and how many since the end."""
        since = -math.inf if self.since is None else self.since
        until = math.inf if self.until is None else self.until
        if path not in self.stamped:
            marks = outputs.marks(path)
            return (marks.since(since), 0 if self.until is None else marks.since(until)) if marks else (0, 0)
        past = time.time() - time.monotonic()
        begin, end = yield from search.search_times(path, (since + past, until + past))
        return begin, end


class LogTail:
    """What one request sends. Each log is opened when its turn comes; no more than a piece of one is ever held.

    `refused` are warnings that have yet to be sent, `sources` the logs whose past has yet to be read.
    """

    def __init__(self, connection: Connection, outputs: Outputs, request: Request, period: Period) -> None:
        self.refused: list[str] = []
        self.sources: list[Source] = []
        self._left = 0  # bytes of the past of the log that was opened last
        self._found: list[bytes] = []  # lines of the event log's past that have yet to be sent
        self._only = _filter(request) if request.has("daemon") and request.targets else None
        self._wanted = MOST_LINES
        self._after = 0  # bytes behind the past that is shown of the log that was opened last
        self._stretches: list[tuple[int, float | None]] = []  # when it was written, of which nothing is sent yet
        self._cut = False  # the past of the log that was opened last is longer than what is shown
        self._connection = connection
        self._poke = connection.poke
        self._outputs = outputs
        self._request = request
        self._period = period
        self._open: list[tuple[Source, Follower]] = []

    def take(self, sources: Sequence[Source]) -> Steps[None]:
        """Keep the sources that can be read, each path once; a warning for each of the others goes to `refused`.

        A file that instances of one program share has the name of the program: nobody knows which of them wrote a line.
        """
        paths: dict[str, Source] = {}
        for source in sources:
            name, stream, path = paths.setdefault(source[2], source)
            program = name.partition(":")[0]
            if name != source[0] and program == source[0].partition(":")[0]:
                paths[path] = program, stream, path
        for source in paths.values():
            yield
            name, stream, path = source
            if path in (DISCARD, INHERIT):
                where = "discarded" if path == DISCARD else "the daemon's own"
                self.refused.append(f"{name}: {stream} is {where}, there is no file to read")
                continue
            if is_elsewhere(path):
                self.refused.append(f"{name}: {stream} goes to {elsewhere.where(path)}")
                continue
            try:
                check_readable(path)
            except SystemFailure as failure:
                self.refused.append(f"{name}: {failure}")
                continue
            self.sources.append(source)

    def begin(self) -> None:
        """Begin to answer."""
        self._connection.operation = self
        self._connection.when_gone(self.close)
        self._connection.pull(self._messages(), endless=self._request.has("follow"))

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade to go on; the descriptors in `open_logs` have to be inherited."""
        return {
            "kind": "logs",
            "words": self._request.words(),
            "since": self._period.since,
            "until": self._period.until,
            "stamped": self._period.stamped,
            "refused": self.refused,
            "sources": self.sources,
            "left": self._left,
            "stretches": self._stretches,
            "found": [line.decode("latin-1") for line in self._found],
            "rest": self._only.rest.decode("latin-1") if self._only else "",
            "open_logs": [(source, reader.to_data()) for source, reader in self._open],
        }

    def resume(self, data: Mapping[str, Any]) -> None:
        """Go on where `to_data` was taken."""
        self.sources = [(name, stream, path) for name, stream, path in data["sources"]]
        self.refused = data["refused"]
        self._left = data["left"]
        self._stretches = [(amount, at) for amount, at in data.get("stretches", ())]
        self._found = [line.encode("latin-1") for line in data.get("found", ())]
        if self._only is not None:
            self._only.resume(data.get("rest", "").encode("latin-1"))
        for (name, stream, path), row in data["open_logs"]:
            self._open.append(((name, stream, path), self._outputs.follow_on(row, self._poke)))
        self.begin()

    def _messages(self) -> Iterator[dict[str, Any] | None]:
        while self.refused:
            yield {"type": "warning", "text": self.refused.pop(0)}
        while True:
            yield from self._rest_of_past()
            if not self.sources:
                break
            yield from self._look_at(self.sources[0])
            yield MORE
        if self._request.has("follow"):
            yield from self._follow()
        self._connection.end(end(0))

    def _look_at(self, source: Source) -> Iterator[dict[str, Any] | None]:
        """Open a log where its past begins; a long search gives others their turns."""
        name, _, path = source
        try:
            past = yield from self._search(self._past(path))
            reader = self._outputs.follow(past, self._poke)
        except SystemFailure as failure:
            self.sources.remove(source)
            yield {"type": "warning", "text": f"{name}: {failure}"}
            return
        self.sources.remove(source)
        self._open.append((source, reader))
        self._left = past.length
        if self._has_marks(path):
            marks = self._outputs.marks(path)
            self._stretches = marks.stretches(past.length, self._after) if marks else [(past.length, None)]
        if self._cut:
            yield {"type": "warning", "text": f"{name}: only the last {format_size(MOST_BYTES)} are shown"}

    def _has_marks(self, path: str) -> bool:
        """Return whether it is to be said when a log was written: one whose lines have times says so itself."""
        return self._request.has("timestamps") and path not in self._period.stamped

    def _past(self, path: str) -> Steps[Past]:
        """Find the lines of a log that are wanted of its past."""
        self._cut = False
        lines = self._request.text("lines") if self._request.has("lines") else ""
        count, begin, end = min(int(lines or DEFAULT_LINES), MOST_LINES), MOST_BYTES, 0
        if self._period.bounded:
            begin, end = yield from self._period.lengths(path, self._outputs)
            count = min(int(lines or MOST_LINES), MOST_LINES) if begin > end else 0
            self._cut = begin - end > MOST_BYTES
            begin = min(begin, end + MOST_BYTES)
        if self._only is not None and count:
            count, self._wanted = MOST_LINES, count
        self._after = end
        if end and count:
            return search.stretch(path, begin, end)
        past: Past = yield from search_lines(path, count, begin)
        return past

    @staticmethod
    def _search(search: Steps[Past]) -> Generator[dict[str, Any], None, Past]:
        """Return what a search finds, in as many turns as it needs."""
        while True:
            try:
                next(search)
            except StopIteration as found:
                past: Past = found.value
                return past
            yield MORE

    def _rest_of_past(self) -> Iterator[dict[str, Any]]:
        """Yield what was written to the log that was opened last; it stays open, at exactly that place, if it is to be followed."""
        if self._only is not None:
            yield from self._past_events(self._only)
        while self._left > 0:
            source, reader = self._open[-1]
            most, at = self._stretches[0] if self._stretches else (PIECE, None)
            block, missed = reader.read(min(PIECE, self._left, most))
            self._left -= len(block) + missed
            self._pass(len(block) + missed)
            if not block and not missed:
                self._left = 0  # somebody has truncated it
            yield from self._timed(source, _objects(source, block, missed), at)
        if not self._request.has("follow"):
            self.close()

    def _pass(self, amount: int) -> None:
        """Forget when these bytes were written: they are sent."""
        while amount and self._stretches:
            length, at = self._stretches.pop(0)
            if length > amount:
                self._stretches.insert(0, (length - amount, at))
            amount = max(0, amount - length)

    def _timed(self, source: Source, objects: Iterator[dict[str, Any]], at: float | None) -> Iterator[dict[str, Any]]:
        """Yield objects with the moment `at` (monotonic seconds) in seconds since 1970, None where it is not known, if that is asked for."""
        for each in objects:
            if self._has_marks(source[2]) and each["type"] == "output":
                each["at"] = None if at is None else round(at + time.time() - time.monotonic(), 3)
            yield each

    def _past_events(self, only: EventFilter) -> Iterator[dict[str, Any]]:
        """Yield the last lines in the past of the event log that are about the programs."""
        while self._left > 0:
            block, missed = self._open[-1][1].read(min(PIECE, self._left))
            self._left -= len(block) + missed
            if not block and not missed:
                self._left = 0
            self._found += only.take(block)
            del self._found[: -self._wanted]
            yield MORE
        while self._found:
            lines, self._found = self._found[:LINES_AT_ONCE], self._found[LINES_AT_ONCE:]
            yield from _objects(self._open[-1][0], b"".join(lines), 0)

    def _follow(self) -> Iterator[dict[str, Any] | None]:
        """Yield what is added, a piece of each in turn, and None when there is nothing new."""
        while True:
            quiet = True
            for source, reader in self._open:
                block, missed = reader.read(PIECE)
                quiet = quiet and not block and not missed
                objects = _objects(source, b"".join(self._only.take(block)) if self._only else block, missed)
                yield from self._timed(source, objects, time.monotonic())
            if quiet:
                yield None

    def close(self) -> None:
        """Close what is open."""
        for source, reader in self._open:
            self._outputs.unfollow(source[2], self._poke, reader)
        self._open.clear()


def _filter(request: Request) -> EventFilter:
    return eventfilter.EventFilter(request.targets)


def _objects(source: Source, block: bytes, missed: int) -> Iterator[dict[str, Any]]:
    """Yield the objects for one read: how many bytes were missed before it, and the text."""
    name, stream, _ = source
    if missed:
        yield {"type": "missed", "name": name, "stream": stream, "bytes": missed}
    if block:
        yield {"type": "output", "name": name, "stream": stream, "text": block.decode("utf-8", "surrogateescape")}
