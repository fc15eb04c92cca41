"""What leaders left behind: looked for until nothing is left, and named where it hides.

One look serves all groups without a leader. The end of a survivor wakes the daemon where it is below it; elsewhere its
group is looked at again and again.
"""

from __future__ import annotations

from taskmaster_common.errors import system_reason
from taskmasterd.core.process.marks import BLIND, found
from taskmasterd.ondemand import on_demand
from taskmasterd.system.loop.slices import Looks
from taskmasterd.system.procfs import TICKS_PER_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from taskmasterd.core.process.marks import News
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.words import describe
    from taskmasterd.ondemand import Made
    from taskmasterd.processes.instance import Instance, Recorder
    from taskmasterd.processes.limits.cgroups import ControlGroups
    from taskmasterd.processes.members.group import Group
    from taskmasterd.processes.members.groups import Groups
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.procfs import Survivor
else:
    describe = on_demand("taskmasterd.core.words.describe")

PROBE_FIRST_S = 0.01
PROBE_MOST_S = 0.5
"""Shortest and longest pause between looks where the end of a survivor does not wake us, seconds."""


class Survivors:
    """The instances without a leader, and the looks at what is alive of them.

    `happen(instance, news)` is called with what a look found, `on_blind(text)` where /proc shows nothing for lack of
    descriptors, or a process hides whose it is. `hidden` says of a slot which processes may be left of its last instance.
    """

    def __init__(
        self,
        reactor: Reactor,
        groups: Groups,
        recorder: Recorder,
        cgroups: Made[ControlGroups],
        happen: Callable[[Instance, News], object],
        on_blind: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._groups = groups
        self._recorder = recorder
        self._cgroups = cgroups
        self._happen = happen
        self._on_blind = on_blind
        self._watched: dict[Group, Instance] = {}
        self._ended: list[Instance] = []
        self._looked_at: list[Instance] = []
        self._all = self._look_due = False
        self._looks = Looks(reactor, self._begin, self._found, self._blind)
        self._probing = False
        self._probe_s = PROBE_FIRST_S
        self.hidden: dict[Entry, str] = {}
        self._noticed: set[Group] = set()

    @property
    def settled(self) -> bool:
        """Whether no look is under way or asked for."""
        return not self._looks.under_way

    # -- looks

    def expect(self, instance: Instance) -> None:
        """Have the next look find what a leader left that has ended; `look` begins it."""
        self._ended.append(instance)

    def expect_all(self, _instance: Instance | None = None) -> None:
        """Have the next look find what is left of every instance without a leader."""
        self._all = True

    def look(self, *, strangers: bool) -> None:
        """Look for what the expected leaders left, and at all others too where `strangers` have ended: they may be members."""
        self._all = self._all or strangers or not self._groups.can_see
        if self._ended or (self._all and self._watched):
            self._looks.ask()

    def look_now(self, instances: Sequence[Instance]) -> None:
        """Find at once what is alive of instances whose leaders ended while no daemon was there. Raises OSError for no descriptor."""
        left = self._groups.survivors([instance.group for instance in instances])
        for instance in instances:
            instance.leave(left.get(instance.group, ()))

    def _begin(self) -> Generator[None, None, Mapping[Group, Sequence[Survivor]]]:
        instances, self._ended = self._ended, []
        if self._all:
            instances += self._watched.values()
        self._all, self._looked_at = False, instances
        return self._groups.look([instance.group for instance in instances])

    def _found(self, left: Mapping[Group, Sequence[Survivor]]) -> None:
        instances, self._looked_at = self._looked_at, []
        for instance in instances:
            survivors = left.get(instance.group, ())
            changed = instance.leave(survivors)
            if instance.group in self._watched:
                if changed and survivors:
                    self._recorder.changed(instance.entry)
                elif not survivors:
                    del self._watched[instance.group]
                    self._noticed.discard(instance.group)
            self._happen(instance, found(len(survivors), past_asking=instance.entry.process.past_asking))

    def _blind(self, error: OSError) -> None:
        """Repeat a look that failed: nobody may say that nothing is left."""
        for instance in self._looked_at:
            self._happen(instance, BLIND)
        self._on_blind(f"cannot look for what programs left behind: {system_reason(error)}")

    # -- instances without a leader

    def watch(self, instance: Instance) -> None:
        """Take in an instance whose Exited is delivered; a look in the next turn finds what has ended since the last one."""
        group = instance.group
        if (
            group.cgroup
            and group.stop_group
            and self._cgroups().await_empty(group.cgroup, lambda: self._emptied(group))
        ):
            self._noticed.add(group)
        self._see_ends_of(instance)
        if not self._look_due:
            self._look_due = True
            self._reactor.call_soon(self._look_once_more)

    def _look_once_more(self) -> None:
        self._look_due = False
        self.look(strangers=True)

    def _see_ends_of(self, instance: Instance) -> None:
        """Keep an instance, and look at it again and again where the end of a survivor does not wake us."""
        self._watched[instance.group] = instance
        if not self._wakes(instance.group) and not self._probing:
            self._probing = True
            self._reactor.call_later(self._probe_s, self._probe_again)

    def _wakes(self, group: Group) -> bool:
        return group in self._noticed or self._groups.wakes(group)

    def _emptied(self, group: Group) -> None:
        """Look at an instance of which nothing is in its control group any more; what has left that is looked for as everywhere."""
        self._noticed.discard(group)
        instance = self._watched.get(group)
        if instance:
            self._see_ends_of(instance)
            self.look(strangers=True)

    def _probe_again(self) -> None:
        self._probing = False
        self.look(strangers=True)
        asleep = [instance for group, instance in self._watched.items() if not self._wakes(group)]
        self._probe_s = min(self._probe_s * 2, PROBE_MOST_S) if asleep else PROBE_FIRST_S
        if asleep:
            self._see_ends_of(asleep[0])

    def guardian_died(self) -> None:
        """Look for orphans of present instances as for those of an earlier daemon: nobody reports their ends any more."""
        self._groups.guardian_died(self._watched)
        if self._watched:
            self._probe_again()

    # -- what hides

    def note_hidden(self, instance: Instance) -> None:
        """Name who may be left of an instance of which nothing else is: nobody may say that all of it is gone."""
        since = int(instance.birth[0] * TICKS_PER_S)
        hidden = [one for one in self._groups.hidden if one.started >= since] if instance.group.stop_group else []
        before = self.hidden.pop(instance.entry, "")
        if hidden:
            pids = " ".join(str(one.pid) for one in hidden)
            named = describe.left_text(tuple(map(str, hidden)))
            text = f"{named} may be left of it, and hides whose it is; end that: kill {pids}"
            self.hidden[instance.entry] = text
            if text != before:
                self._on_blind(f"{instance.entry.canonical}: {text}")
