"""The rows of `machine` for a process that waits for its start. Pure.

Nothing of it is alive, and every request is answered at once. While its gate is not open it is held in STARTING or blocked in
BACKOFF, and uses no retry: the owner of the process looks at its gate after each change of it, and answers with Opened, Waits or
Blocked. Then it is queued, until its SPAWN has been carried out.
"""

from __future__ import annotations

from taskmaster_common.states import BACKOFF, STARTING
from taskmasterd.core.process.events import (
    NONE,
    UNQUEUE,
    Blocked,
    Bounce,
    DeadlineReached,
    Event,
    Exited,
    Kill,
    Opened,
    Restart,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
    Waits,
)
from taskmasterd.core.process.moves import (
    ask,
    back_off,
    clean,
    fresh_start,
    gone,
    held_again,
    impossible,
    started,
    stopped,
    with_free,
    with_new_budget,
)
from taskmasterd.core.process.state import AWAITED, BLOCKED, HELD
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config import Policy
    from taskmasterd.core.process import verdict
    from taskmasterd.core.process.moves import Step
    from taskmasterd.core.process.state import Process
else:
    verdict = on_demand("taskmasterd.core.process.verdict")

SHORTAGE_DELAY_S = 0.1
"""The least first pause after a refused fork: with `restart_delay` 0 the daemon would spin for as long as it lasts."""
SHORTAGE_MAX_DELAY_S = 1.0


def held(policy: Policy, process: Process, event: Event, now: float) -> Step:
    """Answer while a start waits at its gate."""
    match event:
        case Start() | Restart() if event.free:
            return fresh_start(policy, process, event, now)
        case Start() | Restart():
            return with_new_budget(process, event).replace(free=False), NONE
        case Stop() | Kill():
            return stopped(process, event.by, now)
        case Bounce():
            return process, NONE
        case Opened():
            return ask(policy, process, now)
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
            return ask(policy, process, now)
        case Waits():
            return clean(process, STARTING, now).replace(phase=HELD, deadline=event.until), NONE
        case _:
            raise impossible(process, event)


def queued(policy: Policy, process: Process, event: Event, now: float) -> Step:
    """Answer while a SPAWN was asked for and has not been carried out."""
    match event:
        case Start() | Restart():
            asked = with_new_budget(process, event) if isinstance(event, Restart) else process
            if policy.depends_on and process.free and not event.free:
                return held_again(asked.replace(free=False), now)
            return with_free(asked, free=event.free), NONE
        case Bounce():
            return held_again(process, now)
        case Stop() | Kill():
            return stopped(process, event.by, now)[0], UNQUEUE
        case Spawned():
            awaited = AWAITED if event.awaits else ""
            return started(process, now).replace(pid=event.pid, since=now, readiness=awaited), NONE
        case SpawnFailed():
            return refused(policy, process, event, now)
        case Exited() if event.failure is not None and not event.left:
            tried = verdict.without_leader(policy, started(process, now), event, now)
            return gone(policy, verdict.failed_start(policy, tried, now), now)
        case _:
            raise impossible(process, event)


def refused(policy: Policy, process: Process, event: SpawnFailed, now: float) -> Step:
    """Wait a moment after the system has refused a process: that is no failed start."""
    shortages = process.shortages + 1
    first_s = max(policy.restart_delay, SHORTAGE_DELAY_S)
    pause_s = verdict.pause_before_try(
        first_s, max(policy.restart_max_delay, SHORTAGE_MAX_DELAY_S), shortages, process, now
    )
    return back_off(process.replace(shortages=shortages, reason=event.reason), now + pause_s, now)
