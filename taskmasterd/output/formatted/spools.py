"""All spools of a daemon: makes them, finds those of an earlier daemon, and ends the ones that have no pipe any more."""

from __future__ import annotations

import os

from taskmaster_common.config import JSON, UTC
from taskmaster_common.errors import SystemFailure
from taskmaster_common.records import Record
from taskmaster_common.text.lineformat import LineOrigin
from taskmasterd.core.programs.table import process_name
from taskmasterd.output.formatted.spool import FLAGS, Spool
from taskmasterd.output.formatted.tail import Tail
from taskmasterd.output.formatted.unspooled import Unspooled
from taskmasterd.output.formatted.writer import FormattedSink, Style
from taskmasterd.output.log.stamp import Stamp
from taskmasterd.system.procfs import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.output.formatted.tail import Place
    from taskmasterd.output.log.file import LogFile
    from taskmasterd.output.sink import LogSink
    from taskmasterd.output.sinks import Sinks
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.paths.rundir import RuntimeDirectory

DIRECTORY = "spool"
"""The directory of spools in the runtime directory."""
DRAFT = ".new"
VERSION = 1


class Stream(Record):
    """Whose lines go to a log, and how they are written."""

    origin: LineOrigin
    style: Style


class LeftSpool(Record):
    """A spool that an earlier daemon has left."""

    spool: Spool
    recipe: Mapping[str, Any]
    stream: Stream

    @property
    def path(self) -> str:
        """The path of its log."""
        path: str = self.recipe["path"]
        return path


