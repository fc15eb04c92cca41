"""Where the output of programs goes: pipes and targets of each copy, and what has been written, read back.

It holds the pipes of all copies, live or dead; what happens to processes is the performer's business.
"""

from __future__ import annotations

import os

from taskmaster_common.config import DISCARD, INHERIT, Output
from taskmaster_common.errors import SystemFailure
from taskmaster_common.records import Record
from taskmaster_common.states import EXITED, FATAL
from taskmasterd.core.words.view import as_wanted
from taskmasterd.output.pipe import LogPipe
from taskmasterd.output.read import Follower, Past, tail_since
from taskmasterd.output.targets import account_of, targets
from taskmasterd.system.spawner import SetupError, child_pipe, is_shortage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, Protocol

    from taskmasterd.core.process.machine import Process
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.output.sink import LogSink
    from taskmasterd.output.sinks import Sinks
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.users import Account

    class Keeper(Protocol):
        """Somebody who holds a second descriptor of each pipe, in case that we die."""

        def keep(self, inode: int, fd: int, path: str, /) -> None:
            """Hold the pipe, whose bytes go to `path`."""

        def drop(self, inode: int, /) -> None:
            """Let go of it."""


MOST_WORD = 200
"""Characters of a last line that are shown."""


class Streams(Record):
    """The descriptors that a child gets as 1 and 2, and what has to be closed or watched after the spawn.

    `began` is the file of stderr ("" where it is none) and its size before the child wrote anything.
    """

    stdout: int
    stderr: int
    children_ends: tuple[int, ...]
    pipes: tuple[LogPipe, ...]
    began: tuple[str, int]


