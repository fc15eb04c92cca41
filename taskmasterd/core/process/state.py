"""The state of one process: the value that `machine.step` maps to its successor."""

from __future__ import annotations

from taskmaster_common.records import Record
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING, ProcessState
from taskmasterd.core.process.events import SCHEDULE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    from taskmasterd.core.process.ends import End

STUCK_AFTER_KILLS = 2
"""What is alive after this many KILLs, the first and one `KILL_GRACE_S` later, is stuck."""

HELD: Final = "held"
"""Phase of STARTING: the gate is not open yet, nothing was spawned."""
BLOCKED: Final = "blocked"
"""Phase of BACKOFF: the gate is closed, and nothing on the way will open it; there is no deadline."""
PHASES = ("", HELD, BLOCKED)

AWAITED: Final = "awaited"
TOLD: Final = "told"
UNSURE: Final = "unsure"
READINESS = ("", AWAITED, TOLD, UNSURE)
"""Of an instance with a way to become ready: it is not, it is, or nobody knows since no daemon was there to hear it."""

HEALTHY: Final = "healthy"
UNHEALTHY: Final = "unhealthy"
VERDICTS = ("", HEALTHY, UNHEALTHY)
"""What health checks say of a RUNNING instance; "": nothing yet, or nobody asks."""
PRE_START: Final = "pre_start"
POST_START: Final = "post_start"
PRE_STOP: Final = "pre_stop"
STOP_CMD: Final = "stop_cmd"
POST_STOP: Final = "post_stop"
PRE_RESTART: Final = "pre_restart"
"""The hook that is asked before a restart; it is no part of a process's way, as the other HOOKS are."""
HOOKS = (PRE_START, POST_START, PRE_STOP, STOP_CMD, POST_STOP)

RUNS: Final = "runs"
"""Of a hook: what follows waits for its end, or for its time."""
OVERDUE: Final = "overdue"
"""It is being ended, and the stop goes on when it has ended: one process at most has the word."""
ENDS: Final = "ends"
"""It is being ended beside what is alive of the instance."""
LAST: Final = "last"
"""It is being ended, and nothing else is left."""
HOOK_STAGES = ("", RUNS, OVERDUE, ENDS, LAST)

STOP: Final = "stop"
AGAIN: Final = "restart"
BOUNCE: Final = "bounce"
BECAUSE: Final = "because "
"""Begins `by` where nobody has asked for a stop: what has happened follows."""
KILL_ORDER: Final = "kill"
ITS: Final = "its "
"""Begins `by` where nobody has asked for a start, and something of its own is due: "its schedule (nominal 03:00)"."""
RECYCLE: Final = "recycle"
WATCH: Final = "watch"
PLANNED: Mapping[str, tuple[str, str]] = {RECYCLE: ("recycled", "recycled"), WATCH: ("restarting", "restarted")}
"""The causes of planned restarts, and how one is called: while the instance goes down, and afterwards."""
BY_ITSELF = ("exit", "crash", "failed", "unhealthy", *PLANNED)
"""Causes of restarts for which nobody has asked."""
CAUSES = ("", "start", STOP, AGAIN, "dependency", KILL_ORDER, *BY_ITSELF, SCHEDULE)
"""Why a process starts or goes down: what somebody, an edge or a key wants, or how its last instance has ended. After KILL_ORDER no hook runs."""
OFTEN: Final = 3
LATELY_S: Final = 300.0
"""What was restarted by itself so many times within so many seconds is up, but not well."""
LEAVING = ("", STOP, AGAIN, BOUNCE)
"""What a live process does once nothing that depends on it is going down any more: see Stop, Restart and Bounce."""


class Process(Record):
    """One slot. `since` is when the state was entered, `spawned_at` when the present or last instance was.

    `tries` counts failed starts in a row, `shortages` refused forks in a row, `recent` the times of the automatic restarts that
    `restart_burst` limits, `starts` all starts since an operator's last one, that one included. `killing` counts the KILLs of
    the present or last stop that were not refused. `then` and `then_at` say what follows STOPPING, and when a BACKOFF that
    follows ends. `by` is who asked for the present stop or start, or BECAUSE of what, or what a planned restart is for, `reason` a shortage of the daemon, or why
    it has given up an instance. `refused` names what is alive of it and may not be signalled. `phase` is HELD, BLOCKED or "".
    `leaving`: it goes down when what depends on it has gone, see LEAVING. `free`: its gate is not looked at, until the next
    start, restart or stop. `readiness` is that of the present instance, see READINESS, since `ready_at`. `health` is one of
    VERDICTS, since `judged_at`; while it is UNHEALTHY, `reason` says why. `sick` counts the restarts for health in a row.
    `hook` is the one that runs since `hook_at`, at `hook_stage`, see HOOK_STAGES. `cause` is what has led to the present start
    or stop, a word of CAUSES.
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
    phase: str = ""
    leaving: str = ""
    free: bool = False
    readiness: str = ""
    ready_at: float = 0.0
    health: str = ""
    judged_at: float = 0.0
    sick: int = 0
    hook: str = ""
    hook_stage: str = ""
    hook_at: float = 0.0
    cause: str = ""

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
        if self.leaving == STOP:
            return False
        return (self.then if self.state == STOPPING else self.state) in (STARTING, RUNNING, BACKOFF)

    @property
    def as_wanted(self) -> bool:
        """Whether it is in its wanted state: neither BACKOFF nor FATAL, nor EXITED unexpectedly, nor unhealthy."""
        if self.state == EXITED:
            return self.end is None or self.end.expected
        return self.state not in (BACKOFF, FATAL) and not self.unhealthy

    def comebacks(self, now: float) -> list[float]:
        """When it was started again within LATELY_S, if it is up but keeps ending unexpectedly, OFTEN at least; else none."""
        if self.state not in (STARTING, RUNNING) or self.end is None or self.end.expected:
            return []
        lately = [at for at in self.recent if at > now - LATELY_S]
        return lately if len(lately) >= OFTEN else []

    @property
    def unhealthy(self) -> bool:
        """Whether it runs and is not well."""
        return self.state == RUNNING and self.health == UNHEALTHY

    @property
    def done(self) -> bool:
        """Whether its last run has ended as expected, was not stopped, and none has been asked for since."""
        return (
            self.state == EXITED and self.end is not None and self.end.expected and self.cause not in (STOP, KILL_ORDER)
        )

    @property
    def alive(self) -> bool:
        """Whether anything of it is alive."""
        return self.pid is not None or self.state == STOPPING

    @property
    def going_down(self) -> bool:
        """Whether it is alive and has been asked to end, or has ended and left something."""
        return self.state == STOPPING or bool(self.leaving)
