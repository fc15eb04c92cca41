"""One run of one hook: a program around the life of an instance, ended with all that it leaves.

Its output goes where the program's stderr goes, by a pipe that the daemon's death and upgrades do not break. A later daemon goes on
with a hook that runs (`to_data`, `resume`); if it is not that daemon's child, its status may stay unknown. How long it may run is
for `core.process.hooks` to say.
"""

from __future__ import annotations

import os

from taskmaster_common.config import for_instance
from taskmaster_common.config.words import OPTIONAL, value_files
from taskmaster_common.records import Record
from taskmasterd.core.process.ends import exit_code, exit_signal
from taskmasterd.core.process.moves import HOOK_GRACE_S
from taskmasterd.core.process.state import PRE_RESTART, PRE_START
from taskmasterd.core.words.describe import left_text
from taskmasterd.output.read import tail_since
from taskmasterd.probing.children import Order
from taskmasterd.probing.leftovers import Mark
from taskmasterd.probing.run import ChildRun
from taskmasterd.probing.text.result import CANCELLED, MOST_LINES, Result, escaped
from taskmasterd.processes.members.proofs import HOOK
from taskmasterd.system.loop.cmodules import partial, signal
from taskmasterd.system.pidfds import awaits_exec
from taskmasterd.system.procfs import started_at
from taskmasterd.system.spawner import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.core.programs.table import Entry
    from taskmasterd.output.pipe import LogPipe
    from taskmasterd.output.streams import Outputs
    from taskmasterd.probing.children import Child, ChildCommand, Children
    from taskmasterd.system.loop.reactor import Reactor, Timer

    Done = Callable[[Result], None]

AS_WANTED = (PRE_START, PRE_RESTART)
"""Hooks that are about the instance to come."""
MOST_LINE = 200
"""Characters kept of each of the last lines."""


class HookCall(Record):
    """What to run. `name` is the key ("pre_start"), `reason` why ("reload"); the rest is what `variables` says."""

    name: str
    command: ChildCommand
    reason: str
    pid: int | None = None
    status: int | None = None

    def variables(self) -> dict[str, str]:
        """Return the variables for the hook: about the instance `pid`, which may have ended, and how its leader ended, by wait status."""
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
    """What all hooks work with.

    `signals` maps numbers to names without SIG; `say(entry, level, text)` writes to the event log, `refused(entry, why, said)` to the history that a hook does not allow a restart, with what it has printed.
    """

    reactor: Reactor
    children: Children
    outputs: Outputs
    signals: Mapping[int, str]
    say: Callable[[Entry, str, str], None]
    refused: Callable[[Entry, str, Sequence[str]], None]


class Hook(ChildRun):
    """One hook of the slot `entry`; `done(result)` is called once, in a later turn, when nothing of the hook is left.

    `began`: there was a child. `lost`: an earlier daemon's child had executed nothing when it was found, so it has to begin again.
    """

    def __init__(self, context: HookContext, entry: Entry, name: str, done: Done) -> None:
        super().__init__(context.reactor, context.signals)
        self._context = context
        self._entry = entry
        self._name = name
        self._done = done
        self._pipes: tuple[LogPipe, ...] = ()
        self._log_start = ("", 0)
        self._started = -1
        self.began = self.lost = False
        self._timer: Timer | None = None

    @property
    def pid(self) -> int | None:
        """The hook's process, None before it has one."""
        return self._child.pid if self._child else None

    @property
    def mark(self) -> Mark | None:
        """What identifies its child, None where there is none."""
        return self._child.mark if self._child else None

    @property
    def settled(self) -> bool:
        """Whether the end of its child was not seen yet: nothing is known that a later daemon could not learn."""
        return self._child is None or self._child.alive

    def begin(self, call: HookCall) -> None:
        """Start it, as the program that is wanted or present."""
        program = self._entry.wanted if self._name in AS_WANTED else self._entry.present
        order = Order(HOOK, program, self._entry.index, call.command, call.variables())
        if self._done:
            self.began = self._begin(self._done, call.command.words[0], partial(self._start, order, program))
        if self._child:
            self._started = started_at(self._child.pid) or -1
        if self._name == PRE_START:
            self._entry.say(waits_for(program, self._entry.index) if self._child else "")

    def end(self) -> None:
        """End it: TERM, and a moment later KILL, or KILL at once where nothing is executed yet. A second call does nothing."""
        if self._child is not None and self._verdict is None:
            self._context.children.settle(self._child.pid)  # its report may have come just now
        if self._child is not None and self._verdict is None:
            self._give_up(Result(None, CANCELLED), signal.SIGTERM if self._executed else signal.SIGKILL)
            self._timer = self._reactor.call_later(HOOK_GRACE_S, self.kill)

    def kill(self) -> None:
        """End it at once."""
        if self._child is not None:
            self._verdict = self._verdict or Result(None, CANCELLED)
            self._child.signal(signal.SIGKILL)

    # -- for a later daemon

    def to_data(self) -> dict[str, Any]:
        """Return what a later daemon needs to go on, {} where nothing runs."""
        if self._child is None:
            return {}
        return {
            "hook": self._name,
            "pid": self._child.pid,
            "started": self._started,
            "tag": self._child.mark.tag,
            "log": self._log_start,
        }

    @classmethod
    def resume(cls, context: HookContext, entry: Entry, row: Mapping[str, Any], done: Done) -> Hook:
        """Go on with the hook of an earlier daemon, from the data of `to_data`."""
        hook = cls(context, entry, row["hook"], done)
        hook._go_on(row)
        return hook

    def _go_on(self, row: Mapping[str, Any]) -> None:
        self._log_start, self._started = tuple(row["log"]), row["started"]
        mark = Mark(row["pid"], row["tag"], HOOK, self._entry.program, self._entry.index)
        self._child = self._context.children.resume(mark, row["started"], self)
        self.began = self._executed = True
        if self._child.alive and awaits_exec(mark.pid):  # nobody would learn how its set-up ends
            self.lost, self._executed = True, False
            self.kill()

    # -- news of the child

    def executed(self, failure: str) -> None:
        """Let its time begin, or note why the child was not executed."""
        super().executed(failure)
        if self._name == PRE_START:
            self._entry.say("")

    def left(self, names: tuple[str, ...]) -> None:
        """Name what it left behind, unless the hook was ended itself."""
        if self._verdict is None:
            one = len(names) == 1
            count = f"{len(names)} process{'' if one else 'es'}"
            text = f"{self._name} left {count} behind; ending {'it' if one else 'them'}: {left_text(names)}"
            self._context.say(self._entry, "warning", text)

    # -- inside

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
        if self._name == PRE_START:  # `show` has its last lines until the program begins to write
            self._context.outputs.last_words.begin(self._entry, streams.log_start)
        self._context.outputs.leave(streams.pipes)  # so that a later daemon finds them
        return child

    def _over(self) -> None:
        self._reactor.cancel(self._timer)


def waits_for(program: ProgramConfig, index: int) -> str:
    """Return what a child of a program waits for that has not executed its command yet, "" where it reads no files."""
    named = [f"env_file {for_instance(path.removeprefix(OPTIONAL), index)}" for path in program.env_file]
    named += [f"env.{name} {for_instance(path, index)}" for name, path in value_files(program.env).items()]
    return f"still waits for {' or '.join(named)}" if named else ""
