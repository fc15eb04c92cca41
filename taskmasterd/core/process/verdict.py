"""What follows the end of a leader: the *verdict*, decided from the counters of that moment. Pure.

An instance that did not stay up has failed to start, and is tried again with a growing delay until the retries are used up. One
that did starts again at once, or when the window of `restart_burst` allows one more, or not at all.
"""

from __future__ import annotations

from taskmaster_common.config import ALWAYS, NEVER, ONESHOT
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPING
from taskmasterd.core.process.ends import End, exit_code
from taskmasterd.core.process.state import AWAITED, HEALTHY, POST_START, WATCH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config import Policy
    from taskmasterd.core.process.events import Exited
    from taskmasterd.core.process.state import Process

JITTER = 0.1
MOST_DOUBLINGS = 64
LEAST_WELL_S = 60.0
"""Time of being well that ends a row of restarts for health where `restart_window` is 0, seconds."""


def without_leader(policy: Policy, process: Process, event: Exited, now: float) -> Process:
    """Return the process without its leader, with the end written down."""
    wanted = process.state == STOPPING or bool(process.leaving)
    expected = wanted or (process.state == RUNNING and exit_code(event.status) in policy.exitcodes)
    started = process.state != STARTING
    after_s, why = now - process.spawned_at, process.reason if process.state == STOPPING else ""
    unready = process.readiness == AWAITED or process.hook == POST_START
    end = End(
        event.status, event.failure, after_s, now, expected, started, event.left, event.silent, why, event.memory,
        process.pid or 0, unready,
    )  # fmt: skip
    cause = process.cause if wanted else "failed" if not started else "exit" if expected else "crash"
    return process.replace(pid=None, end=end, refused=(), cause=cause)


def failed_start(policy: Policy, process: Process, now: float) -> Process:
    """Write the verdict over an instance that did not stay up into `then` and `then_at`."""
    tries = process.tries + 1
    failure = process.end.failure if process.end else None
    if tries > policy.startretries or (failure is not None and failure.permanent):
        return process.replace(tries=tries, then=FATAL)
    pause_s = pause_before_try(policy.restart_delay, policy.restart_max_delay, tries, process, now)
    return process.replace(tries=tries, then=BACKOFF, then_at=now + pause_s)


def after_running(policy: Policy, process: Process, now: float) -> Process:
    """Write the verdict over an instance that had been RUNNING into `then` and `then_at`."""
    expected = process.end is not None and process.end.expected
    if policy.type == ONESHOT:
        return process.replace(then=EXITED, tries=0) if expected else failed_start(policy, process, now)
    if policy.autorestart == NEVER or (policy.autorestart != ALWAYS and expected):
        return process.replace(then=EXITED)
    return within_burst(policy, process, now)


def unfit(policy: Policy, process: Process, now: float, *, stop: bool) -> Process:
    """Write the verdict over an instance that goes down because it is unhealthy into `then` and `then_at`."""
    if stop:
        return process.replace(then=FATAL, cause="unhealthy")
    return within_burst(policy, process.replace(sick=process.sick + 1, cause="unhealthy"), now)


def renewed(policy: Policy, process: Process, now: float) -> Process:
    """Write the verdict over an instance that is replaced as planned into `then` and `then_at`; only changed files can be too many."""
    return within_burst(policy, process, now) if process.cause == WATCH else process.replace(then=STARTING)


def unfit_in_a_row(policy: Policy, process: Process, now: float) -> int:
    """Return how often it was restarted for its health in a row: `restart_window` seconds of being well end the row."""
    well_s = now - process.judged_at if process.health == HEALTHY else 0.0
    return 0 if well_s >= (policy.restart_window or LEAST_WELL_S) else process.sick


def within_burst(policy: Policy, process: Process, now: float) -> Process:
    """Let a restart follow at once, or as soon as `restart_burst` allows it."""
    if not policy.restart_burst or not policy.restart_window:
        return process.replace(recent=(), then=STARTING)
    recent = process.recent[-policy.restart_burst :]
    allowed_at = recent[0] + policy.restart_window if len(recent) == policy.restart_burst else now
    if allowed_at <= now:
        return process.replace(recent=(*recent, now)[-policy.restart_burst :], then=STARTING)
    return process.replace(recent=(*recent, allowed_at)[1:], then=BACKOFF, then_at=allowed_at)


def pause_before_try(first_s: float, most_s: float, attempt: int, process: Process, now: float) -> float:
    """Return the pause before the next try: doubling, capped, spread by a tenth so that mass failures drift apart."""
    seed = hash((process.spawned_at, now)) % 2001
    return min(first_s * 2.0 ** min(attempt - 1, MOST_DOUBLINGS), most_s) * (1 - JITTER + JITTER * seed / 1000)
