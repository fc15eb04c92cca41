"""What leaders left behind: looked at until nothing is left.

One look serves all groups without a leader. The end of a survivor wakes the daemon where it is below it, and elsewhere a
group is looked at again and again.
"""

from __future__ import annotations

from taskmaster_common.errors import system_reason
from taskmasterd.system.loop.slices import Looks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    from taskmasterd.processes.instance import Instance
    from taskmasterd.processes.members.groups import Group, Groups
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.procfs import Survivor

PROBE_FIRST_S = 0.01
PROBE_MOST_S = 0.5
"""How often a group is looked at where the end of a survivor does not wake us (no Linux)."""


class Leftovers:
    """The instances without a leader of which something is alive.

    `on_end(instance, status)` is called in a later turn for each leader that has ended, with what it left in `instance.left`;
    `on_look(instance, changed)` when a look finds something, which may have changed, `on_empty(instance)` when it finds nothing.
    `on_blind(text)` is called where /proc shows nothing for lack of descriptors.
    """

    def __init__(
        self,
        reactor: Reactor,
        groups: Groups,
        on_end: Callable[[Instance, int | None], None],
        on_look: Callable[[Instance, bool], None],
        on_empty: Callable[[Instance], None],
        on_blind: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._groups = groups
        self._on_end = on_end
        self._on_look = on_look
        self._on_empty = on_empty
        self._on_blind = on_blind
        self._instances: dict[Group, Instance] = {}
        self._dead: list[tuple[Instance, int | None]] = []
        self._at: tuple[list[tuple[Instance, int | None]], list[Group]] = [], []
        self._all = self._looking = False
        self._looks = Looks(reactor, self._begin, self._found, self._blind)
        self._probing = False
        self._probe_s = PROBE_FIRST_S

    @property
    def settled(self) -> bool:
        """Whether every leader that has ended was looked after."""
        return not self._looks.under_way

    def __len__(self) -> int:
        return len(self._instances)

    def add(self, instance: Instance) -> None:
        """Take in an instance whose leader has ended; the next look tells whether what it left is still there."""
        self._watch(instance)
        if not self._looking:
            self._looking = True
            self._reactor.call_soon(self._look_once_more)

    def look(self, dead: Sequence[tuple[Instance, int | None]] = (), *, strangers: bool = True) -> None:
        """Look for every group that lost its leader (`dead`), or where `strangers` ended a member."""
        self._dead += dead
        self._all = self._all or strangers or not self._groups.can_see
        if self._dead or (self._all and self._instances):
            self._looks.ask()

    def _begin(self) -> Generator[None, None, Mapping[Group, Sequence[Survivor]]]:
        dead, self._dead = self._dead, []
        groups = [instance.group for instance, _ in dead]
        if self._all:
            groups += self._instances
        self._all, self._at = False, (dead, groups)
        return self._groups.look(groups)

    def _found(self, left: Mapping[Group, Sequence[Survivor]]) -> None:
        (dead, groups), self._at = self._at, ([], [])
        for instance, status in dead:
            instance.left = left.get(instance.group, ())
            # one by one: an error in the handling of one program must not cost another its end
            self._reactor.call_soon(lambda instance=instance, status=status: self._on_end(instance, status))  # type: ignore[misc]
        for group in groups[len(dead) :]:
            self._looked(self._instances[group], left.get(group, ()))

    def _blind(self, error: OSError) -> None:
        """There is no descriptor left to look with: nobody may say that nothing is left."""
        self._dead = [*self._at[0], *self._dead]
        self._all = True
        self._on_blind(f"cannot look for what programs left behind: {system_reason(error)}")

    def guardian_died(self) -> None:
        """Nobody tells of orphans any more: look for those of the instances that are there as for an earlier daemon's."""
        self._groups.guardian_died(self._instances)
        if self._instances:
            self._probe_again()

    def _watch(self, instance: Instance) -> None:
        """See to it that the end of what `instance` left is noticed."""
        self._instances[instance.group] = instance
        if not self._groups.wakes(instance.group) and not self._probing:
            self._probing = True
            self._reactor.call_later(self._probe_s, self._probe_again)

    def _look_once_more(self) -> None:
        """See what has ended between the look that found it and the news of its leader's end."""
        self._looking = False
        self.look()

    def _probe_again(self) -> None:
        self._probing = False
        self.look()
        asleep = [instance for group, instance in self._instances.items() if not self._groups.wakes(group)]
        self._probe_s = min(self._probe_s * 2, PROBE_MOST_S) if asleep else PROBE_FIRST_S
        if asleep:
            self._watch(asleep[0])

    def _looked(self, instance: Instance, left: Sequence[Survivor]) -> None:
        """A group without a leader was looked at: it is empty, or somebody may have come to it."""
        changed, instance.left = instance.left != left, left
        if left:
            self._on_look(instance, changed)
            return
        del self._instances[instance.group]
        self._on_empty(instance)
