"""The life of one instance: a total function from (stage, news) to (stage, effects).

THEORY
    An *instance* is what is alive of a slot, from the request for a start until nothing of it is left. `step` decides by
    its marks, Spawned < Executed < Exited < GroupEmpty, and relies on their order. The news about an instance keep no
    order: a forked child may end before its report was read, a survivor before its leader's end was delivered, and a look
    may fail. The stage says which mark comes next, and what has to be done before it may come.

        NOTHING      nothing of the slot is alive, nothing was asked for
        QUEUED       a start waits for its turn
        SETTING_UP   a forked child has not reported yet whether it was executed
        FAILED       it has reported a failed step; its end follows
        LIVE         the leader lives and was executed
        AWAITED      an earlier daemon's leader has ended, and the guardian will say how
        UNREPORTED   the leader has ended, and the report of its set-up is read
        ENDED        the leader has ended, and nobody has looked yet at what it left
        MISSED       the same, of a leader that ended while no daemon was there
        CLEAN        it left nothing; Exited is due in the next turn
        LEAVING      it left survivors; Exited is due in the next turn
        LEADERLESS   Exited was delivered; survivors are alive

    An instance leaves CLEAN or LEADERLESS for NOTHING before its last mark is delivered, so the SPAWN that may answer the
    mark finds the slot empty: there are never two instances of a slot.

Effects are carried out in their order, after the stage has changed. Pairs that cannot happen raise BugError: they are
those that `TABLE` does not list.
"""

from __future__ import annotations

from taskmaster_common.errors import BugError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Final

    Stage = str
    News = str
    Effects = tuple[str, ...]

NOTHING: Final = "nothing"
QUEUED: Final = "queued"
SETTING_UP: Final = "setting up"
FAILED: Final = "failed"
LIVE: Final = "live"
AWAITED: Final = "awaited"
UNREPORTED: Final = "unreported"
ENDED: Final = "ended"
MISSED: Final = "missed"
CLEAN: Final = "clean"
LEAVING: Final = "leaving"
LEADERLESS: Final = "leaderless"

UNSETTLED = frozenset({SETTING_UP, FAILED, UNREPORTED, ENDED, CLEAN, LEAVING})
"""Stages in which something was seen that `step` does not know yet, or a child is between fork and exec."""

# -- news: what the core asks for, what the system says, what a look has found

ASKED: Final = "asked for"
TAKEN_BACK: Final = "taken back"
TERMINATED: Final = "terminated"
"""The core's action TERMINATE; `KILLED` is its action KILL."""
KILLED: Final = "killed"
REFUSED: Final = "refused"
"""The system refuses a process or a descriptor."""
NOT_SET_UP: Final = "not set up"
"""A step of the set-up failed in the daemon itself."""
FORKED: Final = "forked"
SPAWNED: Final = "spawned"
"""The child exists and was executed (posix_spawn)."""
EXECUTED: Final = "executed"
"""A forked child reports that it was executed; `NOT_EXECUTED`, that a step of its set-up failed."""
NOT_EXECUTED: Final = "not executed"
LEADER_ENDED: Final = "leader ended"
FOUND_NONE: Final = "found none"
"""A look found no survivor; `FOUND_SOME`, at least one."""
FOUND_SOME: Final = "found some"
FOUND_SOME_KILLING: Final = "found some while killing"
"""A look found survivors of a process that is past asking (`Process.past_asking`)."""
BLIND: Final = "blind"
"""A look failed for lack of descriptors: nothing is known."""
TURN: Final = "turn"
"""The next turn of the loop has come."""
ADOPTED_LIVE: Final = "adopted live"
"""A leader of an earlier daemon lives. The next three are ends of such a leader: its status is still to come, is known, or was delivered."""
ADOPTED_AWAITED: Final = "adopted awaited"
ADOPTED_ENDED: Final = "adopted ended"
ADOPTED_LEADERLESS: Final = "adopted leaderless"

# -- effects

ENQUEUE: Final = "enqueue"
DEQUEUE: Final = "dequeue"
TELL_FAILED: Final = "tell that the start failed"
"""Deliver SpawnFailed, or Exited with the step that failed."""
TELL_SPAWNED: Final = "tell spawned"
TELL_EXECUTED: Final = "tell executed"
TELL_EXITED: Final = "tell exited"
TELL_EMPTY: Final = "tell empty"
RECORD_END: Final = "record end"
"""Write how the leader ended to the state file, while the kernel knows it too."""
READ_REPORT: Final = "read report"
"""Read what a forked child has reported; EXECUTED or NOT_EXECUTED comes of it."""
READ_RULE: Final = "read rule"
"""Apply `stopasgroup`, a live key, as it is now."""
LOSE_LEADER: Final = "lose leader"
"""Forget the leader's pid, which may become anybody's."""
DRAIN: Final = "drain"
"""Move what is in the pipes of the instance into its files."""
LOOK: Final = "look"
"""Look for what the leader left."""
LOOK_AGAIN: Final = "look again"
"""Look again for survivors."""
WAIT_A_TURN: Final = "wait a turn"
WATCH_LEADER: Final = "watch leader"
"""Wait for the end of a leader that may be no child of ours, and go on with a stop that was under way."""
AWAIT_WORD: Final = "await word"
"""Wait for the guardian's word on how the leader ended."""
WATCH_SURVIVORS: Final = "watch survivors"
RELEASE: Final = "release"
"""Forget the instance: nothing of it is left."""
FORGET_SIGNALLED: Final = "forget signalled"
"""Forget who got which signal, so that everybody gets the next one."""
STOP_ALL: Final = "stop all"
"""Send the stop signal to all that have not got it; `KILL_GROUP` and `KILL_SURVIVORS` send SIGKILL."""
KILL_GROUP: Final = "kill group"
KILL_SURVIVORS: Final = "kill survivors"
STOP_NEWCOMERS: Final = "stop newcomers"
"""Send the stop signal, or SIGKILL, to the survivors that have not got it: they have come since the last look."""
KILL_NEWCOMERS: Final = "kill newcomers"

