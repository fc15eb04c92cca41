"""`logs`: what programs wrote, read back from their files as fast as the client takes it."""

from __future__ import annotations

from taskmaster_common.config import DISCARD, INHERIT
from taskmaster_common.errors import RequestError, SystemFailure
from taskmaster_common.protocol import end
from taskmaster_common.units import format_size
from taskmasterd.system.logread import check_readable, find_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any

    from taskmaster_common.commands import Request
    from taskmasterd.outputs import Outputs
    from taskmasterd.system.control import Connection
    from taskmasterd.system.logread import Follower

DEFAULT_LINES = "20"
MOST_LINES = 1_000_000
MOST_BYTES = 4 * 1024 * 1024
"""So much of the past of each log one request may bring."""
PIECE = 32 * 1024

Source = tuple[str, str, str]
"""(process name, stream, path)"""


def show_logs(
    connection: Connection,
    outputs: Outputs,
    sources: Sequence[Source],
    request: Request,
    since: float | None,
) -> None:
    """Answer `logs` for some streams: the last lines of each, then what is added, if that is asked for.

    With `since` (monotonic seconds) only what was written from then on. Raises RequestError where none can be read.
    """
    reading = Reading(connection, outputs, _bounds(outputs, request, since))
    refused = reading.take(sources)
    if refused and not reading.sources:
        raise RequestError("failed", refused[0], 1)

    def replies() -> Iterator[dict[str, Any] | None]:
        for text in refused:
            yield {"type": "warning", "text": text}
        for source in reading.sources:
            yield from reading.past(source, go_on=request.has("follow"))
        if request.has("follow"):
            yield from reading.follow()
        connection.end(end(0))

    connection.when_gone(reading.close)
    connection.pull(replies(), endless=request.has("follow"))


class Reading:
    """One request for logs. Each log is looked at when its turn comes; no more than a piece of one is ever held."""

    def __init__(self, connection: Connection, outputs: Outputs, bounds: Callable[[str], tuple[int, int]]) -> None:
        """`bounds(path)` tells how many lines of a log are wanted, and within how many bytes."""
        self.sources: list[Source] = []
        self._poke = connection.poke
        self._outputs = outputs
        self._bounds = bounds
        self._open: list[tuple[Source, Follower]] = []

    def take(self, sources: Sequence[Source]) -> list[str]:
        """Keep those that can be read, each path once; returns what has to be said of the others."""
        refused: list[str] = []
        paths: dict[str, Source] = {}
        for source in sources:
            paths.setdefault(source[2], source)
        for source in paths.values():
            name, stream, path = source
            if path in (DISCARD, INHERIT):
                where = "discarded" if path == DISCARD else "the daemon's own"
                refused.append(f"{name}: {stream} is {where}, there is no file to read")
                continue
            try:
                check_readable(path)
            except SystemFailure as failure:
                refused.append(f"{name}: {failure}")
                continue
            self.sources.append(source)
        return refused

    def past(self, source: Source, *, go_on: bool) -> Iterator[dict[str, Any]]:
        """Yield what was written; with `go_on` the log stays open, to be followed from exactly there."""
        name, _, path = source
        count, most_bytes = self._bounds(path)
        try:
            past = find_lines(path, count, min(most_bytes, MOST_BYTES))
            reader = self._outputs.follow(past, self._poke)
        except SystemFailure as failure:
            yield {"type": "warning", "text": f"{name}: {failure}"}
            return
        self._open.append((source, reader))
        if most_bytes > MOST_BYTES:
            yield {"type": "warning", "text": f"{name}: only the last {format_size(MOST_BYTES)} are shown"}
        left = past.length
        while left > 0:
            block, missed = reader.read(min(PIECE, left))
            if not block and not missed:
                break  # somebody has truncated it
            yield from _said(source, block, missed)
            left -= len(block) + missed
        if not go_on:
            self.close()

    def follow(self) -> Iterator[dict[str, Any] | None]:
        """Yield what is added, a piece of each in turn, and None when there is nothing new."""
        while True:
            quiet = True
            for source, reader in self._open:
                for message in _said(source, *reader.read(PIECE)):
                    quiet = False
                    yield message
            if quiet:
                yield None

    def close(self) -> None:
        """Close what is open."""
        for source, reader in self._open:
            self._outputs.unfollow(source[2], self._poke, reader)
        self._open.clear()


def _bounds(outputs: Outputs, request: Request, since: float | None) -> Callable[[str], tuple[int, int]]:
    """Return what tells of a path how many lines are wanted, and within how many bytes."""
    if since is None:
        count = min(int(request.text("lines", DEFAULT_LINES)), MOST_LINES)
        return lambda _path: (count, MOST_BYTES)
    most = min(int(request.text("lines", str(MOST_LINES))), MOST_LINES)

    def written(path: str) -> tuple[int, int]:
        fresh = outputs.written_since(path, since)
        return most if fresh else 0, fresh

    return written


def _said(source: Source, block: bytes, missed: int) -> Iterator[dict[str, Any]]:
    """Yield what a read brought: how much was missed before it, and the text."""
    name, stream, _ = source
    if missed:
        yield {"type": "missed", "name": name, "stream": stream, "bytes": missed}
    if block:
        yield {"type": "output", "name": name, "stream": stream, "text": block.decode("utf-8", "surrogateescape")}
