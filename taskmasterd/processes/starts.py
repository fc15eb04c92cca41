"""The queue of starts: one after the other, for a bounded time of each turn, and what came of each."""

from __future__ import annotations

import os

from taskmaster_common.config import DISCARD, PIPE, for_instance
from taskmaster_common.config.words import FROM_SOCKET
from taskmaster_common.errors import shortened, system_reason
from taskmaster_common.records import Record
from taskmasterd.core.process.events import LIMITS, Exited, Failure, SpawnFailed
from taskmasterd.core.process.marks import (
    DEQUEUE,
    ENQUEUE,
    FORKED,
    NOT_SET_UP,
    NOTHING,
    QUEUED,
    REFUSED,
    SPAWNED,
    follow,
)
from taskmasterd.core.programs.table import WATCHDOG
from taskmasterd.ondemand import on_demand
from taskmasterd.output.targets import account_of
from taskmasterd.processes.instance import Instance
from taskmasterd.processes.members.group import OWN, Group, Heritage
from taskmasterd.processes.preparation import Announcement, ChildInput, child_spec
from taskmasterd.system.procfs import boot_seconds
from taskmasterd.system.spawner import ChildSpec, SetupError, Spawner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.marks import News
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.ondemand import Made
    from taskmasterd.output.streams import Outputs, Streams
    from taskmasterd.processes import redirection
    from taskmasterd.processes.instance import Recorder
    from taskmasterd.processes.limits.cgroups import ControlGroups, Joining
    from taskmasterd.processes.occupants import Occupants
    from taskmasterd.processes.preparation import Inherited
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.users import Account

    Announce = Callable[[Entry, Account | None], Announcement]
    PassOn = Callable[[Entry, ChildSpec], tuple[ChildSpec, tuple[tuple[int, int], ...], int]]
    OpenInput = Callable[[Entry, Account | None, Streams], ChildInput]
else:
    redirection = on_demand("taskmasterd.processes.redirection")

SPAWN_FOR_S = 0.02
"""Longest time of spawning in one turn, seconds: a thousand starts must not stall an answer."""


class Extras(Record):
    """What some programs need besides logs. All are called once the logs are open, before the spawn, and may raise SetupError.

    `announce(entry, account)` is for a program with `ready` or a watchdog, `open_input(entry, account, streams)` for one with `stdin: pipe` or `tty`,
    `pass_on(entry, spec)` for one with `sockets`: it returns (spec, descriptors with their numbers, descriptor 0 or -1).
    `cgroups` makes control groups.
    """

    announce: Announce
    open_input: OpenInput
    pass_on: PassOn
    cgroups: Made[ControlGroups]


class Starter:
    """Brings up one instance at a time."""

    def __init__(
        self,
        spawner: Spawner,
        outputs: Outputs,
        inherited: Inherited,
        recorder: Recorder,
        occupants: Occupants,
        extras: Extras,
    ) -> None:
        self._spawner = spawner
        self._outputs = outputs
        self._inherited = inherited
        self._recorder = recorder
        self._occupants = occupants
        self._extras = extras

    def bring_up(self, entry: Entry) -> tuple[Instance, bool]:
        """Return the new instance, and whether it was executed already.

        Raises SetupError for a failed step, OSError for a shortage, ValueError for a word that no exec can take.
        """
        program = entry.wanted
        self._outputs.last_words.forget(entry)  # those of an earlier instance tell nothing about this start
        if program.refusal:
            raise SetupError("user", program.refusal)
        occupied = self._occupants.reason(entry.program, entry.index)
        if occupied:
            raise SetupError("orphan", occupied)
        account = account_of(program)
        spec = child_spec(program, entry.index, self._inherited, account)
        streams = self._outputs.open(entry, account)
        self._outputs.last_words.begin(entry, streams.log_start)
        before = boot_seconds()
        # a terminal's pipes are the keeper's, and tell nothing about processes
        inodes = () if program.tty else tuple(pipe.inode for pipe in streams.pipes)
        self._recorder.spawning(entry, before, inodes)
        said, reads, place = Announcement(), None, None
        extras: tuple[tuple[int, int], ...] = ()
        stdin = -1
        try:
            place = self._enter(entry)
            spec = spec.replace(steps=(place.step, *spec.steps)) if place else spec
            if program.sockets:
                spec, extras, stdin = self._extras.pass_on(entry, spec)
            reads = self._open_input(entry, account, streams)
            if reads:
                spec = spec.replace(terminal=reads.terminal)
            if program.ready or WATCHDOG in program.health:
                said = self._extras.announce(entry, account)
                spec = spec.replace(environment={**spec.environment, **said.environment})
            stdin = reads.stdin if reads else stdin
            extras += (said.extra,) if said.extra else ()
            pid, executed = self._spawner.spawn(spec, streams.stdout, streams.stderr, extras, stdin=stdin)
        except (SetupError, OSError, ValueError):
            self._give_up(streams, reads, place)
            raise
        finally:
            _close_ends(streams, said, reads, place)
        for pipe in streams.pipes:
            pipe.sink.led_by(pid)
        group = _group_of(entry, pid, inodes, place)
        return Instance(entry, group, streams.pipes, (before, boot_seconds()), reads.ours if reads else None), executed

    def _give_up(self, streams: Streams, reads: ChildInput | None, place: Joining | None) -> None:
        """Let go of what was made for an instance that there will not be."""
        for pipe in streams.pipes:
            pipe.close()
        if reads and reads.ours:
            reads.ours.release()
        if place:
            self._extras.cgroups().release(place.path)

    def _enter(self, entry: Entry) -> Joining | None:
        """Make the control group of the instance, None for none."""
        may_use = entry.wanted.may_use
        return self._extras.cgroups().enter(entry) if may_use.cgroup or may_use.limits else None

    def _open_input(self, entry: Entry, account: Account | None, streams: Streams) -> ChildInput | None:
        """Return what the instance reads, None for /dev/null."""
        program = entry.wanted
        if program.stdin == PIPE or program.tty:
            return self._extras.open_input(entry, account, streams)
        if program.stdin == DISCARD or program.stdin.startswith(FROM_SOCKET):
            return None
        return ChildInput(None, redirection.open_input(for_instance(program.stdin, entry.index), account))


