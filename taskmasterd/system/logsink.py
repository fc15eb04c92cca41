"""Where output ends: one target each (`LogSink`), shared by all pipes that lead to the same path (`Sinks`).

A target that is wrong cannot be opened; one that only fails now costs output, which is counted and told, and never an
exception. It is tried again with each chunk.
"""

from __future__ import annotations

import errno
import os
import stat
import time

from taskmaster_common.errors import SystemFailure
from taskmasterd.system.logfile import GoneError, LogFile
from taskmasterd.system.logmarks import LogMarks
from taskmasterd.system.logstream import NOBODY_READS, LogStream
from taskmasterd.system.safeopen import is_system_name, is_temporary, open_log, reason_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Owner = tuple[int, int] | None

SAY_EVERY_S = 60.0
PAST_PATHS = 256
"""Of so many paths more than were ever open at once is remembered what was written and told: reloads may bring new ones for ever."""
STAYS_OPEN = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EAGAIN})
"""After these the descriptor is as good as before; after others the path is opened anew."""


class Trouble:
    """Counts what was lost and tells it: at once, then at most once a minute, and when it is over."""

    __slots__ = ("_now", "_path", "_quiet_until", "_say", "_told", "_untold", "dropped", "present")

    def __init__(self, path: str, say: Callable[[str], None], now: Callable[[], float]) -> None:
        self.dropped = 0
        self.present = False
        self._path = path
        self._say = say
        self._now = now
        self._quiet_until = 0.0
        self._told = False
        self._untold = 0

    def lost(self, problem: str, amount: int) -> None:
        """`amount` bytes were dropped because of `problem`."""
        self.present = True
        self.dropped += amount
        self._untold += amount
        if self.warn(f"{problem}; {self._untold} bytes dropped" if self._untold else problem):
            self._told = True
            self._untold = 0

    def warn(self, text: str) -> bool:
        """Tell something, unless something was told within the last minute; returns whether it was."""
        now = self._now()
        if now < self._quiet_until:
            return False
        self._quiet_until = now + SAY_EVERY_S  # first: telling may come back here by way of the event log
        self._say(text)
        return True

    def over(self) -> None:
        """The target works again."""
        self.present = False
        if self._told:
            self._told = False
            self._untold = 0
            self._say(f"{self._path} can be written again; {self.dropped} bytes dropped in all")


