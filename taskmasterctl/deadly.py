"""Signals that end a process in order: TERM and HUP raise an exception that Python cannot lose."""

from __future__ import annotations

import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType

AGAIN_S = 0.2
"""Delay before the exception is raised once more, seconds."""
DEADLY = (signal.SIGTERM, signal.SIGHUP)


class Killed(SystemExit):
    """A deadly signal has arrived. Who catches it ends the process; later ones are ignored."""

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.number = number


class DeadlySignals:
    """Within its `with` block TERM and HUP raise Killed.

    Python prints and drops what a signal's handler raises within a destructor (sys.unraisablehook). So Killed is not printed, and
    is raised again until the block is left.
    """

    def __enter__(self) -> None:
        self._leaving = False
        self._before = {number: signal.signal(number, self._raise) for number in DEADLY}
        self._print, sys.unraisablehook = sys.unraisablehook, self._dropped

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        self._leaving = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = self._print
        if not isinstance(error, Killed):
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _raise(self, number: int, _frame: FrameType | None) -> None:
        for each in DEADLY:
            signal.signal(each, signal.SIG_IGN)

        def again(_alarm: int, frame: FrameType | None) -> None:
            if not self._leaving:
                self._raise(number, frame)

        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        raise Killed(number)

    def _dropped(self, what: sys.UnraisableHookArgs) -> None:
        if not isinstance(what.exc_value, Killed):
            self._print(what)
