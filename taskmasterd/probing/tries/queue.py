"""Lets a bounded number of tries run at once; the others wait for their turn, in order."""

from __future__ import annotations

from taskmasterd.probing.text.result import CANCELLED, Result
from taskmasterd.system.loop.cmodules import deque, partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from taskmasterd.system.loop.reactor import Reactor

    Done = Callable[[Result], None]

    class Try(Protocol):
        """One probe of one process; the package says when `done` is called."""

        def begin(self, done: Done, /) -> None:
            """Start it."""

        def cancel(self) -> None:
            """End it early; `done` is called all the same."""


EXEC_AT_ONCE, CONNECTING_AT_ONCE = 32, 256
"""Most probes by a child, and by a connection, that run at once."""


class Queue:
    """Tries of one kind, of which at most `most` run at once."""

    def __init__(self, reactor: Reactor, most: int) -> None:
        self._reactor = reactor
        self._most = most
        self._running = 0
        self._waiting: deque[QueuedTry] = deque()

    def begin(self, probe: Try, done: Done) -> QueuedTry:
        """Begin a try now or when there is room; `done` is called once, in a later turn, in any case."""
        queued = QueuedTry(self, probe, done, self._reactor.now())
        self._waiting.append(queued)
        self._next()
        return queued

    def longest_wait_s(self) -> float:
        """Return how long the first one in the queue has been waiting, 0.0 where nobody waits."""
        return self._reactor.now() - self._waiting[0].since if self._waiting else 0.0

    def leave(self, queued: QueuedTry) -> None:
        """Take back a try that has not begun."""
        self._waiting.remove(queued)
        self._reactor.call_soon(partial(queued.answer, Result(None, CANCELLED)))

    def left(self) -> None:
        """Give the room of a try that is over to the next one."""
        self._running -= 1
        self._next()

    def _next(self) -> None:
        while self._waiting and self._running < self._most:
            self._running += 1
            self._waiting.popleft().start()


class QueuedTry:
    """A try in the queue, or one that has begun. `since`: when it came, in seconds of the monotonic clock. `begun`: it does not wait any more."""

    def __init__(self, queue: Queue, probe: Try, done: Done, since: float) -> None:
        self._queue = queue
        self._probe = probe
        self._done = done
        self.begun = self._over = False
        self.since = since

    def cancel(self) -> None:
        """End it early; `done` is called all the same. A second call, or one after the end, does nothing."""
        if self._over:
            return
        if self.begun:
            self._probe.cancel()
        else:
            self._over = True
            self._queue.leave(self)

    def start(self) -> None:
        """Begin the try: there is room."""
        self.begun = True
        self._probe.begin(self._ended)

    def answer(self, result: Result) -> None:
        """Call `done`."""
        self._over = True
        self._done(result)

    def _ended(self, result: Result) -> None:
        try:
            self.answer(result)
        finally:
            self._queue.left()
