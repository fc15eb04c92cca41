"""The life of one process: a total function from (policy, process, event, now) to (process, action).

THEORY
    A process is a slot of a program. It has one of seven states, and the state says two things: what is alive, and what
    will happen by itself.

        STOPPED  EXITED  FATAL   nothing is alive, nothing will happen: DOWN
        BACKOFF                  nothing is alive; a start is due at `deadline`, or when the gate opens (BLOCKED)
        STARTING                 HELD, nothing is alive; else an instance was asked for (`pid` None), exists, or runs (`executed`)
                                 but is not ready yet or has not stayed up yet
        RUNNING                  the instance is ready and has stayed up for `starttime`, or it is a job that runs
        STOPPING                 something of an instance is alive and has to go; `then` says what follows

    STOPPING is entered for two reasons that need no distinction afterwards: somebody wants the process down, or its
    leader ended and left others behind. `then` holds the verdict of the first or of the second, and the newest intent
    replaces it. Nothing new is spawned before nothing is left, so there are never two live instances of one slot.

    What follows the end of a leader (the *verdict*) is decided at that moment, from the counters of that moment:
        not up for `starttime`   a failed start: BACKOFF with a growing delay, FATAL when the retries are used up;
        a job that ran           EXITED where the code is one of `exitcodes`, else a failed start;
        up before                EXITED where autorestart says so, else STARTING at once, or BACKOFF until the window of
                                 `restart_burst` allows one more.

    What has a way to become ready (AWAITED) is STARTING until Ready. If it is not ready within `start_timeout`, or never will be
    (Condemned), it is given up: STOPPING, and that was a failed start. So is a job that is not done within `start_timeout`.

    What is RUNNING may have a verdict of its health (Judged). If that is UNHEALTHY and something is to be done about it (Unfit),
    it goes down by its stop rule, whatever autorestart says: up again within `restart_burst`, or FATAL. So does what is to be replaced
    as planned (Renew): that is no failure, and it comes up again.

    What others depend on goes down after them: `leaving` says what for. Until then it goes on, STARTING or RUNNING; an end counts
    as what was asked for.

    What is down or waits for a retry may start when its own time has come (Due), with a new budget. What was stopped does not: no
    clock and no file starts what an operator has stopped.

    `deadline` is a field of the process and the owner of the process arms it; replacing the process cancels it. In
    STARTING it is the end of `starttime`, or of `start_timeout` while AWAITED, or the next look at the gate while HELD; in RUNNING
    the end of `start_timeout` of a job, in BACKOFF the retry (none while BLOCKED), in STOPPING the moment of KILL. While a hook
    runs that others wait for, it is the end of the hook's time; the rows of hooks are in `hooks`.

    TERMINATE is held until `executed`: before exec the child has neither the session nor the dispositions that a stop
    signal is meant for. What is not executed a moment later gets KILL: nothing of it has begun. KILL is never held.

    What may not be signalled (EPERM) is written into `refused`. Where KILL was refused by everything that is left, the
    process stays STOPPING without a deadline: to repeat KILL is pointless until something of it changes or somebody asks
    once more.

Pairs that cannot happen raise BugError: they are listed by falling through their state's match, not by omission.
"""

from __future__ import annotations

from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.events import (
    KILL,
    NONE,
    TERMINATE,
    Arm,
    Bounce,
    Condemned,
    DeadlineReached,
    Due,
    Event,
    Executed,
    Exited,
    Extend,
    GroupEmpty,
    HookEnded,
    Judged,
    Kill,
    Leave,
    OfInstance,
    Ready,
    Renew,
    Restart,
    Retimed,
    Signalled,
    Start,
    Stop,
    Unfit,
)
from taskmasterd.core.process.moves import (
    Step,
    arm,
    due,
    fresh_start,
    gone,
    impossible,
    limit,
    retimed,
    running,
    start,
    stopped,
    with_free,
)
from taskmasterd.core.process.state import (
    AGAIN,
    AWAITED,
    BLOCKED,
    BOUNCE,
    ENDS,
    HELD,
    PLANNED,
    STOP,
    TOLD,
    UNHEALTHY,
    UNSURE,
    Process,
)
from taskmasterd.core.process.waiting import blocked, held, queued
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config import Policy
    from taskmasterd.core.process import hooks, stopping, verdict
