"""The life of one process: a total function from (policy, process, event, now) to (process, action).

THEORY
    A process is a slot of a program. It has one of seven states, and the state says two things: what is alive, and what
    will happen by itself.

        STOPPED  EXITED  FATAL   nothing is alive, nothing will happen: DOWN
        BACKOFF                  nothing is alive, a start is due at `deadline`
        STARTING                 an instance was asked for (`pid` None), exists, or runs (`executed`) but has not stayed up yet
        RUNNING                  the instance has stayed up for `starttime`
        STOPPING                 something of an instance is alive and has to go; `then` says what follows

    STOPPING is entered for two reasons that need no distinction afterwards: somebody wants the process down, or its
    leader ended and left others behind. `then` holds the verdict of the first or of the second, and the newest intent
    replaces it. Nothing new is spawned before nothing is left, so there are never two live instances of one slot.

    What follows the end of a leader (the *verdict*) is decided at that moment, from the counters of that moment:
        not up for `starttime`   a failed start: BACKOFF with a growing delay, FATAL when the retries are used up;
        up before                EXITED where autorestart says so, else STARTING at once, or BACKOFF until the window of
                                 `restart_burst` allows one more.

    `deadline` is a field of the process and whoever stores the process arms it; replacing the process cancels it. In
    STARTING it is the end of `starttime`, in BACKOFF the retry, in STOPPING the moment of KILL.

    TERMINATE is held until `executed`: before exec the child has neither the session nor the dispositions that a stop
    signal is meant for. KILL is never held.

    What may not be signalled (EPERM) is written into `refused`. Where KILL was refused by everything that is left, the
    process stays STOPPING without a deadline: to repeat KILL is pointless until something of it changes or somebody asks
    once more.

Pairs that cannot happen raise BugError: they are listed by falling through their state's match, not by omission.
"""

from __future__ import annotations

