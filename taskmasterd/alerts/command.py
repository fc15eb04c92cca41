"""Runs `cmd` of a rule: one message a run, its events as lines of JSON on standard input, its output to the event log.

The child runs as a program's instance would, in a role of its own, and is ended with all that it left. A later daemon waits for one
that still runs, and then runs it once more, unless it is its child and so its status is known.
"""

from __future__ import annotations

import os

from taskmaster_common.config import ProgramConfig
from taskmaster_common.errors import system_reason
from taskmaster_common.jsontext import write_json
from taskmasterd.alerts.context import DeliveryResult
from taskmasterd.core.process.ends import exit_code
from taskmasterd.core.words.alerts import program_of, variables
from taskmasterd.core.words.describe import status_text
from taskmasterd.fallbacks import file_of, limit
from taskmasterd.output.targets import ids_of
from taskmasterd.probing.children import ChildCommand, ChildOutput, Order
from taskmasterd.probing.leftovers import Mark
from taskmasterd.probing.text.result import escaped
from taskmasterd.processes.members.proofs import ALERT
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.procfs import started_at
from taskmasterd.system.spawner import SetupError, child_pipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from taskmaster_common.config.alerts.rule import AlertRule
    from taskmasterd.alerts.context import AlertContext, Delivery
    from taskmasterd.alerts.queue import Waiting
    from taskmasterd.probing.children import Child
    from taskmasterd.system.loop.reactor import Timer

TRY_AGAIN = 75
"""Exit code that asks for another try. Source: sysexits.h (EX_TEMPFAIL)."""
GRACE_S = 2.0
"""Time from TERM to KILL, seconds."""
EXEC_WITHIN_S = 10.0
"""Longest time from fork to exec, seconds: a directory may be on a dead server."""
MOST_LINES, MOST_LINE = 20, 500
"""Lines of its output in the event log, and characters of a line."""
PIECE = 16_384
"""Most bytes of its output that are read at once."""


class CommandRun:
    """One run for the first message of a delivery. The listener of its child."""

    def __init__(self, context: AlertContext, delivery: Delivery) -> None:
        self._context = context
        self._delivery = delivery
        self._message: Waiting = delivery.messages[0]
        self._child: Child | None = None
        self._output: CommandOutput | None = None
        self._timer: Timer | None = None
        self._verdict: DeliveryResult | None = None
        self._started = -1
        self._again = False
        self.cancelled = False

    @property
    def mark(self) -> Mark | None:
        """What identifies its child, None where there is none."""
        return self._child.mark if self._child else None

    def start(self) -> None:
        """Start the command."""
        try:
            self._child = self._spawn()
        except SetupError as error:
            self._conclude(DeliveryResult(error.text, final=True))
        except ValueError as error:
            self._conclude(DeliveryResult(f"cannot execute {self._word}: {error}", final=True))
        except OSError as error:
            self._conclude(
                DeliveryResult(f"the system refuses another process: {system_reason(error)}{limit(error.errno)}")
            )
        else:
            self._started = started_at(self._child.pid) or -1
            self._arm(self._delivery.rule.timeout + EXEC_WITHIN_S)

    @property
    def _word(self) -> str:
        return str(self._delivery.rule.cmd["cmd"][0])

    def _spawn(self) -> Child:
        rule, events = self._delivery.rule, self._message.events
        first: Mapping[str, Any] = events[-1] if events else {"event": "", "name": ""}
        order = order_for(rule, first, self._variables(first))
        who = order.account()
        read, write = child_pipe(ids_of(who))
        self._output = CommandOutput(self._context, rule.name, read)
        stdin = -1
        try:
            stdin = _lines(events)
            return self._context.children().spawn(order, who, write, write, self, stdin=stdin)
        except (SetupError, ValueError, OSError):
            self._output.close()
            raise
        finally:
            os.close(write)
            if stdin >= 0:
                os.close(stdin)

    def _variables(self, event: Mapping[str, Any]) -> dict[str, str]:
        message, lost = self._message, self._delivery.lost
        found = variables(event, self._context.host, self._context.signals)
        found |= {"TASKMASTER_RULE": self._delivery.rule.name, "TASKMASTER_ID": message.id(self._delivery.rule.name)}
        found |= {"TASKMASTER_LEFT_OUT": str(message.left_out)} if message.left_out else {}
        return found | ({"TASKMASTER_LOST": str(lost)} if lost else {})

    # -- for a later daemon

    def to_data(self) -> dict[str, Any]:
        """Return what a later daemon needs to wait for it, {} where nothing runs."""
        if self._child is None:
            return {}
        mark = self._child.mark
        return {
            "message": self._message.number, "pid": mark.pid, "started": self._started,
            "tag": mark.tag, "program": mark.program, "index": mark.index,
        }  # fmt: skip

    def go_on(self, row: Mapping[str, Any]) -> None:
        """Wait for the command of an earlier daemon. Raises KeyError, TypeError or ValueError if the data make no sense."""
        mark = Mark(int(row["pid"]), row["tag"], ALERT, str(row["program"]), int(row["index"]))
        self._started, self._again = int(row["started"]), True
        self._child = self._context.children().resume(mark, self._started, self)
        self._arm(self._delivery.rule.timeout)

    # -- news of the child

    def executed(self, failure: str) -> None:
        """Let its time begin, or note why it was not executed."""
        if failure:
            self._verdict = self._verdict or DeliveryResult(failure, final=True)
        elif self._verdict is None:
            self._arm(self._delivery.rule.timeout)

    def left(self, names: tuple[str, ...]) -> None:
        """Let what it left be killed without a word."""

    def gone(self, status: int | None) -> None:
        """Conclude. A status that nobody knows says nothing: the command runs once more."""
        self._child = None
        code = exit_code(status)
        if self._verdict is None and code != 0:
            text = status_text(status, self._context.signals) if status is not None else "nobody knows how it ended"
            self._verdict = DeliveryResult(text, final=status is not None and code != TRY_AGAIN)
        self._conclude(self._verdict or DeliveryResult())

    # -- inside

    def cancel(self) -> None:
        """End it; nothing is reported any more."""
        self.cancelled = True
        if self._child:
            self._child.signal(signal.SIGKILL)

    def _arm(self, seconds: float) -> None:
        self._context.reactor.cancel(self._timer)
        self._timer = self._context.reactor.call_later(seconds, self._late)

    def _late(self) -> None:
        if self._child is None:
            return
        self._verdict = self._verdict or DeliveryResult(
            f"it took longer than {self._delivery.rule.timeout:g}s", final=True
        )
        self._child.signal(signal.SIGTERM)
        self._timer = self._context.reactor.call_later(GRACE_S, self._kill)

    def _kill(self) -> None:
        if self._child:
            self._child.signal(signal.SIGKILL)

    def _conclude(self, outcome: DeliveryResult) -> None:
        self._context.reactor.cancel(self._timer)
        if self._output:
            self._output.finish()
            self._output = None
        if self.cancelled:
            return

        def later() -> None:
            self._delivery.report(self._message.number, outcome)
            self._delivery.ended("")

        self._context.reactor.call_soon(later)


