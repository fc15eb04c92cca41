"""What can happen to a process: the inputs of `process.step`, and the actions it answers with.

A life has four marks, and the kernel side promises their order: Spawned, then Executed, then Exited, then GroupEmpty.
Executed always comes before Exited of a program that was executed; GroupEmpty comes only after an Exited with `left`.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final, Literal

    Action = Literal["none", "spawn", "unqueue", "terminate", "kill", "hook"]
    """What the effects have to do after a step."""
else:
    Action = str


SCHEDULE: Final = "schedule"
"""Why something starts whose schedule says so."""


class Event(Record):
    """Base of all events."""


class Start(Event):
    """An operator, a reload or the daemon's start wants it up. `by` is who, in the words of the event log.

    `free`: without a look at what it depends on.
    """

    by: str = ""
    free: bool = False


class Stop(Event):
    """Somebody wants it down."""

    by: str = ""


class Restart(Event):
    """Somebody wants it down and up again, as one operation; `free` as of Start."""

    by: str = ""
    free: bool = False


class Kill(Event):
    """It has to be down at once: SIGQUIT to the daemon, or `shutdown_timeout` has passed."""

    by: str = ""


class Due(Event):
    """Its own time to start has come, and nobody has asked. `why` becomes its `by`, ITS or BECAUSE and more; `cause` is one of CAUSES.

    What an operator has stopped stays down: no clock and no file starts it.
    """

    why: str
    cause: str = SCHEDULE


class Arm(Event):
    """It is to start when its own time comes, and not now: what was stopped is down and wanted again."""

    by: str = ""


class Bounce(Event):
    """What it depends on goes down, and its edge says `restart: true`: down and up again, within the budget that it has."""

    by: str = ""


class Leave(Event):
    """Somebody wants it down, as soon as nothing that depends on it is going down any more; `order` is what happens then."""

    order: Stop | Restart | Bounce


class Opened(Event):
    """The gate of a held or blocked process is open."""


class Waits(Event):
    """The gate is not open, and what it waits for is on its way. `until`: look again at this moment, whatever happens."""

    until: float | None = None


class Blocked(Event):
    """The gate is not open, and nothing on the way will open it."""


class Spawned(Event):
    """The process exists (fork or posix_spawn returned `pid`); it is not known yet whether the program was executed.

    `awaits`: this instance has a way to become ready, and is not RUNNING before it has.
    """

    pid: int
    awaits: bool = False


class Executed(Event):
    """The program's own code runs: exec succeeded."""


class Retimed(Event):
    """A reload has changed `start_timeout`, which was `before` seconds: it holds for a start under way, and for a job that runs."""

    before: float


class OfInstance(Event):
    """Base of what is about one instance and may come late: it counts only while `pid` is the leader's."""

    pid: int


class Ready(OfInstance):
    """An instance has become ready, as `text` says. `unsure`: nobody can know, because no daemon was there to hear it."""

    text: str = ""
    unsure: bool = False


class Extend(OfInstance):
    """An instance asks for more time to start or stop: its deadline is at least `until`."""

    until: float


class Condemned(OfInstance):
    """An instance will never become ready, for this reason."""

    reason: str


class Judged(OfInstance):
    """Health checks have come to another verdict about an instance, one of VERDICTS; `text` says why it is unhealthy."""

    verdict: str
    text: str = ""


class Unfit(OfInstance):
    """An instance is unhealthy and goes down for it: up again, or with `stop` for good."""

    stop: bool = False


LIMITS = frozenset(("rlimits", "nice", "cpu_affinity", "oom_score_adj", "limits"))
"""Steps that set what a program may use: what the kernel refuses once, it refuses again."""


class Renew(OfInstance):
    """An instance that runs is to be replaced as planned; `cause` is one of PLANNED, `what` says more: "age 12h"."""

    cause: str
    what: str


class Failure(Record):
    """A step of the set-up that failed, so that the program was never executed.

    `step` is one of: log file, user, group, umask, workingdir, limits, those of LIMITS, search (there is no such command), exec,
    orphan.
    `permanent`: trying again cannot help.
    """

    step: str
    text: str
    permanent: bool = False


class Exited(Event):
    """The leader has ended and was reaped, or its set-up failed before there was one.

    `status` is the wait status (wait(2)), 0 where the set-up failed in the daemon itself, None where nobody knows it because
    no daemon was there. `left` describes what the
    leader left behind alive ("sleep (4711)"), and has to be ended before anything follows. `silent`: its output went through
    us, and there was none. `memory` says that memory was short when somebody else killed it, or its
    processor time used up, "" where neither is known.
    """

    status: int | None = 0
    failure: Failure | None = None
    left: tuple[str, ...] = ()
    silent: bool = False
    memory: str = ""


class GroupEmpty(Event):
    """Nothing that the leader left behind is alive any more."""


class Signalled(Event):
    """The stop signal or KILL was sent. `refused` names those that may not be signalled (EPERM, kill(2)) and are alive.

    `others`: some others of it could be signalled.
    """

    refused: tuple[str, ...] = ()
    others: bool = False


class SpawnFailed(Event):
    """The operating system refused a new process or descriptor: the daemon's shortage, not the program's fault."""

    reason: str


class DeadlineReached(Event):
    """The process's own `deadline` has passed. `said` is what was last known about its readiness, or why its pre_start was not executed yet."""

    said: str = ""


class HookEnded(Event):
    """Nothing of the process's `hook` is left. `ok` is None where nobody knows how it has ended, or it was ended by us."""

    ok: bool | None
    text: str = ""


NONE: Final = "none"
SPAWN: Final = "spawn"
"""Bring up a new instance; answered by Spawned, SpawnFailed or Exited(failure)."""
UNQUEUE: Final = "unqueue"
"""Take back a SPAWN that has not been answered."""
TERMINATE: Final = "terminate"
"""The stop signal, then CONT, to everything of it that has not been told yet; answered by Signalled where that is refused."""
KILL: Final = "kill"
"""SIGKILL to everything of it; answered by Signalled where that is refused."""
HOOK: Final = "hook"
"""Begin the process's `hook`; answered by HookEnded, or by SpawnFailed in the place of a pre_start."""