def _group_of(entry: Entry, pid: int, pipes: tuple[int, ...], place: Joining | None) -> Group:
    heritage, rule = Heritage(cgroup=place.path) if place else OWN, bool(entry.wanted.stopasgroup)
    return Group(pid, (entry.program, entry.index), stop_group=rule, pipes=pipes, heritage=heritage)


def _close_ends(streams: Streams, said: Announcement, reads: ChildInput | None, place: Joining | None) -> None:
    """Close what is the child's alone."""
    ends = (said.extra[1] if said.extra else -1, reads.stdin if reads else -1, place.fd if place else -1)
    for fd in (*streams.children_ends, *(end for end in ends if end >= 0)):
        os.close(fd)


class StartQueue:
    """The slots that wait for their start. `pending`: a turn that spawns is due.

    `happen(instance, news)` is called for each child that exists, `deliver(entry, event)` for each start that failed before
    there was one.
    """

    def __init__(
        self,
        reactor: Reactor,
        starter: Starter,
        recorder: Recorder,
        happen: Callable[[Instance, News], object],
        deliver: Callable[[Entry, Event], None],
    ) -> None:
        self._reactor = reactor
        self._starter = starter
        self._recorder = recorder
        self._happen = happen
        self._deliver = deliver
        self._waiting: dict[Entry, None] = {}
        self._holders: set[object] = set()
        self.pending = False

    def happen(self, entry: Entry, news: News) -> None:
        """Ask for the start of a slot of which nothing is alive, or take it back."""
        _stage, effects = follow(QUEUED if entry in self._waiting else NOTHING, news)
        if ENQUEUE in effects:
            self._waiting[entry] = None
            self._spawn_soon()
        elif DEQUEUE in effects:
            del self._waiting[entry]

    def hold(self) -> Callable[[], None]:
        """Start nothing until the function that this returns is called, and those of all others who hold; twice is no error."""
        holder = object()
        self._holders.add(holder)

        def release() -> None:
            self._holders.discard(holder)
            self._spawn_soon()

        return release

    def _spawn_soon(self) -> None:
        if self._waiting and not self.pending and not self._holders:
            self.pending = True
            self._reactor.call_soon(self._spawn_some)

    def _spawn_some(self) -> None:
        until = self._reactor.now() + SPAWN_FOR_S
        try:
            while self._waiting and not self._holders and self._reactor.now() < until:
                entry = next(iter(self._waiting))
                del self._waiting[entry]
                self._spawn(entry)
            self._recorder.flush()  # the pid of the last one; that of each other is written before the next is spawned
        finally:  # a bug in one start must not hold up the others
            self.pending = False
            self._spawn_soon()

    def _spawn(self, entry: Entry) -> None:
        """Bring up one instance and deliver what came of it."""
        entry.current = entry.wanted
        try:
            instance, executed = self._starter.bring_up(entry)
        except SetupError as error:
            permanent = error.step in ("user", "orphan") or error.step in LIMITS
            self._fail(entry, NOT_SET_UP, Exited(failure=Failure(error.step, error.text, permanent=permanent)))
        except OSError as error:
            self._fail(entry, REFUSED, SpawnFailed(f"the system refuses a new process: {system_reason(error)}"))
        except ValueError as error:  # a word or a variable that no exec can take
            text = f"cannot execute {shortened(entry.wanted.cmd[0], 256)}: {error}"
            self._fail(entry, NOT_SET_UP, Exited(failure=Failure("exec", text)))
        else:
            self._happen(instance, SPAWNED if executed else FORKED)

    def _fail(self, entry: Entry, news: News, event: Event) -> None:
        """Deliver how a start failed that brought up no child."""
        follow(QUEUED, news)
        self._deliver(entry, event)