def order_for(rule: AlertRule, event: Mapping[str, Any], found: Mapping[str, str]) -> Order:
    """Return the child that runs the rule's command for an event."""
    program, index = program_of(event)
    command = ChildCommand(tuple(rule.cmd["cmd"]), bool(rule.cmd.get("shell")))
    config = ProgramConfig.of(
        name=program, cmd=command.words, shell=command.shell, user=rule.user, group=rule.group, env=rule.env,
        workingdir=rule.workingdir,
    )  # fmt: skip
    return Order(ALERT, config, index, command, found)


def _lines(events: list[Mapping[str, Any]]) -> int:
    """Return a descriptor from which a child reads the events, a line of JSON each. Raises OSError."""
    return file_of(b"".join([write_json(event) + b"\n" for event in events]))


class CommandOutput:
    """What a command writes: the first lines go to the event log."""

    def __init__(self, context: AlertContext, rule: str, fd: int) -> None:
        self._context = context
        self._rule = rule
        self._rest = b""
        self._lines = 0
        self._pipe = ChildOutput(context.reactor, fd, self._take, PIECE)

    def finish(self) -> None:
        """Read what is in the pipe now, and close it."""
        self._pipe.finish()
        self._say(self._rest)

    def close(self) -> None:
        """Close the pipe."""
        self._pipe.close()

    def _take(self, piece: bytes) -> None:
        *lines, rest = (self._rest + piece).split(b"\n")
        self._rest = rest[:MOST_LINE]
        for line in lines:
            self._say(line)

    def _say(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace").rstrip()[:MOST_LINE]
        if text and self._lines < MOST_LINES:
            self._lines += 1
            self._context.say("info", f"alert {self._rule}: {escaped(text)}")


class Awaited:
    """A helper of an earlier daemon: what it has delivered nobody knows, so it is waited for, and then all is tried once more."""

    def __init__(self, context: AlertContext, row: Mapping[str, Any], ended: Callable[[str], None]) -> None:
        self._row = row
        self._ended = ended
        self._child: Child | None = None
        mark = Mark(int(row["pid"]), None, ALERT, "", 0)
        self._child = context.children().resume(mark, int(row["started"]), self)

    @property
    def mark(self) -> Mark | None:
        """What identifies it."""
        return self._child.mark if self._child else None

    def to_data(self) -> Mapping[str, Any]:
        """Return what a later daemon needs to wait for it."""
        return self._row if self._child else {}

    def executed(self, failure: str) -> None:
        """It was executed long ago."""

    def left(self, names: tuple[str, ...]) -> None:
        """Let what it left be killed without a word."""

    def gone(self, _status: int | None) -> None:
        """Let the rule go on."""
        self._child = None
        self._ended("")

    def cancel(self) -> None:
        """End it."""
        if self._child:
            self._child.signal(signal.SIGKILL)