class Spools:
    """The spools of the daemon at `socket`: others may use the same directory.

    What an earlier daemon of this boot has left is found at once; it goes on with the pipe of the same inode (`resume`), or is
    written and removed by `finish_left`. The spools of an earlier boot are removed: their logs may have lost what they say.
    """

    def __init__(self, reactor: Reactor, sinks: Sinks, rundir: RuntimeDirectory, socket: str) -> None:
        self.reactor = reactor
        self._sinks = sinks
        self._rundir = rundir
        self._mark = {"version": VERSION, "socket": socket, "boot": boot_id()}
        self._directory = -1
        self._left: dict[str, LeftSpool] = {}
        self._ends: dict[tuple[int, int], int] = {}
        self._tails: dict[str, Tail] = {}
        self._stamps: dict[bool, Stamp] = {}
        if rundir.has(DIRECTORY):
            self._find_left()

    # -- streams

    def make(self, inode: int, sink: LogSink, stream: Stream) -> FormattedSink:
        """Return what formats the bytes of a new pipe for `sink`. Raises SystemFailure where it can have no spool."""
        self._enter()
        return self._sink(self._make(inode, sink, stream), sink, stream)

    def resume(self, inode: int, sink: LogSink, stream: Stream | None) -> LogSink:
        """Return what goes on with the pipe of an earlier daemon: `sink` itself for one that has no spool, nor a `stream`.

        Where the spool of a `stream` is lost, it goes on with a new one, or without; the trouble of the log tells of that.
        """
        left = self._left.pop(str(inode), None)
        if left is not None:
            return self._sink(left.spool, sink, left.stream)
        if stream is None:
            return sink
        try:
            return self.make(inode, sink, stream)
        except SystemFailure as failure:
            sink.ledger.trouble.warn(f"{failure}; a kill of the daemon may cost output of {sink.path}")
            return self._sink(Unspooled(), sink, stream)

    def finish_left(self) -> None:
        """Write what is in the spools of pipes that are gone, and remove them."""
        lefts, self._left = list(self._left.values()), {}
        sinks: list[FormattedSink] = []
        for left in lefts:
            owner, limits = left.recipe["owner"], left.recipe["limits"]
            sink = self._sinks.acquire(
                left.path, limits[0], limits[1], tuple(owner) if owner else None, left.recipe["of"], lazily=True
            )
            sinks.append(self._sink(left.spool, sink, left.stream))
        for each in sinks:
            self._sinks.release(each.finish())

    def tell(self, sink: LogSink, stream: Stream, text: str) -> None:
        """Write a line of the daemon's own to the log of `sink`, as the lines of `stream` are written."""
        tail = self._tails.get(sink.path)
        if tail and tail.streams:
            next(iter(tail.streams)).tell(stream.origin, text)
            return
        alone = self._sink(Unspooled(), sink, stream)
        alone.tell(stream.origin, text)
        alone.finish()

    def leave(self) -> None:
        """Write what is left of all streams at the orderly end, and remove the directory."""
        for stream in [each for tail in self._tails.values() for each in tail.streams]:
            stream.finish()
        if self._directory >= 0:
            os.close(self._directory)
            self._directory = -1
            self._rundir.leave(DIRECTORY)

    # -- what all of them share

    def stamp(self, *, utc: bool) -> Stamp:
        """Return what writes times."""
        if utc not in self._stamps:
            self._stamps[utc] = Stamp(utc=utc)
        return self._stamps[utc]

    def cut(self, place: Place, log: LogFile) -> Place:
        """Remove what a daemon that died has written to a log and not noted; return where the log ends."""
        device, inode, size = place
        end = self._ends.pop((device, inode), size)
        if end >= size:
            return place
        try:
            log.cut(end)
        except OSError:
            return place
        return device, inode, end

    # -- spools

    def _sink(self, spool: Spool | Unspooled, sink: LogSink, stream: Stream) -> FormattedSink:
        tails = self._tails
        if sink.path not in tails:
            for path in [path for path, tail in tails.items() if not tail.streams]:
                del tails[path]
            tails[sink.path] = Tail()
        return FormattedSink(sink, spool, stream.origin, stream.style, tails[sink.path], self)

    def _enter(self) -> None:
        """Have the directory open, another one where somebody has removed it; older spools keep the descriptor of the old one."""
        if self._directory < 0 or os.fstat(self._directory).st_nlink == 0:
            self._directory = self._rundir.enter(DIRECTORY)

    def _make(self, inode: int, sink: LogSink, stream: Stream) -> Spool:
        recipe = {
            **self._mark,
            "path": sink.path,
            "owner": sink.log.owner,
            "limits": sink.log.limits,
            "of": sink.program,
            "origin": stream.origin.to_data(),
            "style": stream.style.to_data(),
        }
        self._remove(str(inode))  # of a pipe that is gone: no two have the same number
        return Spool.make(self._directory, str(inode), recipe)

    def _remove(self, name: str) -> None:
        try:
            os.unlink(name, dir_fd=self._directory)
        except OSError:
            return

    # -- what an earlier daemon has left

    def _find_left(self) -> None:
        """Find the spools of an earlier daemon, and how far their logs are right."""
        try:
            self._enter()
            names = os.listdir(self._directory)
        except (OSError, SystemFailure):
            return
        for name in names:
            left = self._open(name) if name.isdecimal() else None
            if left:
                self._left[name] = left
                self._remove(f"{name}{DRAFT}")
        # nothing can be behind the last note where nothing was left to write
        unsure = {left.path for left in self._left.values() if left.spool.left}
        for spool in [left.spool for left in self._left.values() if left.path in unsure]:
            device, inode, length = spool.place
            if inode:
                self._ends[device, inode] = max(length, self._ends.get((device, inode), 0))

    def _open(self, name: str) -> LeftSpool | None:
        """Open a spool that was found; None where it is not ours, or of no use any more."""
        try:
            fd = os.open(name, FLAGS, dir_fd=self._directory)
        except OSError:
            return None
        try:
            spool = Spool(self._directory, name, fd)
            recipe = spool.recipe()
            if recipe["socket"] != self._mark["socket"]:
                os.close(fd)
                return None
            if recipe["boot"] == self._mark["boot"]:
                return LeftSpool(spool, recipe, _stream_of(recipe))
        except (ValueError, KeyError, TypeError, OSError, RecursionError):
            os.close(fd)
            return None
        spool.close(keep=False)
        return None


def stream_of(program: ProgramConfig, index: int, name: str, pid: int = 0) -> Stream:
    """Return how a stream of a slot is written by its configuration."""
    output = program.output
    shown = process_name(program.name, index, index == 0 and program.numprocs == 1)
    levels = output.log_format == JSON if output.log_levels is None else output.log_levels
    return Stream(
        LineOrigin(program.name, index, shown, name, pid),
        Style(output.log_format, output.log_prefix, output.log_time == UTC, levels),
    )


def _stream_of(recipe: Mapping[str, Any]) -> Stream:
    return Stream(LineOrigin(**recipe["origin"]), Style(**recipe["style"]))
