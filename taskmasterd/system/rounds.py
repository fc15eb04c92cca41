"""Shares the time of the loop among all that take longer than a moment: requests, replies, a reload.

Each piece of work is an iterator whose steps are short. It begins at once; what is left of it goes on in later turns, a few
steps of each piece in turn, so that a request that is quickly answered never waits for one that is not.
"""

from __future__ import annotations

from taskmasterd.system.lean import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from taskmasterd.system.reactor import Reactor

    Dropped = Callable[[], None] | None

TURN_S = 0.02
"""How long all pieces together may work in one turn, besides the first step of each new one."""
PIECE_S = 0.002
"""How long one piece works before the next one has its turn."""


class Rounds:
    """All that is under way. Where a step raises, the reactor is told, and `dropped` of that piece is called."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._waiting: deque[tuple[Iterator[object], Dropped]] = deque()
        self._turn = -1
        self._until = 0.0
        self._due = False

    def begin(self, steps: Iterator[object], dropped: Dropped = None) -> None:
        """Do as much of it as there is time for now, at least one step, and the rest in later turns; errors of now escape."""
        if self._some(steps):
            self._waiting.append((steps, dropped))
            self._go_on_soon()

    def _some(self, steps: Iterator[object]) -> bool:
        """Do some steps; returns whether there are more."""
        now = self._reactor.now()
        if self._turn != self._reactor.turns:
            self._turn, self._until = self._reactor.turns, now + TURN_S
        until = min(now + PIECE_S, self._until)
        return any(self._reactor.now() >= until for _ in steps)

    def _go_on_soon(self) -> None:
        if not self._due:
            self._due = True
            self._reactor.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._due = False
        try:
            for _ in range(len(self._waiting)):
                steps, dropped = self._waiting.popleft()
                self._reactor.attempt(lambda steps=steps, dropped=dropped: self._again(steps, dropped), dropped)  # type: ignore[misc]
                if self._reactor.now() >= self._until and self._turn == self._reactor.turns:
                    break
        finally:
            if self._waiting:
                self._go_on_soon()

    def _again(self, steps: Iterator[object], dropped: Dropped) -> None:
        if self._some(steps):
            self._waiting.append((steps, dropped))
