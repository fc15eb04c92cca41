"""Carries out what the two tables say: actions of `step`, and effects of `marks.follow` on what is alive of a slot.

It decides nothing about processes: which signal, when and what follows is in the action and in the configuration; which
mark may be delivered when is in `core.process.marks`.
"""

from __future__ import annotations

from taskmaster_common.config import LEADER
from taskmaster_common.records import Record
from taskmaster_common.states import STOPPING
from taskmasterd.core.process import marks
from taskmasterd.core.process.events import (
    KILL,
    SPAWN,
    TERMINATE,
    UNQUEUE,
    Action,
    Event,
    Executed,
    Exited,
    GroupEmpty,
    Signalled,
    Spawned,
)
from taskmasterd.core.process.state import ENDS
from taskmasterd.ondemand import Made, on_demand
from taskmasterd.processes.ends import Ends
from taskmasterd.processes.occupants import Occupants
from taskmasterd.processes.starts import Starter, StartQueue
from taskmasterd.processes.survivors import Survivors
from taskmasterd.system.loop.cmodules import partial, signal
from taskmasterd.system.spawner import Spawner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from taskmasterd.core.programs.table import Entry
    from taskmasterd.processes import stop_signals
    from taskmasterd.processes.instance import Instance, Instances, Recorder
    from taskmasterd.processes.preparation import Inherited
    from taskmasterd.processes.starts import Extras
    from taskmasterd.system.loop.reactor import Reactor
else:
    stop_signals = on_demand("taskmasterd.processes.stop_signals")

NEWS = {SPAWN: marks.ASKED, UNQUEUE: marks.TAKEN_BACK, TERMINATE: marks.TERMINATED, KILL: marks.KILLED}


class Outlets(Record):
    """Where a performer turns to.

    `deliver(entry, event)` hands an event to the supervisor, `on_blind(text)` is called with what /proc would not show,
    `extras` are for `Starter`.
    """

    deliver: Callable[[Entry, Event], None]
    on_blind: Callable[[str], None]
    extras: Extras