class LogSink:
    """One target of output. `watchers` are called when something was written or dropped; `trouble` counts what was lost.

    `key` and `holders` are the notes of `Sinks`.
    """

    __slots__ = (
        "_backups",
        "_max_bytes",
        "_now",
        "_retired",
        "_target",
        "holders",
        "key",
        "marks",
        "owner",
        "path",
        "trouble",
        "watchers",
    )

    def __init__(
        self,
        path: str,
        max_bytes: int,
        backups: int,
        owner: Owner,
        on_trouble: Callable[[str], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`max_bytes` 0: never rotate. `owner` (uid, gid) gets the files. `on_trouble` is told what fails for now."""
        self.path = path
        self.owner = owner
        self.key = path
        self.holders = 0
        self.watchers: Sequence[Callable[[], None]] = ()
        self.marks = LogMarks()
        self._max_bytes = max_bytes
        self._backups = backups
        self._now = now
        self.trouble = Trouble(path, on_trouble, now)
        self._target: LogFile | LogStream | None = None
        self._retired = 0

    @property
    def regular(self) -> bool:
        """Whether it is a regular file of its own, which rotates and can be read back; False while it is not open."""
        return isinstance(self._target, LogFile)

    @property
    def dropped(self) -> int:
        """How many bytes could not be written, in all."""
        return self.trouble.dropped

    @property
    def retired(self) -> int:
        """How many bytes are in files that were at this path and are not any more."""
        return self._retired + (self._target.retired if self._target else 0)

    # -- life

    def open(self) -> None:
        """Open the target, if it is not open. Raises SystemFailure if it is wrong, not if it only fails now."""
        if self._target:
            return
        try:
            self._opened()
        except SystemFailure as failure:
            if not is_temporary(failure.errno):
                raise
            self.trouble.lost(str(failure), 0)

    def check(self) -> None:
        """Open the target once, without creating directories. Raises SystemFailure if it is wrong."""
        try:
            os.close(open_log(self.path, self.owner, directories=False))
        except SystemFailure as failure:
            if not is_temporary(failure.errno):
                raise

    def reopen(self) -> None:
        """Open the path anew: somebody has renamed the file. What is open stays in use where that fails."""
        before, self._target = self._target, None
        try:
            now = self._opened()
        except SystemFailure as failure:
            self._target = before
            self.trouble.warn(str(failure))
            return
        if before:
            same = os.path.samestat(os.fstat(before.fd), os.fstat(now.fd))
            self._leave(before, 0 if same else before.size())

    def set_limits(self, max_bytes: int, backups: int) -> None:
        """Rotate at `max_bytes` (0: never) and keep `backups` files, from now on."""
        self._max_bytes = max_bytes
        self._backups = backups
        if self._target:
            self._target.set_limits(max_bytes, backups)

    def close(self) -> None:
        """Close the target; the next byte would open it again."""
        if self._target:
            before, self._target = self._target, None
            before.close()

    # -- bytes

    def move(self, pipe: int, most: int) -> int:
        """Move what is in a pipe to the target, about `most` bytes; returns how many left the pipe, 0 at its end.

        With `most` not below the pipe's capacity, what was written at once (≤ 4096 bytes) stays together in a target that
        others write too. Ask `busy` first. Raises BlockingIOError when the pipe is empty, nothing else.
        """
        dropped = self.trouble.dropped
        try:
            moved = self._opened().move(pipe, most)
        except BlockingIOError:
            raise
        except GoneError:
            self._left_behind()
            return self.move(pipe, most)
        except OSError as error:
            moved = self._drop(pipe, most)
            self._failed(error, moved)
        except SystemFailure as failure:
            moved = self._drop(pipe, most)
            self.trouble.lost(str(failure), moved)
        self._look_back(dropped, moved)
        return moved

    def append(self, block: bytes) -> None:
        """Write a block of the daemon's own; never raises. What cannot be written is counted."""
        dropped = self.trouble.dropped
        try:
            if self.busy():
                self._failed(NOBODY_READS, len(block))
            else:
                self._opened().append(block)
        except GoneError:
            self._left_behind()
            self.append(block)
        except OSError as error:
            self._failed(error, len(block))
        except SystemFailure as failure:
            self.trouble.lost(str(failure), len(block))
        self._look_back(dropped, len(block))

    def busy(self) -> bool:
        """Return whether the reader of a stream has yet to take what it was given; offers it again."""
        return isinstance(self._target, LogStream) and self._target.busy()

    # -- the target, and what is lost

    def _opened(self) -> LogFile | LogStream:
        """Return the target, opened where it is not. Raises SystemFailure."""
        if self._target:
            return self._target
        fd = open_log(self.path, self.owner)
        if stat.S_ISREG(os.fstat(fd).st_mode) and not is_system_name(self.path):
            self._target = LogFile(fd, self.path, self.owner, self._failed, self.trouble.warn)
        else:
            self._target = LogStream(fd, self._failed, self._now)
        self._target.set_limits(self._max_bytes, self._backups)
        return self._target

    def _leave(self, target: LogFile | LogStream, size: int) -> None:
        """Close what was the target; `size` bytes at this path are at it no more."""
        self._retired += target.retired + size
        target.close()

    def _left_behind(self) -> None:
        """The file was deleted."""
        if self._target:
            before, self._target = self._target, None
            self._leave(before, before.size())

    def _failed(self, error: OSError, amount: int) -> None:
        """Count what an error cost, and open the path anew next time unless the descriptor itself is sound."""
        if amount:
            self.trouble.lost(f"cannot write {self.path}: {reason_of(error)}", amount)
        if error.errno not in STAYS_OPEN and self._target:
            before, self._target = self._target, None
            self._leave(before, 0)

    @staticmethod
    def _drop(pipe: int, most: int) -> int:
        """Empty the pipe for a target that cannot be written: the child never waits for it. Returns how many bytes."""
        return len(os.read(pipe, most))

    def _look_back(self, dropped: int, amount: int) -> None:
        """After each chunk: see whether the trouble is over, and tell who follows."""
        if self.trouble.present and amount and dropped == self.trouble.dropped:
            self.trouble.over()
        written = amount - (self.trouble.dropped - dropped)
        if written > 0:
            self.marks.add(written, self._now())
        if self.watchers and amount:
            for watcher in tuple(self.watchers):
                watcher()


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
