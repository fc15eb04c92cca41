"""Probes by a child: exit code 0 is success. The child runs as an instance of the program would, and its time begins with its exec."""

from __future__ import annotations

import os

from taskmaster_common.errors import system_reason
from taskmasterd.core.process.ends import exit_code
from taskmasterd.core.words.describe import status_text
from taskmasterd.fallbacks import limit
from taskmasterd.probing.text.result import CANCELLED, MOST_OUTPUT, Result, last_lines, late_text
from taskmasterd.system.loop.cmodules import partial, signal
from taskmasterd.system.loop.reactor import READ
from taskmasterd.system.spawner import SetupError, child_pipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskmasterd.probing.children import Child, Children, Order
    from taskmasterd.system.loop.reactor import Reactor, Timer
    from taskmasterd.system.users import Account

    Done = Callable[[Result], None]

PIECE = 65_536
PIECES_AT_END = 16
"""Most bytes of one read, and most reads when the child is gone."""
EXEC_WITHIN_S = 10.0
"""Longest time from fork to exec, added to the time limit until the exec: a directory may be on a dead server."""


class ExecTry:
    """One probe by a child. `signals` maps numbers to names without SIG."""

    def __init__(
        self, reactor: Reactor, children: Children, order: Order, timeout_s: float, signals: Mapping[int, str]
    ) -> None:
        self._reactor = reactor
        self._children = children
        self._order = order
        self._timeout_s = timeout_s
        self._signals = signals
        self._who: Account | None = None
        self._who_known = False
        self._done: Done | None = None
        self._child: Child | None = None
        self._verdict: Result | None = None
        self._output: _Output | None = None
        self._timer: Timer | None = None
        self._began = 0.0

    @property
    def stuck(self) -> str:
        """What KILL does not end ("probe 4711 cannot be killed"), "" where nothing is stuck."""
        return self._child.stuck if self._child else ""

    def begin(self, done: Done) -> None:
        """Start the child; see the package for `done`."""
        self._done, self._verdict, self._began = done, None, self._reactor.now()
        try:
            self._start()
        except SetupError as error:
            self._fail(Result(False, error.text))
        except ValueError as error:
            self._fail(Result(False, f"cannot execute {self._order.command.words[0]}: {error}"))
        except OSError as error:
            reason = f"the system refuses another process: {system_reason(error)}{limit(error.errno)}"
            self._fail(Result(None, reason))
        else:
            self._arm(self._timeout_s + EXEC_WITHIN_S)

    def cancel(self) -> None:
        """Kill the child."""
        self._kill(Result(None, CANCELLED))

    # -- news of the child

    def executed(self, failure: str) -> None:
        """Count the time from now, or note why the child was not executed."""
        if failure:
            self._verdict = self._verdict or Result(False, failure)
        elif self._verdict is None:
            self._arm(self._timeout_s)

    def left(self, names: tuple[str, ...]) -> None:
        """Let what a probe left be killed without a word."""

    def gone(self, status: int | None) -> None:
        """Conclude."""
        output = self._output.finish() if self._output else b""
        text = status_text(status, self._signals)
        result = self._verdict or Result(exit_code(status) == 0, text)
        self._conclude(result.replace(output=last_lines(output), took_s=self._reactor.now() - self._began))

    # -- inside

    def _start(self) -> None:
        if not self._who_known:  # once: the look-up of a user may be slow
            self._who, self._who_known = self._order.account(), True
        read, write = child_pipe((self._who.uid, self._who.gid) if self._who else None)
        self._output = _Output(self._reactor, read)
        try:
            self._child = self._children.spawn(self._order, self._who, write, write, self)
        finally:
            os.close(write)

    def _arm(self, seconds: float) -> None:
        self._reactor.cancel(self._timer)
        self._began = self._reactor.now()
        self._timer = self._reactor.call_later(seconds, self._late)

    def _late(self) -> None:
        self._kill(Result(False, late_text(self._timeout_s)))

    def _kill(self, verdict: Result) -> None:
        if self._child is not None and self._verdict is None:
            self._verdict = verdict
            self._child.signal(signal.SIGKILL)

    def _fail(self, result: Result) -> None:
        if self._output:
            self._output.finish()
        self._conclude(result)

    def _conclude(self, result: Result) -> None:
        self._reactor.cancel(self._timer)
        self._child = self._output = None
        done, self._done = self._done, None
        if done:
            self._reactor.call_soon(partial(done, result))


class _Output:
    """The last bytes of a pipe, read as they come."""

    def __init__(self, reactor: Reactor, fd: int) -> None:
        self._reactor = reactor
        self._fd = fd
        self._kept = b""
        reactor.watch(fd, READ, self._readable)

    def finish(self) -> bytes:
        """Read what is in the pipe now, close it, and return the last bytes."""
        for _ in range(PIECES_AT_END):
            if not self._read():
                break
        self._close()
        return self._kept

    def _readable(self, _events: int) -> None:
        self._read()

    def _read(self) -> bool:
        if self._fd < 0:
            return False
        try:
            piece = os.read(self._fd, PIECE)
        except BlockingIOError:
            return False
        if not piece:
            self._close()
        self._kept = (self._kept + piece)[-MOST_OUTPUT:]
        return bool(piece)

    def _close(self) -> None:
        if self._fd >= 0:
            self._reactor.remove(self._fd)
            os.close(self._fd)
            self._fd = -1
