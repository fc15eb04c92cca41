"""The rows of `machine` for a process whose gate is not open: held in STARTING, or blocked in BACKOFF. Pure.

Nothing of it is alive, no retry is used, and every request is answered at once. Whoever stores the process looks at its gate
after each change of it while it is in one of these phases, and answers with Opened, Waits or Blocked.
"""

from __future__ import annotations

from taskmaster_common.states import BACKOFF, STARTING
from taskmasterd.core.process.events import (
    NONE,
    SPAWN,
    Blocked,
    Bounce,
    DeadlineReached,
    Event,
    Kill,
    Opened,
    Restart,
    Start,
    Stop,
    Waits,
)
from taskmasterd.core.process.moves import clean, fresh_start, impossible, stopped, with_new_budget
from taskmasterd.core.process.state import BLOCKED, HELD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config import Policy
    from taskmasterd.core.process.moves import Step
    from taskmasterd.core.process.state import Process


def held(policy: Policy, process: Process, event: Event, now: float) -> Step:
    """Answer while a start waits at its gate."""
    match event:
        case Start() | Restart() if event.free:
            return fresh_start(policy, process, event, now)
        case Start() | Restart():
            return with_new_budget(process, event.by).replace(free=False), NONE
        case Stop() | Kill():
            return stopped(process, event.by, now)
        case Bounce():
            return process, NONE
        case Opened():
            return clean(process, STARTING, now), SPAWN
        case Waits():
            return process if process.deadline == event.until else process.replace(deadline=event.until), NONE
        case Blocked():
            return clean(process, BACKOFF, now).replace(phase=BLOCKED), NONE
        case DeadlineReached():
            return process.replace(deadline=None), NONE
        case _:
            raise impossible(process, event)


def blocked(policy: Policy, process: Process, event: Event, now: float) -> Step:
    """Answer while nothing on the way will open the gate."""
    match event:
        case Start() | Restart():
            return fresh_start(policy, process, event, now)
        case Stop() | Kill():
            return stopped(process, event.by, now)
        case Bounce() | Blocked():
            return process, NONE
        case Opened():
            return clean(process, STARTING, now), SPAWN
        case Waits():
            return clean(process, STARTING, now).replace(phase=HELD, deadline=event.until), NONE
        case _:
            raise impossible(process, event)
