"""The event loop: file descriptors, timers and turns. It knows callables, but no processes.

Invariants: a callback that raises loses its own descriptor, is reported, and never ends the loop; callers `remove` a descriptor
before they close it (`remove` is idempotent); without work the loop sleeps without a timeout.
"""

from __future__ import annotations

import time

from taskmasterd.system.loop.cmodules import deque, heapify, heappop, heappush
from taskmasterd.system.loop.poller import READ, WRITE, new_poller
from taskmasterd.system.loop.rounds import Rounds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["READ", "WRITE", "Reactor", "Timer"]

MOST_STALE_TIMERS = 512
"""Cancelled timers that may stay in the heap before it is rebuilt."""
LONGEST_SLEEP_S = 86_400.0
"""Longest sleep, seconds: epoll_wait(2) takes at most 2^31 milliseconds, 24 days."""


class Timer:
    """A callback that is due at `when` (monotonic seconds), unless it is cancelled earlier."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback


class Reactor:
    """One poller, one heap of timers, one list of callbacks for the end of the turn."""

    def __init__(self, on_error: Callable[[BaseException], None]) -> None:
        """`on_error` gets each exception that escapes from a callback, inside its except block."""
        self._poller = new_poller()
        self._watches: dict[int, tuple[Callable[[int], None], Callable[[], None] | None]] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._cancelled = 0
        self._sequence = 0
        self._soon: deque[tuple[Callable[[], None], Callable[[], None] | None]] = deque()
        self._on_error = on_error
        self._stopped = False
        self.turns = 0
        self.rounds = Rounds(self)

    @staticmethod
    def now() -> float:
        """Return the monotonic clock, in seconds."""
        return time.monotonic()

    # -- descriptors

    def watch(
        self, fd: int, events: int, callback: Callable[[int], None], dropped: Callable[[], None] | None = None
    ) -> None:
        """Call `callback(ready)` with READ, WRITE or both in each turn in which `fd` is ready; replaces an earlier watch.

        When the callback raises, the watch ends and `dropped` is called. Raises PermissionError for a regular file
        (epoll_ctl(2): EPERM).
        """
        if fd in self._watches:
            self._poller.change(fd, events)
        else:
            self._poller.add(fd, events)
        self._watches[fd] = (callback, dropped)

    def remove(self, fd: int) -> None:
        """Stop watching `fd`; call this before closing it. Does nothing for an unknown descriptor."""
        if self._watches.pop(fd, None):
            self._poller.remove(fd)

    # -- time

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` once, at `when` or as soon after it as possible."""
        timer = Timer(when, callback)
        self._sequence += 1
        heappush(self._timers, (when, self._sequence, timer))
        return timer

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` once, `seconds` from now."""
        return self.call_at(time.monotonic() + seconds, callback)

    def cancel(self, timer: Timer | None) -> None:
        """Cancel a timer; does nothing for None and for one that has run or was cancelled before."""
        if timer is None or timer.callback is None:
            return
        timer.callback = None
        self._cancelled += 1
        if self._cancelled > MOST_STALE_TIMERS and self._cancelled * 2 > len(self._timers):
            self._timers = [entry for entry in self._timers if entry[2].callback is not None]
            heapify(self._timers)
            self._cancelled = 0

    def call_soon(self, callback: Callable[[], None], dropped: Callable[[], None] | None = None) -> None:
        """Run `callback` at the end of this turn, or of the next one if called from there; call `dropped` if it raises."""
        self._soon.append((callback, dropped))

    # -- the loop

    def run(self, turns: int | None = None) -> None:
        """Run until `stop`, or for this number of turns without sleeping. Return at once if `stop` was called before.

        A daemon that resumes an orderly stop may call `stop` before the first turn, since nothing is left to stop.
        """
        while not self._stopped and turns != 0:
            self.turn(self._sleep_s() if turns is None else 0)
            turns = None if turns is None else turns - 1
        self._stopped = False

    def stop(self) -> None:
        """Leave `run` at the end of this turn, or as soon as it is entered."""
        self._stopped = True

    def turn(self, timeout_s: float | None) -> None:
        """Sleep for at most `timeout_s` (None: until a descriptor is ready), then run all callbacks that are ready or due."""
        found = self._poller.wait(timeout_s, len(self._watches))
        ready = [(fd, events, self._watches.get(fd)) for fd, events in found]
        self.turns += 1
        for fd, events, watch in ready:
            # an earlier callback of this turn may have removed or replaced the watch
            if watch and self._watches.get(fd) is watch and not self._guarded(watch[0], events):
                self.remove(fd)
                if watch[1]:
                    self._guarded(watch[1])
        self._run_timers()
        self._do_soon()

    def _do_soon(self) -> None:
        for _ in range(len(self._soon)):
            if not self._soon:  # the callback before has settled
                return
            callback, dropped = self._soon.popleft()
            if not self._guarded(callback) and dropped:
                self._guarded(dropped)

    def settle(self, rounds: int) -> bool:
        """Run the callbacks for the end of the turn, for at most `rounds` rounds; returns whether all have run.

        One of them may call this: those that were to follow it run first.
        """
        while self._soon and rounds:
            rounds -= 1
            self._do_soon()
        return not self._soon

    def attempt(self, callback: Callable[[], None], dropped: Callable[[], None] | None) -> None:
        """Call `callback` now, guarded as in the loop; call `dropped` if it raises."""
        if not self._guarded(callback) and dropped:
            self._guarded(dropped)

    def close(self) -> None:
        """Release the poller."""
        self._poller.close()

    def _sleep_s(self) -> float | None:
        if self._soon:
            return 0
        while self._timers and self._timers[0][2].callback is None:
            heappop(self._timers)
            self._cancelled -= 1
        if not self._timers:
            return None
        return min(max(0.0, self._timers[0][0] - time.monotonic()), LONGEST_SLEEP_S)

    def _run_timers(self) -> None:
        now = time.monotonic()
        while self._timers and self._timers[0][0] <= now:
            timer = heappop(self._timers)[2]
            callback, timer.callback = timer.callback, None
            if callback is None:
                self._cancelled -= 1
            else:
                self._guarded(callback)

    def _guarded(self, callback: Callable[..., None], *args: int) -> bool:
        """Call, and report any exception; returns whether the call succeeded. One of the project's two broad excepts."""
        try:
            callback(*args)
        except Exception as error:  # noqa: BLE001 - the loop outlives every error, and reports it with its traceback
            self._on_error(error)
            return False
        return True
