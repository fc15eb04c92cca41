"""The pipes of all instances, where they lead, and what was written, read back.

It holds the pipes of instances that live and of those that have ended. It knows nothing of processes.
"""

from __future__ import annotations

import os

from taskmaster_common.config import DISCARD, INHERIT, RAW, Output, is_elsewhere
from taskmaster_common.config.words import is_logger
from taskmaster_common.errors import SystemFailure
from taskmaster_common.records import Record
from taskmasterd.ondemand import on_demand
from taskmasterd.output.last_words import LastWords
from taskmasterd.output.pipe import LogPipe
from taskmasterd.output.targets import account_of, ids_of, leads_to_a_pipe, targets
from taskmasterd.system.spawner import SetupError, child_pipe, is_shortage

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping
    from typing import Any, Protocol

    from taskmaster_common.config import ProgramConfig, elsewhere
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.ondemand import Made
    from taskmasterd.output import read
    from taskmasterd.output.elsewhere import journal, syslog
    from taskmasterd.output.formatted import spools
    from taskmasterd.output.formatted.spools import Spools
    from taskmasterd.output.ledger.timeline import LogMarks
    from taskmasterd.output.sink import LogSink
    from taskmasterd.output.sinks import Sinks
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.users import Account

    class DescriptorKeeper(Protocol):
        """Holds a second descriptor of each pipe, in case the daemon dies."""

        def keep(self, inode: int, fd: int, path: str, /) -> None:
            """Hold the pipe, whose bytes go to `path`."""

        def drop(self, inode: int, /) -> None:
            """Let go of it."""

    class Commands(Protocol):
        """The commands that read what slots write."""

        def open(self, entry: Entry, program: ProgramConfig, target: str, who: Account | None, /) -> int:
            """Return the write end of the pipe to the command of a target. Raises SetupError or, for a shortage, OSError."""

        def keep_only(self, entry: Entry, targets: Collection[str], /) -> None:
            """End those of a slot to which its next instance does not write."""

        def when_read(self, entries: Iterable[Entry], done: Callable[[], None], /) -> None:
            """Call `done` once those of slots that are down have read everything."""

        def end_all(self, done: Callable[[], None], /) -> None:
            """End all, and call `done` then."""

    class MadeCommands(Protocol):
        """These commands, made when the first slot has one (`ondemand.Made`)."""

        @property
        def made(self) -> Commands | None:
            """They, None before."""

        def __call__(self) -> Commands:
            """Return them."""
else:
    elsewhere = on_demand("taskmaster_common.config.elsewhere")
    journal = on_demand("taskmasterd.output.elsewhere.journal")
    syslog = on_demand("taskmasterd.output.elsewhere.syslog")
    read = on_demand("taskmasterd.output.read")
    spools = on_demand("taskmasterd.output.formatted.spools")


class Streams(Record):
    """The descriptors that a child gets as 1 and 2, and what to close or watch after the spawn.

    `log_start` is the path of stderr's file and its size before the child wrote anything; ("", 0) without such a file.
    """

    stdout: int
    stderr: int
    children_ends: tuple[int, ...]
    pipes: tuple[LogPipe, ...]
    log_start: tuple[str, int]


class Ways(Record):
    """How output gets where it leads, besides by the sinks of logs: through spools that format it, by commands that read it."""

    spools: Made[Spools]
    commands: MadeCommands