else:
    verdict = on_demand("taskmasterd.core.process.verdict")
    stopping = on_demand("taskmasterd.core.process.stopping")
    hooks = on_demand("taskmasterd.core.process.hooks")


def step(policy: Policy, process: Process, event: Event, now: float) -> Step:
    """Return the process after `event`, and what has to be done. Raises BugError for a pair that cannot happen."""
    if isinstance(event, Leave):
        if process.state in (STARTING, RUNNING) and process.pid is not None:
            return _leave(process, event.order), NONE
        event = event.order
    if isinstance(event, (Retimed, HookEnded, OfInstance, Due, Arm)):
        return _perhaps_late(policy, process, event, now)
    match process.state:
        case "STOPPED" | "EXITED" | "FATAL":
            return _down(policy, process, event, now)
        case "BACKOFF":
            return _backoff(policy, process, event, now)
        case "STARTING":
            return _starting(policy, process, event, now)
        case "RUNNING":
            return _running(policy, process, event, now)
        case "STOPPING":
            of_hook = hooks.stopping(policy, process, event, now) if process.hook else None
            return of_hook or _stopping(policy, process, event, now)


def _perhaps_late(
    policy: Policy, process: Process, event: Retimed | HookEnded | OfInstance | Due | Arm, now: float
) -> Step:
    """Answer news that mean nothing where what they are about has gone, or is not down, or was stopped."""
    match event:
        case Retimed():
            return retimed(policy, process, event), NONE
        case HookEnded() if process.hook:
            return hooks.ended(policy, process, event, now)
        case Due() if process.state in (EXITED, FATAL, BACKOFF):
            return due(policy, process, event, now)
        case Arm():
            return arm(process, now), NONE
        case OfInstance() if event.pid == process.pid:
            return _of_instance(policy, process, event, now)
        case _:
            return process, NONE


def _down(policy: Policy, process: Process, event: Event, now: float) -> Step:
    match event:
        case Start() | Restart():
            return fresh_start(policy, process, event, now)
        case Stop() | Kill():
            return (process, NONE) if process.state == STOPPED else stopped(process, event.by, now)
        case Bounce():
            return process, NONE
        case _:
            raise impossible(process, event)


def _backoff(policy: Policy, process: Process, event: Event, now: float) -> Step:
    if process.phase == BLOCKED:
        return blocked(policy, process, event, now)
    match event:
        case Start() | Restart():
            return fresh_start(policy, process, event, now)
        case Stop() | Kill():
            return stopped(process, event.by, now)
        case Bounce():
            return process, NONE
        case DeadlineReached():
            return start(policy, process, now)
        case _:
            raise impossible(process, event)


def _starting(policy: Policy, process: Process, event: Event, now: float) -> Step:
    if process.phase == HELD:
        return held(policy, process, event, now)
    if process.pid is None:
        preparing = hooks.preparing if process.hook else queued
        return preparing(policy, process, event, now)
    match event:
        case Start():
            return _stay(process, event)
        case Stop() | Restart() | Bounce() | Kill():
            return stopping.take_down(policy, process, event, now)
        case Executed() if not process.executed:
            return _on_trial(policy, process.replace(executed=True), now)
        case DeadlineReached() if process.hook:
            return hooks.late(policy, process, now)
        case DeadlineReached() if process.executed and process.readiness == AWAITED:
            said = f": {event.said}" if event.said else ""
            return stopping.give_up(policy, process, f"not ready within {policy.start_timeout:g}s{said}", now)
        case DeadlineReached() if process.executed:
            return running(policy, process, now)
        case Exited():
            ended = verdict.without_leader(policy, process, event, now)
            return _leader_ended(
                policy, stopping.left(process, ended) or verdict.failed_start(policy, ended, now), event, now
            )
        case _:
            raise impossible(process, event)


def _running(policy: Policy, process: Process, event: Event, now: float) -> Step:
    match event:
        case Start():
            return _stay(process, event)
        case Stop() | Restart() | Bounce() | Kill():
            return stopping.take_down(policy, process, event, now)
        case Exited():
            ended = verdict.without_leader(policy, process, event, now)
            return _leader_ended(
                policy, stopping.left(process, ended) or verdict.after_running(policy, ended, now), event, now
            )
        case DeadlineReached() if process.deadline is not None:
            return stopping.give_up(policy, process, f"not done within {policy.start_timeout:g}s", now)
        case _:
            raise impossible(process, event)


