"""The deadlines of processes: a timer for each slot that has one."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.core.programs.table import Entry
    from taskmasterd.system.loop.reactor import Reactor, Timer


class Deadlines:
    """Calls `reached(entry)` at the deadline of a slot."""

    def __init__(self, reactor: Reactor, reached: Callable[[Entry], None]) -> None:
        self._reactor = reactor
        self._reached = reached
        self._timers: dict[Entry, Timer] = {}

    def arm(self, entry: Entry, deadline: float | None) -> None:
        """Replace the deadline of a slot, in monotonic seconds; None: it has none any more."""
        self._reactor.cancel(self._timers.pop(entry, None))
        if deadline is not None:
            self._timers[entry] = self._reactor.call_at(deadline, lambda: self._due(entry))

    def _due(self, entry: Entry) -> None:
        self._timers.pop(entry, None)
        self._reached(entry)
