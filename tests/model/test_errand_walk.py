"""Whatever order its output, its end, its time limit and a cancellation come in: an errand has exactly one ending, or none."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from itertools import permutations

import pytest

from taskmasterd.processes.errand import Ending, Errand, Errands

PID = 2**22 + 1
"""A pid that no system gives."""
OUTPUT, SILENCE, EXIT, TIMEOUT, CANCEL = "output", "end of output", "exit", "timeout", "cancel"
EVENTS = (OUTPUT, SILENCE, EXIT, TIMEOUT, CANCEL)


class PaperLoop:
    """A reactor whose turns are the test's."""

    def __init__(self) -> None:
        self.watches: dict[int, Callable[[int], None]] = {}
        self.timers: list[Callable[[], None]] = []
        self.soon: list[Callable[[], None]] = []

    def watch(self, fd: int, _events: int, callback: Callable[[int], None]) -> None:
        self.watches[fd] = callback

    def remove(self, fd: int) -> None:
        self.watches.pop(fd, None)

    def call_later(self, _seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        self.timers.append(callback)
        return callback

    def cancel(self, timer: Callable[[], None] | None) -> None:
        self.timers = [each for each in self.timers if each is not timer]

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.soon.append(callback)

    def look(self) -> None:
        """Call what waits for descriptors, each of which is ready or refuses to block."""
        for callback in [*self.watches.values()]:
            callback(1)

    def do_soon(self) -> None:
        """Do what waits for the end of the turn."""
        while self.soon:
            self.soon.pop(0)()


class Walk:
    """One errand on paper: no child is forked, and signals are written down."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, fork: Callable[[], int] = lambda: PID, *, at_once: bool = False
    ) -> None:
        """With `at_once` the loop sees no output before all has happened."""
        self._looks = not at_once
        pipe = os.pipe

        def kept_pipe() -> tuple[int, int]:
            read, write = pipe()
            self.write = os.dup(write)
            return read, write

        self.kills = 0
        self.write = -1
        self.loop = PaperLoop()
        self.ignored: set[int] = set()
        self.endings: list[Ending] = []
        monkeypatch.setattr(os, "fork", fork)
        monkeypatch.setattr(os, "pipe", kept_pipe)
        monkeypatch.setattr(os, "kill", self.kill)
        monkeypatch.setattr(os, "killpg", self.kill)
        self.errands = Errands(self.loop, self.ignored)  # type: ignore[arg-type]
        self.errand = Errand(self.errands, lambda _fd: None, self.endings.append, timeout_s=1)

    def kill(self, pid: int, _number: int) -> None:
        assert pid == PID
        assert PID in self.ignored or self.reaping, "a pid that was reaped may be anybody's"
        self.kills += 1

    reaping = False

    def happen(self, event: str) -> None:
        """Let something happen."""
        if event == OUTPUT:
            with contextlib.suppress(BrokenPipeError):  # nobody reads any more
                os.write(self.write, b"text")
        elif event == SILENCE:
            os.close(self.write)
            self.write = -1
        elif event == EXIT:
            self.reaping = True
            assert list(self.errands.others([(PID, 0), (1, 0)])) == [(1, 0)]
            self.reaping = False
        elif event == TIMEOUT:
            for callback in [*self.loop.timers]:
                callback()
        else:
            self.errand.cancel()
        if event in (OUTPUT, SILENCE) and self._looks:
            self.loop.look()

    def close(self) -> None:
        """Close what the child would have held."""
        if self.write >= 0:
            os.close(self.write)


def orders() -> Iterator[tuple[str, ...]]:
    """Yield each order of some of the events in which nothing is written after the end of the output."""
    for length in range(len(EVENTS) + 1):
        for order in permutations(EVENTS, length):
            if OUTPUT not in order or SILENCE not in order or order.index(OUTPUT) < order.index(SILENCE):
                yield order


@pytest.mark.parametrize("at_once", [False, True], ids=["turn by turn", "all in one turn"])
def test_each_order_of_events_leads_to_exactly_one_ending(at_once: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(os.listdir("/dev/fd"))
    for order in orders():
        with monkeypatch.context() as patch:
            walk = Walk(patch, at_once=at_once)
            for event in order:
                walk.happen(event)
                if not at_once:
                    walk.loop.do_soon()
            walk.loop.do_soon()
            walk.close()
        decisive = [event for event in order if event in (EXIT, TIMEOUT, CANCEL)]
        assert len(walk.endings) == expected(decisive, at_once), order
        judge(walk, order, decisive, at_once=at_once)
    assert len(os.listdir("/dev/fd")) == before


def expected(decisive: list[str], at_once: bool) -> int:
    """Return how many endings there have to be."""
    if not decisive:
        return 0
    cancelled = CANCEL in decisive if at_once else decisive[0] == CANCEL
    return 0 if cancelled else 1


def judge(walk: Walk, order: tuple[str, ...], decisive: list[str], *, at_once: bool) -> None:
    """Compare what is left with what has happened."""
    if not decisive:
        walk.errand.cancel()
        return
    assert walk.loop.watches == {}, order
    assert walk.loop.timers == [] or decisive[0] == TIMEOUT, order
    assert walk.kills > 0, order
    assert walk.ignored == (set() if EXIT in order else {PID}), order
    for ending in walk.endings:
        assert ending.refused == ""
        written = OUTPUT in order and order.index(OUTPUT) < order.index(decisive[0])
        assert not written or ending.late or ending.output == b"text", order
        assert not written or at_once or ending.output == b"text", order
        ended_first = EXIT in order if at_once else decisive[0] == EXIT  # an end that is seen in the same turn counts
        assert ending.late != ended_first, order


def test_a_shortage_leads_to_exactly_one_ending(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    for cancelled in (False, True):
        with monkeypatch.context() as patch:
            walk = Walk(patch, refuse)
            assert (walk.endings, walk.ignored, walk.loop.watches, walk.loop.timers) == ([], set(), {}, [])
            if cancelled:
                walk.errand.cancel()
            walk.loop.do_soon()
            walk.close()
        assert [ending.refused != "" for ending in walk.endings] == [] if cancelled else [True]
