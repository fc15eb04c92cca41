"""Random histories of one process, against a kernel that keeps its promised order and otherwise does what it likes.

It may refuse, kill, leave things behind and be late at any moment; commands come in between.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from taskmaster_common.config import ALWAYS, NEVER, UNEXPECTED
from taskmaster_common.config.hooks import HookCommand
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.events import KILL, TERMINATE, Kill, Restart, Start, Stop
from taskmasterd.core.process.state import ENDS, HOOKS, PRE_START
from tests.support.model import LEFT, Instances, World, code, program

STATUSES = st.sampled_from([code(0), code(1), 9, 15])
SOME_LEFT = st.sampled_from([(), LEFT])
PAUSES = st.sampled_from([0.0, 0.3, 1.0, 7.0])
RULES = st.fixed_dictionaries(
    {
        "autorestart": st.sampled_from([ALWAYS, NEVER, UNEXPECTED]),
        "startretries": st.integers(0, 2),
        "starttime": st.sampled_from([0.0, 1.0]),
        "stoptime": st.sampled_from([0.0, 3.0]),
        "restart_burst": st.integers(0, 2),
        "restart_window": st.sampled_from([0.0, 20.0]),
        **{hook: st.sampled_from([(), (), HookCommand(("x",), timeout_s=2.0).row()]) for hook in HOOKS},
    }
)


class OneProcess(RuleBasedStateMachine):
    """One slot; what an outsider sees of it is compared with what was asked for."""

    @initialize(rules=RULES)
    def begin(self, rules: dict[str, object]) -> None:
        """Load the program, not started."""
        self.world = World().load(program("web", autostart=False, **rules))
        self.web = self.world.entry("web")
        self.wanted_up = False
        self.tries = 0
        self.told_at = 0.0
        self.order = False
        self.automatic: list[float] = []

    @property
    def instances(self) -> Instances:
        """What the kernel knows."""
        return self.world.instances.setdefault(self.web, Instances())

    def tell(self, happen: Callable[[], object]) -> None:
        """Let something happen, and look at what was done because of it."""
        before, seen = self.web.process, len(self.world.actions)
        happen()
        for _, action in self.world.actions[seen:]:
            if action == TERMINATE and not (before.state == STOPPING and before.executed):
                self.told_at = self.world.now  # those whom a leader leaves behind later have the rest of its time
                self.order = False
            if action == KILL and not before.killing and not self.order and before.executed:
                assert self.world.now >= self.told_at + self.web.policy.stoptime - 1e-9
        if before.state == RUNNING and self.web.process.state == STARTING:
            self.automatic.append(self.world.now)

    @rule(pause=PAUSES)
    def wait(self, pause: float) -> None:
        """Time passes; a deadline that has come may be late."""
        self.world.now += pause

    @rule()
    def start(self) -> None:
        """Somebody starts it."""
        if self.web.process.state not in (STARTING, RUNNING):
            self.tries, self.automatic = 0, []
        self.wanted_up = True
        self.tell(lambda: self.world.tell(self.web, Start("alice")))

    @rule()
    def restart(self) -> None:
        """Somebody restarts it."""
        self.tries, self.automatic, self.wanted_up = 0, [], True
        self.tell(lambda: self.world.tell(self.web, Restart("carol")))

    @rule(event=st.sampled_from([Stop("bob"), Kill("SIGQUIT")]))
    def stop(self, event: Stop | Kill) -> None:
        """Somebody stops it."""
        self.wanted_up, self.order = False, isinstance(event, Kill) or self.order
        self.tell(lambda: self.world.tell(self.web, event))

    @rule(allowed=st.booleans())
    def permission(self, allowed: bool) -> None:
        """What runs may be signalled, or not."""
        if allowed:
            self.world.refusing.discard(self.web)
        else:
            self.world.refusing.add(self.web)

    @precondition(lambda self: self.instances.hooked)
    @rule(ok=st.sampled_from([True, True, False, None]))
    def end_hook(self, ok: bool | None) -> None:
        """The hook ends."""
        before = self.web.process
        if ok is False and before.state == STARTING:
            self.tries += 1 if before.hook == PRE_START else 0
        self.tell(lambda: self.world.end_hook(self.web, ok=ok))

    @precondition(lambda self: self.instances.queued)
    @rule()
    def spawn(self) -> None:
        """The fork succeeds."""
        self.tries += 1
        self.tell(lambda: self.world.spawn(self.web))

    @precondition(lambda self: self.instances.queued)
    @rule()
    def refuse(self) -> None:
        """The fork is refused."""
        tries = self.web.process.tries
        self.tell(lambda: self.world.refuse(self.web))
        assert self.web.process.state == BACKOFF
        assert self.web.process.tries == tries

    @precondition(lambda self: self.instances.queued)
    @rule()
    def fail_set_up(self) -> None:
        """The set-up fails in the daemon."""
        self.tries += 1
        self.tell(lambda: self.world.fail_set_up(self.web))

    @precondition(lambda self: self.instances.pid and not self.instances.executed)
    @rule()
    def execute(self) -> None:
        """The exec succeeds."""
        self.tell(lambda: self.world.execute(self.web))

    @precondition(lambda self: self.instances.pid)
    @rule(status=STATUSES, left=SOME_LEFT)
    def end(self, status: int, left: tuple[str, ...]) -> None:
        """The leader ends, by itself or because it was told."""
        before = self.web.process
        self.tell(lambda: self.world.end(self.web, status, left))
        after = self.web.process
        verdict = after.then or after.state
        if before.state == RUNNING:
            self.tries = 0
            assert verdict in (STARTING, BACKOFF, EXITED)
        elif before.state == STARTING:
            assert verdict is (FATAL if self.tries > self.web.policy.startretries else BACKOFF)
        else:
            assert verdict is before.then
        assert (after.state == STOPPING) == (bool(left) or after.hook not in ("", PRE_START))

    @precondition(lambda self: self.instances.left)
    @rule()
    def empty(self) -> None:
        """What was left behind ends."""
        self.tell(lambda: self.world.empty(self.web))

    @precondition(lambda self: self.web in self.world.armed)
    @rule()
    def deadline(self) -> None:
        """The deadline comes, in time or late."""
        self.tries += self.web.process.hook == PRE_START and self.web.process.state == STARTING
        self.tell(lambda: self.world.deadline(self.web))

    @rule()
    def stale_deadline(self) -> None:
        """A timer fires that nobody set."""
        if self.world.armed.get(self.web, self.world.now + 1) > self.world.now:
            before = self.web.process
            self.world.supervisor.deadline_reached(self.web, self.world.now)
            assert self.web.process is before

    @invariant()
    def the_state_is_true(self) -> None:
        """The state says what is alive, and what was asked for last holds."""
        process, instances = self.web.process, self.instances
        assert process.pid == (instances.pid or None)
        assert instances.hooked == bool(process.hook)
        alone = process.pid is None and process.hook_stage not in ("", ENDS)
        assert instances.alive == (process.pid is not None or (process.state == STOPPING and not alone))
        assert instances.queued == (process.state == STARTING and process.pid is None and not process.hook)
        assert self.world.armed.get(self.web) == process.deadline
        assert process.state != RUNNING or instances.executed
        if not self.wanted_up:
            assert not process.goal_is_up
            assert process.state in (STOPPED, STOPPING)
        elif process.state == STOPPED:
            raise AssertionError("it was wanted up and is stopped")
        if process.state in (STARTING, BACKOFF):
            assert process.tries <= self.web.policy.startretries

    @invariant()
    def the_window_holds(self) -> None:
        """No more automatic restarts than the window allows."""
        policy = self.web.policy
        if policy.restart_burst and policy.restart_window:
            for first, last in zip(self.automatic, self.automatic[policy.restart_burst :]):
                assert last - first >= policy.restart_window

    def teardown(self) -> None:
        """It settles, and does what was asked for last."""
        if hasattr(self, "world"):
            self.world.cooperate()
            up = self.web.process.state == RUNNING
            assert up == self.wanted_up or self.web.process.state in (EXITED, FATAL)


OneProcess.TestCase.settings = settings(
    stateful_step_count=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestOneProcess = OneProcess.TestCase
