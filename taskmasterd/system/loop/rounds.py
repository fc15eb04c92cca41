"""Shares the loop's time among work that takes longer than a moment: requests, replies, a reload.

Each piece of work is an iterator with short steps. It begins at once and continues in later turns, where the pieces take turns
with a few steps each. New pieces go first, so a short request never waits for long ones, however many there are.
"""

from __future__ import annotations

from taskmasterd.system.loop.cmodules import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    Dropped = Callable[[], None] | None

    class Loop(Protocol):
        """The part of the reactor that its rounds use."""

        turns: int

        def now(self) -> float:
            """Return the monotonic clock, in seconds."""

        def call_soon(self, callback: Callable[[], None], /) -> None:
            """Run `callback` at the end of this turn."""

        def attempt(self, callback: Callable[[], None], dropped: Dropped, /) -> None:
            """Call now, and call `dropped` if that raises."""


TURN_S = 0.02
"""Longest time for all pieces in one turn, seconds; the first step of each new piece is extra."""
PIECE_S = 0.002
"""Longest time for one piece before the next one, seconds."""
NEW_S = 0.0005
"""Longest time for a new piece when it continues for the first time, before the older ones, seconds."""


class Rounds:
    """All unfinished pieces. If a step raises, the reactor reports it and calls that piece's `dropped`."""

    def __init__(self, reactor: Loop) -> None:
        self._reactor = reactor
        self._new: deque[tuple[Iterator[object], Dropped]] = deque()
        self._waiting: deque[tuple[Iterator[object], Dropped]] = deque()
        self._turn = -1
        self._until = 0.0
        self._due = False

    def begin(self, steps: Iterator[object], dropped: Dropped = None) -> None:
        """Do at least one step now and the rest in later turns. Raises the error of a step that runs now."""
        if self._some(steps, PIECE_S):
            self._new.append((steps, dropped))
            self._go_on_soon()

    def _some(self, steps: Iterator[object], for_s: float) -> bool:
        """Do steps for at most `for_s` seconds; returns whether there are more."""
        now = self._reactor.now()
        if self._turn != self._reactor.turns:
            self._turn, self._until = self._reactor.turns, now + TURN_S
        until = min(now + for_s, self._until)
        return any(self._reactor.now() >= until for _ in steps)

    def _go_on_soon(self) -> None:
        if not self._due:
            self._due = True
            self._reactor.call_soon(self._go_on)

    def _go_on(self) -> None:
        self._due = False
        older = len(self._waiting)
        try:
            self._serve(self._new, len(self._new), NEW_S)
            self._serve(self._waiting, older, PIECE_S)
        finally:
            if self._new or self._waiting:
                self._go_on_soon()

    def _serve(self, queue: deque[tuple[Iterator[object], Dropped]], count: int, for_s: float) -> None:
        """Continue up to `count` pieces of a queue in order, at least one; the next turn continues the others."""
        for _ in range(count):
            steps, dropped = queue.popleft()
            self._reactor.attempt(lambda steps=steps, dropped=dropped: self._again(steps, dropped, for_s), dropped)  # type: ignore[misc]
            if self._reactor.now() >= self._until and self._turn == self._reactor.turns:
                break

    def _again(self, steps: Iterator[object], dropped: Dropped, for_s: float) -> None:
        if self._some(steps, for_s):
            self._waiting.append((steps, dropped))
