"""What an attached client sees: the logs of one process from a place on, at the client's own pace."""

from __future__ import annotations

import os

from taskmaster_common.config import DISCARD, INHERIT
from taskmaster_common.errors import SystemFailure
from taskmaster_common.text.escapes import shows_alternate
from taskmasterd.ondemand import on_demand
from taskmasterd.output.read import Past, find_lines
from taskmasterd.system.loop.cmodules import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Protocol

    from taskmasterd.control.context import Context
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.terminals import tap

    class ViewOpened(Protocol):
        """Is told that it is known where a view begins."""

        def __call__(self, modes: tuple[str, ...], /, *, again: bool = False) -> None:
            """`modes` are those that are on in the terminal; `again`: much was left out."""

    class LogReader(Protocol):
        """Reads what is added."""

        @property
        def place(self) -> str:
            """Where the next byte is, as the wire has it."""

        def read(self, most: int, /) -> tuple[bytes, int]:
            """Return what is next, and how many bytes were missed before it."""

        def behind(self) -> int:
            """Return how many bytes are not read yet."""

        def close(self) -> None:
            """Close it."""
else:
    tap = on_demand("taskmasterd.terminals.tap")

PIECE = 32 * 1024
"""Text in one object, bytes."""
MOST_PAST = 64 * 1024
"""Most of the past that is shown at the beginning, bytes."""
FAR = 1024 * 1024
"""Bytes that a client may be behind; what is more is left out."""
MOST_DIGITS = 18
"""Most digits of a position in a log: one more could be more than a file can have."""
MOST_FILES = 100
"""Most rotated files in which a place is looked for."""
TERMINAL = "terminal"


