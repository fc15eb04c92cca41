"""What ends of programs ask for: which end stops the daemon, once, and who listens for ends at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from taskmaster_common.config import ProgramConfig
from taskmaster_common.states import FATAL, STOPPED
from taskmasterd.by_end import EndRequests
from taskmasterd.configuration.effects import EndingKeys
from taskmasterd.core.programs.applying import apply
from taskmasterd.core.steps import run
from taskmasterd.shutdown import Stopping
from taskmasterd.survival.state import Cause
from tests.support.daemon import ROOT
from tests.support.model import World, code, config, program

ALL_DONE = "exit_when: all-done"
NAMES = {11: "SEGV", 15: "TERM"}


def drain(queued: list[Callable[[], None]]) -> None:
    """Call all callbacks, those too that they add."""
    while queued:
        queued.pop(0)()


class Host:
    """A world whose daemon may end with it: `causes` are why the stop was asked for, `turn` ends a turn of the loop."""

    def __init__(self, *programs: ProgramConfig, exit_when: str = "never") -> None:
        self.world = world = World()
        self.causes: list[Cause] = []
        self.queued: list[Callable[[], None]] = []
        self.config = config(*programs, exit_when=exit_when)
        self.current = SimpleNamespace(config=self.config)
        reactor = SimpleNamespace(call_soon=self.queued.append, now=lambda: world.now)
        context: Any = SimpleNamespace(
            reactor=reactor,
            supervisor=world.supervisor,
            configuration=self.current,
            identity=SimpleNamespace(signals=NAMES),
        )
        stop = self.causes.append
        self.keys = EndingKeys(world.bus, lambda applying: EndRequests(context, stop, applying).member)
        self.keys.join(self.config)
        world.load(*programs)
        self.turn()

    def turn(self) -> None:
        """Do what waits for the end of the turn."""
        drain(self.queued)

    def apply(
        self, *programs: ProgramConfig, exit_when: str = "never", meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        """Reload; `meanwhile` happens once the supervisor has applied the plan, before the bus says so."""
        new = config(*programs, exit_when=exit_when)
        plan = self.world.plan(*programs).replace(config=new)
        self.current.config = new
        bus = self.world.bus
        run(bus.applying(plan))
        run(self.keys.applying(plan))
        self.turn()
        for _ in apply(self.world.supervisor, plan, "a reload", self.world.ticket()):
            self.turn()
        meanwhile()
        run(bus.applied(plan))
        run(self.keys.applied(plan))
        self.turn()

    @property
    def listeners(self) -> int:
        """How many members react to changes."""
        return len(self.world.bus._members) - 1

    @property
    def codes(self) -> list[int]:
        """The exit codes that were asked for."""
        return [cause.code for cause in self.causes]


JOB, OTHER = program("job", autorestart="never"), program("other", autorestart="never")
WORKER = program("worker", autorestart="never", essential=True)


def started(host: Host) -> Host:
    """Let everything start."""
    host.world.cooperate()
    host.turn()
    return host


# -- essential


def test_the_end_of_an_essential_program_names_it_and_its_code() -> None:
    host = started(Host(WORKER, OTHER))
    host.world.end(host.world.entry("other"), code(9))
    assert host.causes == []
    host.world.end(host.world.entry("worker"), code(3))
    assert host.causes == [Cause(3, "worker (essential)", "worker (essential) exited 3")]


@pytest.mark.parametrize(
    ("status", "exit_code", "text"),
    [(11, 139, "was killed by SIGSEGV"), (0, 0, "exited 0"), (None, 1, "ended while no daemon was there")],
)
def test_the_text_says_how_it_ended(status: Any, exit_code: int, text: str) -> None:
    host = started(Host(WORKER))
    host.world.end(host.world.entry("worker"), status)
    assert host.causes == [Cause(exit_code, "worker (essential)", f"worker (essential) {text}")]


def test_a_program_that_gave_up_says_why() -> None:
    host = Host(program("worker", essential=True, startretries=0))
    host.world.fail_set_up(host.world.entry("worker"))
    (cause,) = host.causes
    assert host.world.states() == {"worker:0": FATAL}
    assert (cause.code, cause.text) == (
        126,
        "worker (essential) gave up: cannot execute /x: no such file (try 1 of 1)",
    )


def test_a_failed_try_is_no_end_before_the_last_one() -> None:
    host = Host(program("worker", essential=True, startretries=1))
    worker = host.world.entry("worker")
    host.world.spawn(worker)
    host.world.end(worker, code(3))
    assert host.causes == []
    host.world.deadline(worker)
    host.world.spawn(worker)
    host.world.end(worker, code(4))
    assert host.codes == [4]


def test_any_instance_ends_the_daemon() -> None:
    host = started(Host(program("worker", autorestart="never", essential=True, numprocs=3)))
    host.world.end(host.world.entry("worker:1"), code(5))
    assert host.causes == [Cause(5, "worker:1 (essential)", "worker:1 (essential) exited 5")]


def test_what_an_essential_leader_left_behind_is_ended_first() -> None:
    host = started(Host(WORKER))
    worker = host.world.entry("worker")
    host.world.end(worker, code(3), ("child (9)",))
    assert host.causes == []
    host.world.empty(worker)
    assert host.codes == [3]


def test_the_key_is_live() -> None:
    host = started(Host(WORKER, OTHER))
    plain = program("worker", autorestart="never")
    host.apply(plain, program("other", autorestart="never", essential="on-failure"))
    host.world.end(host.world.entry("worker"), code(3))
    assert host.causes == []
    host.world.end(host.world.entry("other"), code(4))
    assert host.codes == [4]


def test_a_program_that_has_ended_before_its_key_was_set_has_no_second_end() -> None:
    host = started(Host(JOB))
    host.world.end(host.world.entry("job"), code(3))
    host.apply(program("job", autorestart="never", essential=True))
    assert host.causes == []
    host.world.start("job")
    started(host)
    host.world.end(host.world.entry("job"), code(4))
    assert host.codes == [4]


# -- exit_when


def test_the_last_end_ends_the_daemon_with_the_code_of_the_first_that_failed() -> None:
    host = started(Host(JOB, OTHER, exit_when="all-done"))
    host.world.end(host.world.entry("job"), code(4))
    host.turn()
    assert host.causes == []
    host.world.now += 1
    host.world.end(host.world.entry("other"), code(5))
    host.turn()
    assert host.causes == [
        Cause(4, ALL_DONE, f"all programs are done ({ALL_DONE}); the first that failed: job exited 4")
    ]


def test_what_is_blocked_although_nothing_has_failed_says_by_what_and_gives_the_code_of_that() -> None:
    job = program("job", autorestart="never", exitcodes=(0, 3))
    host = started(Host(job, program("web", depends_on=("job",)), exit_when="all-done"))
    host.world.end(host.world.entry("job"), code(3))
    host.world.end(host.world.entry("web"), code(1))
    host.world.settle()
    host.turn()
    text = "the first that failed: web is blocked: needs job, which is EXITED: exit 3 after 2.0s"
    assert host.causes == [Cause(3, ALL_DONE, f"all programs are done ({ALL_DONE}); {text}")]


@pytest.mark.parametrize("order", [("job", "other"), ("other", "job")])
def test_good_ends_in_any_order_give_0(order: tuple[str, str]) -> None:
    host = started(Host(JOB, OTHER, exit_when="all-done"))
    for name in order:
        assert host.causes == []
        host.world.end(host.world.entry(name), code(0))
        host.turn()
    assert host.causes == [Cause(0, ALL_DONE, f"all programs are done ({ALL_DONE})")]


def test_nothing_ends_while_something_is_up_or_on_its_way() -> None:
    host = Host(JOB, program("other"), exit_when="all-done")
    job, other = host.world.entry("job"), host.world.entry("other")
    host.world.spawn(job)
    host.world.execute(job)
    host.world.deadline(job)
    host.world.end(job, code(0))
    host.turn()
    host.world.fail_set_up(other)
    host.turn()
    assert (host.causes, other.process.state) == ([], "BACKOFF")
    host.world.deadline(other)
    host.world.cooperate()
    host.turn()
    host.world.end(other, code(7))
    host.turn()
    assert (host.causes, other.process.state) == ([], "STARTING"), "it restarts"


def test_who_has_stopped_a_program_keeps_the_daemon_until_it_is_started_and_ends() -> None:
    host = started(Host(JOB, OTHER, exit_when="all-done"))
    host.world.end(host.world.entry("job"), code(0))
    host.world.stop("other")
    host.world.cooperate()
    host.turn()
    assert (host.causes, host.world.states()["other:0"]) == ([], STOPPED)
    host.world.start("other")
    started(host)
    host.world.end(host.world.entry("other"), code(0))
    host.turn()
    assert host.codes == [0]


def test_a_program_that_never_started_is_not_waited_for() -> None:
    host = started(Host(JOB, program("spare", autostart=False), exit_when="all-done"))
    assert host.causes == []
    host.world.end(host.world.entry("job"), code(0))
    host.turn()
    assert host.codes == [0]


def test_a_program_that_leaves_the_configuration_is_waited_for_no_longer() -> None:
    host = started(Host(JOB, OTHER, exit_when="all-done"))
    host.world.end(host.world.entry("job"), code(0))
    host.apply(JOB, exit_when="all-done")
    assert host.causes == [], "it is still stopping"
    host.world.end(host.world.entry("other"), 15)
    host.turn()
    assert host.codes == [0], "what was stopped on the way is no failure"


def test_all_done_is_a_level_so_a_reload_that_asks_for_it_afterwards_is_obeyed() -> None:
    host = started(Host(JOB))
    host.world.end(host.world.entry("job"), code(6))
    host.apply(JOB, exit_when="all-done")
    assert host.codes == [6]


@pytest.mark.parametrize("before", ["never", "all-done"])
def test_a_reload_that_brings_more_to_do_does_not_end_the_daemon_before_it_is_applied(before: str) -> None:
    host = started(Host(JOB, program("spare", autostart=False), exit_when=before))
    host.world.start("spare")
    host.world.end(host.world.entry("job"), code(0))
    host.turn()
    host.world.fail_set_up(host.world.entry("spare"))
    host.apply(JOB, OTHER, exit_when="all-done")
    assert host.world.states() == {"job:0": "EXITED", "other:0": "STARTING"}
    assert host.causes == []
    started(host)
    host.world.end(host.world.entry("other"), code(0))
    host.turn()
    assert host.codes == [0]


def test_nothing_is_looked_at_between_the_steps_of_a_plan() -> None:
    job = program("job", numprocs=2, startretries=1)
    host = Host(job, exit_when="all-done")
    first, second = host.world.entry("job:0"), host.world.entry("job:1")
    host.world.fail_set_up(first, permanent=True)
    host.world.fail_set_up(second)
    host.turn()
    assert host.world.states() == {"job:0": "FATAL", "job:1": "BACKOFF"}
    host.apply(program("job", cmd=("sleep", "10")), exit_when="all-done")
    assert (host.world.states(), host.causes) == ({"job:0": "STARTING"}, []), "first job:1 is gone, then job:0 starts"


# -- who listens


def test_who_uses_neither_key_has_no_listener() -> None:
    host = started(Host(JOB))
    assert host.listeners == 0
    host.apply(JOB, OTHER)
    assert host.listeners == 0


def test_the_listener_is_there_while_a_key_is_used() -> None:
    host = started(Host(JOB))
    host.apply(JOB, exit_when="all-done")
    assert host.listeners == 1
    host.apply(JOB, WORKER, exit_when="all-done")
    host.apply(JOB, WORKER)
    assert host.listeners == 1
    host.apply(JOB)
    assert host.listeners == 0
    host.apply(JOB, WORKER)
    assert host.listeners == 1


def test_an_end_while_the_first_plan_with_the_key_is_applied_counts() -> None:
    host = started(Host(program("worker", autorestart="never")))
    host.apply(WORKER, meanwhile=lambda: host.world.end(host.world.entry("worker"), code(3)))
    assert host.codes == [3]


def test_the_configuration_of_an_earlier_daemon_counts_for_ends_that_no_daemon_saw() -> None:
    host = Host(JOB)
    host.keys.join(config(WORKER))
    host.keys.join(host.config)
    assert host.listeners == 1


# -- the stop


class Stop:
    """An orderly stop over a loop that does nothing by itself; `begun` is who asked for it, as the event log has it."""

    def write(self, _level: str, text: str) -> None:
        """Write to the event log."""
        if text.startswith("stopping all programs"):
            self.begun.append(text.partition("asked by ")[2])

    def __init__(self) -> None:
        self.queued: list[Callable[[], None]] = []
        self.begun: list[str] = []
        reactor = SimpleNamespace(
            call_soon=self.queued.append,
            call_later=lambda *_: None,
            now=float,
            stop=lambda: None,
            rounds=SimpleNamespace(begin=lambda _steps: None),
        )
        supervisor: Any = SimpleNamespace(table=(), refuse_starts=lambda: None, dependencies=None, not_down=lambda: ())
        context: Any = SimpleNamespace(
            reactor=reactor,
            supervisor=supervisor,
            schedules=SimpleNamespace(made=None),
            state=SimpleNamespace(flush=lambda: None),
            log=SimpleNamespace(
                write=self.write,
                note=lambda *_record, **_fields: None,
                flush=lambda: None,
                history=SimpleNamespace(sum_up=lambda: None),
            ),
            alerts=SimpleNamespace(made=None),
            reloading=SimpleNamespace(made=None),
            configuration=SimpleNamespace(config=config()),
            performer=SimpleNamespace(instances=SimpleNamespace(groups=None)),
        )
        notifier: Any = SimpleNamespace(stopping=lambda _seconds: None)
        self.stopping = Stopping(context, notifier)

    def turn(self) -> None:
        """Do what waits for the end of the turn."""
        drain(self.queued)


FIRST, SECOND = Cause(3, "a (essential)", "a (essential) exited 3"), Cause(4, "b (essential)", "b (essential) exited 4")


def test_the_first_cause_wins() -> None:
    stop = Stop()
    stop.stopping.stop_for(FIRST)
    assert stop.begun == [], "a take-over may be under way"
    stop.stopping.stop_for(SECOND)
    stop.turn()
    stop.stopping.stop_for(SECOND)
    stop.turn()
    assert (stop.begun, stop.stopping.exit_code) == (["a (essential)"], 3)
    assert stop.stopping.last_line() == ("error", "exiting 3: a (essential) exited 3")


def test_a_stop_that_somebody_asked_for_first_exits_with_0_whatever_ends_meanwhile() -> None:
    stop = Stop()
    stop.stopping.begin("SIGTERM", None)
    stop.stopping.stop_for(FIRST)
    stop.turn()
    assert (stop.begun, stop.stopping.exit_code) == (["SIGTERM"], 0)
    assert stop.stopping.last_line() == ("info", "taskmasterd stopped (exit 0)")


def test_a_signal_in_the_same_turn_does_not_take_the_causes_place() -> None:
    stop = Stop()
    stop.stopping.stop_for(FIRST)
    stop.stopping.begin("SIGTERM", None)
    stop.turn()
    assert (stop.begun, stop.stopping.exit_code) == (["a (essential)"], 3)


@pytest.mark.parametrize(("cause", "exit_code"), [(None, 1), (FIRST, 3), (Cause(0, ALL_DONE, "all done"), 1)])
def test_what_could_not_be_ended_makes_a_1_of_a_0_only(cause: Cause | None, exit_code: int) -> None:
    stop = Stop()
    if cause:
        stop.stopping.resume(cause)
    stop.stopping.begin("bob", None)
    stop.stopping._end(["web (pid 7)"])
    assert (stop.stopping.exit_code, stop.stopping.failed) == (exit_code, True)


def test_a_stop_that_an_earlier_daemon_had_begun_keeps_its_cause() -> None:
    stop = Stop()
    stop.stopping.resume(FIRST)
    stop.stopping.begin("a request to an earlier daemon", None)
    assert (stop.begun, stop.stopping.exit_code) == (["a (essential)"], 3)


def test_the_code_that_follows_ends_is_not_there_before_it_is_used() -> None:
    script = "import sys, taskmasterd.daemon; print(*(name for name in sys.modules if name.startswith('taskmasterd.')))"
    environment = {"PYTHONPATH": f"{ROOT}:{ROOT / 'common'}"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert "taskmasterd.configuration.effects" in loaded
    assert not {"taskmasterd.by_end", "taskmasterd.core.programs.exitrule", "taskmasterd.shutdown"} & set(loaded)
