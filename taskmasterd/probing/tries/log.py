"""Waits for a line in the logs of an instance. It reads the files back, from the instance's first byte, over rotations.

This try fails by itself only where a log cannot be read back; it ends with the line, or when it is cancelled.
"""

from __future__ import annotations

import stat

from taskmaster_common.errors import SystemFailure
from taskmasterd.fallbacks import SHORTAGES
from taskmasterd.output.read import Past
from taskmasterd.output.safe.open import Spot
from taskmasterd.probing.text.pattern import LineCutter, without_codes
from taskmasterd.probing.text.result import CANCELLED, Result, escaped
from taskmasterd.system.loop.cmodules import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from taskmasterd.output.read import Follower
    from taskmasterd.output.streams import Outputs
    from taskmasterd.probing.text.pattern import LinePattern
    from taskmasterd.system.loop.reactor import Reactor

    Done = Callable[[Result], None]

PIECE = 16_384
"""Most bytes of one read."""
MOST_SHOWN = 200
"""Characters of the line that the result shows."""


class LogTry:
    """One wait. `starts` are the logs, as (path, size before the instance wrote anything); `log_size` tells that size."""

    def __init__(
        self, reactor: Reactor, outputs: Outputs, starts: Sequence[tuple[str, int]], pattern: LinePattern
    ) -> None:
        self._reactor = reactor
        self._outputs = outputs
        self._starts = tuple(dict(starts).items())
        self._pattern = pattern
        self._done: Done | None = None
        self._readers: list[_Reader] = []
        self._began = 0.0

    def begin(self, done: Done) -> None:
        """Begin to read; see the package for `done`."""
        self._done, self._began = done, self._reactor.now()
        try:
            for path, size in self._starts:
                self._readers.append(_Reader(self._reactor, self._outputs, _place(path, size), self._look))
        except SystemFailure as failure:
            self._conclude(Result(None if failure.errno in SHORTAGES else False, str(failure)))
        except OSError as error:
            self._conclude(Result(None, str(error)))

    def cancel(self) -> None:
        """Stop reading."""
        self._conclude(Result(None, CANCELLED))

    def _look(self, line: bytes) -> bool:
        """Return whether this is the line, and conclude if it is."""
        text = without_codes(line)
        if not self._pattern.matches(text):
            return False
        self._conclude(Result(True, f"log: {escaped(text.decode('utf-8', 'replace'))[:MOST_SHOWN]}"))
        return True

    def _conclude(self, result: Result) -> None:
        for reader in self._readers:
            reader.close()
        self._readers = []
        done, self._done = self._done, None
        if done:
            self._reactor.call_soon(partial(done, result.replace(took_s=self._reactor.now() - self._began)))


class _Reader:
    """Reads one log in steps, and passes each line to `take` until that returns true. Raises SystemFailure, OSError."""

    def __init__(self, reactor: Reactor, outputs: Outputs, past: Past, take: Callable[[bytes], bool]) -> None:
        self._reactor = reactor
        self._outputs = outputs
        self._path = past.path
        self._take = take
        self._cutter = LineCutter()
        self._at_work = False
        self._changed = self._go_on  # one object: it is taken back by its identity
        self._follower: Follower | None = outputs.follow(past, self._changed)
        reactor.call_soon(self._go_on)

    def close(self) -> None:
        """Stop reading. A second call does nothing."""
        follower, self._follower = self._follower, None
        if follower:
            self._outputs.unfollow(self._path, self._changed, follower)

    def _go_on(self) -> None:
        if self._follower and not self._at_work:
            self._at_work = True
            self._reactor.rounds.begin(self._steps())

    def _steps(self) -> Iterator[None]:
        try:
            while self._follower:
                piece, missed = self._read(self._follower)
                if missed:
                    self._cutter.gap()
                if not piece:
                    return
                for line in self._cutter.lines(piece):
                    if self._take(line):
                        return
                    yield
                    if not self._follower:
                        return
                yield
        finally:
            self._at_work = False

    @staticmethod
    def _read(follower: Follower) -> tuple[bytes, int]:
        try:
            return follower.read(PIECE)
        except OSError:  # the next change of the log is the next occasion
            return b"", 0


def log_size(path: str) -> int:
    """Return the size of the file at the path of a log, 0 without one that can be read back."""
    return _size(path, "")


def _place(path: str, start: int) -> Past:
    """Return where the log's byte `start` is now: its file may have rotated since."""
    if _size(path, "") >= start:
        return Past(path, path, start, 0)
    return Past(path, f"{path}.1", start, 0) if _size(path, ".1") >= start else Past(path, path, 0, 0)


def _size(path: str, suffix: str) -> int:
    try:
        with Spot(path) as spot:
            found = spot.look(suffix)
    except (OSError, SystemFailure):
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0
