"""Random histories of rolling restarts: instances fail and come back, operators and reloads interfere, the daemon is upgraded."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from taskmaster_common.config import ProgramConfig
from taskmasterd.core.programs import operations
from taskmasterd.core.programs.applying import apply
from taskmasterd.core.programs.order import OrderOptions
from taskmasterd.core.programs.selection import select
from taskmasterd.core.programs.table import Entry
from taskmasterd.core.programs.ticket import ROLLED, Outcome, Ticket
from taskmasterd.core.steps import run
from tests.support.model import Instances, World, code, program

FILES = st.builds(
    lambda cmd, stoptime, numprocs, update: program(
        "web",
        cmd=("sleep", cmd),
        stoptime=stoptime,
        numprocs=numprocs,
        update=update,
        starttime=0.0,
        startretries=1,
    ),
    st.sampled_from(["9", "10"]),
    st.sampled_from([1.0, 2.0]),
    st.sampled_from([3, 3, 3, 2]),
    st.fixed_dictionaries(
        {
            "max_unavailable": st.integers(1, 2),
            "pause": st.sampled_from([0.0, 1.0]),
            "monitor": st.sampled_from([0.0, 5.0]),
            "on_failure": st.sampled_from(["stop", "rollback"]),
        }
    ),
)
SLOTS = st.sampled_from(["web", "web", "web:0", "web:1"])


class Asked:
    """One operation and what it was told."""

    def __init__(self) -> None:
        self.results: Counter[Entry] = Counter()
        self.done = 0
        self.ticket = Ticket(self._result, self._finished, lambda _entry: None)

    def _result(self, entry: Entry, _outcome: Outcome) -> None:
        self.results[entry] += 1

    def _finished(self) -> None:
        self.done += 1


class Updates(RuleBasedStateMachine):
    """A program that is updated, and everybody who interferes."""

    @initialize(web=FILES)
    def begin(self, web: ProgramConfig) -> None:
        """The daemon starts."""
        self.world = World().load(web).cooperate()
        self.web = web
        self.asked: list[Asked] = []
        self.stopped: set[Entry] = set()

    def ask(self) -> Ticket:
        """Return the ticket of a new operation."""
        self.asked.append(Asked())
        return self.asked[-1].ticket

    def entries(self, named: str) -> tuple[Entry, ...]:
        """Return what a target names."""
        return select(self.world.table, (named,), 5)

    @rule(web=FILES)
    def reload(self, web: ProgramConfig) -> None:
        """The file has changed."""
        stayed = {
            entry for entry in self.stopped if not entry.removed
        }  # one that was removed comes back as a new one does
        run(apply(self.world.supervisor, self.world.plan(web), "a reload", self.ask()))
        self.web = web
        self.stopped = {entry for entry in stayed if entry in set(self.world.table) and not entry.removed}

    @rule(named=SLOTS, rolling=st.booleans(), most=st.integers(0, 2))
    def restart(self, named: str, rolling: bool, most: int) -> None:
        """Somebody restarts something."""
        options = OrderOptions(rolling=rolling, most=most if rolling else 0)
        run(operations.restart(self.world.supervisor, self.entries(named), "carol", self.ask(), options))
        self.stopped.difference_update(self.entries(named))

    @rule(named=SLOTS)
    def stop(self, named: str) -> None:
        """Somebody stops something."""
        run(operations.stop(self.world.supervisor, self.entries(named), "bob", self.ask()))
        self.stopped.update(self.entries(named))

    @rule(named=SLOTS)
    def start(self, named: str) -> None:
        """Somebody starts something."""
        run(operations.start(self.world.supervisor, self.entries(named), "alice", self.ask()))
        self.stopped.difference_update(self.entries(named))

    @rule(data=st.data(), status=st.sampled_from([code(0), code(1), 9]))
    def kernel(self, data: st.DataObject, status: int) -> None:
        """Something happens to one of the processes."""
        world, possible = self.world, list[Callable[[], None]]()
        for entry in world.table:
            instances = world.instances.get(entry, Instances())
            if instances.queued:
                possible += [lambda e=entry: world.spawn(e), lambda e=entry: world.fail_set_up(e)]  # type: ignore[misc]
            elif instances.pid:
                possible.append(lambda e=entry: world.end(e, status))  # type: ignore[misc]
                if not instances.executed:
                    possible.append(lambda e=entry: world.execute(e))  # type: ignore[misc]
        if possible:
            data.draw(st.sampled_from(possible))()
        world.settle()

    @rule()
    def go_on(self) -> None:
        """Everything does what it should, until only time could change anything."""
        self.world.cooperate()

    @rule()
    def pass_time(self) -> None:
        """The next moment comes for which an update waits."""
        if self.world.wakes:
            self.world.wake()

    @rule()
    def upgrade(self) -> None:
        """Another daemon goes on."""
        made = self.world.supervisor.rolls.made
        if made is None:
            return
        self.world.settle()
        rows = json.loads(json.dumps(made.to_data()))
        for entry in self.world.table:
            entry.tickets = [each for each in entry.tickets if isinstance(each, Ticket)]
        self.world.wakes.clear()
        self.world.table.rolling.clear()
        self.world.supervisor.rolls.made = None
        self.world.supervisor.rolls().resume(rows)

    @invariant()
    def no_more_are_under_way_than_an_update_allows(self) -> None:
        """Those that were restarted and have not stayed up yet; a rollback takes all that are away."""
        made = self.world.supervisor.rolls.made
        for row in made.to_data() if made else ():
            state = row["state"]
            assert state.get("back") or len(state.get("under_way", ())) <= row["order"]["policy"].get(
                "max_unavailable", 1
            )

    @invariant()
    def everybody_gets_one_result_for_each_process(self) -> None:
        """And an end once all have theirs."""
        for asked in self.asked:
            assert max(asked.results.values(), default=0) <= 1
            assert bool(asked.done) == (not asked.ticket.waiting)

    @invariant()
    def what_was_stopped_stays_stopped(self) -> None:
        """An update that is over restarts nobody any more."""
        assert not any(entry.process.goal_is_up for entry in self.stopped)

    @invariant()
    def who_waits_for_an_update_waits_for_one_that_is_under_way(self) -> None:
        """Nobody waits for what is over."""
        waiting = any(goal == ROLLED for asked in self.asked for _entry, goal, _done in asked.ticket.open)
        assert not waiting or self.world.table.rolling == {"web"}

    def teardown(self) -> None:
        """From now on all goes well: every update ends, and the next one brings everybody to what the file says."""
        if not hasattr(self, "world"):
            return
        self._quiet()
        assert all(asked.done == 1 for asked in self.asked)
        assert all(entry.tickets == [] for entry in self.world.table)
        run(apply(self.world.supervisor, self.world.plan(self.web), "a reload", self.ask()))
        self._quiet()
        assert all(entry.newest == self.web for entry in self.world.table)
        alive = [entry for entry in self.world.table if entry.process.pid]
        assert all(entry.present.cmd == self.web.cmd for entry in alive if not entry.outdated_keys())

    def _quiet(self) -> None:
        self.world.cooperate()
        for _ in range(60):
            if not self.world.wakes:
                break
            self.world.wake()
        assert not self.world.wakes
        assert not self.world.table.rolling, "an update goes on for ever"


Updates.TestCase.settings = settings(
    stateful_step_count=30, database=None, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestUpdates = Updates.TestCase
