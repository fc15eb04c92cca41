"""What `logs` sends: what programs wrote, read back from their files as fast as the client takes it."""

from __future__ import annotations

from taskmaster_common.config import DISCARD, INHERIT
from taskmaster_common.errors import RequestError, SystemFailure
from taskmaster_common.protocol import end
from taskmaster_common.text.formats import format_size
from taskmasterd.control.replies import MORE
from taskmasterd.ondemand import on_demand
from taskmasterd.output.read import check_readable, search_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmasterd.control.connection import Connection
    from taskmasterd.control.verbs import eventfilter
    from taskmasterd.control.verbs.eventfilter import EventFilter
    from taskmasterd.core.steps import Steps
    from taskmasterd.output.read import Follower, Past
    from taskmasterd.output.streams import Outputs
else:
    eventfilter = on_demand("taskmasterd.control.verbs.eventfilter")

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
    since: float | None,
) -> Steps[None]:
    """Answer `logs` for some streams: the last lines of each, then what is added, if that is asked for.

    With `since` (monotonic seconds) only what was written from then on. Raises RequestError where none can be read.
    """
    tail = LogTail(connection, outputs, request, since)
    yield from tail.take(sources)
    if tail.refused and not tail.sources:
        raise RequestError("failed", tail.refused[0], 1)
    tail.begin()


class LogTail:
    """What one request sends. Each log is opened when its turn comes; no more than a piece of one is ever held.

    `refused` are warnings that have yet to be sent, `sources` the logs whose past has yet to be read.
    """

    def __init__(self, connection: Connection, outputs: Outputs, request: Request, since: float | None) -> None:
        self.refused: list[str] = []
        self.sources: list[Source] = []
        self._left = 0  # bytes of the past of the log that was opened last
        self._found: list[bytes] = []  # lines of the event log's past that have yet to be sent
        self._only = _filter(request) if request.has("daemon") and request.targets else None
        self._wanted = MOST_LINES
        self._connection = connection
        self._poke = connection.poke
        self._outputs = outputs
        self._request = request
        self._since = since
        self._bounds = _bounds(outputs, request, since)
        self._open: list[tuple[Source, Follower]] = []

    def take(self, sources: Sequence[Source]) -> Steps[None]:
        """Keep the sources that can be read, each path once; a warning for each of the others goes to `refused`."""
        paths: dict[str, Source] = {}
        for source in sources:
            paths.setdefault(source[2], source)
        for source in paths.values():
            yield
            name, stream, path = source
            if path in (DISCARD, INHERIT):
                where = "discarded" if path == DISCARD else "the daemon's own"
                self.refused.append(f"{name}: {stream} is {where}, there is no file to read")
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
            "since": self._since,
            "refused": self.refused,
            "sources": self.sources,
            "left": self._left,
            "found": [line.decode("latin-1") for line in self._found],
            "rest": self._only.rest.decode("latin-1") if self._only else "",
            "open_logs": [(source, reader.to_data()) for source, reader in self._open],
        }

    def resume(self, data: Mapping[str, Any]) -> None:
        """Go on where `to_data` was taken."""
        self.sources = [(name, stream, path) for name, stream, path in data["sources"]]
        self.refused = data["refused"]
        self._left = data["left"]
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
        count, most_bytes = self._bounds(path)
        if self._only is not None and count:
            count, self._wanted = MOST_LINES, count
        try:
            past = yield from self._search(search_lines(path, count, min(most_bytes, MOST_BYTES)))
            reader = self._outputs.follow(past, self._poke)
        except SystemFailure as failure:
            self.sources.remove(source)
            yield {"type": "warning", "text": f"{name}: {failure}"}
            return
        self.sources.remove(source)
        self._open.append((source, reader))
        self._left = past.length
        if most_bytes > MOST_BYTES:
            yield {"type": "warning", "text": f"{name}: only the last {format_size(MOST_BYTES)} are shown"}

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
            block, missed = reader.read(min(PIECE, self._left))
            self._left -= len(block) + missed
            if not block and not missed:
                self._left = 0  # somebody has truncated it
            yield from _objects(source, block, missed)
        if not self._request.has("follow"):
            self.close()

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
                yield from _objects(source, b"".join(self._only.take(block)) if self._only else block, missed)
            if quiet:
                yield None

    def close(self) -> None:
        """Close what is open."""
        for source, reader in self._open:
            self._outputs.unfollow(source[2], self._poke, reader)
        self._open.clear()


def _filter(request: Request) -> EventFilter:
    return eventfilter.EventFilter(request.targets)


def _bounds(outputs: Outputs, request: Request, since: float | None) -> Callable[[str], tuple[int, int]]:
    """Return a function of a path: how many lines are wanted, and in how many last bytes they are searched."""
    if since is None:
        count = min(int(request.text("lines", DEFAULT_LINES)), MOST_LINES)
        return lambda _path: (count, MOST_BYTES)
    most = min(int(request.text("lines", str(MOST_LINES))), MOST_LINES)

    def written(path: str) -> tuple[int, int]:
        fresh = outputs.written_since(path, since)
        return most if fresh else 0, fresh

    return written


def _objects(source: Source, block: bytes, missed: int) -> Iterator[dict[str, Any]]:
    """Yield the objects for one read: how many bytes were missed before it, and the text."""
    name, stream, _ = source
    if missed:
        yield {"type": "missed", "name": name, "stream": stream, "bytes": missed}
    if block:
        yield {"type": "output", "name": name, "stream": stream, "text": block.decode("utf-8", "surrogateescape")}
