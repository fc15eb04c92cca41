"""One run of a program's pre_restart, with its time limit; whether the program may be restarted is for who has asked."""

from __future__ import annotations

from taskmaster_common.config.hooks import hook_of
from taskmasterd.core.process.state import PRE_RESTART, RECYCLE
from taskmasterd.probing.children import ChildCommand
from taskmasterd.probing.hook import Hook, HookCall
from taskmasterd.probing.text.result import late_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from taskmasterd.core.programs.table import Entry
    from taskmasterd.probing.hook import HookContext
    from taskmasterd.probing.text.result import Result

MOST_SAID = 2
"""Last lines of its output that the reason has: `nginx -t` says in the last one only that the test has failed."""

REFUSED = {RECYCLE: "not recycled"}
"""What is said for a reason, where it is not the usual."""


class PreRestartRun:
    """Calls `done("")`, or with the reason why the program must not be restarted, unless it is cancelled before.

    `over()` is called in any case, when nothing of it is left.
    """

    def __init__(
        self, context: HookContext, entry: Entry, reason: str, done: Callable[[str], None], over: Callable[[], None]
    ) -> None:
        self._context = context
        self._entry = entry
        self._done: Callable[[str], None] | None = done
        self._over = over
        self._late = ""
        command = hook_of(entry.policy.pre_restart)
        self.hook = Hook(context, entry, PRE_RESTART, self._ended)
        self._timer = context.reactor.call_later(command.timeout_s, lambda: self._is_late(command.timeout_s))
        self._reason = reason
        self._refused = REFUSED.get(reason, "not restarted")
        context.say(entry, "info", f"running {PRE_RESTART}")
        words = ChildCommand(command.words, command.shell, command.user or None)
        self.hook.begin(HookCall(PRE_RESTART, words, reason, entry.process.pid))

    def cancel(self) -> None:
        """End it; its answer does not matter any more."""
        self._done = None
        self.hook.end()

    def _is_late(self, after_s: float) -> None:
        self._late = late_text(after_s)
        self.hook.end()

    def _ended(self, result: Result) -> None:
        self._context.reactor.cancel(self._timer)
        self._over()
        done, self._done = self._done, None
        if done is None:
            return
        if result.ok and not self._late:
            self._context.say(self._entry, "info", f"{PRE_RESTART} done")
            done("")
            return
        lines = result.output[-MOST_SAID:]
        said, how = "; ".join(lines), f"{PRE_RESTART}: {self._late or result.text}"
        because = f"{how}{': ' if said else ''}{said}"
        self._context.say(self._entry, "warning", f"{self._refused}: {because}")
        if self._reason not in REFUSED:  # else who has asked notes it, with a word of its own
            self._context.refused(self._entry, f"{self._refused}: {how}", lines)
        done(because)
