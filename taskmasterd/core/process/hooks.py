"""The rows of `machine` for a process with a hook. Pure.

A hook is a program of the user that runs around the life of an instance; one at a time. What follows waits for its end:

    pre_start    STARTING, nothing is alive: an instance is asked for
    post_start   STARTING, the instance is ready: RUNNING
    pre_stop     STOPPING, the instance was RUNNING: the stop signal
    stop_cmd     STOPPING, in the place of the stop signal: nothing, or the stop signal if it fails
    post_stop    STOPPING, nothing is alive: the verdict

While it RUNS, `deadline` is the end of its time. Whoever is out of time, or not wanted any more, is ended: OVERDUE, ENDS or LAST.
Whoever runs hooks ends one that does not RUN, by TERM and a moment later KILL, and at once by KILL once the process is `killing`.
"""

from __future__ import annotations

from taskmaster_common.states import STARTING, STOPPED
from taskmasterd.core.process.events import (
    NONE,
    SPAWN,
    TERMINATE,
    Bounce,
    DeadlineReached,
    Event,
    Exited,
    Failure,
    HookEnded,
    Kill,
    Restart,
    SpawnFailed,
    Start,
    Stop,
)
from taskmasterd.core.process.moves import (
    CAUSE_OF,
    ask,
    clean,
    enter,
    gone,
    impossible,
    last,
    started,
    up,
    with_free,
    with_new_budget,
    without_hook,
)
from taskmasterd.core.process.state import ENDS, LAST, OVERDUE, POST_START, POST_STOP, PRE_START, RUNS, STOP_CMD
from taskmasterd.core.process.stopping import asked_meanwhile, give_up, hurried, kill, stop_signal
from taskmasterd.core.process.verdict import failed_start, without_leader
from taskmasterd.core.process.waiting import refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config import Policy
    from taskmasterd.core.process.moves import Step
    from taskmasterd.core.process.state import Process


# -- STARTING


def preparing(policy: Policy, process: Process, event: Event, now: float) -> Step:
    """Answer while pre_start runs: nothing else is alive."""
    match event:
        case Start() if policy.depends_on and process.free and not event.free:
            return _again(process.replace(free=False), now)
        case Start():
            return with_free(process, free=event.free), NONE
        case Restart():
            return _again(with_new_budget(process, event).replace(free=event.free), now)
        case Bounce():
            return _again(process.replace(by=event.by, cause=CAUSE_OF[Bounce]), now)
        case Stop() | Kill():
            over = last(process.replace(cause=CAUSE_OF[type(event)]), now)
            return over.replace(by=event.by, then=STOPPED, free=False), NONE
        case SpawnFailed():
            return refused(policy, without_hook(process), event, now)
        case DeadlineReached():
            said = f": {event.said}" if event.said else ""
            return last(_failed(policy, process, f"{late_text(process)}{said}", now), now), NONE
        case _:
            raise impossible(process, event)


def _again(process: Process, now: float) -> Step:
    """End pre_start; the gate is looked at again, and then it runs again."""
    return last(process, now).replace(by=process.by, then=STARTING), NONE


def _failed(policy: Policy, process: Process, text: str, now: float) -> Process:
    """Write the verdict over a start that ends with its pre_start."""
    failure = Exited(failure=Failure(PRE_START, f"{PRE_START}: {text}"))
    return failed_start(policy, without_leader(policy, started(process, now), failure, now), now)


def late(policy: Policy, process: Process, now: float) -> Step:
    """Give up a start whose post_start is out of time."""
    return give_up(policy, process, f"{process.hook}: {late_text(process)}", now)


def late_text(process: Process) -> str:
    """Return how long a hook had that is out of time: "timed out after 30s"."""
    return f"timed out after {round((process.deadline or process.hook_at) - process.hook_at, 1):g}s"


# -- STOPPING


def stopping(policy: Policy, process: Process, event: Event, now: float) -> Step | None:
    """Answer while a process with a hook goes down; None where the hook makes no difference."""
    if process.hook_stage == ENDS:
        return None
    if process.pid is None:
        return _alone(policy, process, event, now)
    match event:
        case DeadlineReached():
            return _overdue(policy, process, now)
        case Kill():
            return asked_meanwhile(process.replace(hook_stage=ENDS), event, now)
        case Exited():
            return _left_by_leader(policy, process, event, now)
        case _:
            return None


def _alone(policy: Policy, process: Process, event: Event, now: float) -> Step:
    """Answer while nothing is left but the hook."""
    match event:
        case DeadlineReached():
            return _overdue(policy, process, now)
        case Kill():
            ordered = asked_meanwhile(process, event, now)[0]
            return last(ordered, now) if process.hook_stage == RUNS else ordered.replace(killing=1), NONE
        case Start() | Restart() | Stop():
            return asked_meanwhile(process, event, now)[0], NONE
        case Bounce():
            return process, NONE
        case _:
            raise impossible(process, event)


def _overdue(policy: Policy, process: Process, now: float) -> Step:
    """Go on without a hook that is out of time, or does not end in spite of TERM and KILL."""
    match process.hook_stage, process.hook:
        case "runs", "pre_stop":
            return hurried(policy, process, now)
        case "runs", "stop_cmd" if process.pid is not None:
            until = process.hook_at + policy.stoptime
            going = process.replace(hook_stage=ENDS, deadline=until)
            return kill(going, now) if until <= now else (going, TERMINATE)
        case "runs", _:
            return last(process, now), NONE
        case "overdue", _:
            return process.replace(hook_stage=ENDS, deadline=now + policy.stoptime), TERMINATE
        case _:
            return kill(process, now)[0], NONE


def _left_by_leader(policy: Policy, process: Process, event: Exited, now: float) -> Step:
    """Go on when the leader has ended before its stop signal: pre_stop is over with it, a stop_cmd has done its work and ends by itself."""
    ended = without_leader(policy, process, event, now)
    if event.left:
        return ended.replace(hook_stage=ENDS, deadline=now + policy.stoptime), TERMINATE
    if (process.hook, process.hook_stage) == (STOP_CMD, RUNS):
        return ended.replace(executed=False), NONE
    return gone(policy, ended, now)


# -- the end of a hook


def ended(policy: Policy, process: Process, event: HookEnded, now: float) -> Step:
    """Go on after a hook, of which nothing is left."""
    over = without_hook(process)
    if process.hook_stage == ENDS:
        return over, NONE
    if process.hook_stage == OVERDUE:
        return stop_signal(policy, over, now)
    if process.hook_stage == LAST or process.hook == POST_STOP or (process.pid is None and process.hook == STOP_CMD):
        return (enter if process.hook in (PRE_START, POST_STOP) else gone)(policy, over, now)
    if process.hook == PRE_START:
        return _prepared(policy, process, event, now)
    if process.hook == POST_START:
        if event.ok is False:
            return give_up(policy, over, f"{POST_START}: {event.text}", now)
        return up(over, now), NONE
    if process.hook == STOP_CMD:
        over = over.replace(deadline=max(now, process.hook_at + policy.stoptime))
        return over, NONE if event.ok else TERMINATE
    return stop_signal(policy, over, now)


def _prepared(policy: Policy, process: Process, event: HookEnded, now: float) -> Step:
    """Go on after pre_start; it runs once more where nobody knows whether it has done its work."""
    over = without_hook(process)
    if event.ok:
        return clean(over, STARTING, now), SPAWN
    if event.ok is None:
        return ask(policy, over, now)
    return enter(policy, _failed(policy, over, event.text, now), now)
