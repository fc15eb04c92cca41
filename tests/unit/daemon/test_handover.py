"""What of a daemon's life is under way that an exec would lose."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from taskmasterd.survival.handover import HANDED_OVER, Life


def life(*, reading: bool = False, settled: bool = True, told: bool = True) -> Life:
    """Return the life of a daemon in which this is so, and of whose logs one is read slowly."""
    launch = {**dict.fromkeys(HANDED_OVER), "fds": {"pidfile": 3}}
    parts: Any = SimpleNamespace(reloader=SimpleNamespace(busy=reading), performer=SimpleNamespace(settled=settled))
    running: Any = None
    sinks: Any = SimpleNamespace(busy=True)
    made = Life(launch, running, parts, running, sinks)
    guard: Any = SimpleNamespace(idle=told)
    made.guard = guard
    return made


def test_a_slow_reader_of_a_log_holds_up_no_upgrade_and_what_only_this_interpreter_knows_does() -> None:
    assert life().unsettled() == ""
    assert life(reading=True).unsettled() == "the configuration is being read"
    assert life(settled=False).unsettled() == "programs are being started or ended"
    assert life(told=False).unsettled() == "the guardian has yet to be told something"