from taskmaster_common.errors import BugError
from taskmaster_common.records import Record
from taskmaster_common.states import BACKOFF, RUNNING, STARTING, STOPPED, STOPPING, ProcessState
from taskmasterd.core.process.events import (
    KILL,
    NONE,
    SPAWN,
    TERMINATE,
    UNQUEUE,
    Action,
    DeadlineReached,
    Event,
    Executed,
    Exited,
    GroupEmpty,
    Kill,
    Restart,
    Signalled,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
)
from taskmasterd.core.process.verdict import (
    MOST_DOUBLINGS,
    after_running,
    failed_start,
    pause_before_try,
    without_leader,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmaster_common.config import Policy
    from taskmasterd.core.process.ends import End

KILL_GRACE_S = 2.0
"""What is alive this long after KILL is reported as stuck; KILL is repeated, doubling up to `KILL_REPEAT_MAX_S`."""
KILL_REPEAT_MAX_S = 30.0
STUCK_AFTER_KILLS = 2
SHORTAGE_DELAY_S = 0.1
"""The least first pause after a refused fork: with `restart_delay` 0 the daemon would spin for as long as it lasts."""
SHORTAGE_MAX_DELAY_S = 1.0


class Process(Record):
    """One slot. `since` is when the state was entered, `spawned_at` when the present or last instance was.

    `tries` counts failed starts in a row, `shortages` refused forks in a row, `recent` the times of the automatic
    restarts that `restart_burst` limits, `starts` all starts since an operator's last one, that one included.
    `killing` counts the KILLs of the present or last stop that were not refused. `then` and `then_at` say what follows STOPPING, and when a BACKOFF
    that follows ends. `by` is who asked for the present stop or start, `reason` a shortage of the daemon. `refused` names
    what is alive of it and may not be signalled.
    """

    state: ProcessState = STOPPED
    since: float = 0.0
    pid: int | None = None
    executed: bool = False
    spawned_at: float = 0.0
    deadline: float | None = None
    then: ProcessState | None = None
    then_at: float = 0.0
    tries: int = 0
    shortages: int = 0
    recent: tuple[float, ...] = ()
    starts: int = 0
    killing: int = 0
    end: End | None = None
    by: str = ""
    reason: str = ""
    refused: tuple[str, ...] = ()

    @property
    def restarts(self) -> int:
        """How often it was started again by itself since an operator's last start."""
        return max(0, self.starts - 1)

    @property
    def stuck(self) -> bool:
        """Whether something is still alive `KILL_GRACE_S` after KILL, or nothing that is left may be killed."""
        return self.state == STOPPING and (self.killing >= STUCK_AFTER_KILLS or self.unkillable)

    @property
    def unkillable(self) -> bool:
        """Whether everything that is left has refused KILL."""
        return self.state == STOPPING and self.deadline is None and bool(self.refused)

    @property
    def past_asking(self) -> bool:
        """Whether what is left of it gets KILL and no stop signal any more."""
        return bool(self.killing) or self.unkillable

    @property
    def goal_is_up(self) -> bool:
        """Whether it is up or will be: the newest intent that is still in force."""
        return (self.then if self.state == STOPPING else self.state) in (STARTING, RUNNING, BACKOFF)


Step = tuple[Process, Action]


def step(policy: Policy, process: Process, event: Event, now: float) -> Step:
    """Return the process after `event`, and what has to be done. Raises BugError for a pair that cannot happen."""
    match process.state:
        case "STOPPED" | "EXITED" | "FATAL":
            return _down(process, event, now)
        case "BACKOFF":
            return _backoff(process, event, now)
        case "STARTING":
            return _starting(policy, process, event, now)
        case "RUNNING":
            return _running(policy, process, event, now)
        case "STOPPING":
            return _stopping(policy, process, event, now)


def _down(process: Process, event: Event, now: float) -> Step:
    match event:
        case Start() | Restart():
            return _fresh_start(process, event.by, now)
        case Stop() | Kill():
            return (process, NONE) if process.state == STOPPED else _stopped(process, event.by, now)
        case _:
            raise _impossible(process, event)


def _backoff(process: Process, event: Event, now: float) -> Step:
    match event:
        case Start() | Restart():
            return _fresh_start(process, event.by, now)
        case Stop() | Kill():
            return _stopped(process, event.by, now)
        case DeadlineReached():
            return _start(process, now)
        case _:
            raise _impossible(process, event)


def _starting(policy: Policy, process: Process, event: Event, now: float) -> Step:
    if process.pid is None:
        return _queued(policy, process, event, now)
    match event:
        case Start():
            return process, NONE
        case Stop() | Restart() | Kill():
            return _take_down(policy, process, event, now)
        case Executed() if not process.executed and policy.starttime <= 0:
            return _running_now(process.replace(executed=True), now)
        case Executed() if not process.executed:
            return process.replace(executed=True, deadline=now + policy.starttime), NONE
        case DeadlineReached() if process.executed:
            return _running_now(process, now)
        case Exited():
            return _leader_ended(
                failed_start(policy, without_leader(policy, process, event, now), now), policy, event, now
            )
        case _:
            raise _impossible(process, event)


def _queued(policy: Policy, process: Process, event: Event, now: float) -> Step:
    """Answer while a SPAWN was asked for and has not been carried out."""
    match event:
        case Start():
            return process, NONE
        case Restart():
            return _with_new_budget(process, event.by), NONE
        case Stop() | Kill():
            return _stopped(process, event.by, now)[0], UNQUEUE
        case Spawned():
            return _started(process, now).replace(pid=event.pid, since=now), NONE
        case SpawnFailed():
            shortages = process.shortages + 1
            first_s = max(policy.restart_delay, SHORTAGE_DELAY_S)
            pause_s = pause_before_try(
                first_s, max(policy.restart_max_delay, SHORTAGE_MAX_DELAY_S), shortages, process, now
            )
            return _back_off(process.replace(shortages=shortages, reason=event.reason), now + pause_s, now)
        case Exited() if event.failure is not None and not event.left:
            tried = without_leader(policy, _started(process, now), event, now)
            return _enter(failed_start(policy, tried, now), now)
        case _:
            raise _impossible(process, event)


def _running(policy: Policy, process: Process, event: Event, now: float) -> Step:
    match event:
        case Start():
            return process, NONE
        case Stop() | Restart() | Kill():
            return _take_down(policy, process, event, now)
        case Exited():
            return _leader_ended(
                after_running(policy, without_leader(policy, process, event, now), now), policy, event, now
            )
        case _:
            raise _impossible(process, event)


def _stopping(policy: Policy, process: Process, event: Event, now: float) -> Step:
    match event:
        case Start() | Restart() | Stop() | Kill():
            return _asked_meanwhile(process, event, now)
        case Executed() if process.pid is not None and not process.executed:
            told = process.replace(executed=True)
            if process.past_asking:
                return told, NONE
            return told.replace(deadline=now + policy.stoptime), TERMINATE
        case DeadlineReached():
            return _kill(process, now)
        case Exited() if process.pid is not None:
            ended = without_leader(policy, process, event, now)
            if event.left:
                return _kill(ended, now) if process.unkillable else (ended, KILL if process.killing else TERMINATE)
            return _enter(ended, now)
        case GroupEmpty() if process.pid is None:
            return _enter(process, now)
        case Signalled():
            return _signalled(process, event, now), NONE
        case _:
            raise _impossible(process, event)


# -- going up


def _fresh_start(process: Process, by: str, now: float) -> Step:
    return _start(_with_new_budget(process, by).replace(killing=0), now)


def _with_new_budget(process: Process, by: str) -> Process:
    return process.replace(by=by, tries=0, shortages=0, recent=(), starts=0)


def _start(process: Process, now: float) -> Step:
    return _clean(process, STARTING, now), SPAWN


def _started(process: Process, now: float) -> Process:
    """Return the process after a start that the system did not refuse."""
    return process.replace(starts=process.starts + 1, spawned_at=now, shortages=0, reason="")


def _running_now(process: Process, now: float) -> Step:
    return process.replace(state=RUNNING, since=now, deadline=None, tries=0), NONE


# -- going down


def _stopped(process: Process, by: str, now: float) -> Step:
    return _clean(process.replace(by=by, killing=0), STOPPED, now), NONE


def _take_down(policy: Policy, process: Process, event: Stop | Restart | Kill, now: float) -> Step:
    """Somebody wants a live instance to go."""
    then = STOPPED
    if isinstance(event, Restart):
        process, then = _with_new_budget(process, event.by), STARTING
    going = process.replace(
        state=STOPPING,
        since=now,
        then=then,
        by=event.by,
        deadline=now + policy.stoptime,
        killing=0,
        reason="",
        refused=(),
    )
    if isinstance(event, Kill):
        return _kill(going, now)
    return going, TERMINATE if process.executed else NONE


def _kill(process: Process, now: float) -> Step:
    pause_s = min(KILL_GRACE_S * 2.0 ** min(process.killing, MOST_DOUBLINGS), KILL_REPEAT_MAX_S)
    return process.replace(killing=process.killing + 1, deadline=now + pause_s), KILL


def _asked_meanwhile(process: Process, event: Start | Restart | Stop | Kill, now: float) -> Step:
    """Somebody wants something of what is going down: the newest intent wins, and what refused KILL is tried again."""
    if isinstance(event, (Stop, Kill)):
        going = process.replace(then=STOPPED, by=event.by)
    else:
        going = _with_new_budget(process, event.by).replace(then=STARTING)
    order = isinstance(event, Kill)
    if process.unkillable or (order and not process.killing):
        return _kill(going, now)
    return going, KILL if order else NONE


def _signalled(process: Process, event: Signalled, now: float) -> Process:
    """Know what may not be signalled; KILL is repeated for as long as something else is left."""
    deadline, killing = process.deadline, process.killing
    if process.past_asking and event.refused and not event.others:
        deadline, killing = None, 0
    elif process.unkillable:
        deadline, killing = now + KILL_GRACE_S, 1
    if (process.refused, process.deadline) == (event.refused, deadline):
        return process
    return process.replace(refused=event.refused, deadline=deadline, killing=killing)


# -- the end of a leader


def _leader_ended(process: Process, policy: Policy, event: Exited, now: float) -> Step:
    """Take the verdict that is written at once, or end first what was left behind."""
    if not event.left:
        return _enter(process, now)
    ending = process.replace(state=STOPPING, since=now, deadline=now + policy.stoptime, killing=0, by="")
    return ending, TERMINATE


def _enter(process: Process, now: float) -> Step:
    """Nothing is left: take the verdict that waits in `then`."""
    match process.then:
        case "STARTING":
            return _start(process, now)
        case "BACKOFF":
            return _back_off(process, process.then_at, now)
        case "STOPPED" | "EXITED" | "FATAL":
            return _clean(process, process.then, now), NONE
        case _:
            raise BugError(f"nothing can follow {process}")


def _back_off(process: Process, until: float, now: float) -> Step:
    return _clean(process, BACKOFF, now).replace(deadline=until), NONE


def _clean(process: Process, state: ProcessState, now: float) -> Process:
    """Return the process in a state in which nothing of it is alive."""
    return process.replace(
        state=state, since=now, pid=None, executed=False, deadline=None, then=None, then_at=0.0, refused=()
    )


def _impossible(process: Process, event: Event) -> BugError:
    return BugError(f"{event} cannot happen in {process}")
