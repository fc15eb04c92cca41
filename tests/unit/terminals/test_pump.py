"""What the keeper does with viewers of a terminal without a log, and how those who type take turns."""

from __future__ import annotations

import os
import pty
import tty
from collections.abc import Callable
from typing import Any

from taskmasterd.keeper import Pump
from taskmasterd.terminals.writing import InputWriting
from tests.support.wait import wait_until


class Watches:
    """The keeper's poll: who is watched, and by what."""

    def __init__(self) -> None:
        self.ready: dict[int, Callable[[int], None]] = {}

    def watch(self, fd: int, _events: int, ready: Callable[[int], None]) -> None:
        self.ready[fd] = ready

    def unwatch(self, fd: int) -> None:
        self.ready.pop(fd, None)


def test_a_viewer_that_does_not_read_holds_up_nobody_and_one_that_has_gone_costs_no_descriptor() -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    keeper: Any = Watches()
    pump = Pump(keeper, master, -1)
    read, write = os.pipe()
    pump.tap(write)
    for _ in range(100):  # more than a pipe holds
        os.write(slave, b"x" * 2000)
        pump.move()
    assert pump.taps == [write]
    os.close(read)
    keeper.ready[write](0)
    assert (pump.taps, write in keeper.ready) == ([], False)
    pump.close()
    os.close(slave)


class Clock:
    """A loop in which time passes when the test says so."""

    def __init__(self) -> None:
        self.later: list[Callable[[], None]] = []

    def call_later(self, _seconds: float, callback: Callable[[], None]) -> Callable[[], None]:
        self.later.append(callback)
        return callback

    def cancel(self, timer: Callable[[], None] | None) -> None:
        if timer in self.later:
            self.later.remove(timer)

    def watch(self, *_descriptor: object) -> None:
        """Nothing waits here."""

    remove = watch


class Sender:
    """Somebody who sends something, and perhaps more later."""

    def __init__(self, pending: bytes, *, more: bool) -> None:
        self.pending = bytearray(pending)
        self.more = more

    def wrote(self, count: int, /) -> None:
        """Forget it."""

    def refused(self, reason: str, /) -> None:
        raise AssertionError(reason)


def test_who_has_sent_nothing_yet_has_no_turn_and_who_leaves_gives_it_to_the_next() -> None:
    read, write = os.pipe()
    writing = InputWriting(Clock(), write)  # type: ignore[arg-type]
    idle, first, second = Sender(b"", more=True), Sender(b"one", more=True), Sender(b"two", more=False)
    for each in (idle, first, second):
        writing.push(each)
    assert os.read(read, 100) == b"one", "the first has begun, and is not through"
    writing.leave(first)
    wait_until(lambda: not second.pending)
    assert os.read(read, 100) == b"two"
    writing.close("over")
    os.close(read)


def test_who_begins_and_says_nothing_more_loses_the_turn_to_who_waits_and_nobody_else_does() -> None:
    read, write = os.pipe()
    clock = Clock()
    writing = InputWriting(clock, write)  # type: ignore[arg-type]
    refusals: list[str] = []
    silent, alone = Sender(b"half", more=True), Sender(b"x", more=False)
    silent.refused = refusals.append  # type: ignore[method-assign]
    writing.push(silent)
    assert clock.later == [], "nobody waits"
    writing.push(alone)
    assert len(clock.later) == 1
    silent.pending += b" more"
    writing.push(silent)
    assert len(clock.later) == 1, "another 30 s from now"
    clock.later.pop()()
    assert refusals == ["nothing more came for 30s, and others wait"]
    assert os.read(read, 100) == b"half morex"
    writing.close("over")
    assert clock.later == []
    os.close(read)