class Viewing:
    """The readers of one client. `poke` is called when there is something new."""

    def __init__(self, context: Context, entry: Entry, poke: Callable[[], None]) -> None:
        self._context = context
        self._entry = entry
        self._poke = poke
        self._outputs = context.performer.outputs
        self._readers: list[tuple[str, str, LogReader]] = []
        self._lines = 0
        self._asking = False
        self._closed = False

    def open(self, lines: int, after: str, opened: ViewOpened) -> None:
        """Begin with the last `lines`, or with what follows the place `after`; call `opened` when that is known."""
        self._lines = lines
        self._ask(after, opened, again=False)

    def _ask(self, after: str, opened: ViewOpened, *, again: bool) -> None:
        """Ask for the modes of the terminal; what is written from now on is shown in any case."""
        self._asking = True
        ends = {path: _end(path) for _stream, path in self._sources()}
        key = self._key
        done = partial(self._answered, after, opened, again, ends)
        if key:
            self._context.inputs().modes(key, done)
        else:
            self._context.reactor.call_soon(partial(done, ()))

    def _answered(
        self, after: str, opened: ViewOpened, again: bool, ends: Mapping[str, Past], modes: tuple[str, ...]
    ) -> None:
        self._asking = False
        if self._closed:
            return
        for stream, path in self._sources():
            begin = find_place(path, after) if after else None
            if begin is None and shows_alternate(modes):
                begin = ends.get(path)
            self._read(stream, path, begin or self._past(path))
        opened(modes, again=again)

    @property
    def _key(self) -> str:
        """The key of the terminal, "" where the process has none."""
        instance = self._context.performer.instances.of(self._entry)
        return instance.input.key if instance and instance.input and self._entry.present.tty else ""

    def _sources(self) -> list[tuple[str, str]]:
        """Return what can be read: streams with their paths, each path once."""
        path = self._outputs.log_path
        stdout, stderr = path(self._entry, "stdout"), path(self._entry, "stderr")
        if self._entry.present.tty:
            return [(TERMINAL, stdout)]
        both = [("stdout", stdout), ("stderr", stderr)] if stdout != stderr else [("stdout", stdout)]
        return [(stream, path) for stream, path in both if path not in (DISCARD, INHERIT)]

    def _past(self, path: str) -> Past:
        try:
            return find_lines(path, self._lines, MOST_PAST)
        except SystemFailure:
            return Past(path, path, 0, 0)

    def _read(self, stream: str, path: str, begin: Past) -> None:
        """Read a log from there on; the output of a terminal without a log, from now on."""
        reader: LogReader
        if path == DISCARD:
            inputs = self._context.inputs()
            reader = tap.Tap(self._context.reactor, inputs.keeping, self._key, self._poke)
        else:
            try:
                reader = self._outputs.follow(begin, self._poke)
            except SystemFailure:
                return
        self._readers.append((stream, path, reader))

    def past(self, name: str, lines: int) -> Iterator[dict[str, Any]]:
        """Yield the last lines of the last instance."""
        self._lines = lines
        for stream, path in self._sources():
            if path == DISCARD:
                continue
            past = self._past(path)
            self._read(stream, path, past)
            left = past.length
            while left > 0 and self._readers:
                block, missed = self._readers[-1][2].read(min(PIECE, left))
                left = left - len(block) - missed if block or missed else 0
                yield from _output(name, stream, block, "")
            self._shut()

    def news(self, name: str, opened: ViewOpened) -> Iterator[dict[str, Any]]:
        """Yield all that is there by now; who is too far behind gets the number of bytes that are left out, and begins again."""
        quiet = False
        while not quiet and not self._asking:
            quiet = True
            for stream, _path, reader in tuple(self._readers):
                behind = reader.behind()
                if behind > FAR:
                    self._shut()
                    yield {"type": "missed", "name": name, "stream": stream, "bytes": behind}
                    self._ask("", opened, again=True)
                    return
                block, missed = reader.read(PIECE)
                if missed:
                    yield {"type": "missed", "name": name, "stream": stream, "bytes": missed}
                if block:
                    quiet = False
                    yield from _output(name, stream, block, reader.place)

    def follow_instance(self) -> None:
        """Read the logs of the present instance, where they are others than those of the one before."""
        sources = self._sources()
        if [(stream, path) for stream, path, _reader in self._readers] == sources and DISCARD not in dict(
            sources
        ).values():
            return
        self._shut()
        for stream, path in sources:
            self._read(stream, path, _end(path))

    def _shut(self) -> None:
        readers, self._readers = self._readers, []
        for _stream, path, reader in readers:
            if path == DISCARD:
                reader.close()
            else:
                self._outputs.unfollow(path, self._poke, reader)  # type: ignore[arg-type]

    def close(self) -> None:
        """Close everything. A second call does nothing."""
        self._closed = True
        self._shut()

    def to_data(self) -> dict[str, Any]:
        """Return what the daemon needs after an upgrade; the descriptors in `open_logs` have to be inherited."""
        logs = [((stream, path), reader) for stream, path, reader in self._readers if path != DISCARD]
        return {
            "lines": self._lines,
            "asking": self._asking,
            "open_logs": [(source, reader.to_data()) for source, reader in logs],  # type: ignore[attr-defined]
        }

    def resume(self, data: Mapping[str, Any]) -> bool:
        """Go on where `to_data` was taken; return False where it had yet to begin."""
        self._lines = data["lines"]
        for (stream, path), row in data["open_logs"]:
            self._readers.append((stream, path, self._outputs.follow_on(row, self._poke)))
        for stream, path in self._sources():
            if path == DISCARD:
                self._read(stream, path, Past(path, path, 0, 0))
        return not data["asking"]


def find_place(path: str, place: str) -> Past | None:
    """Return the stretch of a log behind a place, which may be in a file that has been rotated since; None where it is gone."""
    inode, _, text = place.partition(":")
    position = int(text) if text.isascii() and text.isdecimal() and len(text) <= MOST_DIGITS else None
    for number in range(MOST_FILES):
        file = f"{path}.{number}" if number else path
        try:
            found = os.stat(file)
        except OSError:
            continue
        if str(found.st_ino) == inode and position is not None and position <= found.st_size:
            return Past(path, file, position, 0)
    return None


def _end(path: str) -> Past:
    """Return the present end of a log."""
    try:
        return Past(path, path, os.stat(path).st_size, 0)
    except OSError:
        return Past(path, path, 0, 0)


def _output(name: str, stream: str, block: bytes, place: str) -> Iterator[dict[str, Any]]:
    if block:
        text = block.decode("utf-8", "surrogateescape")
        yield {"type": "output", "name": name, "stream": stream, "text": text, "at": place}
