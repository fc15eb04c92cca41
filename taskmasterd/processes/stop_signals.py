"""The stop signal: who gets it at once, and who may read on first.

It goes to the process group at once, unless there are readers among its members (`core.readers`): then each of the others
gets it, and the readers when nobody feeds them any more and their grace is over. Looks at processes take a bounded time of
each turn.
"""

from __future__ import annotations

from taskmaster_common.states import STOPPING
from taskmasterd.core.process.events import Signalled
from taskmasterd.core.process.readers import GRACE_S, Member, waiting
from taskmasterd.processes.members.pipes import MOST_MEMBERS, family, input_pipes, output_pipes
from taskmasterd.system.loop.slices import BURST, BURST_EVERY_S, in_bursts
from taskmasterd.system.procfs import look, uid_of
from taskmasterd.system.users import user_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from taskmasterd.processes.instance import Instance
    from taskmasterd.processes.members.group import Group
    from taskmasterd.system.loop.reactor import Reactor
    from taskmasterd.system.procfs import Survivor

ASK_FOR_S = 0.02
"""Time in which processes are looked at in one turn, seconds: a stop of a thousand programs must not stall an answer."""


class StopSignals:
    """Sends stop signals; `on_answer(instance, answer)` is called with those that it sends by itself later."""

    def __init__(self, reactor: Reactor, on_answer: Callable[[Instance, Signalled], None]) -> None:
        self._reactor = reactor
        self._on_answer = on_answer
        self._due: dict[Instance, dict[int, float]] = {}
        self._armed: set[Instance] = set()
        self._postponed: list[Instance] = []
        self._until = 0.0

    def ask(self, instance: Instance) -> Signalled:
        """Send the stop signal to all of an instance that have not got it yet and need not wait for it."""
        if self._is_late(instance):
            return Signalled()
        group, number = instance.group, instance.entry.wanted.stopsignal
        if not group.leader_alive:
            return self.signal(instance, self._without_readers(instance, instance.survivors), number)
        if (0, number) in group.signalled:
            return Signalled()
        one_by_one = any(sent == number for _pid, sent in group.signalled)
        members = self._members(group) if group.stop_group and not group.leader_first else None
        if members:
            first = self._without_readers(instance, members)
            if one_by_one or len(first) < len(members):
                return signal_members(group, [one for one in first if one.group == group.pid], number, len(members))
        return Signalled() if one_by_one else signal_group(group, number)

    def signal(self, instance: Instance, survivors: Sequence[Survivor], number: int) -> Signalled:
        """Signal these of what a leader has left, if they have not got this signal yet: many of them in bursts."""
        first, rest = survivors[:BURST], survivors[BURST:]
        if rest:
            work = instance.group.signalling(rest, number)
            self._reactor.call_later(
                BURST_EVERY_S,
                lambda: in_bursts(
                    self._reactor, work, lambda refused: self._rest_signalled(instance, refused, len(rest))
                ),
            )
        return signal_members(instance.group, first, number, len(instance.survivors))

    def _rest_signalled(self, instance: Instance, refused: Sequence[Survivor], of: int) -> None:
        if instance.entry.process.state == STOPPING and instance.survivors:
            self._on_answer(instance, Signalled(tuple(map(name_with_owner, refused)), len(refused) < of))

    def resume(self, instance: Instance) -> None:
        """Go on with a stop of an earlier life."""
        self._reactor.call_soon(lambda: self._again(instance))

    def _is_late(self, instance: Instance) -> bool:
        """Return whether this turn's time is used up, so that the instance is asked in the next one."""
        now = self._reactor.now()
        if not self._until:
            self._until = now + ASK_FOR_S
            self._reactor.call_soon(self._next_turn)
        if now < self._until:
            return False
        self._postponed.append(instance)
        return True

    def _next_turn(self) -> None:
        self._until = 0.0
        postponed, self._postponed = self._postponed, []
        for instance in postponed:
            self._again(instance)

    @staticmethod
    def _members(group: Group) -> list[Survivor] | None:
        """Return the leader and all that is below it, [] where nothing is, None where nobody may know."""
        try:
            return family(group.pid)
        except OSError:  # no descriptor to look with
            return None

    def _without_readers(self, instance: Instance, there: Sequence[Survivor]) -> list[Survivor]:
        """Return which of these processes of an instance need not wait; all of them where nobody can look."""
        try:
            return self._judged(instance, there)
        except OSError:
            return list(there)

    def _judged(self, instance: Instance, there: Sequence[Survivor]) -> list[Survivor]:
        number = instance.entry.wanted.stopsignal
        leader = instance.group.pid if instance.group.leader_alive else 0
        known = {leader, 0, *(pid for pid, sent in instance.group.signalled if sent == number)}
        untold = [one for one in there[:MOST_MEMBERS] if one.pid not in known]
        reads = {one.pid: pipes for one in untold if (pipes := input_pipes(one))}
        due = self._due.pop(instance, {})
        if not reads:
            return list(there)
        now = self._reactor.now()
        members = [
            Member(one.pid, reads.get(one.pid, ()), output_pipes(one.pid), one.parent) for one in there[:MOST_MEMBERS]
        ]
        still, due = waiting(members, due, now, leader)
        if still:
            self._due[instance] = due
            self._look_again_at(instance, min((end for end in due.values() if end > now), default=now + GRACE_S))
        return [one for one in there if one.pid not in still]

    def _look_again_at(self, instance: Instance, moment: float) -> None:
        if instance not in self._armed:
            self._armed.add(instance)
            self._reactor.call_at(moment, lambda: self._grace_is_over(instance))

    def _grace_is_over(self, instance: Instance) -> None:
        self._armed.discard(instance)
        self._again(instance)

    def _again(self, instance: Instance) -> None:
        """Ask those who had to wait, where the stop is still going on."""
        process = instance.entry.process
        if (
            process.state == STOPPING
            and not process.past_asking
            and (instance.group.leader_alive or instance.survivors)
        ):
            self._on_answer(instance, self.ask(instance))
        else:
            self._due.pop(instance, None)


def signal_group(group: Group, number: int) -> Signalled:
    """Signal the leader, with its group where that is to be; return whether that is refused."""
    allowed, others = group.signal_group(number)
    if allowed:
        return Signalled()
    try:
        leader = look(group.pid)
    except OSError:
        return Signalled((f"pid {group.pid}",), others)
    return Signalled((name_with_owner(leader),), others) if leader else Signalled()


def signal_members(group: Group, survivors: Sequence[Survivor], number: int, of: int) -> Signalled:
    """Signal these `of` so many processes, if they have not got this signal yet; return who may not be signalled."""
    refused = group.signal_each(survivors, number)
    return Signalled(tuple(map(name_with_owner, refused)), len(refused) < of)


def name_with_owner(process: Survivor) -> str:
    """Return a process as those are named that may not be signalled: "sudo (4711) of root"."""
    try:
        uid = uid_of(process.pid)
    except OSError:
        uid = None
    return str(process) if uid is None else f"{process} of {user_name(uid)}"
