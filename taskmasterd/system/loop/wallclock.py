"""Timers of the kernel's at a time of the day, which tell when the clock is set. Loaded with the first schedule of the calendar.

Source: timerfd_create(2). `os` has it since Python 3.13; ctypes, 0.4 MB, calls it before.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NS = 1_000_000_000
LATER_NS = 1000
"""A float of today's seconds is exact to less than this; who wakes too early would have to sleep again."""
CLOCK_REALTIME = 0
NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC
"""TFD_NONBLOCK and TFD_CLOEXEC have the values of these. Source: sys/timerfd.h."""
ABSOLUTE_CANCELLED = 1 | 2
"""TFD_TIMER_ABSTIME and TFD_TIMER_CANCEL_ON_SET, likewise."""
_libc: list[Any] = []


def create() -> int:
    """Return the descriptor of a timer. Raises OSError, ENOSYS where the system has none."""
    make = getattr(os, "timerfd_create", None)
    if make:
        return int(make(CLOCK_REALTIME, flags=NONBLOCK_CLOEXEC))
    return int(_call("timerfd_create", CLOCK_REALTIME, NONBLOCK_CLOEXEC))


def set_time(fd: int, wall: float) -> None:
    """Let a timer be readable once, at that time of the day, or with ECANCELED once the clock is set. Raises OSError."""
    at = max(1, int(wall * NS) + LATER_NS)  # 0 would disarm it
    set_ns = getattr(os, "timerfd_settime_ns", None)
    if set_ns:
        set_ns(fd, flags=ABSOLUTE_CANCELLED, initial=at)
        return
    import ctypes  # noqa: PLC0415 - see above

    spec = (ctypes.c_long * 4)(0, 0, *divmod(at, NS))  # struct itimerspec: no interval, then the first time
    _call("timerfd_settime", fd, ABSOLUTE_CANCELLED, spec, None)


def _call(name: str, *arguments: Any) -> Any:
    try:
        import ctypes  # noqa: PLC0415 - see above

        if not _libc:
            _libc.append(ctypes.CDLL(None, use_errno=True))
        function = getattr(_libc[0], name)
    except (ImportError, AttributeError, OSError):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    answer = function(*arguments)
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
