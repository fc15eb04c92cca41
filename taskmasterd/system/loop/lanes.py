"""Lets all work of one user share one place among the loop's work, however many connections that user has."""

from __future__ import annotations

from taskmasterd.system.loop.cmodules import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.loop.rounds import Dropped


class Lane:
    """Pieces of work that take turns, a step each, in the time of one piece (`Rounds`)."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._pieces: deque[tuple[Iterator[object], Dropped]] = deque()
        self._at_work = False

    @property
    def idle(self) -> bool:
        """Whether nothing is left to be done."""
        return not self._at_work

    def begin(self, steps: Iterator[object], dropped: Dropped = None) -> None:
        """Do the steps when their turn comes; call `dropped` if one raises."""
        self._pieces.append((steps, dropped))
        if not self._at_work:
            self._at_work = True
            self._reactor.rounds.begin(self._steps())

    def _steps(self) -> Iterator[None]:
        while self._pieces:
            self._reactor.attempt(self._step, self._pieces[0][1])
            yield
        self._at_work = False

    def _step(self) -> None:
        steps, dropped = self._pieces.popleft()
        for _ in steps:
            self._pieces.append((steps, dropped))
            return
