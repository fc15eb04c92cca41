"""Carries out rolling restarts: follows the processes of each program that is rolled, and restarts those whose turn it is.

Mutable and free of I/O, as `supervisor`; `roll` decides. Loaded by the first restart or reload that rolls. Programs of one
operation that depend on each other are rolled one after the other, what others need first.
"""

from __future__ import annotations

from taskmaster_common.config import ProgramConfig
from taskmaster_common.config.health import RESTART, rules_of
from taskmaster_common.records import Record
from taskmaster_common.states import EXITED, FATAL, RUNNING, STOPPED, STOPPING
from taskmasterd.core.process.state import BLOCKED, STOP, UNHEALTHY
from taskmasterd.core.programs.roll import (
    COMING,
    DOWN,
    FAILED,
    ROLLBACK,
    SICK,
    UP,
    GoesBack,
    Holds,
    Restarts,
    Roll,
    RollPolicy,
    Standing,
    Stops,
    Watched,
    backwards,
    begun,
    roll,
)
from taskmasterd.core.programs.rollnews import (
    BEGUN,
    GOING_BACK,
    NEXT,
    NOT_BEGUN,
    OVER,
    OVERTAKEN,
    Listeners,
    RollNews,
    RollOrder,
)
from taskmasterd.core.programs.table import as_started
from taskmasterd.core.programs.ticket import Outcome

STOPPED_EARLY = "the update stopped while it was coming up"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from taskmasterd.core.programs.table import Entry, Table


class RollEffects(Record):
    """What rolls can do.

    `restart(entry, order, ask, told)` restarts an instance, be it in a later turn, and calls `told("")` once it has been told;
    if it is to `ask` pre_restart, and that refuses, `told(why)`. `later(callback)` calls at the end of a turn, `wake(at,
    callback)` at that moment. `reason(entry, policy, fell)` says why an instance has failed; `fell`: it had been up.
    `tell(news)` tells the event log, and returns what clients are told.
    """

    restart: Callable[[Entry, RollOrder, bool, Callable[[str], None]], None]
    later: Callable[[Callable[[], None]], None]
    wake: Callable[[float, Callable[[], None]], object]
    reason: Callable[[Entry, RollPolicy, bool], str]
    tell: Callable[[RollNews], str]
    now: Callable[[], float]


