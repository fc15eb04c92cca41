"""The change bus: passes every change of a process, of the table and of the configuration to its members, in order.

A member joins one of three phases. REMEMBER comes first, so that nobody learns of a change that a daemon which dies now would
have forgotten. TELL reaches people: the event log and subscribers. REACT is for the parts that follow, such as systemd's
status. Within a phase the bus calls members in the order in which they joined.

The bus catches no errors: an error of a member ends the notification, and the loop reports it. So nobody learns of a change
that could not be remembered.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps

REMEMBER, TELL, REACT = 1, 2, 3


class BusMember(Record):
    """One member: its phase, and a callable for each kind of news that it wants.

    `changed(entry, before, event, after)`: an event has changed the process of a slot. `added(entry)`: a slot is new in the
    table, or was taken over. `gone(entry)`: a slot has left the table. `preparing(plan)`: get what a reload needs, and return what is
    possible of it, and why not the rest, by program; `applying(plan)`: the supervisor is about to apply a
    reload; `applied(plan)`: it has applied the reload. These three work in steps. `refused()`: a reload was refused, with other
    problems than the last one.
    """

    phase: int
    changed: Callable[[Entry, Process, Event, Process], None] | None = None
    added: Callable[[Entry], None] | None = None
    gone: Callable[[Entry], None] | None = None
    applying: Callable[[ReloadPlan], Steps[None]] | None = None
    applied: Callable[[ReloadPlan], Steps[None]] | None = None
    refused: Callable[[], None] | None = None
    preparing: Callable[[ReloadPlan], Steps[tuple[ReloadPlan, Mapping[str, str]]]] | None = None


class Bus:
    """Calls all members. The supervisor and the reloader know only the bus."""

    def __init__(self, *members: BusMember) -> None:
        self._members: tuple[BusMember, ...] = ()
        for member in members:
            self.join(member)

    def join(self, member: BusMember) -> None:
        """Call a member from now on, after those of its phase that joined earlier."""
        self._members = tuple(sorted((*self._members, member), key=lambda each: each.phase))

    def leave(self, member: BusMember) -> None:
        """Call a member no more."""
        self._members = tuple(each for each in self._members if each is not member)

    def changed(self, entry: Entry, before: Process, event: Event, after: Process) -> None:
        """Pass on that `event` has made `after` out of the process `before`."""
        for member in self._members:
            if member.changed:
                member.changed(entry, before, event, after)

    def added(self, entry: Entry) -> None:
        """Pass on that a slot is new in the table, or was taken over."""
        for member in self._members:
            if member.added:
                member.added(entry)

    def gone(self, entry: Entry) -> None:
        """Pass on that a slot has left the table."""
        for member in self._members:
            if member.gone:
                member.gone(entry)

    def preparing(self, plan: ReloadPlan) -> Steps[tuple[ReloadPlan, Mapping[str, str]]]:
        """Have the members get what a plan needs; return what is possible of it, and why not the rest, by program."""
        refused: dict[str, str] = {}
        for member in self._members:
            if member.preparing:
                plan, texts = yield from member.preparing(plan)
                refused |= texts
        return plan, refused

    def applying(self, plan: ReloadPlan) -> Steps[None]:
        """Pass on that the supervisor is about to carry out a plan."""
        for member in self._members:
            if member.applying:
                yield from member.applying(plan)

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Pass on that the supervisor has carried out a plan."""
        for member in self._members:
            if member.applied:
                yield from member.applied(plan)

    def refused(self) -> None:
        """Pass on that a reload was refused, with other problems than the last one."""
        for member in self._members:
            if member.refused:
                member.refused()
