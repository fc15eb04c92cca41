"""`logs`: what programs wrote, read back from their files as fast as the client takes it."""

from __future__ import annotations

from taskmaster_common.config import DISCARD, INHERIT
from taskmaster_common.errors import RequestError, SystemFailure
from taskmaster_common.protocol import end
from taskmaster_common.units import format_size
from taskmasterd.system.logread import last_lines

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
"""So much of the past one request may bring; it is held in memory while the client reads."""
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
    readable: dict[str, Source] = {}
    for source in sources:
        readable.setdefault(source[2], source)
    poke = connection.poke
    past, followers, refused = _open(
        outputs, tuple(readable.values()), _bounds(outputs, request, since), poke if request.has("follow") else None
    )
    if refused and not past:
        raise RequestError("failed", refused[0], 1)

    def close() -> None:
        for source, follower in followers:
            outputs.unfollow(source[2], poke, follower)

    def replies() -> Iterator[dict[str, Any] | None]:
        for text in refused:
            yield {"type": "warning", "text": text}
        for source, block in past:
            for first in range(0, len(block), PIECE):
                yield _output(source, block[first : first + PIECE])
        if followers:
            yield from _follow(followers)
        connection.end(end(0))

    connection.when_gone(close)
    connection.pull(replies(), endless=bool(followers))


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


def _open(
    outputs: Outputs,
    sources: Sequence[Source],
    bounds: Callable[[str], tuple[int, int]],
    poke: Callable[[], None] | None,
) -> tuple[list[tuple[Source, bytes]], list[tuple[Source, Follower]], list[str]]:
    """Return what was written, who goes on reading from exactly there, and what has to be said of the others."""
    past: list[tuple[Source, bytes]] = []
    followers: list[tuple[Source, Follower]] = []
    refused: list[str] = []
    for source in sources:
        name, stream, path = source
        if path in (DISCARD, INHERIT):
            where = "discarded" if path == DISCARD else "the daemon's own"
            refused.append(f"{name}: {stream} is {where}, there is no file to read")
            continue
        try:
            count, most_bytes = bounds(path)
            block = last_lines(path, count, min(most_bytes, MOST_BYTES))
            if poke:
                followers.append((source, outputs.follow(path, poke)))
        except SystemFailure as failure:
            refused.append(f"{name}: {failure}")
            continue
        past.append((source, block))
        if most_bytes > MOST_BYTES:
            refused.append(f"{name}: only the last {format_size(MOST_BYTES)} are shown")
    return past, followers, refused


def _follow(followers: list[tuple[Source, Follower]]) -> Iterator[dict[str, Any] | None]:
    """Yield what is added, a piece of each in turn, and None when there is nothing new."""
    while True:
        quiet = True
        for source, follower in followers:
            block, missed = follower.read(PIECE)
            if missed:
                yield {"type": "missed", "name": source[0], "stream": source[1], "bytes": missed}
            if block:
                quiet = False
                yield _output(source, block)
        if quiet:
            yield None


def _output(source: Source, block: bytes) -> dict[str, Any]:
    text = block.decode("utf-8", "surrogateescape")
    return {"type": "output", "name": source[0], "stream": source[1], "text": text}
