"""One logger: a child that reads what a slot writes to one target, restarted until there is nothing left to read.

The pipe of the program is the logger's standard input, so no byte passes the daemon. Both ends are held here, and by the keeper, so
neither the end of the logger nor that of the daemon loses anything: what is in the pipe waits for the next logger.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys
import termios

from taskmaster_common.config.elsewhere import elsewhere_of
from taskmaster_common.errors import SystemFailure, system_reason
from taskmaster_common.records import Record
from taskmasterd.core.words.describe import status_text
from taskmasterd.fallbacks import limit
from taskmasterd.probing.children import ChildCommand, Order
from taskmasterd.probing.leftovers import Mark
from taskmasterd.processes.members.proofs import LOGGER
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.procfs import started_at
from taskmasterd.system.spawner import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.keeping.keeping import Keeping
    from taskmasterd.ondemand import Made
    from taskmasterd.probing.children import Child, Children
    from taskmasterd.system.loop.reactor import Reactor, Timer

SOUND_S = 10.0
"""Lifetime after which the end of a logger begins a new back-off, seconds."""
RETRY_FIRST_S, RETRY_MOST_S = 0.5, 30.0
"""The first and the longest pause before another logger is started, seconds."""
END_WITHIN_S, TERM_WITHIN_S = 5.0, 2.0
"""Time for a logger to read what is left once its program is gone, and from TERM to KILL, seconds."""


class LoggerMeans(Record):
    """What loggers need of the daemon. `signals` maps numbers to names without SIG.

    `say(entry, level, text)` writes to the event log; `remember()` writes the state now; `told(entry)` is called when there is
    something else to say of a logger of a slot.
    """

    reactor: Reactor
    children: Made[Children]
    keeping: Made[Keeping]
    signals: Mapping[int, str]
    say: Callable[[Entry, str, str], None]
    remember: Callable[[], None]
    told: Callable[[Entry], None]


class LoggerPipe:
    """The pipe between a slot and its logger; `written` is whether we hold its write end."""

    def __init__(self, read: int, write: int) -> None:
        self.read = read
        self._write = write

    @property
    def written(self) -> bool:
        """Whether we hold the write end."""
        return self._write >= 0

    def open(self) -> int:
        """Return another write end, for an instance. Raises OSError."""
        return os.dup(self._write)

    def unread(self) -> int:
        """Return how many bytes are in it. Source: FIONREAD, pipe(7)."""
        return int.from_bytes(fcntl.ioctl(self.read, termios.FIONREAD, bytes(4)), sys.byteorder)

    def has_writers(self) -> bool:
        """Return whether anybody has a write end. Source: poll(2), POLLHUP."""
        poll = select.poll()
        poll.register(self.read, 0)
        return not any(events & select.POLLHUP for _fd, events in poll.poll(0))

    def end(self) -> None:
        """Let go of the write end."""
        os.close(self._write)
        self._write = -1

    def close(self) -> None:
        """Let go of it."""
        if self.written:
            self.end()
        os.close(self.read)


class Logger:
    """The logger of one slot and target. `ends` are read and write end of the pipe; `over(logger)` is called when it is over.

    `program` is whose process its child is; `text` is what people should know of it ("exit 1, again in 2s"), "" where all is well.
    """

    def __init__(
        self,
        means: LoggerMeans,
        entry: Entry,
        target: str,
        key: str,
        ends: tuple[int, int],
        over: Callable[[Logger], None],
    ) -> None:
        self.entry = entry
        self.program: ProgramConfig = entry.present
        self.target = target
        self.text = ""
        self.waiters: list[Callable[[], None]] = []
        self._means = means
        self._key = key
        self.pipe = LoggerPipe(*ends)
        self._when_over = over
        self._child: Child | None = None
        self._started = -1
        self._began = 0.0
        self._pause_s = RETRY_FIRST_S
        self._failure = ""
        self._killed = False
        self._again: Timer | None = None
        self._late: Timer | None = None

    @property
    def command(self) -> str:
        """What it executes, for people."""
        return elsewhere_of(self.target).command_text

    @property
    def mark(self) -> Mark | None:
        """What identifies its child, None where there is none."""
        return self._child.mark if self._child else None

    @property
    def ending(self) -> bool:
        """Whether it only reads what is left."""
        return not self.pipe.written

    def serve(self, program: ProgramConfig) -> None:
        """Let the next child be a process of this program."""
        self.program = program

    # -- its life

    def begin(self) -> None:
        """Start its child. Raises SetupError or OSError: then there is none, and `abandon` lets go of the pipe."""
        target, program = elsewhere_of(self.target), self.program
        order = Order(LOGGER, program, self.entry.index, ChildCommand(target.words, bool(target.shell)))
        self._failure, self._began = "", self._means.reactor.now()
        try:
            self._child = self._means.children().spawn(order, order.account(), 1, 2, self, stdin=self.pipe.read)
        except ValueError as error:  # a word that no exec can take
            raise SetupError("logger", f"cannot execute {target.words[0]}: {error}") from None
        self._started = started_at(self._child.pid) or -1
        self._means.remember()

    def end(self) -> None:
        """Let it read what is left, and end: nothing of the slot is alive. A second call does nothing."""
        if self.ending:
            return
        self.pipe.end()
        self._means.keeping().drop(self._key)
        self._late = self._means.reactor.call_later(END_WITHIN_S, self._is_late)
        if self._child is None:
            self._means.reactor.cancel(self._again)
            self._start_again()
        self._means.remember()

    def abandon(self) -> None:
        """Let go of the pipe of a logger whose first child could not be started."""
        self._means.keeping().drop(self._key)
        self.pipe.close()

    def _start_again(self) -> None:
        self._again = None
        if self.ending and not self.pipe.unread():
            self._over()
            return
        try:
            self.begin()
        except SetupError as error:
            self._retry(error.text)
        except OSError as error:
            self._retry(f"the system refuses another process: {system_reason(error)}{limit(error.errno)}")

    def _retry(self, why: str) -> None:
        """Start another one after a pause."""
        pause_s, self._pause_s = self._pause_s, min(self._pause_s * 2, RETRY_MOST_S)
        self._tell(f"{why}, again in {pause_s:g}s")
        self._means.say(self.entry, "warning", f"logger {self.command}: {self.text}")
        self._again = self._means.reactor.call_later(pause_s, self._start_again)

    def _is_late(self) -> None:
        """End it by force, unless somebody can still write: what an instance has left on purpose, for which nobody waits."""
        if self.pipe.has_writers():
            self._answer()
            self._late = self._means.reactor.call_later(END_WITHIN_S, self._is_late)
            return
        seconds = END_WITHIN_S + TERM_WITHIN_S * self._killed
        number, self._killed = (signal.SIGKILL if self._killed else signal.SIGTERM), True
        if self._child is None:
            self._means.reactor.cancel(self._again)
            self._over()
            return
        name = self._means.signals[number]
        text = f"logger {self.command} has not ended {seconds:g}s after its program; SIG{name} to pid {self._child.pid}"
        self._means.say(self.entry, "warning", text)
        self._child.signal(number)
        self._late = None if number == signal.SIGKILL else self._means.reactor.call_later(TERM_WITHIN_S, self._is_late)

    def _over(self) -> None:
        self._means.reactor.cancel(self._late)
        self._tell("")
        if self.pipe.unread():
            text = f"logger {self.command} has left {self.pipe.unread()} bytes unread; they are lost"
            self._means.say(self.entry, "error", text)
        self.pipe.close()
        self._answer()
        self._when_over(self)

    def _answer(self) -> None:
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            waiter()

    def _tell(self, text: str) -> None:
        if text != self.text:
            self.text = text
            self._means.told(self.entry)

    # -- news of the child

    def executed(self, failure: str) -> None:
        """Note why the child was not executed, or that it reads."""
        self._failure = failure
        if not failure:
            self._tell("")

    def left(self, names: tuple[str, ...]) -> None:
        """Let what it left be killed without a word."""

    def gone(self, status: int | None) -> None:
        """Start another one, unless nothing is left to read."""
        self._child = None
        if self.ending and (self._killed or not (self.pipe.unread() or self.pipe.has_writers())):
            self._over()
            return
        if self._means.reactor.now() - self._began >= SOUND_S:
            self._pause_s = RETRY_FIRST_S
        self._retry(self._failure or status_text(status, self._means.signals) or "ended")

    # -- a later daemon

    def to_data(self) -> dict[str, Any]:
        """Return what a later daemon needs to go on."""
        mark = self.mark
        return {
            "program": self.entry.program,
            "index": self.entry.index,
            "target": self.target,
            "key": self._key,
            "pid": mark.pid if mark else 0,
            "tag": mark.tag if mark else None,
            "started": self._started,
        }

    def resume(self, row: Mapping[str, Any]) -> None:
        """Go on with the child of an earlier daemon, from the data of `to_data`, or with a newer one that it died too soon to record."""
        mark, started = Mark(row["pid"], row["tag"], LOGGER, self.entry.program, self.entry.index), row["started"]
        if mark.pid <= 0 or started_at(mark.pid) != started:
            found = self._means.children().reader_of(self.pipe.read, LOGGER, self.entry.program, self.entry.index)
            mark, started = found or (mark, started)
        if mark.pid <= 0:
            self._again = self._means.reactor.call_later(0.0, self._start_again)
            return
        self._started, self._began = started, self._means.reactor.now()
        self._child = self._means.children().resume(mark, started, self)


def kept_pipe(means: LoggerMeans, key: str, owner: tuple[int, int] | None) -> tuple[int, int]:
    """Return a new pipe that the keeper holds, too. Raises SetupError or, for a shortage, OSError."""
    ends = os.pipe()
    try:
        for end in ends if owner else ():
            os.fchown(end, *owner)  # type: ignore[misc]  # so that a child of another user may open /dev/stdout
        means.keeping().keep(key, ends)
    except SystemFailure as failure:
        _close(ends)
        raise SetupError("keeper", str(failure)) from None
    except BaseException:
        _close(ends)
        raise
    return ends


def _close(ends: tuple[int, int]) -> None:
    for fd in ends:
        os.close(fd)
