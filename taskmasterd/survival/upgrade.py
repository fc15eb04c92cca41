"""The live upgrade: the daemon executes the installed code in its own place, and everything goes on.

First the installed code has to prove, in a child, that it starts and can read the state of this daemon; if it cannot, nothing
changes. Then the upgrade waits for a quiet moment, when this interpreter alone holds no unfinished work: no configuration being
read, no child between fork and exec, no undelivered end. `handover` collects the state; pids, children, pipes, sockets and
pending signals belong to the process and outlive the exec (execve(2)).
"""

from __future__ import annotations

import os

from taskmaster_common import __version__
from taskmaster_common.errors import RequestError, SystemFailure
from taskmaster_common.protocol import refusal
from taskmasterd.control.waits import Heartbeat
from taskmasterd.installed import Installed
from taskmasterd.processes.errand import Errand, executing
from taskmasterd.survival.execute import command, execute_resident, on_descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, Protocol

    from taskmasterd.control.connection import Connection
    from taskmasterd.control.context import Context
    from taskmasterd.processes.errand import Ending, Errands

    class Host(Protocol):
        """The part of the daemon that an upgrade uses."""

        def state(self) -> dict[str, Any]:
            """Return the state that the installed code must be able to read."""

        def handed_over(self) -> tuple[dict[str, Any], Sequence[int]]:
            """Return the whole state for the installed code, and the descriptors that it names besides `fds`."""

        def unsettled(self) -> str:
            """Return what an exec at this moment would lose, as text, or ""."""

        def hold_signals(self) -> bool:
            """Block signals; returns False if one has arrived that an exec would lose."""

        def release_signals(self) -> None:
            """Undo `hold_signals`."""


CHECK_WITHIN_S = 10.0
"""Longest time for the check of the installed code, seconds."""
QUIET_WITHIN_S = 5.0
"""Longest wait for a quiet moment, seconds."""
TRY_EVERY_S = 0.005
"""Pause between two looks for a quiet moment, seconds."""
CANNOT_CHECK = "cannot check the installed code"
ROUNDS = 16
"""Rounds of queued callbacks to run before waiting for the next turn."""


class Upgrade:
    """Runs one upgrade at a time."""

    def __init__(self, context: Context, host: Host, errands: Errands) -> None:
        self._context = context
        self._reactor = context.reactor
        self._host = host
        self._errands = errands
        self._check: Errand | None = None
        self._checked_code: Installed | None = None
        self._asked: Connection | None = None
        self._heartbeat: Heartbeat | None = None
        self._release_starts: Callable[[], None] | None = None

    def begin(self, connection: Connection) -> None:
        """Check the installed code and execute it; the new code answers the client. Raises RequestError if it cannot begin."""
        if self._context.supervisor.stopping:
            raise RequestError("stopping", "the daemon is being shut down", 1)
        if self._asked is not None:
            raise RequestError("busy", "an upgrade is under way", 1)
        self._checked_code = Installed()
        try:
            self._check = check = begin_check(self._errands, self._host.state(), self._checked)
        except SystemFailure as error:
            raise RequestError("busy", f"{CANNOT_CHECK}: {error}", 1) from None
        self._asked = connection
        connection.send({"type": "upgrading", "config": self._context.configuration.config.path})
        self._heartbeat = Heartbeat(self._context, connection, lambda: ("", "upgrading"))
        connection.operation = self
        connection.when_gone(self._heartbeat.stop)
        self._context.log.write(
            "info", f"upgrade: checking the installed code (pid {check.pid}), asked by uid {connection.peer.uid}"
        )

    def give_up(self) -> None:
        """Cancel the check and answer the client, because the daemon ends."""
        if self._check:
            self._check.cancel()
        if self._asked:
            self._failed("stopping", "the daemon is being shut down")

    def to_data(self) -> dict[str, Any]:
        """Return the data that the new code needs for its answer."""
        return {"kind": "upgrade", "before": __version__, "at": self._reactor.now()}

    def _checked(self, ending: Ending) -> None:
        self._check = None
        problem = problem_of(ending, CHECK_WITHIN_S)
        if ending.refused:
            self._failed("busy", f"{CANNOT_CHECK}: {ending.refused}")
        elif problem:
            self._failed("failed", f"the installed code cannot go on with this daemon: {problem}")
        else:
            # a start that waits is handed over; with crash loops on a busy machine some would wait at any moment
            self._release_starts = self._context.performer.starts.hold()
            self._try(self._reactor.now() + QUIET_WITHIN_S)

    def _try(self, until: float) -> None:
        """Execute the installed code if nothing is under way; otherwise try again a moment later."""
        if self._context.supervisor.stopping:
            self._failed("stopping", "the daemon is being shut down")
            return
        settled = self._reactor.settle(ROUNDS)
        unsettled = self._host.unsettled() or ("" if settled else "one thing leads to another")
        if not unsettled and not self._host.hold_signals():
            unsettled = "signals come"
        if not unsettled and self._checked_code and self._checked_code.changed():
            self._host.release_signals()
            self._failed("failed", "the installed code has changed since it was checked; try again")
            return
        if not unsettled:
            self._execute()  # does not return, unless it fails
        self._host.release_signals()
        if not unsettled:
            return
        if self._reactor.now() >= until:
            self._failed("busy", f"no quiet moment within {QUIET_WITHIN_S:g}s: {unsettled}")
        else:
            self._reactor.call_later(TRY_EVERY_S, lambda: self._try(until))

    def _execute(self) -> None:
        self._context.log.history.sum_up()
        self._context.log.write("info", f"upgrade: executing the installed code in the place of {__version__}")
        self._context.state.flush()
        state, fds = self._host.handed_over()
        try:
            execute_resident(state, more=fds)
        except SystemFailure as failure:
            self._failed("failed", str(failure))

    def _failed(self, code: str, text: str) -> None:
        if self._release_starts:
            self._release_starts()
        self._context.log.write("error", f"upgrade: {text}; nothing was changed")
        connection, self._asked = self._asked, None
        if self._heartbeat:
            self._heartbeat.stop()
        if connection is not None and connection.operation is self:  # the client may have gone, and asked for more
            connection.end(refusal(RequestError(code, f"{text}; nothing was changed", 1)))


def begin_check(
    errands: Errands, state: Mapping[str, Any], done: Callable[[Ending], None], within_s: float = CHECK_WITHIN_S
) -> Errand:
    """Check the installed code on a state; `done` gets the ending, which `problem_of` judges. Raises SystemFailure."""
    fd = on_descriptor(state)
    try:
        words = command("--check", "0", "-", *state["path"])
        return Errand(errands, executing(words, os.environ), done, timeout_s=within_s, stdin=fd)
    finally:
        os.close(fd)


def problem_of(ending: Ending, within_s: float) -> str:
    """Return why the installed code cannot go on with the state, or "": then its last line begins with "ok"."""
    if ending.late:
        return f"it did not answer within {within_s:g}s"
    said = ending.output.decode("utf-8", "replace").strip().split("\n")[-1]
    return "" if said.startswith("ok ") else said or "it says nothing"
