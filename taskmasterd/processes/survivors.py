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

    from taskmasterd.processes.instance import Copy
    from taskmasterd.processes.members.groups import Group, Groups
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.procfs import Survivor

PROBE_FIRST_S = 0.01
PROBE_MOST_S = 0.5
"""How often a group is looked at where the end of a survivor does not wake us (no Linux)."""


class Leftovers:
    """The copies without a leader of which something is alive.

    `on_end(copy, status)` is called in a later turn for each leader that has ended, with what it left in `copy.left`;
    `on_look(copy, changed)` when a look finds something, which may have changed, `on_empty(copy)` when it finds nothing.
    `on_blind(text)` is called where /proc shows nothing for lack of descriptors.
    """

    def __init__(
        self,
        reactor: Reactor,
        groups: Groups,
        on_end: Callable[[Copy, int | None], None],
        on_look: Callable[[Copy, bool], None],
        on_empty: Callable[[Copy], None],
        on_blind: Callable[[str], None],
    ) -> None:
        self._reactor = reactor
        self._groups = groups
        self._on_end = on_end
        self._on_look = on_look
        self._on_empty = on_empty
        self._on_blind = on_blind
        self._copies: dict[Group, Copy] = {}
        self._dead: list[tuple[Copy, int | None]] = []
        self._at: tuple[list[tuple[Copy, int | None]], list[Group]] = [], []
        self._all = self._looking = False
        self._looks = Looks(reactor, self._begin, self._found, self._blind)
        self._probing = False
        self._probe_s = PROBE_FIRST_S

    @property
    def settled(self) -> bool:
        """Whether every leader that has ended was looked after."""
        return not self._looks.under_way

    def __len__(self) -> int:
        return len(self._copies)

    def add(self, copy: Copy) -> None:
        """Take in a copy whose leader has ended; the next look tells whether what it left is still there."""
        self._watch(copy)
        if not self._looking:
            self._looking = True
            self._reactor.call_soon(self._look_once_more)

    def look(self, dead: Sequence[tuple[Copy, int | None]] = (), *, strangers: bool = True) -> None:
        """Look for every group that lost its leader (`dead`), or where `strangers` ended a member."""
        self._dead += dead
        self._all = self._all or strangers or not self._groups.can_see
        if self._dead or (self._all and self._copies):
            self._looks.ask()

    def _begin(self) -> Generator[None, None, Mapping[Group, Sequence[Survivor]]]:
        dead, self._dead = self._dead, []
        groups = [copy.group for copy, _ in dead]
        if self._all:
            groups += self._copies
        self._all, self._at = False, (dead, groups)
        return self._groups.look(groups)

    def _found(self, left: Mapping[Group, Sequence[Survivor]]) -> None:
        (dead, groups), self._at = self._at, ([], [])
        for copy, status in dead:
            copy.left = left.get(copy.group, ())
            # one by one: an error in the handling of one program must not cost another its end
            self._reactor.call_soon(lambda copy=copy, status=status: self._on_end(copy, status))  # type: ignore[misc]
        for group in groups[len(dead) :]:
            self._looked(self._copies[group], left.get(group, ()))

    def _blind(self, error: OSError) -> None:
        """There is no descriptor left to look with: nobody may say that nothing is left."""
        self._dead = [*self._at[0], *self._dead]
        self._all = True
        self._on_blind(f"cannot look for what programs left behind: {system_reason(error)}")

    def guardian_died(self) -> None:
        """Nobody tells of orphans any more: look for those of the copies that are there as for an earlier daemon's."""
        self._groups.guardian_died(self._copies)
        if self._copies:
            self._probe_again()

    def _watch(self, copy: Copy) -> None:
        """See to it that the end of what `copy` left is noticed."""
        self._copies[copy.group] = copy
        if not self._groups.wakes(copy.group) and not self._probing:
            self._probing = True
            self._reactor.call_later(self._probe_s, self._probe_again)

    def _look_once_more(self) -> None:
        """See what has ended between the look that found it and the news of its leader's end."""
        self._looking = False
        self.look()

    def _probe_again(self) -> None:
        self._probing = False
        self.look()
        asleep = [copy for group, copy in self._copies.items() if not self._groups.wakes(group)]
        self._probe_s = min(self._probe_s * 2, PROBE_MOST_S) if asleep else PROBE_FIRST_S
        if asleep:
            self._watch(asleep[0])

    def _looked(self, copy: Copy, left: Sequence[Survivor]) -> None:
        """A group without a leader was looked at: it is empty, or somebody may have come to it."""
        changed, copy.left = copy.left != left, left
        if left:
            self._on_look(copy, changed)
            return
        del self._copies[copy.group]
        self._on_empty(copy)
