"""Turns signals into callbacks of the loop. A handler only notes the signal's number.

The daemon neither ignores nor blocks signals: unwanted ones (SIGPIPE, SIGXFSZ) get a handler that does nothing, so that exec
resets them and children inherit no ignored signal. Source: signal(7), "Signal dispositions".
"""

from __future__ import annotations

import os

from taskmaster_common.text.formats import with_real_time
from taskmasterd.fallbacks import POWER_SIGNALS
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.loop.reactor import READ, Reactor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


HELD_BACK = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
    *POWER_SIGNALS,
)


def hold_back() -> None:
    """Block the signals that the daemon handles, until `Signals` unblocks them; the mask survives exec."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)


def release() -> None:
    """Undo `hold_back`."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)


def signal_numbers() -> dict[str, int]:
    """Return the numbers of this system's signals by name without SIG, with real-time signals: RTMIN+3, RTMAX-1."""
    found = {name: int(number) for name, number in vars(signal).items() if name.startswith("SIG") and name[3] != "_"}
    firsts = {number: name for name, number in sorted(found.items(), reverse=True)}  # SIGCHLD, and not its alias SIGCLD
    return with_real_time({name.removeprefix("SIG"): number for number, name in sorted(firsts.items())})


class Signals:
    """Calls back for each signal, in the loop, in the order of their numbers; repeated signals are merged."""

    def __init__(self, reactor: Reactor, callbacks: Mapping[int, Callable[[], None]]) -> None:
        self._reactor = reactor
        self._callbacks = dict(callbacks)
        self._seen: set[int] = set()
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC) if hasattr(os, "pipe2") else _pipe()
        reactor.watch(self._read, READ, self._wake)
        # the byte only wakes the loop: the set holds the signals seen, so a full pipe loses none
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in (*self._callbacks, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, self._note)
        _undo_inherited()

    def _note(self, number: int, _frame: object) -> None:
        self._seen.add(number)

    def _wake(self, _ready: int) -> None:
        try:
            os.read(self._read, 65_536)
        except BlockingIOError:
            return
        for number in sorted(self._seen):
            self._seen.discard(number)
            callback = self._callbacks.get(number)
            if callback:
                self._reactor.call_soon(callback)  # an error here would cost us the pipe, and so all later signals

    @property
    def unheard(self) -> bool:
        """Whether a signal was noted whose callback has not run. SIGCHLD does not count: ended children wait to be reaped."""
        return bool(self._seen - {signal.SIGCHLD})

    def close(self) -> None:
        """Stop calling back; the dispositions stay."""
        signal.set_wakeup_fd(-1)
        self._reactor.remove(self._read)
        os.close(self._read)
        os.close(self._write)


def _undo_inherited() -> None:
    """Undo what exec keeps from the caller: ignored signals (nohup) and the blocked mask.

    Call this last, so that signals that the launcher held back find their handlers.
    """
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _pipe() -> tuple[int, int]:
    """Return a non-blocking pipe on a system without pipe2(2) (macOS)."""
    ends = os.pipe()
    for end in ends:
        os.set_blocking(end, False)
    return ends
