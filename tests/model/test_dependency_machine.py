"""Random graphs under random events: after each one nobody is held at an open gate, and nobody leaves that could have gone."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from taskmaster_common.config import ProgramConfig
from taskmaster_common.config.graph import DONE, ENDED
from taskmaster_common.config.hooks import HookCommand
from taskmaster_common.states import BACKOFF, DOWN_STATES, RUNNING, STARTING, STOPPING
from taskmasterd.core.process.events import KILL, NONE, Judged, Leave, Stop, Unfit
from taskmasterd.core.process.state import AWAITED, BLOCKED, HEALTHY, HELD, UNHEALTHY
from taskmasterd.core.programs.gate import above, unmet
from taskmasterd.core.programs.restraint import held_back
from taskmasterd.core.programs.table import Entry
from tests.support.model import LEFT, Instances, World, code, program

pytestmark = pytest.mark.slow

MOST_PROGRAMS = 8
SUFFIXES = ("", " started", " optional", " restart", " started restart", " ended", " done optional")
A_HOOK = HookCommand(("hook",)).row()
HEALTHY_SUFFIXES = (" healthy", " healthy optional", " healthy restart")
KINDS: list[dict[str, object]] = [
    {},
    {},
    {"ready": {"tcp": "80"}},
    {"health": {"tcp": "80"}},
    {"health": {"tcp": "80"}, "pre_stop": A_HOOK, "post_stop": A_HOOK},
    {"type": "oneshot", "start_timeout": 0.0},
    {"pre_start": A_HOOK, "post_stop": A_HOOK},
    {"post_start": A_HOOK, "pre_stop": A_HOOK},
]
NAMES = [f"p{number}" for number in range(MOST_PROGRAMS)]


@st.composite
def graphs(draw: st.DrawFn) -> list[ProgramConfig]:
    """Draw programs each of which depends on some of those before it."""
    found: list[ProgramConfig] = []
    for number in range(draw(st.integers(2, MOST_PROGRAMS))):
        needs = draw(st.lists(st.sampled_from(NAMES[:number]), unique=True, max_size=3)) if number else []
        checked = {each.name for each in found if each.health}
        texts = tuple(
            name + draw(st.sampled_from((*SUFFIXES, *HEALTHY_SUFFIXES) if name in checked else SUFFIXES))
            for name in needs
        )
        found.append(
            program(
                NAMES[number],
                depends_on=texts,
                numprocs=draw(st.integers(1, 2)),
                autostart=draw(st.booleans()),
                startretries=draw(st.integers(0, 1)),
                starttime=draw(st.sampled_from([0.0, 1.0])),
                **draw(st.sampled_from(KINDS)),
            )
        )
    return found


class Walk(RuleBasedStateMachine):
    """A configuration with dependencies, under clients, reloads, and a kernel in which anything may fail."""

    @initialize(programs=graphs())
    def begin(self, programs: list[ProgramConfig]) -> None:
        """The daemon starts."""
        self.world = World().load(*programs).settle()

    def pick(self, data: st.DataObject) -> Entry:
        """Draw a slot."""
        return data.draw(st.sampled_from(list(self.world.table)))

    def instances(self, entry: Entry) -> Instances:
        """Return what the kernel knows of a slot."""
        return self.world.instances.get(entry, Instances())

    @rule(data=st.data(), free=st.booleans())
    def start(self, data: st.DataObject, free: bool) -> None:
        """A client wants some up."""
        self.world.start(self.pick(data).canonical, free=free)

    @rule(data=st.data(), dependents=st.booleans())
    def stop(self, data: st.DataObject, dependents: bool) -> None:
        """A client wants some down."""
        self.world.stop(data.draw(st.sampled_from(["all", self.pick(data).canonical])), dependents=dependents)

    @rule(data=st.data(), dependents=st.booleans(), free=st.booleans())
    def restart(self, data: st.DataObject, dependents: bool, free: bool) -> None:
        """A client wants some down and up."""
        self.world.restart(self.pick(data).canonical, dependents=dependents, free=free)

    @rule(programs=graphs())
    def reload(self, programs: list[ProgramConfig]) -> None:
        """The file has other programs and edges."""
        self.world.reload(*programs)

    @rule(data=st.data(), ok=st.booleans())
    def end_hook(self, data: st.DataObject, ok: bool) -> None:
        """A hook ends."""
        entry = self.pick(data)
        if self.instances(entry).hooked:
            self.world.end_hook(entry, ok=ok)

    @rule(data=st.data(), ok=st.booleans())
    def spawn(self, data: st.DataObject, ok: bool) -> None:
        """A start is carried out."""
        entry = self.pick(data)
        if self.instances(entry).queued:
            (self.world.spawn if ok else self.world.fail_set_up)(entry)

    @rule(data=st.data())
    def execute(self, data: st.DataObject) -> None:
        """An exec succeeds."""
        entry = self.pick(data)
        if self.instances(entry).pid and not self.instances(entry).executed:
            self.world.execute(entry)

    @rule(data=st.data())
    def become_ready(self, data: st.DataObject) -> None:
        """An instance says that it is ready, be it now or again."""
        entry = self.pick(data)
        if self.instances(entry).pid:
            self.world.become_ready(entry)

    @rule(data=st.data(), verdict=st.sampled_from([HEALTHY, UNHEALTHY]))
    def judge(self, data: st.DataObject, verdict: str) -> None:
        """Checks come to a verdict; where nothing speaks against it, an unhealthy instance goes down for it."""
        entry = self.pick(data)
        if entry.health and entry.process.state == RUNNING:
            self.world.tell(entry, Judged(entry.process.pid or 0, verdict, "exit 1"))
            if entry.process.unhealthy and not held_back(self.world.table, entry, self.world.now):
                self.world.tell(entry, Unfit(entry.process.pid or 0, stop=data.draw(st.booleans())))
                assert entry.process.going_down

    @rule(data=st.data(), left=st.booleans(), status=st.integers(0, 1))
    def end(self, data: st.DataObject, left: bool, status: int) -> None:
        """A leader ends, or what one left."""
        entry = self.pick(data)
        if self.instances(entry).left:
            self.world.empty(entry)
        elif self.instances(entry).pid:
            self.world.end(entry, code(status), LEFT if left else ())

    @precondition(lambda self: self.world.armed)
    @rule(data=st.data())
    def deadline(self, data: st.DataObject) -> None:
        """A deadline comes."""
        entries = [entry for entry in self.world.table if entry in self.world.armed]
        if entries:
            self.world.deadline(data.draw(st.sampled_from(entries)))

    @invariant()
    def nobody_waits_for_nothing(self) -> None:
        """Once the loop has done what was asked of it, each phase is what the table says."""
        self.world.settle()
        for entry in tuple(self.world.table):
            if entry.process.phase and self.world.armed.get(entry, self.world.now + 1) <= self.world.now:
                self.world.deadline(entry)
        self.world.settle()
        for entry in self.world.table:
            process, waits = entry.process, list(unmet(self.world.table, entry, self.world.now))
            if process.phase:
                assert waits, f"{entry.canonical} is held at an open gate"
                assert (process.phase == BLOCKED) == any(each.blocked for each in waits), (entry.canonical, waits)
            if process.leaving:
                assert any(above(self.world.table, entry)), f"{entry.canonical} leaves after nobody"
            if self.world.supervisor.dependencies:
                after_others = isinstance(self.world.supervisor.dependencies.in_order(entry, Stop()), Leave)
                assert after_others == any(above(self.world.table, entry)), f"{entry.canonical}: who goes down first?"

    def teardown(self) -> None:
        """Let all that is under way come to its end: then nobody is held or leaves, and who is blocked needs somebody down."""
        if not hasattr(self, "world"):
            return
        world = self.world
        for _ in range(2000):
            world.settle()
            if not any(self.move(entry) for entry in tuple(world.table)):
                break
        else:
            raise AssertionError("it never comes to rest")
        for entry in world.table:
            waits = entry.process.phase == HELD and self.waits_for_an_end(entry)
            assert waits or entry.process.state not in (STARTING, STOPPING), entry.canonical
            assert not entry.process.leaving
            if entry.process.state == BACKOFF:
                assert entry.process.phase == BLOCKED
                assert self.needs_somebody_down(entry)

    def move(self, entry: Entry) -> bool:
        """Let the next thing happen to a slot, if there is one; starts succeed."""
        world, instances = self.world, self.instances(entry)
        if instances.queued:
            world.spawn(entry)
        elif instances.hooked:
            world.end_hook(entry)
        elif instances.pid and not instances.executed:
            world.execute(entry)
        elif instances.pid and instances.told != NONE:
            world.end(entry)
        elif instances.left and instances.told != NONE:
            world.empty(entry)
        elif entry.process.state == STARTING and entry.process.readiness == AWAITED:
            world.become_ready(entry)
        elif entry.health and entry.process.state == RUNNING and not entry.well:
            world.tell(entry, Judged(entry.process.pid or 0, HEALTHY))
        elif entry in world.armed and (entry.process.state in (STARTING, BACKOFF) or instances.told != KILL):
            world.deadline(entry)
        else:
            return False
        return True

    def waits_for_an_end(self, entry: Entry) -> bool:
        """Return whether a process waits, be it through others, for the end of one that runs."""
        return any(
            (each.condition in (DONE, ENDED) and each.entry.process.state == RUNNING)
            or (each.entry.process.phase == HELD and self.waits_for_an_end(each.entry))
            for each in unmet(self.world.table, entry, self.world.now)
        )

    def needs_somebody_down(self, entry: Entry) -> bool:
        """Return whether the required edges lead to a process that is down."""
        for each in unmet(self.world.table, entry, self.world.now):
            if each.blocked:
                state = each.entry.process.state
                return state in DOWN_STATES or (
                    each.entry.process.phase != HELD and self.needs_somebody_down(each.entry)
                )
        return False


TestDependencies = Walk.TestCase
TestDependencies.settings = settings(stateful_step_count=25)