class Outputs:
    """The output of all programs. `log_dir` None: an omitted stream is the daemon's own; `null` is an open /dev/null.

    `left` maps the inodes of pipes to their paths: pipes that are still open, of instances of which nothing is alive.
    """

    def __init__(
        self,
        reactor: Reactor,
        sinks: Sinks,
        log_dir: str | None,
        null: int,
        keeper: DescriptorKeeper | None = None,
        ways: Ways | None = None,
    ) -> None:
        self._reactor = reactor
        self._on_end = self._ended  # one for all pipes
        self._sinks = sinks
        self.loses = sinks.loses
        self._log_dir = log_dir
        self._null = null
        self.keeper = keeper
        self._spools = ways.spools if ways else None
        self.commands = ways.commands if ways else None
        self.pipes: set[LogPipe] = set()
        self.left: dict[int, str] = {}
        self.last_words = LastWords()

    # -- an instance

    def open(self, entry: Entry, who: Account | None) -> Streams:
        """Return what a new instance writes to. Raises SetupError or, for a shortage, OSError."""
        stdout, stderr = targets(entry.wanted, entry.index, self._log_dir)
        if self.commands and self.commands.made:
            self.commands.made.keep_only(entry, (stdout, stderr))
        return self._open(entry, who, stdout, stderr)

    def open_errors(self, entry: Entry, program: ProgramConfig, who: Account | None) -> Streams:
        """Return what a hook of the slot writes to: both streams lead where the stderr of `program` does. Raises as `open`."""
        target = targets(program, entry.index, self._log_dir)[1]
        return Streams(2, 2, (), (), ("", 0)) if target == INHERIT else self._open(entry, who, target, target)

    def _open(self, entry: Entry, who: Account | None, stdout: str, stderr: str) -> Streams:
        opened: dict[str, tuple[int, LogPipe | None]] = {}
        owner, formatted = ids_of(who), self._spools is not None and entry.wanted.output.log_format != RAW
        keys: list[str] = []
        ends: list[int] = []
        try:
            for own, name, target in ((1, "stdout", stdout), (2, "stderr", stderr)):
                apart = formatted or target == INHERIT  # each line of a formatted log names its stream
                key = f"{name} {target}" if apart else target
                keys.append(key)
                if target in (INHERIT, DISCARD):
                    opened[key] = (own if target == INHERIT else self._null, None)
                elif is_logger(target) and self.commands and target not in opened:
                    key = keys[-1] = target  # one for both streams, also beside a formatted log
                    opened[key] = (self.commands().open(entry, entry.wanted, target, who), None)
                    ends.append(opened[key][0])
                elif is_logger(target):
                    keys[-1] = target
                elif key not in opened:
                    opened[key] = self.pipe_to(entry, target, owner, name if formatted else "")
                    ends.append(opened[key][0])
        except (SetupError, OSError):
            for fd in ends:
                os.close(fd)
            for _, pipe in opened.values():
                if pipe:
                    pipe.close()
            raise
        pipes = tuple(pipe for _, pipe in opened.values() if pipe)
        errors = opened[keys[1]][1] if stderr.startswith("/") else None
        start = (stderr, errors.sink.log.size()) if errors else ("", 0)
        return Streams(opened[keys[0]][0], opened[keys[1]][0], tuple(ends), pipes, start)

    def reopen(self, entries: Iterable[Entry]) -> None:
        """Open the logs of these slots again: somebody has renamed the files."""
        paths = {self.log_path(entry, stream) for entry in entries for stream in ("stdout", "stderr")}
        for sink in [sink for path in paths for sink in self._sinks.at(path)]:
            sink.log.reopen()

    def leave(self, pipes: Iterable[LogPipe]) -> None:
        """Note that nothing is alive of the instance with these pipes; processes that it left behind on purpose may still write."""
        self.left.update((pipe.inode, pipe.path) for pipe in pipes if not pipe.closed)

    def take_over_left(self, path: str, fd: int) -> LogPipe:
        """Go on with a pipe of an earlier daemon whose instance is gone."""
        known = self._sinks.at(path)
        limits = known[0].log.limits if known else (Output.log_maxbytes, Output.log_backups)
        sink = self._sinks.acquire(path, *limits, _owner_of(fd), lazily=True)
        pipe = self._watch(fd, self._resumed(fd, sink, None))
        self.leave([pipe])
        return pipe

    def take_over(self, entry: Entry, path: str, fd: int) -> LogPipe:
        """Go on with a pipe of an earlier daemon's instance; a path that is wrong by now costs output, and is reported."""
        return self._watch(fd, self._resumed(fd, _acquire_lazily(self._sinks, entry, path), entry), entry)

    def _resumed(self, fd: int, sink: LogSink, entry: Entry | None) -> LogSink:
        """Return what takes the bytes of an earlier daemon's pipe: `sink`, or what formats them for it."""
        if is_elsewhere(sink.path):
            return _to_syslog(sink, entry.present if entry else None, entry.process.pid or 0 if entry else 0)
        formatted = entry is not None and entry.present.output.log_format != RAW
        if self._spools is None or not (formatted or self._spools.made):
            return sink
        stream = None
        if entry is not None and formatted:
            name = "stdout" if sink.path == self.log_path(entry, "stdout") else "stderr"
            stream = spools.stream_of(entry.present, entry.index, name, entry.process.pid or 0)
        return self._spools().resume(os.fstat(fd).st_ino, sink, stream)

    def pipe_to(
        self, entry: Entry, path: str, owner: tuple[int, int] | None, formatted: str
    ) -> tuple[int, LogPipe | None]:
        """Return what a child gets for a target, and our end of the pipe, None where its bytes do not pass the daemon.

        `formatted`: the name of the stream, "" for one that is written as it is.
        """
        if not leads_to_a_pipe(path):
            return journal.journal_stream(elsewhere.elsewhere_of(path)), None
        try:
            limits = entry.wanted.output.log_maxbytes, entry.wanted.output.log_backups
            sink = self._sinks.acquire(path, *limits, owner, entry.program, lazily=is_elsewhere(path))
        except SystemFailure as failure:
            raise _refused(failure) from None
        try:
            read, child = child_pipe(owner)
        except OSError:
            self._sinks.release(sink)
            raise
        if is_elsewhere(path):
            return child, self._watch(read, _to_syslog(sink, entry.wanted, 0), entry)
        try:
            if self._spools and formatted:
                stream = spools.stream_of(entry.wanted, entry.index, formatted)
                return child, self._watch(read, self._spools().make(os.fstat(read).st_ino, sink, stream), entry)
        except SystemFailure as failure:
            self._sinks.release(sink)
            os.close(read)
            os.close(child)
            raise _refused(failure) from None
        return child, self._watch(read, sink, entry)

    def _watch(self, read: int, sink: LogSink, owner: Entry | None = None) -> LogPipe:
        pipe = LogPipe(self._reactor, read, sink, self._on_end, owner)
        self.pipes.add(pipe)
        if self.keeper:
            self.keeper.keep(pipe.inode, read, sink.path)
        return pipe

    def _ended(self, pipe: LogPipe) -> None:
        self.pipes.discard(pipe)
        self.left.pop(pipe.inode, None)
        self._sinks.release(pipe.sink.finish())
        if self.keeper:
            self.keeper.drop(pipe.inode)

    def drain(self, pipes: Iterable[LogPipe] | None = None) -> None:
        """Move what is in these pipes now; without an argument, in all pipes."""
        for pipe in tuple(self.pipes if pipes is None else pipes):
            pipe.drain()
            if not pipe.closed:
                pipe.sink.settle()

    def tell(self, entry: Entry, text: str) -> None:
        """Write a line about a slot to its formatted log; nothing where it has none."""
        stdout, stderr = (self.log_path(entry, stream) for stream in ("stdout", "stderr"))
        path = stdout if stdout.startswith("/") else stderr
        if self._spools is None or entry.present.output.log_format == RAW or not path.startswith("/"):
            return
        sink = _acquire_lazily(self._sinks, entry, path)
        self._spools().tell(sink, spools.stream_of(entry.present, entry.index, "event", entry.process.pid or 0), text)
        self._sinks.release(sink)

    # -- what was written

    def log_path(self, entry: Entry, stream: str) -> str:
        """Return where a stream of the slot's present or last instance goes."""
        stdout, stderr = targets(entry.present, entry.index, self._log_dir)
        return stderr if stream == "stderr" else stdout

    def follow(self, past: read.Past, changed: Callable[[], None]) -> read.Follower:
        """Return a reader of a log from there on; call `changed` whenever something is added, until `unfollow`.

        Raises SystemFailure where it cannot be read back.
        """
        follower = read.Follower(past.path, past, retired=lambda: self._sinks.retired(past.path))
        self._sinks.watch(past.path, changed)
        return follower

    def follow_on(self, row: Mapping[str, Any], changed: Callable[[], None]) -> read.Follower:
        """Return a reader that goes on where one stopped before an upgrade (`Follower.to_data`)."""
        path = row["path"]
        follower = read.Follower(path, retired=lambda: self._sinks.retired(path))
        follower.go_on(row)
        self._sinks.watch(path, changed)
        return follower

    def marks(self, path: str) -> LogMarks | None:
        """Return when how much was written to a log, None where nothing is known."""
        return self._sinks.marks(path)

    def unfollow(self, path: str, changed: Callable[[], None], follower: read.Follower) -> None:
        """Undo `follow`."""
        self._sinks.unwatch(path, changed)
        follower.close()

    def limits_changed(self, entry: Entry) -> None:
        """Apply log_maxbytes and log_backups to the files that are open."""
        for stream in ("stdout", "stderr"):
            for sink in self._sinks.at(self.log_path(entry, stream)):
                if sink.program == entry.program:
                    sink.log.set_limits(entry.wanted.output.log_maxbytes, entry.wanted.output.log_backups)


def _to_syslog(sink: LogSink, program: ProgramConfig | None, pid: int) -> LogSink:
    return syslog.SyslogSink(sink, levels=program is None or program.output.log_levels is not False, pid=pid)


def _acquire_lazily(sinks: Sinks, entry: Entry, path: str) -> LogSink:
    """Return the sink of a log of a slot, which is opened with the first byte."""
    try:
        owner = ids_of(account_of(entry.present))
    except SetupError:
        owner = None
    limits = entry.wanted.output.log_maxbytes, entry.wanted.output.log_backups
    return sinks.acquire(path, *limits, owner, entry.program, lazily=True)


def _refused(failure: SystemFailure) -> OSError | SetupError:
    """Return why a stream cannot be opened: for now, or as it is."""
    if failure.errno and is_shortage(OSError(failure.errno, failure.reason)):
        return OSError(failure.errno, failure.reason)
    return SetupError("log file", str(failure))


def _owner_of(pipe: int) -> tuple[int, int] | None:
    """Return the owner of a pipe: `child_pipe` gave it to the user of its program."""
    found = os.fstat(pipe)
    return (found.st_uid, found.st_gid) if found.st_uid != os.geteuid() else None
