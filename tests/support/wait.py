"""The only place where tests let time pass."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

PAUSE_S = 0.005


def wait_until(condition: Callable[[], object], within_s: float = 20.0) -> None:
    """Return as soon as `condition()` is true. Raises AssertionError after the time limit."""
    limit = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > limit:
            raise AssertionError(f"{condition} was not true within {within_s:g} s")
        time.sleep(PAUSE_S)