class Outputs:
    """The output of all programs. `log_dir` None: an omitted stream is the daemon's own; `null` is /dev/null, open.

    `left` are inode and path of pipes that are open though nothing is alive of the copy that they were made for.
    """

    def __init__(
        self, reactor: Reactor, sinks: Sinks, log_dir: str | None, null: int, keeper: Keeper | None = None
    ) -> None:
        self._reactor = reactor
        self._on_end = self._ended  # one for all pipes
        self._sinks = sinks
        self._log_dir = log_dir
        self._null = null
        self.keeper = keeper
        self.pipes: set[LogPipe] = set()
        self.left: dict[int, str] = {}
        self._began: dict[Entry, tuple[str, int]] = {}

    # -- a copy

    def open(self, entry: Entry, who: Account | None) -> Streams:
        """Return what a new copy writes to. Raises SetupError or, for a shortage, OSError."""
        stdout, stderr = targets(entry.wanted, entry.index, self._log_dir)
        opened: dict[str, tuple[int, LogPipe | None]] = {}
        owner = _owner(who)
        try:
            for own, target in ((1, stdout), (2, stderr)):
                if target == INHERIT:
                    opened[f"{INHERIT} {own}"] = (own, None)
                elif target not in opened:
                    opened[target] = (self._null, None) if target == DISCARD else self._pipe(entry, target, owner)
        except (SetupError, OSError):
            for fd, pipe in opened.values():
                if pipe:
                    os.close(fd)
                    pipe.close()
            raise
        fds = [
            opened[f"{INHERIT} {own}" if target == INHERIT else target][0] for own, target in ((1, stdout), (2, stderr))
        ]
        pipes = [(fd, pipe) for fd, pipe in opened.values() if pipe]
        errors = opened[stderr][1] if stderr in opened else None
        began = (stderr, errors.sink.size()) if errors else ("", 0)
        return Streams(fds[0], fds[1], tuple(fd for fd, _ in pipes), tuple(pipe for _, pipe in pipes), began)

    def began(self, entry: Entry) -> tuple[str, int]:
        """Return the file of stderr and its size when the slot's last copy was started."""
        return self._began.get(entry, ("", 0))

    def begin(self, entry: Entry, began: tuple[str, int]) -> None:
        """Remember where the stderr of the slot's present copy begins."""
        self._began[entry] = began

    def reopen(self, entries: Iterable[Entry]) -> None:
        """Open the logs of these slots anew, because somebody has renamed the files."""
        paths = {self.log_path(entry, stream) for entry in entries for stream in ("stdout", "stderr")}
        for sink in [sink for path in paths for sink in self._sinks.at(path)]:
            sink.reopen()

    def leave(self, pipes: Iterable[LogPipe]) -> None:
        """Nothing is alive of the copy with these pipes; what it was not asked to take with it may write into them yet."""
        self.left.update((pipe.inode, pipe.path) for pipe in pipes if not pipe.closed)

    def take_over_left(self, path: str, fd: int) -> LogPipe:
        """Go on with a pipe of an earlier daemon that belongs to no copy any more."""
        known = self._sinks.at(path)
        limits = known[0].limits if known else (Output.log_maxbytes, Output.log_backups)
        pipe = self._watch(fd, self._sinks.acquire(path, *limits, _owner_of(fd), lazily=True))
        self.leave([pipe])
        return pipe

    def take_over(self, entry: Entry, path: str, fd: int) -> LogPipe:
        """Go on with a pipe of an earlier daemon's copy; a target that is wrong by now costs output, and is told."""
        try:
            owner = _owner(account_of(entry.present))
        except SetupError:
            owner = None
        limits = entry.wanted.output.log_maxbytes, entry.wanted.output.log_backups
        sink = self._sinks.acquire(path, *limits, owner, entry.program, lazily=True)
        return self._watch(fd, sink)

    def _pipe(self, entry: Entry, path: str, owner: tuple[int, int] | None) -> tuple[int, LogPipe]:
        """Return the child's end of a new pipe and its other end, which moves what comes into the file."""
        try:
            limits = entry.wanted.output.log_maxbytes, entry.wanted.output.log_backups
            sink = self._sinks.acquire(path, *limits, owner, entry.program)
        except SystemFailure as failure:
            if failure.errno and is_shortage(OSError(failure.errno, failure.reason)):
                raise OSError(failure.errno, failure.reason) from None
            raise SetupError("log file", str(failure)) from None
        try:
            read, child = child_pipe(owner)
        except OSError:
            self._sinks.release(sink)
            raise
        return child, self._watch(read, sink)

    def _watch(self, read: int, sink: LogSink) -> LogPipe:
        pipe = LogPipe(self._reactor, read, sink, self._on_end)
        self.pipes.add(pipe)
        if self.keeper:
            self.keeper.keep(pipe.inode, read, sink.path)
        return pipe

    def _ended(self, pipe: LogPipe) -> None:
        self.pipes.discard(pipe)
        self.left.pop(pipe.inode, None)
        self._sinks.release(pipe.sink)
        if self.keeper:
            self.keeper.drop(pipe.inode)

    def drain(self, pipes: Iterable[LogPipe] | None = None) -> None:
        """Move what is in these pipes now, or in all of them: the daemon is about to end."""
        for pipe in tuple(self.pipes if pipes is None else pipes):
            pipe.drain()

    def forget(self, entry: Entry) -> None:
        """Drop what is kept about a slot that is gone from the table."""
        self._began.pop(entry, None)

    # -- what was written

    def log_path(self, entry: Entry, stream: str) -> str:
        """Return where a stream of the slot's present or last copy goes."""
        stdout, stderr = targets(entry.present, entry.index, self._log_dir)
        return stderr if stream == "stderr" else stdout

    def follow(self, past: Past, changed: Callable[[], None]) -> Follower:
        """Return who reads a log from there on; `changed` is called whenever something is added, until `unfollow`.

        Raises SystemFailure where it cannot be read back.
        """
        follower = Follower(past.path, past, retired=lambda: self._sinks.retired(past.path))
        self._sinks.watch(past.path, changed)
        return follower

    def follow_on(self, row: Mapping[str, Any], changed: Callable[[], None]) -> Follower:
        """Return who goes on with what a follower of an earlier life has read (`Follower.to_data`)."""
        path = row["path"]
        follower = Follower(path, retired=lambda: self._sinks.retired(path))
        follower.go_on(row)
        self._sinks.watch(path, changed)
        return follower

    def written_since(self, path: str, moment: float) -> int:
        """Return how many of the last bytes of a log were written since then, monotonic seconds."""
        return self._sinks.written_since(path, moment)

    def unfollow(self, path: str, changed: Callable[[], None], follower: Follower) -> None:
        """Undo `follow`."""
        self._sinks.unwatch(path, changed)
        follower.close()

    def last_words(self, entry: Entry) -> list[str]:
        """Return the last lines that the slot's last copy wrote to stderr, none where it wrote nothing."""
        path, began = self.began(entry)
        return tail_since(path, began) if path else []

    def parting(self, entry: Entry, before: Process) -> list[tuple[str, str]]:
        """Return the event log's line about the last words of a slot that has just given up or ended unexpectedly."""
        after = entry.process
        if after.state not in (FATAL, EXITED) or after.state == before.state or as_wanted(after):
            return []
        words = self.last_words(entry)
        return [("info", f"last line of stderr: {words[-1][:MOST_WORD]}")] if words else []

    def limits_changed(self, entry: Entry) -> None:
        """Apply log_maxbytes and log_backups to the files that are open."""
        for stream in ("stdout", "stderr"):
            for sink in self._sinks.at(self.log_path(entry, stream)):
                if sink.program == entry.program:
                    sink.set_limits(entry.wanted.output.log_maxbytes, entry.wanted.output.log_backups)


def _owner(who: Account | None) -> tuple[int, int] | None:
    return (who.uid, who.gid) if who else None


def _owner_of(pipe: int) -> tuple[int, int] | None:
    """Return whose pipe it is: `child_pipe` gave it to the user of the program that it was made for."""
    found = os.fstat(pipe)
    return (found.st_uid, found.st_gid) if found.st_uid != os.geteuid() else None