def _stopping(policy: Policy, process: Process, event: Event, now: float) -> Step:
    match event:
        case Start() | Restart() | Stop() | Kill():
            return stopping.asked_meanwhile(process, event, now)
        case Bounce():
            return process, NONE
        case Executed() if process.pid is not None and not process.executed:
            told = process.replace(executed=True)
            if process.past_asking:
                return told, NONE
            return stopping.stop_signal(policy, told, now)
        case DeadlineReached():
            return stopping.kill(process, now)
        case Exited() if process.pid is not None:
            ended = verdict.without_leader(policy, process, event, now)
            if event.left:
                return (
                    stopping.kill(ended, now) if process.unkillable else (ended, KILL if process.killing else TERMINATE)
                )
            return gone(policy, ended, now)
        case GroupEmpty() if process.pid is None:
            return gone(policy, process, now)
        case Signalled():
            return stopping.signalled(process, event, now), NONE
        case _:
            raise impossible(process, event)


# -- becoming ready


def _on_trial(policy: Policy, process: Process, now: float) -> Step:
    """Let an instance that was executed wait for its readiness, or for the end of `starttime`."""
    if process.readiness == AWAITED:
        return process.replace(deadline=limit(policy, process)), NONE
    up_at = (now if not process.readiness else process.since) + policy.starttime
    if up_at <= now or policy.starttime <= 0:
        return running(policy, process, now)
    return process.replace(deadline=up_at), NONE


def _of_instance(policy: Policy, process: Process, event: OfInstance, now: float) -> Step:
    """Answer news about the present instance; where they mean nothing any more, nothing happens."""
    awaited = process.state == STARTING and process.readiness == AWAITED
    match event:
        case Ready() if awaited:
            ready = process.replace(readiness=UNSURE if event.unsure else TOLD, ready_at=now)
            return _on_trial(policy, ready, now) if process.executed else (ready, NONE)
        case Condemned() if awaited:
            return stopping.give_up(policy, process, event.reason, now)
        case Extend() if (
            process.deadline is not None
            and (awaited or process.state == STOPPING)
            and not process.killing
            and process.hook_stage in ("", ENDS)
        ):
            return process.replace(deadline=max(process.deadline, event.until)), NONE
        case Judged() if process.state == RUNNING:
            in_a_row = verdict.unfit_in_a_row(policy, process, now)
            reason = f"unhealthy: {event.text}" if event.verdict == UNHEALTHY else ""
            return process.replace(health=event.verdict, judged_at=now, sick=in_a_row, reason=reason), NONE
        case Unfit() if process.state == RUNNING and not process.leaving:
            judged = verdict.unfit(policy, process.replace(by=""), now, stop=event.stop)
            return stopping.end_it(policy, process.state, judged, process.reason, now)
        case Renew() if process.state == RUNNING and not process.leaving:
            doing, done = PLANNED[event.cause]
            judged = verdict.renewed(policy, process.replace(by=f"{done}: {event.what}", cause=event.cause), now)
            return stopping.end_it(policy, process.state, judged, f"{doing}: {event.what}", now)
        case _:
            return process, NONE


# -- leaving


def _leave(process: Process, order: Stop | Restart | Bounce) -> Process:
    """Let a live process go down later. A bounce changes nothing of what somebody has asked for."""
    match order:
        case Stop():
            return process.replace(leaving=STOP, by=order.by, free=False)
        case Restart():
            return process.replace(leaving=AGAIN, by=order.by, free=order.free)
        case Bounce():
            return process if process.leaving else process.replace(leaving=BOUNCE, by=order.by)


def _stay(process: Process, event: Start) -> Step:
    """Somebody wants up what is up: it is taken back where it was about to go down, and `free` is as asked now."""
    if process.leaving:
        return process.replace(leaving="", by=event.by, free=event.free), NONE
    return with_free(process, free=event.free), NONE


# -- the end of a leader


def _leader_ended(policy: Policy, process: Process, event: Exited, now: float) -> Step:
    """Take the verdict that is written at once, or end first what was left behind."""
    if not event.left:
        return gone(policy, process, now)
    by = process.by if process.leaving else ""
    ending = process.replace(state=STOPPING, since=now, deadline=now + policy.stoptime, killing=0, by=by, leaving="")
    return ending.replace(hook_stage=ENDS) if ending.hook else ending, TERMINATE
