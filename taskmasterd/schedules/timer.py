"""A timer at a time of the day: exact after a suspend, and at each step of the clock. Source: timerfd_create(2), TFD_TIMER_CANCEL_ON_SET.

Python has it since 3.13; before, libc is called by ctypes. Where neither is there, it looks at the clock once a minute.
"""

from __future__ import annotations

import errno
import os
import time

from taskmasterd.ondemand import on_demand
from taskmasterd.system.loop.reactor import READ

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.system.loop import wallclock
    from taskmasterd.system.loop.reactor import Reactor, Timer
else:
    wallclock = on_demand("taskmasterd.system.loop.wallclock")

LOOK_EVERY_S = 60.0
"""Longest sleep where the kernel does not tell of steps of the clock, seconds."""
LONGEST_SLEEP_S = 600.0
"""Longest sleep until a run of a period: a suspend does not move the reactor's clock, seconds."""
STEP_S = 5.0
"""A difference between the clock of the day and the monotonic one that is more than drift, seconds."""


class CalendarTimer:
    """Calls `callback(stepped)` when its time has come, or the clock was set; one descriptor, from its first use to `close`."""

    def __init__(self, reactor: Reactor, callback: Callable[[bool], None]) -> None:
        self._reactor = reactor
        self._callback = callback
        self._fd = -1
        self._refused = False
        self._timer: Timer | None = None
        self._ahead = 0.0

    def arm(self, wall: float | None) -> None:
        """Be due at a time of the day, seconds since 1970; None: never."""
        if wall is None:
            self.close()
        elif not self._by_descriptor(wall):
            self._reactor.cancel(self._timer)
            self._ahead = time.time() - time.monotonic()
            self._timer = self._reactor.call_later(min(max(0.0, wall - time.time()), LOOK_EVERY_S), self._look)

    def close(self) -> None:
        """Be due no more, and give the descriptor back."""
        self._reactor.cancel(self._timer)
        self._timer = None
        if self._fd >= 0:
            self._reactor.remove(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _by_descriptor(self, wall: float) -> bool:
        if self._refused:
            return False
        try:
            if self._fd < 0:
                self._fd = wallclock.create()
                self._reactor.watch(self._fd, READ, self._ready, self.close)
            wallclock.set_time(self._fd, wall)
        except OSError as error:
            if error.errno == errno.ECANCELED:  # it is set, and this was the only word of a step of the clock
                self._reactor.call_soon(lambda: self._callback(True))
                return True
            self.close()
            self._refused = True
            return False
        return True

    def _ready(self, _events: int) -> None:
        stepped = False
        try:
            os.read(self._fd, 8)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.ECANCELED:
                raise
            stepped = True
        self._callback(stepped)

    def _look(self) -> None:
        self._timer = None
        self._callback(abs(time.time() - time.monotonic() - self._ahead) > STEP_S)


class Wakes:
    """Wakes for the nearest run: of the calendar by the clock of the day, of a period by the reactor's, and that seldom sleeps long.

    `woken(stepped)`: the time of a run has come, or the clock was set. `passed()`: what was computed of periods before may not hold.
    """

    def __init__(self, reactor: Reactor, woken: Callable[[bool], None], passed: Callable[[], None]) -> None:
        self._reactor = reactor
        self._passed = passed
        self._calendar = CalendarTimer(reactor, woken)
        self._timer: Timer | None = None

    def arm(self, calendar: float | None, period: float | None) -> None:
        """Wake at a time of the day, and at one of the monotonic clock; None for never."""
        self._calendar.arm(calendar)
        self._reactor.cancel(self._timer)
        self._timer = None
        if period is not None:
            longest = self._reactor.now() + LONGEST_SLEEP_S
            self._timer = self._reactor.call_at(min(period, longest), self._by_period)

    def _by_period(self) -> None:
        self._timer = None
        self._passed()

    def close(self) -> None:
        """Wake no more."""
        self.arm(None, None)
