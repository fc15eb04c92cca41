"""Random histories of a supervisor: many processes, clients that overtake each other, reloads, the end."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from taskmaster_common.config import ALWAYS, NEVER, ProgramConfig
from taskmaster_common.errors import RequestError
from taskmaster_common.states import BACKOFF, FATAL, RUNNING, STOPPING
from taskmasterd.core.process.events import SPAWN
from taskmasterd.core.programs import operations
from taskmasterd.core.programs.applying import apply
from taskmasterd.core.programs.plan import KEPT
from taskmasterd.core.programs.selection import select
from taskmasterd.core.programs.table import Entry
from taskmasterd.core.programs.ticket import Outcome, Ticket
from taskmasterd.core.steps import run
from taskmasterd.core.words.snapshot import entry_from_data, entry_to_data
from tests.support.model import LEFT, Instances, World, code, program

STATUSES = st.sampled_from([code(0), code(1), 9, 15])
SOME_LEFT = st.sampled_from([(), LEFT])


class Asked:
    """One operation and what it was told."""

    def __init__(self) -> None:
        self.results: Counter[Entry] = Counter()
        self.done = 0
        self.ticket = Ticket(self._result, self._finished, self._tried)

    def _result(self, entry: Entry, _outcome: Outcome) -> None:
        assert not self.done
        self.results[entry] += 1

    def _finished(self) -> None:
        self.done += 1

    def _tried(self, entry: Entry) -> None:
        assert entry.process.state == BACKOFF
        assert not self.results[entry]


NAMES = ("a", "b", "c")
TARGETS = st.sampled_from(["a", "b", "c", "all", "a:0", "a:1", "b:1", "*:0"])
PROGRAMS = st.lists(
    st.builds(
        lambda name, fields: program(name, **fields),
        st.sampled_from(NAMES),
        st.fixed_dictionaries(
            {},
            optional={
                "numprocs": st.integers(1, 3),
                "cmd": st.sampled_from([("x",), ("y",)]),
                "env": st.sampled_from([{"A": "1", "B": "2"}, {"B": "2", "A": "1"}]),
                "stoptime": st.sampled_from([1.0, 2.0]),
                "startretries": st.integers(0, 1),
                "autostart": st.booleans(),
                "autorestart": st.sampled_from([ALWAYS, NEVER]),
                "starttime": st.just(0.0),
            },
        ),
    ),
    unique_by=lambda each: each.name,
    max_size=3,
)


class ManyProcesses(RuleBasedStateMachine):
    """A supervisor, its clients, and reloads."""

    @initialize(programs=PROGRAMS)
    def begin(self, programs: list[ProgramConfig]) -> None:
        """The daemon starts."""
        self.world = World().load(*programs)
        self.wanted = programs
        self.asked: list[Asked] = []
        self.stopped: set[Entry] = set()

    def ask(self) -> Asked:
        """Return a new operation."""
        self.asked.append(Asked())
        return self.asked[-1]

    def entries(self, target: str) -> tuple[Entry, ...]:
        """Return the entries that a target names, none where it is unknown."""
        try:
            return select(self.world.table, (target,), 5)
        except RequestError:
            return ()

    @rule(named=TARGETS, again=st.booleans())
    def start_or_restart(self, named: str, again: bool) -> None:
        """A client wants something up."""
        entries, supervisor = self.entries(named), self.world.supervisor
        request = operations.restart if again else operations.start
        if supervisor.stopping:
            with pytest.raises(RequestError, match="shut down"):
                run(request(supervisor, entries, "alice", Asked().ticket))
            return
        run(request(supervisor, entries, "alice", self.ask().ticket))
        self.stopped.difference_update(entry for entry in entries if not entry.removed)

    @rule(named=TARGETS)
    def stop(self, named: str) -> None:
        """A client wants something down."""
        entries = self.entries(named)
        run(operations.stop(self.world.supervisor, entries, "bob", self.ask().ticket))
        self.stopped.update(entries)

    @rule(programs=PROGRAMS, data=st.data())
    def reload(self, programs: list[ProgramConfig], data: st.DataObject) -> None:
        """The file has changed, in some of its programs."""
        world = self.world
        if world.supervisor.stopping:
            return
        kept = (
            data.draw(st.lists(st.sampled_from(self.wanted), unique_by=lambda each: each.name)) if self.wanted else []
        )
        names = {each.name for each in kept}
        new = kept + [each for each in programs if each.name not in names]
        before = {entry: entry.process for entry in world.table}
        removed = {entry for entry in world.table if entry.removed}
        meant_up = {entry.program for entry in world.table if not entry.removed and not self._down(entry)}
        known = {entry.program for entry in world.table if not entry.removed}
        plan = world.plan(*new)
        world.actions.clear()
        run(apply(world.supervisor, plan, "a reload", self.ask().ticket))
        self.wanted = new

        touched = {name.partition(":")[0] for name, _ in world.actions}
        for each in plan.programs:
            if each.change == KEPT:
                assert each.name not in touched
                assert all(e.process is before[e] for e in world.table.slots(each.name) if e not in removed)
            if each.name in known and each.name not in meant_up:
                assert (each.name, SPAWN) not in {(n.partition(":")[0], a) for n, a in world.actions}
        self.stopped = {e for e in self.stopped if e in set(world.table) and not (e in removed and not e.removed)}
        assert self.slots() == {f"{each.name}:{index}" for each in new for index in range(each.numprocs)}
        here = [name for name in world.table.names() if name in {each.name for each in new}]
        assert here == [each.name for each in new]

    @staticmethod
    def _down(entry: Entry) -> bool:
        return not entry.process.goal_is_up and entry.process.state != FATAL

    def slots(self) -> set[str]:
        """Return the slots that are not being removed."""
        return {entry.canonical for entry in self.world.table if not entry.removed}

    @precondition(lambda self: not self.world.supervisor.stopping)
    @rule()
    def the_same_file_again(self) -> None:
        """Nothing has changed: nothing is done, whatever is going on."""
        plan = self.world.plan(*self.wanted)
        assert not plan.changes
        before = [entry.process for entry in self.world.table]
        self.world.reload(*self.wanted)
        assert self.world.actions == []
        assert all(entry.process is process for entry, process in zip(self.world.table, before))

    @rule(data=st.data(), status=STATUSES, left=SOME_LEFT)
    def kernel(self, data: st.DataObject, status: int, left: tuple[str, ...]) -> None:
        """Something happens to one of the processes."""
        world = self.world
        possible: list[Callable[[], None]] = []
        for entry in world.table:
            instances = world.instances.get(entry, Instances())
            if instances.queued:
                possible += [
                    lambda e=entry: world.spawn(e),  # type: ignore[misc]
                    lambda e=entry: world.refuse(e),  # type: ignore[misc]
                    lambda e=entry: world.fail_set_up(e),  # type: ignore[misc]
                ]
            if instances.pid:
                possible.append(lambda e=entry: world.end(e, status, left))  # type: ignore[misc]
                if not instances.executed:
                    possible.append(lambda e=entry: world.execute(e))  # type: ignore[misc]
            if instances.left:
                possible.append(lambda e=entry: world.empty(e))  # type: ignore[misc]
            if entry in world.armed:
                possible.append(lambda e=entry: world.deadline(e))  # type: ignore[misc]
        if possible:
            data.draw(st.sampled_from(possible))()

    @rule()
    def settle(self) -> None:
        """Everything does what it should, until nothing is left to be done."""
        self.world.cooperate()

    @precondition(lambda self: not self.world.supervisor.stopping)
    @rule(chance=st.integers(0, 9))
    def shut_down(self, chance: int) -> None:
        """The daemon is told to stop; not too often, or there is nothing to see."""
        if chance == 0:
            self.world.actions.clear()
            run(operations.shutdown(self.world.supervisor, "SIGTERM", self.ask().ticket))

    @invariant()
    def what_was_stopped_stays_stopped(self) -> None:
        """Nothing but a start or a new entry brings up what an operator stopped."""
        for entry in self.stopped:
            assert not entry.process.goal_is_up, entry.canonical
        if self.world.supervisor.stopping:
            assert SPAWN not in {action for _, action in self.world.actions}
            assert not any(entry.process.goal_is_up for entry in self.world.table)

    @invariant()
    def the_table_holds_what_is_wanted_and_what_is_not_gone(self) -> None:
        """Removed entries stay exactly as long as something of them is left; nobody waits who was answered."""
        for entry in self.world.table:
            assert not entry.removed or entry.process.state == STOPPING
        for asked in self.asked:
            assert asked.done <= 1
            assert max(asked.results.values(), default=0) <= 1
            assert bool(asked.done) == (not asked.ticket.waiting)
            assert all(asked.ticket in entry.tickets for entry in asked.ticket.waiting)

    @invariant()
    def a_snapshot_is_the_whole_truth(self) -> None:
        """The table survives as text."""
        rows = json.loads(json.dumps([entry_to_data(entry) for entry in self.world.table]))
        programs = {entry.program: entry.wanted for entry in self.world.table if not entry.removed}
        table = [entry_from_data(row, programs) for row in rows]
        assert [(e.canonical, e.process, e.wanted, e.current, e.removed) for e in table] == [
            (e.canonical, e.process, e.wanted, e.current, e.removed) for e in self.world.table
        ]

    def teardown(self) -> None:
        """Everything settles: every operation has been answered, and the table is what the file says."""
        if not hasattr(self, "world"):
            return
        self.world.cooperate()
        assert all(asked.done == 1 for asked in self.asked)
        assert all(entry.tickets == [] for entry in self.world.table)
        assert {entry.canonical for entry in self.world.table} == {
            f"{each.name}:{index}" for each in self.wanted for index in range(each.numprocs)
        }
        assert all(entry.wanted == each for each in self.wanted for entry in self.world.table.slots(each.name))
        running = [entry for entry in self.world.table if entry.process.state == RUNNING]
        assert all(entry.current is not None for entry in running)
        assert all(not self._outdated(entry) for entry in running)
        assert not self.world.plan(*self.wanted).changes

    @staticmethod
    def _outdated(entry: Entry) -> bool:
        return entry.current is not None and (entry.current.cmd, entry.current.env) != (
            entry.wanted.cmd,
            entry.wanted.env,
        )


ManyProcesses.TestCase.settings = settings(
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestManyProcesses = ManyProcesses.TestCase