class Rolls:
    """All rolls that are under way, at most one for each program."""

    def __init__(self, table: Table, effects: RollEffects) -> None:
        self._table = table
        self._effects = effects
        self._active: dict[str, _ProgramRoll] = {}

    def begin(self, wanted: Iterable[RollOrder]) -> None:
        """Begin rolls; none of these programs may be rolled already."""
        rolls = {order.program: order for order in wanted}
        graph = self._table.graph
        for name, order in rolls.items():
            needs = {each for each in rolls if graph and name in graph.above([each])}
            self._active[name] = _ProgramRoll(self._table, self._effects, order, needs, self._over)
        for name in rolls:
            self._table.rolling.add(name)
            self._active[name].begin()

    def overtake(self, programs: Iterable[str], by: str) -> None:
        """End the rolls of these programs: somebody wants something else of them."""
        for name in dict.fromkeys(programs):
            if name in self._active:
                self._active[name].end(OVERTAKEN, by=by)

    def end(self) -> None:
        """End all rolls: the daemon is being shut down."""
        self.overtake(tuple(self._active), "the shutdown")

    def _over(self, name: str, *, done: bool) -> None:
        """Let those go on that have waited for a roll; if it has failed, they are not begun."""
        del self._active[name]
        self._table.rolling.discard(name)
        for other in tuple(self._active.values()):
            if name not in other.needs:
                continue
            if done:
                other.needs.discard(name)
                other.look_soon()
            elif other.order.program in self._active:
                other.end(NOT_BEGUN, by=name)

    def to_data(self) -> list[dict[str, Any]]:
        """Return all rolls as a fact for the next daemon."""
        return [each.to_data() for each in self._active.values()]

    def resume(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Go on with the rolls of the daemon before."""
        for row in rows:
            one = _ProgramRoll.from_data(self._table, self._effects, row, self._over)
            self._active[one.order.program] = one
            self._table.rolling.add(one.order.program)
        for one in tuple(self._active.values()):
            one.resume()


class _ProgramRoll:
    """The roll of one program; an observer of its slots. `over(program, done)` is called once, at its end."""

    def __init__(
        self, table: Table, effects: RollEffects, order: RollOrder, needs: set[str], over: Callable[..., None]
    ) -> None:
        self.order = order
        self.needs = needs
        self._effects = effects
        self._over = over
        self._entries = {entry.index: entry for entry in table.slots(order.program) if not entry.removed}
        self._listeners = Listeners(self._entries, effects.tell)
        self._standings: dict[int, Standing] = {}
        self._state = Roll(())
        self._untold: dict[int, None] = {}
        self._before: dict[int, ProgramConfig] = {}
        self._failure: tuple[int | None, str] = (None, "")
        self._untouched: tuple[int, ...] = ()
        self._ended = self._due = False
        self._wakes_at = 0.0

    def begin(self) -> None:
        """Begin with what is as it is now."""
        self._standings = {index: self._standing_of(entry) for index, entry in self._entries.items()}
        self._state = begun(
            tuple(self._standings.values()), [index for index in self.order.indices if index in self._entries]
        )
        self._listeners.tell(RollNews(BEGUN, self.order, self._state))
        self._attach()

    def resume(self) -> None:
        """Go on where the daemon before was interrupted by an upgrade; what had not been told yet is restarted now."""
        untold, self._untold = tuple(self._untold), {}
        self._standings = {index: self._standing_of(entry) for index, entry in self._entries.items()}
        under_way = tuple(index for index in self._state.under_way if index not in untold)
        self._state = self._state.replace(todo=(*untold, *self._state.todo), under_way=under_way)
        self._attach()

    def _attach(self) -> None:
        for entry in self._entries.values():
            entry.tickets.append(self)
        self.look_soon()

    # -- what others do

    def observe(self, entry: Entry) -> None:
        """Standing again soon, because a process has changed."""
        found = self._standing_of(entry)
        if found != self._standings[entry.index]:
            self._standings[entry.index] = found
            self.look_soon()

    def tried(self, dependency: Entry) -> None:
        """A failed start of what an instance waits for changes nothing."""

    def look_soon(self) -> None:
        """Standing at the end of this turn at the latest."""
        if not self._due:
            self._due = True
            self._effects.later(self._look)

    def _standing_of(self, entry: Entry) -> Standing:
        level = COMING if entry.index in self._untold else level_of(entry)
        return Standing(entry.index, level, entry.process.spawned_at)

    # -- what it does

    def _look(self) -> None:
        self._due = False
        if self._ended or self.needs:
            return
        before = self._state
        self._state, move = roll(self.order.policy, tuple(self._standings.values()), before, self._effects.now())
        if not before.back:
            for index in self._state.done[len(before.done) :]:
                self._listeners.answer(index, Outcome(ok=True, outcome=""))
        if isinstance(move, Restarts):
            self._touch(move.index)
            self.look_soon()
        elif isinstance(move, Holds):
            self._wait(move.until)
        elif isinstance(move, GoesBack):
            self._go_back(move.index)
        elif isinstance(move, Stops) and self._failure[0] is None:
            self._fail(move.index)
            self.end(OVER)
        elif isinstance(move, Stops):
            self.end(OVER, at=move.index)
        else:
            self.end(OVER)

    def _wait(self, until: float | None) -> None:
        if until is not None and until != self._wakes_at:
            self._wakes_at = until
            self._effects.wake(until, self._wake)

    def _wake(self) -> None:
        self._wakes_at = 0.0
        self._look()

    def _touch(self, index: int) -> None:
        """Restart an instance with what is wanted now, or with what it was started with before."""
        entry = self._entries[index]
        if self._state.back:
            newer, before = entry.newest, self._before.get(index, entry.wanted)
            entry.want(before)
            entry.pend(newer)
        else:
            before = as_started(entry) if entry.current else self.order.before or entry.wanted
            if before != entry.newest:
                self._before[index] = before
            entry.want(entry.newest)
        self._untold[index] = None
        self._standings[index] = self._standing_of(entry)
        self._listeners.tell(RollNews(NEXT, self.order, self._state, self._untouched, index))
        self._effects.restart(entry, self.order, not self._state.back, lambda why: self._told(index, why))

    def _told(self, index: int, why: str) -> None:
        self._untold.pop(index, None)
        self._standings[index] = self._standing_of(self._entries[index])
        if self._ended or not why:
            self.look_soon()
            return
        # it must not be restarted, so it runs on as it was
        entry, before = self._entries[index], self._before.pop(index, None)
        if before is not None:
            newest = entry.wanted
            entry.want(before)
            entry.pend(newest)
        under_way = tuple(each for each in self._state.under_way if each != index)
        self._state = self._state.replace(under_way=under_way)
        self._failure, self._untouched = (index, why), (index, *self._state.todo)
        if self.order.policy.on_failure == ROLLBACK and (self._state.done or under_way):
            self._listeners.tell(RollNews(GOING_BACK, self.order, self._state, self._untouched, index, why))
            self._state = backwards(self._state, tuple(self._standings.values()))
            self.look_soon()
        else:
            self.end(OVER)

    def _reason(self, index: int) -> str:
        return self._effects.reason(self._entries[index], self.order.policy, index in self._state.watched)

    def _fail(self, index: int) -> None:
        self._failure = (index, self._reason(index))
        self._untouched = self._state.todo

    def _go_back(self, index: int) -> None:
        self._fail(index)
        self._listeners.tell(RollNews(GOING_BACK, self.order, self._state, self._untouched, *self._failure))
        self._state = backwards(self._state, tuple(self._standings.values()))
        self.look_soon()

    # -- its end

    def end(self, kind: str, *, by: str = "", at: int | None = None) -> None:
        """Say what has become of it, and answer everybody who waits. `at`: where a rollback has failed."""
        self._ended = True
        if self._failure[0] is None:
            self._untouched = self._state.todo
        failed, reason = self._failure
        if at is not None:
            by = f"{self.order.program}:{at}: {self._reason(at)}"
        self._listeners.tell(RollNews(kind, self.order, self._state, self._untouched, failed, reason, by))
        for entry in self._entries.values():
            entry.tickets.remove(self)
        self._over(self.order.program, done=kind == OVER and failed is None)
        for index in self.order.indices:
            if index in self._entries:
                self._answer_at_end(kind, index)

    def _answer_at_end(self, kind: str, index: int) -> None:
        failed, reason = self._failure
        why = reason if index == failed else ""
        if kind == OVERTAKEN:
            outcome = Outcome(ok=False, outcome="overtaken")
        elif index in self._untouched:
            outcome = Outcome(ok=False, outcome="untouched", because=why)
        elif self._state.back and self._standings[index].level == UP:
            outcome = Outcome(ok=False, outcome="rolled-back")
        elif self._standings[index].level == UP and index != failed:
            outcome = Outcome(ok=True, outcome="")
        else:
            outcome = Outcome(ok=False, outcome="failed", because=why or STOPPED_EARLY)
        self._listeners.answer(index, outcome)

    # -- a live upgrade

    def to_data(self) -> dict[str, Any]:
        """Return everything as plain data."""
        state = self._state
        shared: dict[int, tuple[dict[str, Any], list[int]]] = {}
        for index, config in self._before.items():
            shared.setdefault(id(config), (config.to_data(), []))[1].append(index)
        fields = state.to_data()
        fields["watched"] = [[index, each.at, each.born] for index, each in state.watched.items()]
        order = self.order.to_data()
        order["policy"] = self.order.policy.to_data()
        if self.order.before is not None:
            order["before"] = self.order.before.to_data()
        return {
            "program": self.order.program,
            "order": order,
            "needs": sorted(self.needs),
            "state": fields,
            "untold": list(self._untold),
            "before": list(shared.values()),
            "failure": self._failure,
            "untouched": self._untouched,
        }

    @classmethod
    def from_data(
        cls, table: Table, effects: RollEffects, row: Mapping[str, Any], over: Callable[..., None]
    ) -> _ProgramRoll:
        """Return the roll that `to_data` was made from. Raises KeyError, TypeError or ValueError for anything else."""
        fields = dict(row["order"])
        if "before" in fields:
            fields["before"] = ProgramConfig.from_data(fields["before"])
        order = RollOrder.from_data({**fields, "policy": RollPolicy(**fields["policy"])})
        one = cls(table, effects, order, set(row["needs"]), over)
        watched = {index: Watched(at, born) for index, at, born in row["state"].get("watched", ())}
        one._state = Roll.from_data({**row["state"], "watched": watched})
        one._untold = dict.fromkeys(row["untold"])
        for data, indices in row["before"]:
            one._before.update(dict.fromkeys(indices, ProgramConfig.from_data(data)))
        one._failure = (row["failure"][0], row["failure"][1])
        one._untouched = tuple(row["untouched"])
        return one


def level_of(entry: Entry) -> str:
    """Return how a roll sees a process."""
    process = entry.process
    if process.state == RUNNING and not process.leaving:
        return UP if entry.well else COMING if process.health != UNHEALTHY else SICK if _is_restarted(entry) else FAILED
    if process.state == FATAL or process.phase == BLOCKED or process.stuck:
        return FAILED
    if process.state in (STOPPED, EXITED) or process.leaving == STOP:
        return DOWN
    return DOWN if process.state == STOPPING and process.then == STOPPED else COMING


def _is_restarted(entry: Entry) -> bool:
    """Return whether health is about to restart an unhealthy process; otherwise it may stay so for good."""
    return rules_of(entry.health).action == RESTART and not (entry.checked and entry.checked.held_back)
