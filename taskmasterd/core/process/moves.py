"""The moves that the rows of `machine` share: into a state in which nothing is alive, and out of it, and from hook to hook. Pure."""

from __future__ import annotations

from taskmaster_common.config import ONESHOT
from taskmaster_common.errors import BugError
from taskmaster_common.states import BACKOFF, EXITED, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.events import HOOK, NONE, SPAWN, UNQUEUE, Action, Bounce, Due, Kill, Restart, Start, Stop
from taskmasterd.core.process.state import (
    AWAITED,
    HELD,
    KILL_ORDER,
    LAST,
    POST_START,
    POST_STOP,
    PRE_START,
    RUNS,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from taskmaster_common.config import Policy
    from taskmaster_common.states import ProcessState
    from taskmasterd.core.process.events import Event, Retimed
    from taskmasterd.core.process.state import Process

Step = tuple["Process", Action]

CAUSE_OF: Mapping[type[Event], str] = {
    Start: "start",
    Stop: "stop",
    Restart: "restart",
    Bounce: "dependency",
    Kill: KILL_ORDER,
}
HOOK_GRACE_S = 2.0
"""Time from TERM to KILL of a hook, and from there until it counts as stuck, seconds."""


def fresh_start(policy: Policy, process: Process, event: Start | Restart, now: float) -> Step:
    """Start what is down because somebody wants it up."""
    return start(policy, with_new_budget(process, event).replace(killing=0, free=event.free), now)


def due(policy: Policy, process: Process, event: Due, now: float) -> Step:
    """Start what is down because its own time has come: as an operator would, but its gate counts."""
    fresh = _anew(process, event.why, event.cause)
    return start(policy, fresh.replace(killing=0, free=False), now)


def arm(process: Process, now: float) -> Process:
    """Let what was stopped, or is being stopped, wait for its own time instead."""
    if process.state == STOPPED:
        return clean(process.replace(by="", reason="", end=None, free=False), EXITED, now)
    return process.replace(then=EXITED) if process.state == STOPPING and process.then == STOPPED else process


def with_new_budget(process: Process, event: Start | Restart) -> Process:
    """Return the process with all its retries and restarts before it, because somebody wants it up."""
    return _anew(process, event.by, CAUSE_OF[type(event)])


def _anew(process: Process, by: str, cause: str) -> Process:
    return process.replace(by=by, cause=cause, tries=0, shortages=0, recent=(), starts=0, sick=0)


def start(policy: Policy, process: Process, now: float) -> Step:
    """Ask for an instance, or be held where a gate has to be looked at first."""
    if policy.depends_on and not process.free:
        return clean(process, STARTING, now).replace(phase=HELD), NONE
    return ask(policy, process, now)


def ask(policy: Policy, process: Process, now: float) -> Step:
    """Ask for an instance of a process whose gate is open; pre_start comes first."""
    asked = clean(process, STARTING, now)
    if policy.pre_start:
        return with_hook(asked, PRE_START, now, now + hook_timeout(policy.pre_start)), HOOK
    return asked, SPAWN


def held_again(process: Process, now: float) -> Step:
    """Take back a SPAWN that was asked for: its gate has to be looked at first."""
    return clean(process, STARTING, now).replace(phase=HELD), UNQUEUE


def with_free(process: Process, *, free: bool) -> Process:
    """Return the process with or without the exemption from its gate."""
    return process if process.free == free else process.replace(free=free)


def limit(policy: Policy, process: Process) -> float | None:
    """Return when a start has taken too long, or a job that runs; None: never."""
    return process.since + policy.start_timeout if policy.start_timeout else None


def retimed(policy: Policy, process: Process, event: Retimed) -> Process:
    """Let `start_timeout` hold for what it is about just now, unless that has asked for more time than it had."""
    if process.state == STARTING and process.hook == POST_START:
        return process.replace(deadline=hook_limit(policy, process))
    awaited = process.state == STARTING and process.executed and process.readiness == AWAITED
    if not awaited and not (process.state == RUNNING and policy.type == ONESHOT):
        return process
    had, deadline = process.since + event.before if event.before else None, process.deadline
    if had is not None and deadline is not None and deadline > had:
        return process
    return process if deadline == limit(policy, process) else process.replace(deadline=limit(policy, process))


def started(process: Process, now: float) -> Process:
    """Return the process after a start that the system did not refuse."""
    return process.replace(starts=process.starts + 1, spawned_at=now, shortages=0, reason="")


def uncounted(process: Process) -> Process:
    """Return the process with one start less: the next one repeats it."""
    return process.replace(starts=max(0, process.starts - 1))


def running(policy: Policy, process: Process, now: float) -> Step:
    """Let an instance that has stayed up be RUNNING; a job has succeeded only when it is done, and may have a limit."""
    if policy.type == ONESHOT:
        job = process.replace(state=RUNNING, since=now)
        return job.replace(deadline=limit(policy, job)), NONE
    if policy.post_start:
        trial = with_hook(process, POST_START, now, None)
        return trial.replace(deadline=hook_limit(policy, trial)), HOOK
    return up(process, now), NONE


def up(process: Process, now: float) -> Process:
    """Return a service as RUNNING."""
    return process.replace(state=RUNNING, since=now, deadline=None, tries=0)


def stopped(process: Process, by: str, now: float) -> Step:
    """Let a process of which nothing is alive be STOPPED."""
    return clean(process.replace(by=by, killing=0, free=False, reason=""), STOPPED, now), NONE


def back_off(process: Process, until: float, now: float) -> Step:
    """Let a process of which nothing is alive wait for its next start."""
    return clean(process, BACKOFF, now).replace(deadline=until), NONE


def clean(process: Process, state: ProcessState, now: float) -> Process:
    """Return the process in a state in which nothing of it is alive."""
    return process.replace(
        state=state, since=now, pid=None, executed=False, deadline=None, then=None, then_at=0.0, refused=(), phase="",
        leaving="",
        readiness="",
        health="",
    )  # fmt: skip


def enter(policy: Policy, process: Process, now: float) -> Step:
    """Nothing is left: take the verdict that waits in `then`."""
    match process.then:
        case "STARTING":
            return start(policy, process, now)
        case "BACKOFF":
            return back_off(process, process.then_at, now)
        case "STOPPED" | "EXITED" | "FATAL":
            return clean(process, process.then, now), NONE
        case _:
            raise BugError(f"nothing can follow {process}")


# -- hooks


def hook_timeout(value: tuple[str, ...]) -> float:
    """Return the time limit of a hook, in seconds: the first word of its value, see `config.hooks`."""
    return float(value[0])


def hook_limit(policy: Policy, process: Process) -> float:
    """Return when a post_start has taken too long: by its own limit, or by that of the whole start."""
    own, whole = process.hook_at + hook_timeout(policy.post_start), limit(policy, process)
    return own if whole is None else min(own, whole)


def with_hook(process: Process, name: str, now: float, until: float | None) -> Process:
    """Return the process with a hook that begins now, and has time until then."""
    return process.replace(hook=name, hook_stage=RUNS, hook_at=now, deadline=until)


def without_hook(process: Process) -> Process:
    """Return the process after the end of its hook."""
    return process.replace(hook="", hook_stage="")


def gone(policy: Policy, process: Process, now: float) -> Step:
    """Nothing of an instance is left: wait for a hook that is being ended, then for post_stop, and take the verdict."""
    if process.hook:
        return last(process, now), NONE
    if policy.post_stop and process.cause != KILL_ORDER:
        over = lifeless(process, now).replace(killing=0)
        return with_hook(over, POST_STOP, now, now + hook_timeout(policy.post_stop)), HOOK
    return enter(policy, process, now)


def last(process: Process, now: float) -> Process:
    """Return a process of which only a hook is left, which is being ended. After a KILL it gets no more time."""
    killing = 1 if process.killing or process.cause == KILL_ORDER else 0
    return lifeless(process, now).replace(hook_stage=LAST, killing=killing, deadline=now + HOOK_GRACE_S)


def lifeless(process: Process, now: float) -> Process:
    """Return a process that is STOPPING though nothing of an instance is alive; who asked for its start has not asked for this."""
    by = process.by if process.state == STOPPING or process.leaving else ""
    since = process.since if process.state == STOPPING else now
    return process.replace(
        state=STOPPING, since=since, pid=None, executed=False, by=by, leaving="", refused=(), readiness=""
    )


class ImpossibleError(BugError):
    """A pair of process and event that cannot happen; it is described only to who reads about it, not to who tries all pairs."""

    def __init__(self, process: Process, event: Event) -> None:
        super().__init__(process, event)
        self._pair = (process, event)

    def __str__(self) -> str:
        process, event = self._pair
        return f"{event} cannot happen in {process}"


def impossible(process: Process, event: Event) -> BugError:
    """Return the error for a pair that cannot happen."""
    return ImpossibleError(process, event)
