"""What the runs of a probe's and of a hook's child share: one child, one verdict, and one result when nothing of it is left."""

from __future__ import annotations

from taskmaster_common.errors import system_reason
from taskmasterd.core.process.ends import exit_code
from taskmasterd.core.words.describe import status_text
from taskmasterd.fallbacks import limit
from taskmasterd.probing.text.result import Result
from taskmasterd.system.loop.cmodules import partial
from taskmasterd.system.spawner import SetupError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from taskmasterd.probing.children import Child
    from taskmasterd.system.loop.reactor import Reactor

    Done = Callable[[Result], None]


class ChildRun:
    """One child at a time. `signals` maps numbers to names without SIG.

    `_done(result)` is called once for each `_begin`, in a later turn. Whoever runs it says what begins with the exec and what it
    has said.
    """

    def __init__(self, reactor: Reactor, signals: Mapping[int, str]) -> None:
        self._reactor = reactor
        self._signals = signals
        self._done: Done | None = None
        self._child: Child | None = None
        self._verdict: Result | None = None
        self._began = 0.0
        self._executed = False

    @property
    def stuck(self) -> str:
        """What KILL does not end ("probe 4711 cannot be killed"), "" where nothing is stuck."""
        return self._child.stuck if self._child else ""

    # -- news of the child

    def executed(self, failure: str) -> None:
        """Let its time begin, or note why the child was not executed."""
        self._executed = not failure
        if failure:
            self._verdict = self._verdict or Result(False, failure)
        elif self._verdict is None:
            self._time_begins()

    def left(self, names: tuple[str, ...]) -> None:
        """Let what it left be killed without a word."""

    def gone(self, status: int | None) -> None:
        """Conclude; a status that nobody knows is no failure."""
        output = self._last_words()
        ok = None if status is None else exit_code(status) == 0
        result = self._verdict or Result(ok, status_text(status, self._signals))
        self._conclude(result.replace(output=output, took_s=self._reactor.now() - self._began))

    # -- inside

    def _begin(self, done: Done, word: str, spawn: Callable[[], Child]) -> bool:
        """Start the child that `spawn` returns, which executes `word`; return whether there is one."""
        self._done, self._verdict, self._began, self._executed = done, None, self._reactor.now(), False
        try:
            self._child = spawn()
        except SetupError as error:
            self._conclude(Result(False, error.text))
        except ValueError as error:
            self._conclude(Result(False, f"cannot execute {word}: {error}"))
        except OSError as error:
            reason = f"the system refuses another process: {system_reason(error)}{limit(error.errno)}"
            self._conclude(Result(None, reason))
        return self._child is not None

    def _give_up(self, verdict: Result, number: int) -> None:
        """Signal the child; whatever it does now, this is what came of it."""
        if self._child is not None and self._verdict is None:
            self._verdict = verdict
            self._child.signal(number)

    def _conclude(self, result: Result) -> None:
        self._over()
        self._child = None
        done, self._done = self._done, None
        if done:
            self._reactor.call_soon(partial(done, result))

    def _time_begins(self) -> None:
        """The child was executed."""

    def _last_words(self) -> tuple[str, ...]:
        """Return the last lines that the child has said."""
        return ()

    def _over(self) -> None:
        """There is no child, or nothing of it is left."""
