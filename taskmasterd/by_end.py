"""What ends of programs ask for: with `essential` and `exit_when` they end the daemon.

Loaded while the configuration uses one of the two keys (`effects.EndingKeys`).
"""

from __future__ import annotations

from taskmaster_common.config import ALL_DONE, ONESHOT
from taskmaster_common.states import FATAL
from taskmasterd.core.process.ends import exit_code, exit_signal
from taskmasterd.core.programs.exitrule import (
    all_done,
    essential_code,
    is_blocked,
    keeps_daemon,
    last_keeper,
    waits_for_its_time,
)
from taskmasterd.core.words.describe import failed_start_text, status_text
from taskmasterd.core.words.view import slot_detail
from taskmasterd.survival.state import Cause
from taskmasterd.telling.bus import REACT, BusMember

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.control.context import Context
    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.plan import ReloadPlan
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.core.steps import Steps

ALL_ARE_DONE = "exit_when: all-done"


class EndRequests:
    """Follows the change bus as `member`; `stop_for(cause)` asks for the orderly stop.

    Ends of essential programs count when they happen. Whether all is done is a level: it is looked at once a turn at most, and
    never while a plan is being applied, when programs of the old file may be gone and those of the new one not there yet.
    """

    def __init__(self, context: Context, stop_for: Callable[[Cause], None], applying: bool) -> None:
        """`applying`: a plan is about to be applied."""
        self._context = context
        self._stop_for = stop_for
        self._keeper: Entry | None = None
        self._applying = applying
        self._look_due = False
        self.member = BusMember(REACT, self.changed, None, self.gone, self.applying, self.applied)
        self.look_soon()

    def changed(self, entry: Entry, before: Process, _event: Event, after: Process) -> None:
        """Stop the daemon if this is the end of an essential program; look whether all is done."""
        code = essential_code(entry.wanted.essential, before, after)
        if code is not None and not self._others_run(entry):
            who = f"{self._context.supervisor.table.name(entry)} (essential)"
            self._stop_for(Cause(code, who, f"{who} {self._end_text(entry)}"))
        elif self._keeper is None or (entry is self._keeper and not (keeps_daemon(after) or waits_for_its_time(entry))):
            self.look_soon()

    def _others_run(self, entry: Entry) -> bool:
        """Return whether a job is done whose other instances are not: the last of them ends the daemon."""
        slots = self._context.supervisor.table.slots(entry.program)
        job = entry.policy.type == ONESHOT and entry.process.done
        return job and not all(other.process.done for other in slots if not other.removed)

    def gone(self, entry: Entry) -> None:
        """Look whether all is done without a slot that has left the table."""
        if entry is self._keeper:
            self.look_soon()

    def applying(self, _plan: ReloadPlan) -> Steps[None]:
        """Take no look until the plan is applied."""
        self._applying = True
        yield from ()

    def applied(self, _plan: ReloadPlan) -> Steps[None]:
        """Look whether all is done under the new configuration."""
        self._applying = False
        self.look_soon()
        yield from ()

    def look_soon(self) -> None:
        """Look whether all is done, at the end of this turn."""
        if not self._look_due:
            self._look_due = True
            self._context.reactor.call_soon(self._look)

    def _look(self) -> None:
        self._look_due = False
        if self._applying or self._context.configuration.config.daemon.exit_when != ALL_DONE:
            return
        table = self._context.supervisor.table
        self._keeper = last_keeper(table)
        done = None if self._keeper else all_done(table, self._context.reactor.now())
        if done:
            code, failed = done
            text = f"; the first that failed: {table.name(failed)} {self._end_text(failed)}" if failed else ""
            self._stop_for(Cause(code, ALL_ARE_DONE, f"all programs are done ({ALL_ARE_DONE}){text}"))

    def _end_text(self, entry: Entry) -> str:
        """Return how a process ended for good, as the rest of a sentence: "exited 3", "was killed by SIGSEGV"."""
        process, signals = entry.process, self._context.identity.signals
        if process.state == FATAL:
            return f"gave up: {failed_start_text(process, entry.policy, signals)}"
        if is_blocked(process) or process.end is None:
            return f"is {slot_detail(self._context.supervisor.table, entry, self._context.reactor.now(), signals)}"
        status = process.end.status
        if status is None:
            return "ended while no daemon was there"
        return f"was {status_text(status, signals)}" if exit_signal(status) else f"exited {exit_code(status)}"
