"""Runs the hooks of all slots: begins one when `step` asks for it, ends it once nobody waits for it, and tells what came of it.

Made with the first program that has a hook. Which hook a slot has, and whether it is to go on, is read from its process: `hook`
and `hook_stage`. So it does not matter how often, or by which daemon, that is looked at.
"""

from __future__ import annotations

from taskmaster_common.config.hooks import hook_of
from taskmasterd.core.process.events import HookEnded, SpawnFailed
from taskmasterd.core.process.state import POST_START, POST_STOP, PRE_START, RUNS, STOP
from taskmasterd.ondemand import on_demand
from taskmasterd.probing.children import ChildCommand
from taskmasterd.probing.hook import Hook, HookCall
from taskmasterd.probing.text.result import CANCELLED
from taskmasterd.system.loop.cmodules import partial

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.probing import pre_restart
    from taskmasterd.probing.hook import HookContext
    from taskmasterd.probing.leftovers import Mark
    from taskmasterd.probing.pre_restart import PreRestartRun
    from taskmasterd.probing.text.result import Result

else:
    pre_restart = on_demand("taskmasterd.probing.pre_restart")

BEGIN_FOR_S = 0.02
"""Longest time of starting hooks in one turn, seconds: those of a thousand programs must not stall an answer."""
AGAIN_AFTER_S = 1.0
"""Pause after the system has refused a process for a post_start, seconds."""
ALONE = (PRE_START, POST_STOP)
"""Hooks beside which nothing of the program is alive: what was written last is theirs."""
RELOAD = "a reload"
"""Begins `by` of what a reload starts or stops."""


class Hooks:
    """All hooks that run.

    `deliver(entry, event)` hands an event to the supervisor; `remember(entry)` has what runs of a slot written to the state file;
    `shutting_down()` says whether the daemon is being stopped.
    """

    def __init__(
        self,
        context: HookContext,
        deliver: Callable[[Entry, Event], None],
        remember: Callable[[Entry], None],
        shutting_down: Callable[[], bool],
    ) -> None:
        self._context = context
        self._reactor = context.reactor
        self._deliver = deliver
        self._remember = remember
        self._shutting_down = shutting_down
        self._running: dict[Entry, Hook] = {}
        self._asked: dict[Entry, None] = {}
        self._checks: list[PreRestartRun] = []

    @property
    def marks(self) -> list[Mark]:
        """What identifies the children that go on."""
        return [mark for hook in self._running.values() if (mark := hook.mark)]

    @property
    def unsettled(self) -> str:
        """What a later daemon could not learn: an end that was seen and not delivered yet, or the answer of a pre_restart; or ""."""
        if self._checks:
            return "a pre_restart runs"
        return "" if all(hook.settled for hook in self._running.values()) else "a hook has ended"

    def check(self, entry: Entry, reason: str, done: Callable[[str], None]) -> PreRestartRun:
        """Run the pre_restart of a slot; see `PreRestartRun`."""
        run = pre_restart.PreRestartRun(self._context, entry, reason, done, lambda: self._checks.remove(run))
        self._checks.append(run)
        return run

    def begin(self, entry: Entry) -> None:
        """Begin the hook of a slot in a later turn, unless it has become another one by then."""
        if not self._asked:
            self._reactor.call_soon(self._begin_some)
        self._asked[entry] = None

    def changed(self, entry: Entry, _before: Process, _event: Event, after: Process) -> None:
        """End a hook that nobody waits for any more, at once where the process gets KILL."""
        hook = self._running.get(entry)
        if hook is None:
            if after.hook and after.hook_stage != RUNS:
                self.begin(entry)
        elif after.hook_stage != RUNS:
            (hook.kill if after.killing else hook.end)()

    # -- for a later daemon

    def row(self, entry: Entry) -> Mapping[str, Any]:
        """Return the field of a slot's line in the state that tells of its hook."""
        hook = self._running.get(entry)
        row = hook.to_data() if hook else {}
        return {"hook": row} if row else {}

    def resume(self, entry: Entry, row: Mapping[str, Any] | None) -> None:
        """Go on with the hook of a slot of an earlier life; one that never began begins now."""
        process = entry.process
        if not process.hook or entry in self._running:
            return
        if row is None or row["hook"] != process.hook:
            self.begin(entry)
            return
        hook = self._running[entry] = Hook.resume(self._context, entry, row, partial(self._ended, entry))
        if process.hook_stage != RUNS:
            (hook.kill if process.killing else hook.end)()

    # -- inside

    def _begin_some(self) -> None:
        until = self._reactor.now() + BEGIN_FOR_S
        while self._asked and self._reactor.now() < until:
            entry = next(iter(self._asked))
            del self._asked[entry]
            if entry not in self._running and entry.process.hook:
                self._begin(entry)
        if self._asked:
            self._reactor.call_soon(self._begin_some)

    def _begin(self, entry: Entry) -> None:
        process = entry.process
        if process.hook_stage != RUNS:
            self._deliver(entry, HookEnded(None, CANCELLED))
            return
        row = getattr(entry.policy, process.hook)
        if not row:  # a reload has removed it meanwhile
            self._deliver(entry, HookEnded(ok=True))
            return
        command = hook_of(row)
        end = process.end if process.hook == POST_STOP else None
        call = HookCall(
            process.hook,
            ChildCommand(command.words, command.shell, command.user or None),
            self._reason(process),
            end.pid or None if end else process.pid,
            end.status if end else None,
        )
        hook = self._running[entry] = Hook(self._context, entry, process.hook, partial(self._ended, entry))
        hook.begin(call)
        self._remember(entry)

    def _reason(self, process: Process) -> str:
        if process.cause == STOP and self._shutting_down():
            return "shutdown"
        by_reload = process.by.startswith(RELOAD) and process.cause in ("start", "stop", "restart")
        return "reload" if by_reload else process.cause or "start"

    def _ended(self, entry: Entry, result: Result) -> None:
        hook, name = self._running.pop(entry), entry.process.hook
        if hook.lost:
            self.begin(entry)
            return
        refused = result.ok is None and not hook.began and entry.process.hook_stage == RUNS
        if refused and name == PRE_START:
            self._deliver(entry, SpawnFailed(result.text))
        elif refused and name == POST_START:
            self._reactor.call_later(AGAIN_AFTER_S, partial(self.begin, entry))
        else:
            said = f": {result.output[-1]}" if result.output and not result.ok and name in ALONE else ""
            self._deliver(entry, HookEnded(result.ok, f"{result.text}{said}"))
