"""The clocks of time zones, by libc; loaded with the first schedule."""

from __future__ import annotations

import os
import time

from taskmaster_common.text.calendar.zone import in_zone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from taskmaster_common.text.calendar.times import Offset

    T = TypeVar("T")


def within(zone: str, do: Callable[[Offset], T]) -> T:
    """Return what `do(offset)` returns with the clocks of a zone, "" being the daemon's own; it must not look at the local time."""
    return in_zone(zone, os.environ, time, do)
