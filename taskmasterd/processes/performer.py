"""Carries out what the core decided, and turns the kernel's news into the core's events.

It holds what is alive of each slot (`Instance`): the group and the pipes. It decides nothing about processes: which signal, when
and what follows is in the action and in the configuration.
"""

from __future__ import annotations

import os

from taskmaster_common.config import LEADER
from taskmaster_common.errors import shortened, system_reason
from taskmaster_common.states import STOPPING
from taskmasterd.core.process.events import (
    KILL,
    SPAWN,
    TERMINATE,
    UNQUEUE,
    Action,
    Event,
    Executed,
    Exited,
    Failure,
    GroupEmpty,
    Signalled,
    Spawned,
    SpawnFailed,
)
from taskmasterd.core.words.describe import NAMED_LEFT, left_text
from taskmasterd.output.streams import Outputs
from taskmasterd.output.targets import account_of
from taskmasterd.processes.instance import Instance
from taskmasterd.processes.members.groups import Group, Groups
from taskmasterd.processes.preparation import launch_of
from taskmasterd.processes.stop_signals import Asking, signal_group
from taskmasterd.processes.survivors import Leftovers
from taskmasterd.system.loop.cmodules import partial, signal
from taskmasterd.system.pidfds import Adopted, boot_seconds
from taskmasterd.system.procfs import TICKS_PER_S, look
from taskmasterd.system.spawner import SetupError, Spawner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from taskmasterd.core.programs.orphans import Orphan
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.output.sinks import Sinks
    from taskmasterd.processes.instance import Recorder
    from taskmasterd.processes.preparation import Inherited
    from taskmasterd.system.loop.reactor import Reactor

SPAWN_FOR_S = 0.02
"""So long one turn spawns at most: a thousand starts must not stall an answer."""


