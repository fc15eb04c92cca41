"""Probes by a child: exit code 0 is success. The child runs as an instance of the program would, and its time begins with its exec."""

from __future__ import annotations

import os

from taskmasterd.output.targets import ids_of
from taskmasterd.probing.children import ChildOutput
from taskmasterd.probing.run import ChildRun
from taskmasterd.probing.text.result import CANCELLED, MOST_OUTPUT, Result, last_lines, late_text
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.spawner import child_pipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskmasterd.probing.children import Child, Children, Order
    from taskmasterd.system.loop.reactor import Reactor, Timer
    from taskmasterd.system.users import Account

    Done = Callable[[Result], None]

EXEC_WITHIN_S = 10.0
"""Longest time from fork to exec, added to the time limit until the exec: a directory may be on a dead server."""


class ExecTry(ChildRun):
    """One probe by a child; see `ChildRun`."""

    def __init__(
        self, reactor: Reactor, children: Children, order: Order, timeout_s: float, signals: Mapping[int, str]
    ) -> None:
        super().__init__(reactor, signals)
        self._children = children
        self._order = order
        self._timeout_s = timeout_s
        self._who: Account | None = None
        self._who_known = False
        self._output: ChildOutput | None = None
        self._kept = b""
        self._timer: Timer | None = None

    def begin(self, done: Done) -> None:
        """Start the child; see the package for `done`."""
        if self._begin(done, self._order.command.words[0], self._start):
            self._arm(self._timeout_s + EXEC_WITHIN_S)

    def cancel(self) -> None:
        """Kill the child."""
        self._give_up(Result(None, CANCELLED), signal.SIGKILL)

    def _start(self) -> Child:
        if not self._who_known:  # once: the look-up of a user may be slow
            self._who, self._who_known = self._order.account(), True
        read, write = child_pipe(ids_of(self._who))
        self._output, self._kept = ChildOutput(self._reactor, read, self._keep), b""
        try:
            return self._children.spawn(self._order, self._who, write, write, self)
        finally:
            os.close(write)

    def _time_begins(self) -> None:
        self._arm(self._timeout_s)

    def _arm(self, seconds: float) -> None:
        self._reactor.cancel(self._timer)
        self._began = self._reactor.now()
        self._timer = self._reactor.call_later(seconds, self._late)

    def _late(self) -> None:
        self._give_up(Result(False, late_text(self._timeout_s)), signal.SIGKILL)

    def _last_words(self) -> tuple[str, ...]:
        if not self._output:
            return ()
        self._output.finish()
        return last_lines(self._kept)

    def _keep(self, piece: bytes) -> None:
        self._kept = (self._kept + piece)[-MOST_OUTPUT:]

    def _over(self) -> None:
        self._reactor.cancel(self._timer)
        if self._output:
            self._output.close()
        self._output = None
