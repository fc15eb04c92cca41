"""The next move of a rolling restart: which instance is restarted next, whether to wait, to stop or to go back. Pure.

A roll restarts the instances of one program one after the other, at most `max_unavailable` at a time. It goes on only while
what it has restarted stays up, so a broken version takes down no more than those.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Final, TypeAlias

    Move: TypeAlias = "Restarts | Holds | Stops | GoesBack | Done"

STOP: Final = "stop"
ROLLBACK: Final = "rollback"

UP: Final = "up"
"""Level of an instance that is RUNNING, and healthy if somebody checks that."""
COMING: Final = "coming"
"""Level of one that is not up, but on its way there by itself."""
SICK: Final = "unhealthy"
"""Level of one that is RUNNING but unhealthy and about to be restarted for that: others wait for it."""
DOWN: Final = "down"
"""Level of one of which nothing is alive, because somebody has stopped it or it has ended as expected."""
FAILED: Final = "failed"
"""Level of one that is FATAL, blocked, or unhealthy while nobody restarts it."""


class RollPolicy(Record):
    """How a program is rolled: the key `update`. Times are seconds."""

    max_unavailable: int = 1
    pause: float = 0.0
    monitor: float = 5.0
    on_failure: str = STOP


class Standing(Record):
    """What a roll knows of an instance; `born` tells one instance of a slot from the next."""

    index: int
    level: str
    born: float = 0.0


class Watched(Record):
    """A restarted instance that has been up since `at`."""

    at: float
    born: float


class Roll(Record):
    """One roll. Indices of slots: `todo` in order, `under_way` restarted and not up long enough yet, `done` all others of it.

    `down` are those that were not up when it began. `watched` has those under way that are up. `resumes_at` is the end of
    the present pause. `back`: this is a rollback.
    """

    todo: tuple[int, ...]
    down: tuple[int, ...] = ()
    under_way: tuple[int, ...] = ()
    done: tuple[int, ...] = ()
    watched: Mapping[int, Watched] = {}
    resumes_at: float = 0.0
    back: bool = False

    @property
    def touched(self) -> tuple[int, ...]:
        """Those that have been restarted, in that order."""
        return (*self.done, *self.under_way)

    @property
    def count(self) -> int:
        """The number of its instances."""
        return len(self.todo) + len(self.under_way) + len(self.done)


class Restarts(Record):
    """Restart this instance now; the roll counts it as under way."""

    index: int


class Holds(Record):
    """Do nothing before something changes, or `until` has come."""

    until: float | None = None


class Stops(Record):
    """The roll is over: this instance has failed. The others stay as they are."""

    index: int


class GoesBack(Record):
    """This instance has failed: what was restarted goes back to the configuration before."""

    index: int


class Done(Record):
    """All are restarted and have stayed up."""


def begun(slots: Sequence[Standing], chosen: Sequence[int]) -> Roll:
    """Return the roll over the `chosen` instances: those that are not up first, then in order."""
    level = {slot.index: slot.level for slot in slots}
    down = tuple(index for index in chosen if level[index] != UP)
    return Roll((*down, *(index for index in chosen if level[index] == UP)), down)


def backwards(roll: Roll, slots: Sequence[Standing]) -> Roll:
    """Return the roll back of everything that was restarted; it is never rolled back itself."""
    return begun(slots, roll.touched).replace(back=True)


def roll(policy: RollPolicy, slots: Sequence[Standing], state: Roll, now: float) -> tuple[Roll, Move]:
    """Return the roll as it is now, and the next move. `slots` are all slots of the program that are not being removed."""
    by_index = {slot.index: slot for slot in slots}
    failed = _fallen(by_index, state) or _fatal(slots, state)
    if failed is not None:
        goes_back = policy.on_failure == ROLLBACK and not state.back and state.touched
        return state, GoesBack(failed.index) if goes_back else Stops(failed.index)
    state = _watching(policy, by_index, state, now)
    if not state.todo and not state.under_way:
        return state, Done()
    index = _next(policy, slots, state, now)
    if index is None:
        return state, Holds(_until(policy, state, now))
    todo = tuple(each for each in state.todo if each != index)
    return state.replace(todo=todo, under_way=(*state.under_way, index)), Restarts(index)


def _fallen(by_index: Mapping[int, Standing], state: Roll) -> Standing | None:
    """Return an instance that was restarted and has failed, or was up and is not the same any more."""
    for index in state.under_way:
        slot, watched = by_index.get(index), state.watched.get(index)
        if (
            slot is None
            or slot.level in (SICK, DOWN, FAILED)
            or (watched and (slot.level, slot.born) != (UP, watched.born))
        ):
            return slot or Standing(index, DOWN)
    return None


def _fatal(slots: Sequence[Standing], state: Roll) -> Standing | None:
    """Return an instance that has failed and is not to be restarted because it was down."""
    awaited = {*state.todo}.intersection(state.down)
    return next((slot for slot in slots if slot.level == FAILED and slot.index not in awaited), None)


def _watching(policy: RollPolicy, by_index: Mapping[int, Standing], state: Roll, now: float) -> Roll:
    """Note who has come up, and who has stayed up for `monitor`."""
    watched = dict(state.watched)
    for index in state.under_way:
        if index not in watched and by_index[index].level == UP:
            watched[index] = Watched(now, by_index[index].born)
    passed = [index for index in state.under_way if index in watched and now >= watched[index].at + policy.monitor]
    if not passed and len(watched) == len(state.watched):
        return state
    return state.replace(
        under_way=tuple(index for index in state.under_way if index not in passed),
        done=(*state.done, *passed),
        watched={index: each for index, each in watched.items() if index not in passed},
        resumes_at=now + policy.pause if passed else state.resumes_at,
    )


def _next(policy: RollPolicy, slots: Sequence[Standing], state: Roll, now: float) -> int | None:
    """Return whose turn it is, None: nobody's yet."""
    level = {slot.index: slot.level for slot in slots}
    down = next((index for index in state.todo if level.get(index) != UP), None)
    if state.back and down is not None:
        return down
    if not state.todo or now < state.resumes_at or len(state.under_way) >= policy.max_unavailable:
        return None
    if down is not None:
        return down
    missing = sum(slot.level in (COMING, SICK) and slot.index not in state.under_way for slot in slots)
    return state.todo[0] if len(state.under_way) + missing < policy.max_unavailable else None


def _until(policy: RollPolicy, state: Roll, now: float) -> float | None:
    moments = [each.at + policy.monitor for each in state.watched.values()]
    if state.todo and now < state.resumes_at:
        moments.append(state.resumes_at)
    return min(moments, default=None)
