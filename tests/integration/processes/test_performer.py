"""Performer: the marks of a life come in their order, whatever else ends meanwhile."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Collection, Generator, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from taskmaster_common.config import ProgramConfig
from taskmaster_common.errors import BugError
from taskmaster_common.states import STOPPED, STOPPING
from taskmasterd.core.process.events import KILL, SPAWN, Event, Executed, Exited, GroupEmpty, Signalled, Spawned
from taskmasterd.core.process.marks import FOUND_SOME_KILLING, LEADERLESS
from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.table import Entry
from taskmasterd.ondemand import Made
from taskmasterd.output.sinks import Sinks
from taskmasterd.output.streams import Outputs
from taskmasterd.processes.instance import Instance, Instances
from taskmasterd.processes.members.group import Group, Heritage
from taskmasterd.processes.members.groups import Groups
from taskmasterd.processes.members.proofs import Proofs
from taskmasterd.processes.performer import Outlets, Performer
from taskmasterd.processes.preparation import Inherited
from taskmasterd.processes.starts import Extras
from taskmasterd.system.loop.reactor import Reactor
from taskmasterd.system.procfs import Survivor, listing, pipe_among
from taskmasterd.system.reaper import reap
from tests.support.guarded import state_of
from tests.support.wait import wait_until

# the first look at /proc opens the descriptor that is kept in reserve for all later ones
pytestmark = pytest.mark.skipif(not listing("/proc/self"), reason="needs /proc")
PROOFS = Proofs(bytes(16), "/tmp/none.sock")


class Records:
    """Writes down the ends of leaders, and how the kernel sees them at that moment; and which slots have changed."""

    def __init__(self) -> None:
        self.pid = 0
        self.ended: list[tuple[int, str]] = []
        self.changes: list[Entry] = []
        self.flushes = 0

    def flush(self) -> None:
        self.flushes += 1

    def changed(self, entry: Entry) -> None:
        self.changes.append(entry)

    def spawning(self, entry: Entry, log_start: float, pipes: Sequence[int]) -> None:
        return None

    def ends(self, entry: Entry, status: int) -> None:
        self.ended.append((status, state_of(self.pid) if os.path.exists(f"/proc/{self.pid}") else "gone"))


class Stage:
    """A performer and the one program that it has started.

    `blind` holds what the performer complained of.
    """

    def __init__(self, home: Path, groups: type[Groups] = Groups, last: type[Event] = Executed, **keys: object) -> None:
        self.events: list[Event] = []
        self.blind: list[str] = []
        self.reactor = Reactor(lambda error: pytest.fail(repr(error)))
        self.sinks = Sinks(pytest.fail, None)
        self.null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        self.records = Records()
        self.performer = Performer(
            self.reactor,
            Instances(groups(PROOFS), Outputs(self.reactor, self.sinks, str(home), self.null)),
            Inherited(dict(os.environ), PROOFS, 0o022, str(home), None, self.null),
            self.records,
            Outlets(
                lambda _entry, event: self.events.append(event),
                self.blind.append,
                Extras(
                    lambda _entry, _account: pytest.fail("nothing here has ready"),
                    lambda _entry, _account, _streams: pytest.fail("nothing here has stdin"),
                    lambda _entry, _spec: pytest.fail("nothing here has sockets"),
                    Made(lambda: pytest.fail("nothing here has a control group")),
                ),
            ),
        )
        program = ProgramConfig.of(**{"name": "p", "cmd": ("sleep", "300"), **keys})
        self.entry = Entry(program, 0, Process(since=0.0))
        self.performer.perform(self.entry, SPAWN)
        self.events_until(last)
        assert isinstance(self.events[0], Spawned)
        self.leader = self.records.pid = self.events[0].pid

    def has_ended(self) -> None:
        """Let the performer learn that the leader has ended, by itself or by this KILL."""
        if state_of(self.leader) != "Z":
            os.kill(self.leader, signal.SIGKILL)
        wait_until(lambda: state_of(self.leader) == "Z")
        self.performer.ends.children_ended([os.waitpid(self.leader, 0)])

    def events_until(self, last: type[Event]) -> list[Event]:
        """Return all events, up to the first of this kind."""
        wait_until(lambda: self._turn_until(last))
        return self.events

    def _turn_until(self, last: type[Event]) -> bool:
        if not any(isinstance(event, last) for event in self.events):
            self.reactor.turn(0.02)
        return any(isinstance(event, last) for event in self.events)

    def close(self) -> None:
        """Release what it holds."""
        self.performer.outputs.drain()
        self.sinks.close()
        os.close(self.null)
        self.reactor.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.close()


def test_how_a_leader_ended_is_noted_while_the_kernel_still_knows_it_too(stage: Stage) -> None:
    os.kill(stage.leader, signal.SIGKILL)
    wait_until(lambda: state_of(stage.leader) == "Z")
    stage.performer.ends.children_ended(reap())
    assert stage.records.ended == [(signal.SIGKILL, "Z")]
    assert not os.path.exists(f"/proc/{stage.leader}")
    instance = stage.performer.instances.of(stage.entry)
    assert instance
    assert instance.to_data()["ended"] == signal.SIGKILL
    stage.events_until(Exited)


def test_what_waits_for_its_start_is_started_when_starts_are_not_held_any_more(stage: Stage) -> None:
    os.kill(stage.leader, signal.SIGKILL)
    wait_until(lambda: state_of(stage.leader) == "Z")
    stage.performer.ends.children_ended(reap())
    stage.events_until(Exited)
    release = stage.performer.starts.hold()
    stage.performer.perform(stage.entry, SPAWN)
    assert stage.reactor.settle(3), "nothing waits for the end of a turn, so that an upgrade could begin"
    assert [type(event) for event in stage.events] == [Spawned, Executed, Exited]
    release()
    stage.reactor.turn(0)
    assert [type(event) for event in stage.events[3:]] == [Spawned, Executed]
    again = stage.events[3]
    assert isinstance(again, Spawned)
    os.kill(again.pid, signal.SIGKILL)
    os.waitpid(again.pid, 0)


def test_that_nothing_is_left_is_told_after_the_leaders_end_even_if_it_is_seen_before(stage: Stage) -> None:
    leader = stage.leader
    with open(f"/proc/{leader}/fd/1", "wb") as pipe, subprocess.Popen(["sleep", "300"], stdout=pipe) as survivor:
        os.kill(leader, signal.SIGKILL)
        stage.performer.ends.children_ended([os.waitpid(leader, 0)])
        instance = stage.performer.instances.of(stage.entry)
        assert instance
        wait_until(
            lambda: instance.survivors or (stage.reactor.settle(1) and instance.survivors)
        )  # the look has found it
        survivor.kill()  # it has ended, too, before anything is delivered
        survivor.wait()
        stage.performer.ends.children_ended([(survivor.pid, signal.SIGKILL)])
    assert [type(event) for event in stage.events_until(GroupEmpty)] == [Spawned, Executed, Exited, GroupEmpty]
    assert stage.performer.instances.of(stage.entry) is None


class ShortOnce(Groups):
    """Has no descriptor for its first look at survivors."""

    short = True

    def look(self, groups: Collection[Group]) -> Generator[None, None, dict[Group, list[Survivor]]]:
        """Find what the real look finds, from the second one on."""
        if self.short:
            self.short = False
            raise OSError(errno.EMFILE, "too many open files")
        return (yield from super().look(groups))


def test_an_end_is_delivered_by_a_second_look_when_no_descriptor_was_left_for_the_first(tmp_path: Path) -> None:
    stage = Stage(tmp_path, ShortOnce)
    try:
        stage.has_ended()
        assert not stage.performer.settled, "an end that was seen has not been delivered"
        stage.events_until(Exited)
        assert stage.events[2:] == [Exited(signal.SIGKILL)]
        assert stage.blind == ["cannot look for what programs left behind: too many open files"]
    finally:
        stage.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only a child that changes its identity is forked")
def test_a_forked_child_is_known_to_have_been_executed_before_it_is_known_to_have_ended(tmp_path: Path) -> None:
    stage = Stage(tmp_path, last=Spawned, user="root", cmd=("true",))
    try:
        wait_until(lambda: state_of(stage.leader) == "Z")
        assert stage.events == [Spawned(stage.leader)], "nobody has read yet that it was executed"
        stage.has_ended()
        assert stage.events_until(Exited)[1:] == [Executed(), Exited(0, silent=True)]
    finally:
        stage.close()


def test_the_last_words_of_a_leader_are_in_its_log_before_anybody_learns_of_its_end(tmp_path: Path) -> None:
    stage = Stage(tmp_path, cmd=("sh", "-c", "echo last words"))
    try:
        wait_until(lambda: state_of(stage.leader) == "Z")
        stage.has_ended()
        assert not any(isinstance(event, Exited) for event in stage.events)
        assert (tmp_path / "p.log").read_bytes() == b"last words\n"
        stage.events_until(Exited)
    finally:
        stage.close()


def test_a_newcomer_to_a_group_that_is_being_killed_is_killed_and_not_asked(stage: Stage) -> None:
    with open(f"/proc/{stage.leader}/fd/1", "wb") as pipe, subprocess.Popen(["sleep", "300"], stdout=pipe) as survivor:
        stage.has_ended()
        stage.events_until(Exited)
        stage.entry.process = stage.entry.process.replace(state=STOPPING, then=STOPPED, killing=1)
        stage.performer.perform(stage.entry, KILL)
        with subprocess.Popen(["sleep", "300"], stdout=pipe) as newcomer:
            stage.performer.ends.children_ended([(survivor.pid, survivor.wait() << 8)])
            while newcomer.poll() is None:
                stage.reactor.turn(0.01)
            assert newcomer.wait() == -signal.SIGKILL
        stage.performer.ends.children_ended([(newcomer.pid, signal.SIGKILL)])
        stage.events_until(GroupEmpty)


def test_who_can_only_read_a_pipe_does_not_belong_to_those_who_write_into_it() -> None:
    read, write = os.pipe()
    inodes = {os.fstat(read).st_ino}
    with (
        subprocess.Popen(["sleep", "300"], stdin=read) as reader,
        subprocess.Popen(["sleep", "300"], stdout=write) as one,
    ):
        os.close(read)
        os.close(write)
        try:
            assert pipe_among(reader.pid, inodes) is None
            assert pipe_among(one.pid, inodes) in inodes
        finally:
            reader.kill()
            one.kill()


@pytest.mark.parametrize("rule", [True, False])
def test_what_a_leader_leaves_belongs_to_it_by_the_rule_of_the_moment_in_which_it_ends(
    stage: Stage, rule: bool
) -> None:
    if rule:
        stage.performer.instances.of(stage.entry).group.follow(stop_group=False, leader_first=False)  # type: ignore[union-attr]
    else:
        stage.entry.want(ProgramConfig.of(name="p", cmd=("sleep", "300"), stopasgroup=False))
    with open(f"/proc/{stage.leader}/fd/1", "wb") as pipe, subprocess.Popen(["sleep", "300"], stdout=pipe) as survivor:
        stage.has_ended()
        exited = stage.events_until(Exited)[-1]
        survivor.kill()
        status = survivor.wait() << 8
    assert isinstance(exited, Exited)
    assert exited.left == ((f"sleep ({survivor.pid})",) if rule else ())
    assert bool(stage.performer.outputs.left) == (not rule), "a pipe that outlives its instance is remembered"
    if rule:
        stage.performer.ends.children_ended([(survivor.pid, status)])
        stage.events_until(GroupEmpty)


def test_a_slot_of_which_something_is_alive_is_never_started(stage: Stage) -> None:
    with pytest.raises(BugError, match="an instance that is live cannot be asked for"):
        stage.performer.perform(stage.entry, SPAWN)
    stage.has_ended()
    stage.events_until(Exited)
    with pytest.raises(BugError, match="an instance that is nothing cannot be killed"):
        stage.performer.perform(stage.entry, KILL)


def test_a_child_whose_set_up_failed_is_unsettled_until_its_end_is_delivered_with_the_failure(tmp_path: Path) -> None:
    program = tmp_path / "p"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    stage = Stage(tmp_path, last=Spawned, cmd=(str(program),))
    try:
        wait_until(lambda: state_of(stage.leader) == "Z")
        assert not stage.performer.settled
        stage.reactor.turn(1)
        assert stage.events == [Spawned(stage.leader)]
        assert not stage.performer.settled, "an upgrade now would lose why it failed"
        stage.has_ended()
        exited = stage.events_until(Exited)[-1]
        assert isinstance(exited, Exited)
        assert exited.failure
        assert exited.failure.step == "exec"
        assert stage.performer.settled
    finally:
        stage.close()


def _adopted(stage: Stage, pid: int) -> Instance:
    """Return an instance of a second slot, as an earlier daemon may have left it."""
    entry = Entry(ProgramConfig.of(name="q", cmd=("sleep", "300")), 0, Process(since=0.0))
    group = Group(pid, ("q", 0), stop_group=True, heritage=Heritage(frozenset({pid})))
    return Instance(entry, group, (), (0.0, 0.0))


def _end(stage: Stage) -> None:
    """End the leader that every stage begins with."""
    stage.has_ended()
    stage.events_until(Exited)
    stage.events.clear()


def test_an_end_that_no_daemon_saw_is_delivered_before_adoption_goes_on(stage: Stage) -> None:
    _end(stage)
    with subprocess.Popen(["true"], start_new_session=True) as gone:
        gone.wait()
    lost, known = _adopted(stage, gone.pid), _adopted(stage, gone.pid)
    stage.performer.admit_ended([(lost, None), (known, 7 << 8)])
    assert stage.events == [Exited(None), Exited(7 << 8)]
    assert list(stage.performer.instances) == []


def test_how_an_awaited_leader_ended_is_the_guardians_word(stage: Stage) -> None:
    _end(stage)
    with subprocess.Popen(["true"], start_new_session=True) as gone:
        gone.wait()
    instance = _adopted(stage, gone.pid)
    stage.performer.admit(instance, awaited=True)
    assert not instance.group.leader_alive
    assert stage.events == []
    stage.performer.ends.orphans_ended([(gone.pid, 3 << 8)])
    assert stage.events_until(Exited) == [Exited(3 << 8)]
    assert stage.records.ended[-1][0] == 3 << 8


def test_what_a_leader_had_left_to_an_earlier_daemon_is_looked_at_in_the_next_turn(stage: Stage) -> None:
    _end(stage)
    with subprocess.Popen(["true"], start_new_session=True) as gone:
        gone.wait()
    instance = _adopted(stage, gone.pid)
    stage.performer.admit_leaderless(instance)
    assert stage.performer.instances.of(instance.entry) is instance
    assert stage.events_until(GroupEmpty) == [GroupEmpty()]
    assert stage.performer.instances.of(instance.entry) is None


def test_a_start_that_fails_before_there_is_a_child_closes_its_pipes_and_no_look_is_made(stage: Stage) -> None:
    before = set(stage.performer.outputs.pipes)
    entry = Entry(ProgramConfig.of(name="q", cmd=("true",), workingdir="/no/such"), 0, Process(since=0.0))
    stage.performer.perform(entry, SPAWN)
    exited = stage.events_until(Exited)[-1]
    assert isinstance(exited, Exited)
    assert exited.failure
    assert exited.failure.step == "workingdir"
    assert stage.performer.outputs.pipes == before
    stage.events.clear()
    _end(stage)


def test_a_stop_of_an_earlier_daemon_goes_on_and_who_got_its_signal_is_written_down(stage: Stage) -> None:
    _end(stage)
    with subprocess.Popen(["sleep", "300"], start_new_session=True) as alive:
        wait_until(lambda: os.getpgid(alive.pid) == alive.pid)
        instance = _adopted(stage, alive.pid)
        stopping = Process(state=STOPPING, then=STOPPED, pid=alive.pid, executed=True, deadline=1e9)
        instance.entry.process = stopping
        stage.performer.admit(instance)
        stage.reactor.turn(0)
        assert alive.wait(10) == -signal.SIGTERM
        assert instance.entry in stage.records.changes
        assert stage.events == []
        stage.performer.ends.children_ended([(alive.pid, signal.SIGTERM)])
        assert stage.events_until(Exited) == [Exited(signal.SIGTERM)]


def test_what_refused_a_signal_and_has_gone_is_said_to_be_gone(stage: Stage) -> None:
    _end(stage)
    instance = _adopted(stage, 1)
    instance.entry.process = Process(state=STOPPING, then=STOPPED, killing=1, refused=("sudo (9) of root",))
    stage.performer.instances.add(instance, leader=False)
    stage.performer.instances.enter(instance, LEADERLESS)
    instance.group.leader_has_ended()
    stage.performer.happen(instance, FOUND_SOME_KILLING)
    assert stage.events == [Signalled()]


class Hiding(Groups):
    """Finds a process that hides whose it is in every look."""

    def look(self, groups: Collection[Group]) -> Generator[None, None, dict[Group, list[Survivor]]]:
        """Find what the real look finds, and the one that hides."""
        found = yield from super().look(groups)
        self.hidden = [Survivor(99, 1 << 60, "hides", 9, 9, 9)]
        return found


def test_what_hides_is_named_when_nothing_else_of_an_instance_is_left(tmp_path: Path) -> None:
    stage = Stage(tmp_path, Hiding)
    try:
        stage.has_ended()
        stage.events_until(Exited)
        assert [text[:20] for text in stage.blind] == ["p:0: hides (99) may "]
        assert list(stage.performer.survivors.hidden) == [stage.entry]
    finally:
        stage.close()


@pytest.mark.parametrize(
    ("status", "written", "silent"), [(0, [], False), (0, [False], True), (0, [True], False), (9, [False], False)]
)
def test_an_instance_is_silent_only_where_we_know_that_it_wrote_nothing(
    status: int, written: list[bool], *, silent: bool
) -> None:
    pipes: Any = [SimpleNamespace(wrote=wrote) for wrote in written]
    entry = Entry(ProgramConfig.of(name="q", cmd=("true",)), 0, Process(since=0.0))
    instance = Instance(entry, Group(1, ("q", 0), stop_group=True), pipes, (0.0, 0.0))
    instance.end(status)
    assert instance.silent == silent
