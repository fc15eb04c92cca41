"""The only place where tests let time pass."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST_S, LONGEST_S = 0.005, 0.1
"""The pause between two looks, seconds: the longer a test has waited, the longer it is."""
SHARE = 0.2
"""The pause as a share of the time already waited: looks cost the tests and their daemons most of a wait's processor time."""


def wait_until(condition: Callable[[], object], within_s: float = 20.0) -> None:
    """Return as soon as `condition()` is true. Raises AssertionError where a look that began after the time limit finds it false.

    So there is a last look though the machine has stopped this process for the whole time.
    """
    began = now = time.monotonic()
    while not condition():
        if now > began + within_s:
            raise AssertionError(f"{condition} was not true within {within_s:g} s")
        time.sleep(min(max(SHORTEST_S, (now - began) * SHARE), LONGEST_S))
        now = time.monotonic()
