"""One run of one hook: a program around the life of an instance, with a time limit, and ended with all that it leaves.

Its output goes where the program's stderr goes, by a pipe that the daemon's death and upgrades do not break. A later daemon goes on
with a hook that runs (`to_data`, `resume`); if it is not that daemon's child, its status may stay unknown.
"""

from __future__ import annotations

import os

from taskmaster_common.records import Record
from taskmasterd.core.process.ends import exit_code, exit_signal
from taskmasterd.output.read import tail_since
from taskmasterd.probing.children import Order
from taskmasterd.probing.leftovers import Mark
from taskmasterd.probing.run import ChildRun
from taskmasterd.probing.text.result import CANCELLED, MOST_LINES, Result, escaped, late_text
from taskmasterd.processes.members.proofs import HOOK
from taskmasterd.system.loop.cmodules import partial, signal
from taskmasterd.system.procfs import boot_seconds, started_at
from taskmasterd.system.spawner import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.output.pipe import LogPipe
    from taskmasterd.output.streams import Outputs
    from taskmasterd.probing.children import Child, ChildCommand, Children
    from taskmasterd.system.loop.reactor import Reactor, Timer

    Done = Callable[[Result], None]

TIMEOUT_S = 30.0
EXEC_WITHIN_S = 10.0
"""Longest time from fork to exec, added to the time limit until the exec: a directory may be on a dead server."""
KILL_AFTER_S = 2.0
"""Pause between TERM and KILL at the end of a hook's time, seconds."""
MOST_LINE = 200
"""Characters kept of each of the last lines."""


class HookCall(Record):
    """What to run. `name` is the key ("pre_start"), `reason` why ("reload"); the rest is what `variables` says."""

    name: str
    command: ChildCommand
    reason: str
    timeout_s: float = TIMEOUT_S
    pid: int | None = None
    status: int | None = None

    def variables(self) -> dict[str, str]:
        """Return the variables for the hook: about the instance `pid`, and how its leader ended, by wait status."""
        found = {"TASKMASTER_HOOK": self.name, "TASKMASTER_REASON": self.reason}
        if self.pid is not None:
            found["TASKMASTER_PID"] = str(self.pid)
        code, number = exit_code(self.status), exit_signal(self.status)
        if code is not None:
            found["TASKMASTER_EXIT_CODE"] = str(code)
        if number is not None:
            found["TASKMASTER_EXIT_SIGNAL"] = str(number)
        return found


class HookContext(Record):
    """What all hooks work with. `signals` maps numbers to names without SIG; `say(level, text)` writes to the event log."""

    reactor: Reactor
    children: Children
    outputs: Outputs
    signals: Mapping[int, str]
    say: Callable[[str, str], None]


class Hook(ChildRun):
    """One hook of the slot `entry`; `done(result)` is called once, in a later turn, when nothing of the hook is left."""

    def __init__(self, context: HookContext, entry: Entry, name: str, done: Done) -> None:
        super().__init__(context.reactor, context.signals)
        self._context = context
        self._entry = entry
        self._name = name
        self._done = done
        self._pipes: tuple[LogPipe, ...] = ()
        self._log_start = ("", 0)
        self._timeout_s = TIMEOUT_S
        self._until = 0.0
        self._timer: Timer | None = None

    @property
    def pid(self) -> int | None:
        """The hook's process, None before it has one."""
        return self._child.pid if self._child else None

    def begin(self, call: HookCall) -> None:
        """Start it, as the program that is wanted (pre_start) or present."""
        self._timeout_s = call.timeout_s
        program = self._entry.wanted if call.name == "pre_start" else self._entry.present
        order = Order(HOOK, program, self._entry.index, call.command, call.variables())
        if self._done and self._begin(self._done, call.command.words[0], partial(self._start, order, program)):
            self._arm(self._timeout_s + EXEC_WITHIN_S, self._late)

    def end(self) -> None:
        """End it early: TERM, and KILL_AFTER_S later KILL. A second call does nothing."""
        self._end(Result(None, CANCELLED))

    # -- for a later daemon

    def to_data(self) -> dict[str, Any] | None:
        """Return what a later daemon needs to go on, None where nothing runs."""
        child = self._child
        if child is None:
            return None
        started = started_at(child.pid)
        left_s = self._until - self._reactor.now()
        return {
            "hook": self._name,
            "pid": child.pid,
            "started": -1 if started is None else started,
            "tag": child.mark.tag,
            "until": boot_seconds() + left_s,
            "timeout": self._timeout_s,
            "log": list(self._log_start),
            "given_up": self._verdict is not None,
        }

    @classmethod
    def resume(cls, context: HookContext, entry: Entry, row: Mapping[str, Any], done: Done) -> Hook:
        """Go on with the hook of an earlier daemon, from the data of `to_data`."""
        hook = cls(context, entry, row["hook"], done)
        hook._go_on(row)
        return hook

    def _go_on(self, row: Mapping[str, Any]) -> None:
        path, size = row["log"]
        self._log_start = str(path), int(size)
        self._timeout_s = row["timeout"]
        mark = mark_in(row, self._entry.program, self._entry.index)
        self._child = self._context.children.resume(mark, row["started"], self)
        self._arm(max(0.0, row["until"] - boot_seconds()), self._kill if row["given_up"] else self._late)
        if row["given_up"]:
            self._verdict = Result(None, CANCELLED)

    # -- news of the child

    def left(self, names: tuple[str, ...]) -> None:
        """Name what it left behind, unless the hook was ended itself."""
        if self._verdict is None:
            count, these = len(names), "it" if len(names) == 1 else "them"
            processes = "process" if count == 1 else "processes"
            text = f"{self._entry.canonical}: {self._name} left {count} {processes} behind; ending {these}"
            self._context.say("warning", text)

    # -- inside

    def _time_begins(self) -> None:
        self._arm(self._timeout_s, self._late)

    def _last_words(self) -> tuple[str, ...]:
        self._context.outputs.drain(self._pipes)
        path, size = self._log_start
        words = tuple(escaped(line[:MOST_LINE]) for line in tail_since(path, size)) if path else ()
        return words[-MOST_LINES:]

    def _start(self, order: Order, program: ProgramConfig) -> Child:
        who = order.account()
        streams = self._context.outputs.open_errors(self._entry, program, who)
        try:
            child = self._context.children.spawn(order, who, streams.stdout, streams.stderr, self)
        except (SetupError, OSError, ValueError):
            for pipe in streams.pipes:
                pipe.close()
            raise
        finally:
            for fd in streams.children_ends:
                os.close(fd)
        self._pipes, self._log_start = streams.pipes, streams.log_start
        self._context.outputs.leave(streams.pipes)  # so that a later daemon finds them
        return child

    def _arm(self, seconds: float, then: Callable[[], None]) -> None:
        self._reactor.cancel(self._timer)
        self._until = self._reactor.now() + seconds
        self._timer = self._reactor.call_at(self._until, then)

    def _late(self) -> None:
        self._end(Result(False, late_text(self._timeout_s)))

    def _end(self, verdict: Result) -> None:
        if self._child is not None and self._verdict is None:
            self._give_up(verdict, signal.SIGTERM)
            self._arm(KILL_AFTER_S, self._kill)

    def _kill(self) -> None:
        if self._child is not None:
            self._child.signal(signal.SIGKILL)

    def _over(self) -> None:
        self._reactor.cancel(self._timer)


def mark_in(row: Mapping[str, Any], program: str, index: int) -> Mark:
    """Return what identifies the hook of a slot in the data of `Hook.to_data`."""
    return Mark(row["pid"], row["tag"], HOOK, program, index)
