"""Who asks for a reload, and what they are told."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.programs.ticket import Outcome, Ticket
    from taskmasterd.core.steps import Steps
    from taskmasterd.telling.notify_socket import Notifier


class Requester:
    """Somebody who asked for a reload. This one ignores all answers.

    `by` names it in the event log. `sees_values`: lines of the file, which can hold values of env, may be sent to it.
    `no_restart`: what the plan would restart goes on. `rollback`: the plan is on trial. `concludes`: this one ends a trial.
    """

    dry_run = False
    no_restart = False
    rollback = False
    concludes = False
    by = "SIGHUP"
    sees_values = False

    def failed(self, problems: tuple[str, ...], code: str) -> None:
        """Nothing was changed; called once, instead of all others. `code` is one of the wire: config, busy, failed, stopping."""

    def planned(self, plan: ReloadPlan, warnings: tuple[str, ...]) -> Steps[None]:
        """Take the plan; called once. A dry run ends here."""
        del plan, warnings
        yield from ()

    def result(self, entry: Entry, outcome: Outcome) -> None:
        """One process that the plan touched has settled."""

    def tried(self, entry: Entry) -> None:
        """A start has failed and will be tried again."""

    def said(self, name: str, text: str, final: bool) -> None:
        """A rolling restart of a program says how far it is, or, at its end, what has become of it."""

    def settled(self, ticket: Ticket) -> None:
        """All processes that the plan touched have settled; called once."""

    def waiting(self, ticket: Ticket) -> None:
        """The plan is recorded and about to be carried out; `ticket` knows what has not settled yet."""


class HangUpRequester(Requester):
    """The sender of SIGHUP. Only systemd waits for the end of that reload."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    def failed(self, problems: tuple[str, ...], code: str) -> None:
        """Report the end of a reload that changed nothing."""
        del problems, code
        self._notifier.ready()

    def planned(self, plan: ReloadPlan, warnings: tuple[str, ...]) -> Steps[None]:
        """Report the end of the reload: systemd does not wait for the programs."""
        del plan, warnings
        self._notifier.ready()
        yield
