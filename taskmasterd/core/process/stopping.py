"""Going down: how a live instance is asked to go, and what follows from newer wishes and refusals meanwhile. Pure."""

from __future__ import annotations

from taskmaster_common.states import RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.events import HOOK, KILL, NONE, TERMINATE, Bounce, Kill, Restart, Signalled, Start, Stop
from taskmasterd.core.process.moves import CAUSE_OF, HOOK_GRACE_S, hook_timeout, uncounted, with_hook, with_new_budget
from taskmasterd.core.process.state import AGAIN, ENDS, KILL_ORDER, OVERDUE, PRE_STOP, STOP, STOP_CMD, Process
from taskmasterd.core.process.verdict import MOST_DOUBLINGS, failed_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config import Policy
    from taskmaster_common.states import ProcessState
    from taskmasterd.core.process.moves import Step

KILL_GRACE_S = 2.0
"""What is alive this long after KILL is reported as stuck; KILL is repeated, doubling up to `KILL_REPEAT_MAX_S`."""
KILL_REPEAT_MAX_S = 30.0

EXEC_WITHIN_S = 0.1
"""Time from the order to go until KILL of a child that has not executed its program: it does not hear the stop signal, and has
nothing to finish. One that does so within that time is asked as any other."""


def take_down(policy: Policy, process: Process, event: Stop | Restart | Bounce | Kill, now: float) -> Step:
    """Somebody wants a live instance to go."""
    then, free, was = STARTING, False, process.state
    match event:
        case Restart():
            process, free = with_new_budget(process, event), event.free
        case Bounce():
            process = uncounted(process)
        case _:
            then = STOPPED
    going = process.replace(
        state=STOPPING,
        since=now,
        then=then,
        by=event.by,
        deadline=now + policy.stoptime,
        killing=0,
        reason="",
        refused=(),
        leaving="",
        free=free,
        cause=CAUSE_OF[type(event)],
    )
    if isinstance(event, Kill):
        return kill(going.replace(hook_stage=ENDS) if going.hook else going, now)
    return ask_to_go(policy, was, going, now)


def give_up(policy: Policy, process: Process, reason: str, now: float) -> Step:
    """Take down an instance that has not become in time what was asked of it: a failed start."""
    asked = left(process, process)
    judged = asked or failed_start(policy, process.replace(end=None, by="", cause="failed"), now)
    return end_it(policy, process.state, judged.replace(end=process.end), "" if asked else reason, now)


def end_it(policy: Policy, was: ProcessState, judged: Process, reason: str, now: float) -> Step:
    """Take down a live instance, in the state `was`, about which the verdict is written."""
    going = judged.replace(
        state=STOPPING, since=now, deadline=now + policy.stoptime, killing=0, leaving="", refused=(), reason=reason
    )
    return ask_to_go(policy, was, going, now)


def ask_to_go(policy: Policy, was: ProcessState, going: Process, now: float) -> Step:
    """Ask a leader to go that was in the state `was`: by pre_stop, where it was up, and then by stop_cmd or the stop signal."""
    if not going.executed:
        until = now + EXEC_WITHIN_S
        return going.replace(deadline=min(going.deadline or until, until)), NONE
    if going.hook:  # a post_start
        return hurried(policy, going, now)
    if policy.pre_stop and was == RUNNING:
        return with_hook(going, PRE_STOP, now, now + hook_timeout(policy.pre_stop)), HOOK
    return stop_signal(policy, going, now)


def hurried(policy: Policy, process: Process, now: float) -> Step:
    """End a hook; the stop signal does not wait for that, but a stop_cmd does: one hook runs at a time."""
    if policy.stop_cmd:
        return process.replace(hook_stage=OVERDUE, deadline=now + 2 * HOOK_GRACE_S), NONE
    return process.replace(hook_stage=ENDS, deadline=now + policy.stoptime), TERMINATE


def stop_signal(policy: Policy, process: Process, now: float) -> Step:
    """Send the stop signal, or run what stands for it; `stoptime` begins."""
    if policy.stop_cmd:
        until = now + min(hook_timeout(policy.stop_cmd), policy.stoptime)
        return with_hook(process, STOP_CMD, now, until), HOOK
    return process.replace(deadline=now + policy.stoptime), TERMINATE


def kill(process: Process, now: float) -> Step:
    """Send KILL, once more where that was done before; the pause until the next one doubles."""
    pause_s = min(KILL_GRACE_S * 2.0 ** min(process.killing, MOST_DOUBLINGS), KILL_REPEAT_MAX_S)
    return process.replace(killing=process.killing + 1, deadline=now + pause_s), KILL


def asked_meanwhile(process: Process, event: Start | Restart | Stop | Kill, now: float) -> Step:
    """Somebody wants something of what is going down: the newest intent wins, and what refused KILL is tried again."""
    if isinstance(event, (Stop, Kill)):
        cause = process.cause if process.cause == KILL_ORDER else CAUSE_OF[type(event)]
        going = process.replace(then=STOPPED, by=event.by, free=False, cause=cause)
    else:
        going = with_new_budget(process, event).replace(then=STARTING, free=event.free)
    order = isinstance(event, Kill)
    if process.unkillable or (order and not process.killing):
        return kill(going, now)
    return going, KILL if order else NONE


def signalled(process: Process, event: Signalled, now: float) -> Process:
    """Know what may not be signalled; KILL is repeated for as long as something else is left."""
    deadline, killing = process.deadline, process.killing
    if process.past_asking and event.refused and not event.others:
        deadline, killing = None, 0
    elif process.unkillable:
        deadline, killing = now + KILL_GRACE_S, 1
    if (process.refused, process.deadline) == (event.refused, deadline):
        return process
    return process.replace(refused=event.refused, deadline=deadline, killing=killing)


def left(process: Process, ended: Process) -> Process | None:
    """Return what follows an end before the moment to go down: what was asked for. None: it was not leaving."""
    if not process.leaving:
        return None
    if process.leaving == STOP:
        return ended.replace(then=STOPPED, cause=process.leaving)
    if process.leaving == AGAIN:
        return with_new_budget(ended, Restart(process.by)).replace(then=STARTING)
    return uncounted(ended).replace(then=STARTING, cause=CAUSE_OF[Bounce])
