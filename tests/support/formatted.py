"""Formatted logs without a daemon: streams on their way from pipes to one log, in a process that can be killed."""

from __future__ import annotations

import json
import os
import re
import traceback
from collections.abc import Callable
from pathlib import Path

from taskmaster_common.text.lineformat import LineOrigin
from taskmasterd.output.formatted.spools import Spools, Stream
from taskmasterd.output.formatted.writer import Style
from taskmasterd.output.log.rotation import Allowance
from taskmasterd.output.pipe import LogPipe
from taskmasterd.output.sinks import Sinks
from taskmasterd.system.loop.reactor import Reactor
from taskmasterd.system.paths.rundir import RuntimeDirectory

NAMES = ("stdout", "stderr")
PREFIX = re.compile(rb"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d (\w+) ", re.MULTILINE)


class Lines:
    """Streams that lead to one log in `home`, a pipe each; `told` is what was reported."""

    def __init__(self, home: Path, form: str, *, max_bytes: int = 0, levels: bool = False, path: str = "") -> None:
        self.told: list[str] = []
        self.errors: list[BaseException] = []
        self.reactor = Reactor(self.errors.append)
        self.sinks = Sinks(self.told.append, Allowance())
        self.path = path or str(home / "log")
        self.limits = (max_bytes, 999)
        self.rundir = RuntimeDirectory({}, str(home / "socket"))
        self.spools = Spools(self.reactor, self.sinks, self.rundir, str(home / "socket"))
        self.style = Style(form, "{time} {stream} ", False, levels)
        self.pipes: list[LogPipe] = []
        self.open = 0

    def read(self, fd: int, name: str = "stdout", pid: int = 71) -> LogPipe:
        """Have what comes from a pipe written as lines of the stream `name`."""
        os.set_blocking(fd, False)
        sink = self.sinks.acquire(self.path, *self.limits, None, "web")
        stream = Stream(LineOrigin("web", 0, "web", name, pid), self.style)
        self.pipes.append(LogPipe(self.reactor, fd, self.spools.resume(os.fstat(fd).st_ino, sink, stream), self._ended))
        self.open += 1
        return self.pipes[-1]

    def tell(self, text: str) -> None:
        """Write a line of the daemon's own."""
        sink = self.sinks.acquire(self.path, *self.limits, None, "web")
        self.spools.tell(sink, Stream(LineOrigin("web", 0, "web", "event", 71), self.style), text)
        self.sinks.release(sink)

    def _ended(self, pipe: LogPipe) -> None:
        self.sinks.release(pipe.sink.finish())
        self.open -= 1
        if not self.open:
            self.reactor.stop()

    def until(self, condition: Callable[[], bool], turns: int = 2000) -> None:
        """Run the loop until a condition holds."""
        for _ in range(turns):
            if condition():
                break
            self.reactor.turn(0.005)
        assert not self.errors, self.errors
        assert condition(), self.written()

    def written(self) -> bytes:
        """Return the present log."""
        return Path(self.path).read_bytes() if os.path.exists(self.path) else b""

    def close(self) -> None:
        """Close all that is open."""
        for pipe in self.pipes:
            pipe.close()
        self.spools.leave()
        self.reactor.close()


def life(home: Path, form: str, max_bytes: int, fds: tuple[int, ...]) -> int:
    """Begin a process that writes the lines of pipes until they end; returns its pid. It exits with 0, or with 3 after an error."""
    pid = os.fork()
    if pid:
        return pid
    code = 3
    try:
        lines = Lines(home, form, max_bytes=max_bytes)
        for fd, name in zip(fds, NAMES):
            lines.read(fd, name)
        lines.spools.finish_left()
        lines.reactor.run()
        lines.spools.leave()
        code = 3 if lines.errors else 0
        for error in lines.errors:
            traceback.print_exception(error)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(code)


def read_back(home: Path, form: str) -> dict[str, bytes]:
    """Return what each stream has written, out of the log in `home` and its rotated files."""
    rotated = sorted(home.glob("log.*"), key=lambda path: -int(path.suffix[1:]))
    texts = [path.read_bytes() for path in (*rotated, home / "log")]
    found = dict.fromkeys(NAMES, b"")
    for text in texts:
        if form == "prefix":
            first, *pieces = PREFIX.split(text)
            assert not first, first[:200]
            for name, piece in zip(pieces[::2], pieces[1::2]):
                found[name.decode()] += piece
            continue
        for line in text.splitlines():
            each = json.loads(line)
            message = each["message"].encode("utf-8", "surrogateescape")
            found[each["stream"]] += message + (b"" if each.get("partial") else b"\n")
    return found
