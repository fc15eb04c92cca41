"""The moves that the rows of `machine` share: into a state in which nothing is alive, and out of it. Pure."""

from __future__ import annotations

from taskmaster_common.config import ONESHOT
from taskmaster_common.errors import BugError
from taskmaster_common.states import BACKOFF, RUNNING, STARTING, STOPPED
from taskmasterd.core.process.events import NONE, SPAWN, UNQUEUE, Action
from taskmasterd.core.process.state import AWAITED, HELD

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config import Policy
    from taskmaster_common.states import ProcessState
    from taskmasterd.core.process.events import Event, Restart, Retimed, Start
    from taskmasterd.core.process.state import Process

Step = tuple["Process", Action]


def fresh_start(policy: Policy, process: Process, event: Start | Restart, now: float) -> Step:
    """Start what is down because somebody wants it up."""
    return start(policy, with_new_budget(process, event.by).replace(killing=0, free=event.free), now)


def with_new_budget(process: Process, by: str) -> Process:
    """Return the process with all its retries and restarts before it."""
    return process.replace(by=by, tries=0, shortages=0, recent=(), starts=0, sick=0)


def start(policy: Policy, process: Process, now: float) -> Step:
    """Ask for an instance, or be held where a gate has to be looked at first."""
    if policy.depends_on and not process.free:
        return clean(process, STARTING, now).replace(phase=HELD), NONE
    return clean(process, STARTING, now), SPAWN


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
    return process.replace(state=RUNNING, since=now, deadline=None, tries=0), NONE


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


def impossible(process: Process, event: Event) -> BugError:
    """Return the error for a pair that cannot happen."""
    return BugError(f"{event} cannot happen in {process}")