class Performer:
    """All that happens to instances."""

    def __init__(
        self,
        reactor: Reactor,
        instances: Instances,
        inherited: Inherited,
        recorder: Recorder,
        outlets: Outlets,
    ) -> None:
        deliver, on_blind = outlets.deliver, outlets.on_blind
        self._reactor = reactor
        self._recorder = recorder
        self.deliver = deliver
        self.inherited = inherited
        self._on_blind = on_blind
        self.instances = instances
        self.outputs = outputs = instances.outputs
        self.occupants = Occupants()
        self.cgroups = outlets.extras.cgroups
        self.survivors = Survivors(reactor, instances.groups, recorder, self.cgroups, self.happen, on_blind)
        self.ends = Ends(reactor, instances, self.survivors, self.cgroups, self.happen)
        spawner = Spawner(reactor, inherited.null, self.ends.reported)
        starter = Starter(spawner, outputs, inherited, recorder, self.occupants, outlets.extras)
        self.starts = StartQueue(reactor, starter, recorder, self._spawned, deliver)
        self._signals = Made(lambda: stop_signals.StopSignals(reactor, self._signalled))
        self._effects: Mapping[str, Callable[[Instance], Signalled | None]] = {
            marks.TELL_SPAWNED: lambda instance: deliver(
                instance.entry, Spawned(instance.group.pid, bool(instance.entry.present.ready))
            ),
            marks.TELL_EXECUTED: lambda instance: deliver(instance.entry, Executed()),
            marks.TELL_EXITED: self._tell_exited,
            marks.TELL_EMPTY: lambda instance: deliver(instance.entry, GroupEmpty()),
            marks.RECORD_END: self._record_end,
            marks.READ_REPORT: lambda instance: spawner.settle(instance.group.pid),
            marks.READ_RULE: _read_rule,
            marks.LOSE_LEADER: instances.lose_leader,
            marks.DRAIN: lambda instance: instance.drain(),
            marks.LOOK: self.survivors.expect,
            marks.LOOK_AGAIN: self.survivors.expect_all,
            marks.WAIT_A_TURN: lambda instance: reactor.call_soon(lambda: self._turn(instance)),
            marks.WATCH_LEADER: self._watch_leader,
            marks.AWAIT_WORD: lambda instance: self.ends.adopted().expect(instance.group.pid),
            marks.WATCH_SURVIVORS: self.survivors.watch,
            marks.RELEASE: self._release,
            marks.FORGET_SIGNALLED: lambda instance: instance.group.forget_signalled(),
            marks.STOP_ALL: lambda instance: self._signals().ask(instance),
            marks.KILL_GROUP: lambda instance: stop_signals.signal_group(instance.group, signal.SIGKILL),
            marks.KILL_SURVIVORS: self._kill_survivors,
            marks.STOP_NEWCOMERS: lambda instance: self._answered(instance, self._signals().ask(instance)),
            marks.KILL_NEWCOMERS: lambda instance: self._answered(instance, self._kill_survivors(instance)),
        }

    # -- actions and news

    def perform(self, entry: Entry, action: Action) -> Signalled | None:
        """Carry out an action; return who could not be signalled, at once. Other events that answer it come later."""
        instance = self.instances.of(entry)
        if instance is not None:
            return self.happen(instance, NEWS[action])
        self.starts.happen(entry, NEWS[action])
        return None

    def happen(self, instance: Instance, news: marks.News) -> Signalled | None:
        """Let news come to an instance. Raises BugError where they cannot."""
        stage, effects = marks.follow(instance.stage, news)
        self.instances.enter(instance, stage)
        answer = None
        for effect in effects:
            answer = self._effects[effect](instance)
        return answer

    def signal_leader(self, entry: Entry, number: int) -> bool:
        """Send a signal to the leader of a live process; return whether that is allowed."""
        instance = self.instances.of(entry)
        return instance is None or instance.group.signal_leader(number)

    @property
    def settled(self) -> bool:
        """Whether nothing was seen of any instance that the supervisor does not know yet."""
        return self.instances.settled and self.survivors.settled

    # -- effects

    def _spawned(self, instance: Instance, news: marks.News) -> None:
        self.instances.add(instance, leader=True)
        self.happen(instance, news)

    def _turn(self, instance: Instance) -> None:
        self.happen(instance, marks.TURN)

    def _record_end(self, instance: Instance) -> None:
        if instance.ended is not None:
            self._recorder.ends(instance.entry, instance.ended)

    def _tell_exited(self, instance: Instance) -> None:
        left = tuple(map(str, instance.survivors))
        self.deliver(instance.entry, Exited(instance.ended, instance.failure, left, instance.silent, instance.starved))

    def _release(self, instance: Instance) -> None:
        self.instances.remove(instance)
        if instance.group.cgroup:
            self.cgroups().release(instance.group.cgroup)
        self.survivors.note_hidden(instance)

    def _kill_survivors(self, instance: Instance) -> Signalled:
        return self._signals().signal(instance, instance.survivors, signal.SIGKILL)

    def _signalled(self, instance: Instance, answer: Signalled) -> None:
        """Take the answer to a stop signal that was sent later than its action."""
        self._recorder.changed(instance.entry)
        self._answered(instance, answer)

    def _answered(self, instance: Instance, answer: Signalled) -> None:
        if answer.refused or instance.entry.process.refused:
            self.deliver(instance.entry, answer)

    # -- instances of an earlier daemon

    def admit(self, instance: Instance, *, awaited: bool = False) -> None:
        """Take in an instance whose leader is alive; `awaited`: it has ended, and the guardian is yet to say how."""
        self.instances.add(instance, leader=True)
        if awaited:
            instance.group.leader_has_ended()
        self._adopt(instance, marks.ADOPTED_AWAITED if awaited else marks.ADOPTED_LIVE)

    def admit_ended(self, ended: Sequence[tuple[Instance, int | None]]) -> None:
        """Take in instances whose leaders ended while no daemon was there, status None: nobody knows how.

        Their ends are delivered at once, after one look. Raises OSError where there is no descriptor to look with.
        """
        for instance, status in ended:
            self.instances.add(instance, leader=False)
            instance.end(status)
            instance.group.leader_has_ended()
            self._adopt(instance, marks.ADOPTED_ENDED)
        self.survivors.look_now([instance for instance, _status in ended])
        for instance, _status in ended:
            self._reactor.attempt(partial(self._missed, instance), partial(self._lost, instance))

    def admit_leaderless(self, instance: Instance) -> None:
        """Take in what a leader left whose end was delivered; the next look finds whether it is still there."""
        self.instances.add(instance, leader=False)
        instance.group.leader_has_ended()
        self._adopt(instance, marks.ADOPTED_LEADERLESS)

    def _adopt(self, instance: Instance, news: marks.News) -> None:
        self.instances.enter(instance, marks.NOTHING)
        self.happen(instance, news)

    def _watch_leader(self, instance: Instance) -> None:
        if instance.group.handle is not None:
            self.ends.adopted().watch(instance.group.pid, instance.group.handle)
        process = instance.entry.process
        signalled = instance.group.signalled or not instance.entry.policy.stop_cmd
        if process.state == STOPPING and process.executed and process.hook_stage in ("", ENDS) and signalled:
            self._signals().resume(instance)

    def _missed(self, instance: Instance) -> None:
        self.happen(instance, marks.found(len(instance.survivors), past_asking=instance.entry.process.past_asking))

    def _lost(self, instance: Instance) -> None:
        self._on_blind(f"the end of {instance.entry.canonical} could not be delivered")


def _read_rule(instance: Instance) -> None:
    """Apply `stopasgroup`, a live key, as it is at this moment."""
    rule = instance.entry.wanted.stopasgroup
    instance.group.follow(stop_group=bool(rule), leader_first=rule == LEADER)
