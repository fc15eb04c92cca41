"""What the keeper does with viewers of a terminal without a log, and how those who type take turns."""

from __future__ import annotations

import os
import pty
import tty
from collections.abc import Callable
from types import SimpleNamespace
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
    writing = InputWriting(SimpleNamespace(watch=print, remove=print), write)  # type: ignore[arg-type]
    idle, first, second = Sender(b"", more=True), Sender(b"one", more=True), Sender(b"two", more=False)
    for each in (idle, first, second):
        writing.push(each)
    assert os.read(read, 100) == b"one", "the first has begun, and is not through"
    writing.leave(first)
    wait_until(lambda: not second.pending)
    assert os.read(read, 100) == b"two"
    writing.close("over")
    os.close(read)
