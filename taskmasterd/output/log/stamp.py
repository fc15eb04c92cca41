"""The time of a line of a log."""

from __future__ import annotations

import time


class Stamp:
    """Formats times as RFC 3339 with milliseconds and the local zone, or UTC; formats the common part of a second only once."""

    __slots__ = ("_after", "_before", "_second", "_utc")

    def __init__(self, *, utc: bool = False) -> None:
        self._utc = utc
        self._second = -1
        self._before = self._after = ""

    def of(self, seconds: float) -> str:
        """Return a time of the wall clock, in seconds, as text."""
        if int(seconds) != self._second:
            self._second = int(seconds)
            shown = time.gmtime(seconds) if self._utc else time.localtime(seconds)
            zone = "+0000" if self._utc else time.strftime("%z", shown)
            self._before, self._after = time.strftime("%Y-%m-%dT%H:%M:%S", shown), f"{zone[:3]}:{zone[3:]}"
        return f"{self._before}.{int(seconds * 1000) % 1000:03d}{self._after}"
