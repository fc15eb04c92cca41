"""A loop with errands and the reaper of all children, without a daemon."""

from __future__ import annotations

from taskmasterd.processes.errand import Errands
from taskmasterd.system.loop.reactor import Reactor
from taskmasterd.system.reaper import reap
from tests.support.wait import wait_until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class ErrandLoop:
    """A loop. `errors` holds exceptions of callbacks, `strangers` the ended children that were not errands."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.strangers: list[tuple[int, int]] = []
        self.ignored: set[int] = set()
        self.reactor = Reactor(self.errors.append)
        self.errands = Errands(self.reactor, self.ignored)

    def turn(self) -> None:
        """Run one turn of the loop, and reap as the daemon does."""
        self.reactor.turn(0)
        self.strangers.extend(self.errands.others(reap()))

    def turn_until(self, condition: Callable[[], object], within_s: float = 30) -> None:
        """Run turns until `condition()` is true. Raises AssertionError after the time limit."""

        def turned() -> object:
            self.turn()
            return condition()

        wait_until(turned, within_s)

    def wait(self, answers: list[Any]) -> Any:
        """Return the one answer as soon as it is there; fails if a callback has raised."""
        self.turn_until(lambda: answers)
        assert self.errors == []
        (answer,) = answers
        return answer

    def take(self, answers: list[Any]) -> Any:
        """Return the one answer once it is there, and forget it; no second one may come in the next turns."""
        answer = self.wait(answers)
        answers.clear()
        for _ in range(3):
            self.turn()
        assert answers == []
        return answer

    def wait_for_ends(self) -> None:
        """Run turns until every child is reaped."""
        self.turn_until(lambda: not self.ignored)
