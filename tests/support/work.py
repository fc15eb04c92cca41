"""Counts work, so that a test can say how it grows without a clock; and says how much longer it takes on this machine, now."""

from __future__ import annotations

import gc
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType


SAMPLE, SAMPLE_S = 100_000, 0.003
"""Steps of a loop, and the processor time that they take on the machine for which the tests have their bounds, seconds."""


def here(seconds: float) -> float:
    """Return a bound of processor time, scaled to this machine at this moment: a slow or crowded one takes longer."""
    began, total = time.process_time(), 0
    for number in range(SAMPLE):
        total += number & 7
    return seconds * max(1.0, 2 * (time.process_time() - began) / SAMPLE_S)


def calls(work: Callable[[], object]) -> int:
    """Do some work, and return how many calls of Python functions and steps of generators it took.

    Python's garbage collector waits meanwhile: hypothesis has it call a function.
    """
    count = 0

    def profile(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal count
        count += event == "call"

    before, collects = sys.getprofile(), gc.isenabled()
    gc.disable()
    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()
    return count
