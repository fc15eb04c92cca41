"""Passes changes on to subscribers. It is a member of the change bus; `verbs/subscribe` is imported with the first subscriber."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps

    class Followers(Protocol):
        """All subscribers."""

        def changed(self, entry: Entry, before: Process, event: Event, after: Process, /) -> None:
            """`event` has made `after` out of the process `before`."""

        def applied(self, plan: ReloadPlan, /) -> Steps[None]:
            """The supervisor has carried out a plan."""


class Audience:
    """The followers, if there are any, and the number of the last change."""

    def __init__(self, sequence: int = 0) -> None:
        self.sequence = sequence
        self.followers: Followers | None = None

    def attend(self, followers: Followers) -> None:
        """Pass changes on to these from now on."""
        self.followers = followers

    def count(self) -> int:
        """Number a new change; returns the number."""
        self.sequence += 1
        return self.sequence

    def changed(self, entry: Entry, before: Process, event: Event, after: Process) -> None:
        """Pass on that `event` has made `after` out of the process `before`."""
        if self.followers:
            self.followers.changed(entry, before, event, after)

    def applied(self, plan: ReloadPlan) -> Steps[None]:
        """Pass on that the supervisor has carried out a plan."""
        if self.followers:
            yield from self.followers.applied(plan)