class Performer:
    """`deliver(entry, event)` hands an event to the supervisor; `on_blind(text)` is told what /proc would not show.

    `recorder` is told what has to be remembered at once. `occupied` are the processes of an earlier daemon because of which a slot must not be started.
    `hidden` says of a slot what nobody knows to be of its last instance, or not.
    """

    def __init__(
        self,
        reactor: Reactor,
        groups: Groups,
        sinks: Sinks,
        inherited: Inherited,
        deliver: Callable[[Entry, Event], None],
        on_blind: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._groups = groups
        self._inherited = inherited
        self._deliver = deliver
        self._on_blind = on_blind
        self._spawner = Spawner(reactor, self._reported)
        self.outputs = Outputs(reactor, sinks, inherited.log_dir, self._spawner.null)
        self.recorder: Recorder | None = None
        self.occupied: dict[tuple[str, int], list[Orphan]] = {}
        self.hidden: dict[Entry, str] = {}
        self.adopted = Adopted(reactor, self._adopted_ended)
        self._waiting: dict[Entry, None] = {}
        self._spawning = self._held = False
        self._instances: dict[int, Instance] = {}
        self._by_entry: dict[Entry, Instance] = {}
        self._asking = Asking(reactor, self._signalled)
        self._leftovers = Leftovers(reactor, groups, self._leader_ended, self._left_seen, self._emptied, on_blind)
        self._ended: list[tuple[Instance, int | None]] = []

    # -- actions

    def perform(self, entry: Entry, action: Action) -> Signalled | None:
        """Carry out an action; events that answer it are delivered later, but for who was signalled."""
        if action == SPAWN:
            self._waiting[entry] = None
            self._spawn_soon()
        elif action == UNQUEUE:
            self._waiting.pop(entry, None)
        elif action == TERMINATE:
            instance = self._by_entry[entry]
            _follow_rule(instance)
            return self._asking.ask(instance)
        elif action == KILL:
            instance = self._by_entry[entry]
            _follow_rule(instance)
            instance.group.forget_signalled()
            return self._kill(instance)
        return None

    def signal_leader(self, entry: Entry, number: int) -> bool:
        """Send a signal to the leader of a live process; return whether that is allowed."""
        return self._by_entry[entry].group.signal_leader(number)

    def _kill(self, instance: Instance) -> Signalled:
        if instance.group.leader_alive:
            return signal_group(instance.group, signal.SIGKILL)
        return self._asking.tell(instance, instance.left, signal.SIGKILL)

    def _signalled(self, instance: Instance, answer: Signalled) -> None:
        """Somebody of an instance was signalled without an action."""
        if self.recorder:
            self.recorder.changed(instance.entry)
        if answer.refused or instance.entry.process.refused:
            self._deliver(instance.entry, answer)

    # -- spawning

    def hold_starts(self, *, held: bool) -> None:
        """Start nothing while `held`: what waits for its start is as it was asked for, here and in another life."""
        self._held = held
        self._spawn_soon()

    def _spawn_soon(self) -> None:
        if self._waiting and not self._spawning and not self._held:
            self._spawning = True
            self._reactor.call_soon(self._spawn_some)

    def _spawn_some(self) -> None:
        until = self._reactor.now() + SPAWN_FOR_S
        try:
            while self._waiting and not self._held and self._reactor.now() < until:
                entry = next(iter(self._waiting))
                del self._waiting[entry]
                self._spawn(entry)
            if self.recorder:
                self.recorder.flush()  # who the last one is, too; who the others are is written before the next is spawned
        finally:  # a bug in one start must not hold up the others
            self._spawning = False
            self._spawn_soon()

    def _spawn(self, entry: Entry) -> None:
        """Bring up one instance and deliver what came of it."""
        entry.current = entry.wanted
        try:
            instance, executed = self._bring_up(entry)
        except SetupError as error:
            permanent = error.step in ("user", "orphan")
            self._deliver(entry, Exited(failure=Failure(error.step, error.text, permanent=permanent)))
            return
        except OSError as error:
            self._deliver(entry, SpawnFailed(f"the system refuses a new process: {system_reason(error)}"))
            return
        except ValueError as error:  # a word or a variable that no exec can take
            self._deliver(
                entry, Exited(failure=Failure("exec", f"cannot execute {shortened(entry.wanted.cmd[0], 256)}: {error}"))
            )
            return
        self._groups.add(instance.group)
        self._instances[instance.group.pid] = instance
        self._by_entry[entry] = instance
        self._deliver(entry, Spawned(instance.group.pid))
        if executed:
            self._deliver(entry, Executed())

    def _bring_up(self, entry: Entry) -> tuple[Instance, bool]:
        """Return the new instance and whether it was executed already. Raises SetupError or, for a shortage, OSError."""
        program = entry.wanted
        if program.refusal:
            raise SetupError("user", program.refusal)
        self._look_for_occupants(entry)
        account = account_of(program)
        launch = launch_of(program, entry.index, self._inherited, account)
        streams = self.outputs.open(entry, account)
        began = boot_seconds()
        if self.recorder:
            self.recorder.spawning(entry, began, [pipe.inode for pipe in streams.pipes])
        try:
            pid, executed = self._spawner.spawn(launch, streams.stdout, streams.stderr)
        except (SetupError, OSError):
            for pipe in streams.pipes:
                pipe.close()
            raise
        finally:
            for fd in streams.children_ends:
                os.close(fd)
        self.outputs.begin(entry, streams.began)
        inodes = tuple(pipe.inode for pipe in streams.pipes)
        group = Group(pid, (entry.program, entry.index), stop_group=bool(program.stopasgroup), pipes=inodes)
        return Instance(entry, group, streams.pipes, (began, boot_seconds())), executed

    def occupants(self, program: str, index: int) -> str:
        """Return what to do about processes of an earlier daemon that may be this slot's instance; "" where none is alive."""
        slot = (program, index)
        there = [one for one in self.occupied.get(slot, ()) if (now := look(one.pid)) and now.started == one.started]
        if not there:
            self.occupied.pop(slot, None)
            return ""
        named = ", ".join(map(str, there[:NAMED_LEFT]))
        kill = " ".join(str(one.pid) for one in there)
        return f"an earlier daemon's {named} may be an instance of it; end that (kill {kill}), then start it"

    def _look_for_occupants(self, entry: Entry) -> None:
        there = self.occupants(entry.program, entry.index)
        if there:
            raise SetupError("orphan", there)

    def _reported(self, pid: int, failed: tuple[str, str] | None) -> None:
        """A forked child was executed, or a step of its set-up failed and its end will be reaped."""
        instance = self._instances[pid]
        if failed:
            instance.failure = Failure(failed[0], failed[1])
        else:
            self._deliver(instance.entry, Executed())

    # -- ends

    def _note_end(self, pid: int, status: int) -> None:
        """Have it remembered how a leader ended, before nobody else knows it any more."""
        instance = self._instances.get(pid)
        if instance:
            instance.ended = status
            if self.recorder:
                self.recorder.ends(instance.entry, status)

    def children_ended(self, ended: Iterable[tuple[int, int]]) -> None:
        """Take the children that have ended: leaders, survivors of groups, strangers. Each may be reaped as the next is taken."""
        dead: list[tuple[Instance, int | None]] = []
        strangers = False
        for pid, status in ended:
            self._note_end(pid, status)
            self._spawner.settle(pid)
            if pid in self._instances:
                dead.append((self._without_leader(pid), status))
            else:
                strangers = True
                self._groups.reaped(pid)
        self._leftovers.look(dead, strangers=strangers)

    def orphans_ended(self, ended: Iterable[tuple[int, int]]) -> None:
        """Take what the guardian has reaped: adopted leaders, and what is left of their groups."""
        strangers = [pid for pid, status in ended if not self.adopted.told(pid, status)]
        for pid in strangers:
            self._groups.reaped(pid)
        if strangers and self._leftovers:
            self._leftovers.look()

    def _adopted_ended(self, pid: int, status: int | None) -> None:
        """A leader that is no child of ours has ended; one look serves all that end in one turn."""
        if status is not None:
            self._note_end(pid, status)
        if not self._ended:
            self._reactor.call_soon(self._look_after_adopted)
        self._ended.append((self._without_leader(pid), status))

    def _look_after_adopted(self) -> None:
        dead, self._ended = self._ended, []
        self._leftovers.look(dead, strangers=False)

    def _without_leader(self, pid: int) -> Instance:
        """Return the instance whose leader has gone, with all that was in its pipes in the files."""
        instance = self._instances.pop(pid)
        _follow_rule(instance)
        self._groups.reaped(pid)
        self.outputs.drain(instance.pipes)
        return instance

    def _leader_ended(self, instance: Instance, status: int | None) -> None:
        if instance.left:
            # not earlier: a look in between would tell that nothing is left of a process that has not ended
            self._leftovers.add(instance)
        else:
            self._by_entry.pop(instance.entry, None)
            self.outputs.leave(instance.pipes)
            self._note_hidden(instance)
        silent = status == 0 and bool(instance.pipes) and not any(pipe.wrote for pipe in instance.pipes)
        self._deliver(instance.entry, Exited(status, instance.failure, tuple(map(str, instance.left)), silent))

    def _left_seen(self, instance: Instance, changed: bool) -> None:
        """Something is alive of what a leader had left behind; newcomers are signalled too."""
        answer = self._kill(instance) if instance.entry.process.past_asking else self._asking.ask(instance)
        if changed and self.recorder:
            self.recorder.changed(instance.entry)
        if answer.refused or instance.entry.process.refused:
            self._deliver(instance.entry, answer)

    def _emptied(self, instance: Instance) -> None:
        """Nothing is left of what a leader had left behind."""
        self.outputs.drain(instance.pipes)
        self._by_entry.pop(instance.entry, None)
        self.outputs.leave(instance.pipes)
        self._note_hidden(instance)
        self._deliver(instance.entry, GroupEmpty())

    def _note_hidden(self, instance: Instance) -> None:
        """Tell who may be left of an instance of which nothing else is: nobody may say that all of it is gone."""
        since = int(instance.birth[0] * TICKS_PER_S)
        there = [one for one in self._groups.hidden if one.started >= since] if instance.group.stop_group else []
        before = self.hidden.pop(instance.entry, "")
        if there:
            pids = " ".join(str(one.pid) for one in there)
            text = (
                f"{left_text(tuple(map(str, there)))} may be left of it, and hides whose it is; end that: kill {pids}"
            )
            self.hidden[instance.entry] = text
            if text != before:
                self._on_blind(f"{instance.entry.canonical}: {text}")

    @property
    def spawning(self) -> bool:
        """Whether starts are waiting for their turn."""
        return self._spawning

    # -- an earlier life

    def instance_of(self, entry: Entry) -> Instance | None:
        """Return what is alive of a slot, None where nothing is."""
        return self._by_entry.get(entry)

    def instances(self) -> Iterator[Instance]:
        """Yield all that is alive."""
        yield from self._by_entry.values()

    @property
    def settled(self) -> bool:
        """Whether no child is between fork and exec, and every end that was seen has been delivered."""
        return not self._spawner.reporting and not self._ended and self._leftovers.settled

    def guardian_died(self) -> None:
        """Nobody tells of orphans any more: look for those of the instances that are there as for an earlier daemon's."""
        self._leftovers.guardian_died()

    def admit(self, instance: Instance) -> None:
        """Take in an instance whose leader is alive, and wait for its end where it is no child of ours."""
        self._by_entry[instance.entry] = instance
        self._instances[instance.group.pid] = instance
        self._groups.add(instance.group)
        if instance.group.handle is not None:
            self.adopted.watch(instance.group.pid, instance.group.handle)
        if instance.entry.process.state == STOPPING and instance.entry.process.executed:
            self._asking.resume(instance)

    def admit_untold(self, instance: Instance) -> None:
        """Take in an instance whose leader has ended since, and how is yet to be told by the guardian."""
        self.admit(instance)
        instance.group.leader_has_ended()
        self.adopted.expect(instance.group.pid)

    def admit_ended(self, ended: Sequence[tuple[Instance, int | None]]) -> None:
        """Take in instances whose leaders have ended since; status None: nobody knows how. They are told at once, after one look."""
        for instance, _status in ended:
            self._by_entry[instance.entry] = instance
            instance.group.leader_has_ended()
            self.outputs.drain(instance.pipes)
        left = self._groups.survivors([instance.group for instance, _status in ended])
        for instance, status in ended:
            instance.left = left.get(instance.group, ())
            self._reactor.attempt(partial(self._leader_ended, instance, status), partial(self._lost, instance))

    def _lost(self, instance: Instance) -> None:
        self._on_blind(f"the end of {instance.entry.canonical} could not be told")

    def admit_left(self, instance: Instance) -> None:
        """Take in what a leader had left behind already; the next look tells whether it is still there."""
        self._by_entry[instance.entry] = instance
        instance.group.leader_has_ended()
        self._leftovers.add(instance)


def _follow_rule(instance: Instance) -> None:
    """Apply `stopasgroup`, a live key, as it is at this moment."""
    rule = instance.entry.wanted.stopasgroup
    instance.group.follow(stop_group=bool(rule), leader_first=rule == LEADER)