_WITHOUT_LEADER = (READ_RULE, LOSE_LEADER, DRAIN, LOOK)
"""The rule is read first: what a leader leaves belongs to it or not by the rule of that moment."""
_STOP = (READ_RULE, STOP_ALL)
_KILL = (READ_RULE, FORGET_SIGNALLED, KILL_GROUP)
_KILL_LEFT = (READ_RULE, FORGET_SIGNALLED, KILL_SURVIVORS)

TABLE: Mapping[Stage, Mapping[News, tuple[Stage, Effects]]] = {
    NOTHING: {
        ASKED: (QUEUED, (ENQUEUE,)),
        ADOPTED_LIVE: (LIVE, (WATCH_LEADER,)),
        ADOPTED_AWAITED: (AWAITED, (AWAIT_WORD,)),
        ADOPTED_ENDED: (MISSED, (DRAIN,)),
        ADOPTED_LEADERLESS: (LEADERLESS, (WATCH_SURVIVORS,)),
    },
    QUEUED: {
        TAKEN_BACK: (NOTHING, (DEQUEUE,)),
        REFUSED: (NOTHING, (TELL_FAILED,)),
        NOT_SET_UP: (NOTHING, (TELL_FAILED,)),
        FORKED: (SETTING_UP, (TELL_SPAWNED,)),
        SPAWNED: (LIVE, (TELL_SPAWNED, TELL_EXECUTED)),
    },
    SETTING_UP: {
        KILLED: (SETTING_UP, _KILL),
        EXECUTED: (LIVE, (TELL_EXECUTED,)),
        NOT_EXECUTED: (FAILED, ()),
        LEADER_ENDED: (UNREPORTED, (RECORD_END, READ_REPORT)),
    },
    FAILED: {
        KILLED: (FAILED, _KILL),
        LEADER_ENDED: (ENDED, (RECORD_END, *_WITHOUT_LEADER)),
    },
    LIVE: {
        TERMINATED: (LIVE, _STOP),
        KILLED: (LIVE, _KILL),
        LEADER_ENDED: (ENDED, (RECORD_END, *_WITHOUT_LEADER)),
    },
    AWAITED: {
        TERMINATED: (AWAITED, _STOP),
        KILLED: (AWAITED, _KILL_LEFT),
        LEADER_ENDED: (ENDED, (RECORD_END, *_WITHOUT_LEADER)),
    },
    UNREPORTED: {
        KILLED: (UNREPORTED, _KILL),
        EXECUTED: (ENDED, (TELL_EXECUTED, *_WITHOUT_LEADER)),
        NOT_EXECUTED: (ENDED, _WITHOUT_LEADER),
    },
    ENDED: {
        TERMINATED: (ENDED, _STOP),
        KILLED: (ENDED, _KILL_LEFT),
        FOUND_NONE: (CLEAN, (WAIT_A_TURN,)),
        FOUND_SOME: (LEAVING, (WAIT_A_TURN,)),
        FOUND_SOME_KILLING: (LEAVING, (WAIT_A_TURN,)),
        BLIND: (ENDED, (LOOK,)),
    },
    MISSED: {
        FOUND_NONE: (NOTHING, (RELEASE, TELL_EXITED)),
        FOUND_SOME: (LEADERLESS, (WATCH_SURVIVORS, TELL_EXITED)),
        FOUND_SOME_KILLING: (LEADERLESS, (WATCH_SURVIVORS, TELL_EXITED)),
    },
    CLEAN: {
        TERMINATED: (CLEAN, _STOP),
        KILLED: (CLEAN, _KILL_LEFT),
        TURN: (NOTHING, (RELEASE, TELL_EXITED)),
    },
    LEAVING: {
        TERMINATED: (LEAVING, _STOP),
        KILLED: (LEAVING, _KILL_LEFT),
        TURN: (LEADERLESS, (WATCH_SURVIVORS, TELL_EXITED)),
    },
    LEADERLESS: {
        TERMINATED: (LEADERLESS, _STOP),
        KILLED: (LEADERLESS, _KILL_LEFT),
        FOUND_NONE: (NOTHING, (DRAIN, RELEASE, TELL_EMPTY)),
        FOUND_SOME: (LEADERLESS, (STOP_NEWCOMERS,)),
        FOUND_SOME_KILLING: (LEADERLESS, (KILL_NEWCOMERS,)),
        BLIND: (LEADERLESS, (LOOK_AGAIN,)),
    },
}


def follow(stage: Stage, news: News) -> tuple[Stage, Effects]:
    """Return the stage after `news`, and what has to be done, in order. Raises BugError for a pair that cannot happen."""
    answer = TABLE[stage].get(news)
    if answer is None:
        raise BugError(f"an instance that is {stage} cannot be {news}")
    return answer


def found(survivors: int, *, past_asking: bool) -> News:
    """Return the news of a look at an instance without a leader."""
    if not survivors:
        return FOUND_NONE
    return FOUND_SOME_KILLING if past_asking else FOUND_SOME
