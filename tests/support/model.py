"""A small world for the core: configurations, one process's life, and a kernel that keeps the promised order of events."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable

from taskmaster_common.config import Config, DaemonConfig, Policy, ProgramConfig
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING, ProcessState
from taskmasterd.core.process.events import (
    HOOK,
    KILL,
    NONE,
    SPAWN,
    UNQUEUE,
    Action,
    DeadlineReached,
    Event,
    Executed,
    Exited,
    Failure,
    GroupEmpty,
    HookEnded,
    Ready,
    Signalled,
    Spawned,
    SpawnFailed,
    Start,
)
from taskmasterd.core.process.machine import step
from taskmasterd.core.process.state import AWAITED, Process
from taskmasterd.core.programs import operations
from taskmasterd.core.programs.applying import apply
from taskmasterd.core.programs.order import OrderOptions
from taskmasterd.core.programs.plan import ReloadPlan, diff
from taskmasterd.core.programs.restarting import restart_in_turn
from taskmasterd.core.programs.rolling import RollEffects, Rolls
from taskmasterd.core.programs.rollnews import RollNews
from taskmasterd.core.programs.selection import select
from taskmasterd.core.programs.supervisor import Supervisor, SupervisorEffects
from taskmasterd.core.programs.table import Entry
from taskmasterd.core.programs.ticket import Outcome, Ticket
from taskmasterd.core.steps import run
from taskmasterd.core.words.rolls import reason_of, roll_line
from taskmasterd.ondemand import Made
from taskmasterd.telling.bus import TELL, Bus, BusMember

LEFT = ("sleep (99)",)
REFUSED = ("sudo (98) of root",)
DAEMON = DaemonConfig()


def program(name: str = "web", **fields: object) -> ProgramConfig:
    """Return a program with the defaults of the reference, but for `fields`."""
    return ProgramConfig.of(**{"name": name, "cmd": ("sleep", "9"), **fields})


def policy(**fields: object) -> Policy:
    """Return a policy with the defaults of the reference, but for `fields`."""
    return Policy(**fields)  # type: ignore[arg-type]


def config(*programs: ProgramConfig, **daemon: object) -> Config:
    """Return a whole configuration."""
    return Config("/etc/taskmaster.yaml", DaemonConfig(**daemon), programs)  # type: ignore[arg-type]


def code(number: int) -> int:
    """Return the wait status of an exit with that code."""
    return number << 8


class Life:
    """One process under one policy, and the last action that was asked for."""

    def __init__(self, **fields: object) -> None:
        self.policy = policy(**fields)
        self.process = Process()
        self.now = 1000.0
        self.action = NONE

    def __call__(self, *events: Event) -> Life:
        """Let events happen, all of them now."""
        for event in events:
            self.process, self.action = step(self.policy, self.process, event, self.now)
        return self

    def wait(self, seconds: float) -> Life:
        """Let time pass without looking at the deadline."""
        self.now += seconds
        return self

    def deadline(self) -> Life:
        """Let time pass until the deadline."""
        assert self.process.deadline is not None
        self.now = max(self.now, self.process.deadline)
        return self(DeadlineReached())

    def exit(self, number: int = 0, *left: str) -> Life:
        """Let the leader exit with a code."""
        return self(Exited(code(number), None, left))

    def executed(self) -> Life:
        """Bring it from nothing to executed, on trial."""
        return self(Start("alice"), Spawned(7), Executed())

    def running(self) -> Life:
        """Bring it from nothing to RUNNING."""
        self.executed()
        return self.deadline() if self.state == STARTING else self

    @property
    def state(self) -> ProcessState:
        """The state."""
        return self.process.state

    @property
    def pause(self) -> float:
        """Seconds until the deadline."""
        assert self.process.deadline is not None
        return self.process.deadline - self.now


class Instances:
    """What the kernel knows of the instances of one slot: a waiting start, a leader, survivors, the last signal, and a hook."""

    def __init__(self) -> None:
        self.queued = False
        self.pid = 0
        self.executed = False
        self.left = False
        self.told: Action = NONE
        self.hooked = False

    @property
    def alive(self) -> bool:
        """Whether anything of the slot is alive."""
        return bool(self.pid) or self.left


class PreRestart:
    """One run of a pre_restart, which answers when a test says so."""

    def __init__(self, answer: Callable[[str], None]) -> None:
        self.answer = answer
        self.cancelled = False

    def cancel(self) -> None:
        """End it."""
        self.cancelled = True


def _nothing_to_set(_entry: Entry) -> Generator[None, None, None]:
    yield from ()


class World:
    """A supervisor over a kernel that acts only when a test says so.

    `refusing` are slots whose processes may not be signalled. `results` are (program:index, outcome, ok) of every ticket made by
    `ticket`; `done` counts its `on_done`.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.instances: dict[Entry, Instances] = {}
        self.armed: dict[Entry, float] = {}
        self.actions: list[tuple[str, Action]] = []
        self.announced: list[tuple[str, str]] = []
        self.forgotten: list[str] = []
        self.results: list[tuple[str, str, bool]] = []
        self.tries: list[str] = []
        self.done = 0
        self.later: list[Callable[[], Generator[None, None, None]]] = []
        self.holders = 0
        self.refusing: set[Entry] = set()
        self.pids = 100
        self.checks: dict[str, PreRestart] = {}
        self.bus = Bus(BusMember(TELL, changed=self._announce, gone=self._forget))
        self.due: list[Callable[[], None]] = []
        self.wakes: list[tuple[float, Callable[[], None]]] = []
        self.said: list[str] = []
        effects = SupervisorEffects(
            self._perform,
            self._arm,
            self.later.append,
            self._check,
            self._hold_starts,
            lambda _before, _wanted: (),
            _nothing_to_set,
        )
        self.supervisor = Supervisor(effects, self.bus, lambda: self.now, Made(self._rolls))
        self.table = self.supervisor.table

    # -- the functions that the supervisor gets

    def _check(self, entry: Entry, _reason: str, done: Callable[[str], None]) -> PreRestart:
        self.checks[entry.canonical] = check = PreRestart(done)
        return check

    def _hold_starts(self) -> Callable[[], None]:
        self.holders += 1

        def release() -> None:
            self.holders -= 1

        return release

    def _rolls(self) -> Rolls:
        return Rolls(
            self.table,
            RollEffects(
                lambda entry, order, ask, told: run(restart_in_turn(self.supervisor, entry, order, ask, told)),
                self.due.append,
                lambda at, callback: self.wakes.append((at, callback)),
                lambda entry, policy, fell: reason_of(self.table, entry, policy, fell, self.now, {}),
                self._say,
                lambda: self.now,
            ),
        )

    def _say(self, news: RollNews) -> str:
        text = roll_line(self.table, news)[1]
        self.said.append(text)
        return text

    def _perform(self, entry: Entry, action: Action) -> Signalled | None:
        self.actions.append((entry.canonical, action))
        instances = self.instances.setdefault(entry, Instances())
        if action in (SPAWN, HOOK):
            assert not instances.hooked, f"{entry.canonical}: {action} beside a hook"
        if action == HOOK:
            instances.hooked = True
        elif action == SPAWN:
            assert not instances.queued, f"{entry.canonical}: a second SPAWN without an answer to the first"
            assert not instances.alive, f"{entry.canonical}: SPAWN beside a live instance"
            instances.queued = True
        elif action == UNQUEUE:
            assert instances.queued
            instances.queued = False
        else:
            assert instances.alive
            assert action == KILL or instances.executed or instances.left, "a stop signal before exec"
            instances.told = action
            return Signalled(REFUSED if entry in self.refusing else ())
        return None

    def _arm(self, entry: Entry, deadline: float | None) -> None:
        self.armed.pop(entry, None)
        if deadline is not None:
            self.armed[entry] = deadline

    def _announce(self, entry: Entry, before: Process, event: Event, after: Process) -> None:
        assert before is not after
        self.announced.append((entry.canonical, type(event).__name__))

    def _forget(self, entry: Entry) -> None:
        assert entry not in tuple(self.table)
        self.forgotten.append(entry.canonical)

    def settle(self) -> World:
        """Let the loop do what the supervisor has asked for."""
        while self.later or self.due:
            if self.later:
                run(self.later.pop(0)())
            else:
                self.due.pop(0)()
        return self

    def wake(self) -> World:
        """Let time pass until the next moment for which a rolling restart has asked, and everything due happen."""
        at, callback = self.wakes.pop(0)
        self.now = max(self.now, at)
        callback()
        return self.cooperate()

    # -- what clients ask

    def ticket(self) -> Ticket:
        """Return a ticket that records its results."""

        def result(entry: Entry, outcome: Outcome) -> None:
            self.results.append((entry.canonical, outcome.outcome, outcome.ok))

        def done() -> None:
            self.done += 1

        return Ticket(result, done, lambda entry: self.tries.append(entry.canonical))

    def load(self, *programs: ProgramConfig) -> World:
        """Load the first configuration."""
        unheard = Ticket(lambda _entry, _outcome: None, lambda: None, lambda _entry: None)
        plan = diff(self.table, DAEMON, config(*programs))
        run(apply(self.supervisor, plan, "the daemon's start", unheard))
        return self

    def start(self, *targets: str, by: str = "alice", **options: bool) -> Ticket:
        """Ask for a start."""
        ticket = self.ticket()
        chosen = OrderOptions(**options)  # type: ignore[arg-type]
        run(operations.start(self.supervisor, select(self.table, targets, 5), by, ticket, chosen))
        return ticket

    def stop(self, *targets: str, by: str = "bob", **options: bool) -> Ticket:
        """Ask for a stop."""
        ticket = self.ticket()
        chosen = OrderOptions(**options)  # type: ignore[arg-type]
        run(operations.stop(self.supervisor, select(self.table, targets, 5), by, ticket, chosen))
        return ticket

    def restart(self, *targets: str, by: str = "carol", **options: int) -> Ticket:
        """Ask for a restart."""
        ticket = self.ticket()
        chosen = OrderOptions(**options)  # type: ignore[arg-type]
        run(operations.restart(self.supervisor, select(self.table, targets, 5), by, ticket, chosen))
        return ticket

    def plan(self, *programs: ProgramConfig) -> ReloadPlan:
        """Return the plan that leads to a configuration."""
        return diff(self.table, DAEMON, config(*programs))

    def reload(self, *programs: ProgramConfig) -> ReloadPlan:
        """Apply a configuration; the record of actions begins anew."""
        self.actions.clear()
        plan = self.plan(*programs)
        run(apply(self.supervisor, plan, "a reload", self.ticket()))
        return plan

    # -- what the kernel does

    def tell(self, entry: Entry, event: Event) -> None:
        """Deliver an event."""
        self.supervisor.handle(entry, event, self.now)

    def spawn(self, entry: Entry) -> None:
        """Carry out a waiting start."""
        instances = self.instances[entry]
        assert instances.queued
        instances.queued = False
        entry.current = entry.wanted
        self.pids += 1
        instances.pid, instances.executed, instances.told = self.pids, False, NONE
        self.tell(entry, Spawned(self.pids, awaits=bool(entry.wanted.ready)))

    def refuse(self, entry: Entry) -> None:
        """Refuse the fork."""
        self.instances[entry].queued = False
        entry.current = entry.wanted
        self.tell(entry, SpawnFailed("no more processes"))

    def fail_set_up(self, entry: Entry, *, permanent: bool = False) -> None:
        """Let the set-up fail in the daemon."""
        self.instances[entry].queued = False
        entry.current = entry.wanted
        self.tell(entry, Exited(0, Failure("exec", "cannot execute /x: no such file", permanent)))

    def execute(self, entry: Entry) -> None:
        """Let exec succeed."""
        self.instances[entry].executed = True
        self.tell(entry, Executed())

    def become_ready(self, entry: Entry) -> None:
        """Let an instance become ready."""
        self.tell(entry, Ready(self.instances[entry].pid))

    def end_hook(self, entry: Entry, *, ok: bool | None = True) -> None:
        """Let the hook end."""
        self.instances[entry].hooked = False
        self.tell(entry, HookEnded(ok, "exit 1"))

    def end(self, entry: Entry, status: int = 0, left: tuple[str, ...] = ()) -> None:
        """Let the leader end."""
        instances = self.instances[entry]
        assert instances.pid
        instances.pid, instances.executed, instances.left = 0, False, bool(left)
        self.tell(entry, Exited(status, None, left))

    def empty(self, entry: Entry) -> None:
        """Let the survivors of the leader end."""
        self.instances[entry].left = False
        self.tell(entry, GroupEmpty())

    def deadline(self, entry: Entry) -> None:
        """Let time pass until the entry's deadline."""
        self.now = max(self.now, self.armed[entry])
        self.supervisor.deadline_reached(entry, self.now)

    # -- a kernel and programs that behave well

    def cooperate(self, entries: Iterable[Entry] | None = None) -> World:
        """Let everything due happen to every entry until nothing is due; starts succeed, and programs obey stops."""
        chosen = tuple(self.table if entries is None else entries)
        self.settle()
        while sum(map(self._next, chosen)):
            self.settle()
        return self

    def _next(self, entry: Entry) -> bool:
        instances, process = self.instances.get(entry, Instances()), entry.process
        if instances.queued:
            self.spawn(entry)
        elif instances.hooked:
            self.end_hook(entry)
        elif instances.pid and not instances.executed:
            self.execute(entry)
        elif instances.pid and (instances.told != NONE or (process.state == STOPPING and entry.policy.stop_cmd)):
            self.end(entry)
        elif instances.left and instances.told != NONE:
            self.empty(entry)
        elif process.state == STARTING and process.readiness == AWAITED:
            self.become_ready(entry)
        elif process.deadline is not None and process.state in (STARTING, BACKOFF):
            self.deadline(entry)
        else:
            assert process.state != STOPPING, f"nothing would ever end {process}"
            assert process.state not in (STARTING, BACKOFF) or process.phase, f"nothing would ever start {process}"
            assert (process.state == RUNNING) == bool(instances.pid)
            return False
        return True

    def entry(self, name: str) -> Entry:
        """Return the one entry of that name."""
        (found,) = select(self.table, (name,), 5)
        return found

    def states(self) -> dict[str, str]:
        """Return the state of every slot."""
        return {entry.canonical: entry.process.state for entry in self.table}

    def pids_of(self) -> dict[str, int | None]:
        """Return the pid of every slot."""
        return {entry.canonical: entry.process.pid for entry in self.table}


def world_in(state: ProcessState) -> World:
    """Return a world whose one program, `web`, is in `state`; its queue is empty."""
    world = World().load(program(autostart=state != STOPPED, startretries=0 if state == FATAL else 3))
    web = world.entry("web")
    if state in (BACKOFF, FATAL):
        world.fail_set_up(web)
    elif state == STARTING:
        world.spawn(web)
    elif state != STOPPED:
        world.cooperate()
    if state == EXITED:
        world.end(web, code(0))
    elif state == STOPPING:
        world.stop("web")
    assert web.process.state is state
    return world
