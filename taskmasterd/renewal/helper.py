"""The process that watches files: started when the first program wants that, started again when it dies, and what it says."""

from __future__ import annotations

import os

from taskmaster_common.errors import system_reason
from taskmaster_common.jsontext import read_json, write_json
from taskmaster_common.records import Record
from taskmasterd.fallbacks import spawn
from taskmasterd.system.loop.reactor import READ, WRITE
from taskmasterd.system.loop.sockets import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, Protocol

    from taskmasterd.system.loop.reactor import Reactor, Timer

    class ExpectedChildren(Protocol):
        """The children of the daemon that are no program's."""

        def add(self, child: WatchHelper, /) -> None:
            """Expect the end of a child."""


FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
"""Pause before it is started again, seconds; doubles with each death that follows soon."""
PIECE = 65_536
MOST_LINE = 65_536


class HelperMeans(Record):
    """What starts a helper. `command(words)` returns what executes it, `errands()` expects its end."""

    reactor: Reactor
    errands: Callable[[], ExpectedChildren]
    command: Callable[[tuple[str, ...]], list[str]]
    environment: Mapping[str, str]


class WatchHelper:
    """One helper after the other. `take(message)` gets what it says, `lost(why)` is called when it has died or cannot be started.

    `renewed()` returns the order for one that is started again.
    """

    def __init__(
        self,
        means: HelperMeans,
        take: Callable[[Mapping[str, Any]], None],
        lost: Callable[[str], None],
        renewed: Callable[[], Mapping[str, Any]],
    ) -> None:
        self.pid = 0
        self._means = means
        self._take = take
        self._lost = lost
        self._renewed = renewed
        self._channel: socket.socket | None = None
        self._unsent = b""
        self._rest = b""
        self._pause_s = FIRST_PAUSE_S
        self._began = 0.0
        self._timer: Timer | None = None

    def order(self, order: Mapping[str, Any]) -> None:
        """Have these files watched from now on; start a helper if there is none."""
        if self._channel is None:
            if self._timer is None:
                self._start(order)
            return
        self._unsent += write_json(order) + b"\n"
        self._send()

    def close(self) -> None:
        """Watch nothing any more: the end of the channel ends the helper."""
        self._means.reactor.cancel(self._timer)
        self._timer = None
        self._close()

    # -- the process

    def _start(self, order: Mapping[str, Any]) -> None:
        self._timer = None
        try:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                os.set_inheritable(theirs.fileno(), True)
                self.pid = spawn(self._means.command((str(theirs.fileno()),)), self._means.environment, ())
            except BaseException:
                ours.close()
                raise
            finally:
                theirs.close()
        except OSError as error:
            self._again(f"cannot be started: {system_reason(error)}")
            return
        ours.setblocking(False)
        self._channel, self._rest, self._unsent = ours, b"", b""
        self._began = self._means.reactor.now()
        self._means.errands().add(self)
        self.order(order)

    @property
    def silent(self) -> bool:
        """Whether a child with output has closed it."""
        return self._channel is None

    def ended(self, status: int) -> None:
        """Take the end of the child."""
        if self._channel is not None:
            self._close()
            self._again(f"has died (wait status {status})")

    def _again(self, why: str) -> None:
        now = self._means.reactor.now()
        if now - self._began > LONGEST_PAUSE_S:
            self._pause_s = FIRST_PAUSE_S
        self._timer = self._means.reactor.call_later(self._pause_s, lambda: self._start(self._renewed()))
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        self._lost(why)

    def _close(self) -> None:
        if self._channel is not None:
            self._means.reactor.remove(self._channel.fileno())
            self._channel.close()
            self._channel = None

    # -- the channel

    def _send(self) -> None:
        if self._channel is None:
            return
        try:
            while self._unsent:
                self._unsent = self._unsent[self._channel.send(self._unsent[:PIECE]) :]
        except BlockingIOError:
            pass
        except OSError:  # its end is reported, too
            self._unsent = b""
        self._means.reactor.watch(self._channel.fileno(), READ | (WRITE if self._unsent else 0), self._ready)

    def _ready(self, events: int) -> None:
        if events & WRITE:
            self._send()
        if events & READ:
            self._hear()

    def _hear(self) -> None:
        if self._channel is None:
            return
        try:
            piece = self._channel.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:  # the reaper reports its end
            self._means.reactor.remove(self._channel.fileno())
            return
        *lines, self._rest = (self._rest + piece)[-MOST_LINE:].split(b"\n")
        for line in lines:
            self._take(read_json(line.decode("utf-8", "replace")))
