"""Slices work whose size depends on programs: looks at thousands of processes, and signals to them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import Any, TypeVar

    from taskmasterd.system.loop.reactor import Reactor

    Result = TypeVar("Result")

BURST, BURST_EVERY_S = 64, 0.01
"""Signals in one burst, and the pause between two bursts, seconds."""
LONG_S = 0.01
"""Longest work for a look without a rest after it, seconds."""
BLIND_FOR_S = 0.5
"""Pause after a look that failed, seconds."""


def in_bursts(reactor: Reactor, work: Generator[None, None, Result], done: Callable[[Result], None]) -> None:
    """Do the steps of `work` in bursts with pauses between them; call `done` with its return value.

    This is for signals: thousands of processes that wake at the same moment would keep the daemon off the processor for longer
    than its own work takes.
    """
    for _ in range(BURST):
        try:
            next(work)
        except StopIteration as end:
            done(end.value)
            return
    reactor.call_later(BURST_EVERY_S, lambda: in_bursts(reactor, work, done))


def timed(
    steps: Generator[None, None, Result], now: Callable[[], float]
) -> Generator[None, None, tuple[float, Result]]:
    """Do the steps; return how long they took by `now`, without the time between them, in seconds, and their result."""
    worked_s = 0.0
    while True:
        since = now()
        try:
            next(steps)
        except StopIteration as end:
            return worked_s + now() - since, end.value
        worked_s += now() - since
        yield


class Looks:
    """Runs one look at a time, in steps (`Rounds`); one more look serves all requests that arrive meanwhile.

    After much work it rests for the time of that work, so that looks never take all of the daemon's time; what others did between
    the steps does not count. `begin()` returns the steps; their end calls `done(result)` or `failed(error)`, and a failed look is
    repeated.
    """

    def __init__(
        self,
        reactor: Reactor,
        begin: Callable[[], Generator[None, None, Result]],
        done: Callable[[Result], None],
        failed: Callable[[OSError], None],
    ) -> None:
        self._reactor = reactor
        self._begin = begin
        self._done: Callable[[Any], None] = done
        self._failed = failed
        self._asked = self._at_work = self._resting = False

    @property
    def under_way(self) -> bool:
        """Whether a look is under way or requested."""
        return self._asked or self._at_work

    def ask(self) -> None:
        """Request a look: now, or after the present look and its rest."""
        self._asked = True
        if not (self._at_work or self._resting):
            self._look()

    def _look(self) -> None:
        self._asked, self._at_work = False, True
        self._reactor.rounds.begin(self._steps())

    def _steps(self) -> Iterator[None]:
        pause_s = BLIND_FOR_S
        try:
            try:
                worked_s, result = yield from timed(self._begin(), self._reactor.now)
            except OSError as error:
                self._asked = True
                self._failed(error)
            else:
                pause_s = worked_s if worked_s > LONG_S else 0.0
                self._at_work, self._resting = False, True
                self._done(result)
        finally:
            self._at_work = False
            self._rest(pause_s)

    def _rest(self, pause_s: float) -> None:
        self._resting = bool(pause_s) or self._asked
        if pause_s:
            self._reactor.call_later(pause_s, self._go_on)
        elif self._asked:
            self._reactor.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._resting = False
        if self._asked:
            self._look()
