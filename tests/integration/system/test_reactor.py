"""The loop: descriptors, timers, turns, and what it survives."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from taskmasterd.system.loop.reactor import MOST_STALE_TIMERS, READ, Reactor


class Loop(Reactor):
    """A reactor that keeps the errors of its callbacks."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        super().__init__(self.errors.append)


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield read, write
    for fd in (read, write):
        try:
            os.close(fd)
        except OSError:
            pass


def test_timers_run_in_order_once_and_not_before_their_time(loop: Loop) -> None:
    ran: list[tuple[str, float]] = []
    now = loop.now()
    loop.call_at(now + 0.02, lambda: ran.append(("late", loop.now())))
    loop.call_at(now + 0.01, lambda: ran.append(("early", loop.now())))
    while len(ran) < 2:
        loop.turn(loop._sleep_s())
    loop.turn(0)
    assert [name for name, _at in ran] == ["early", "late"]
    assert ran[0][1] >= now + 0.01
    assert ran[1][1] >= now + 0.02


def test_a_cancelled_timer_never_runs_and_does_not_pile_up(loop: Loop) -> None:
    ran: list[int] = []
    kept = loop.call_later(0, lambda: ran.append(1))
    for _ in range(MOST_STALE_TIMERS * 3):
        timer = loop.call_later(3600, lambda: ran.append(2))
        loop.cancel(timer)
        loop.cancel(timer)
    assert len(loop._timers) <= MOST_STALE_TIMERS + 2
    loop.turn(0)
    loop.cancel(kept)
    assert ran == [1]


def test_a_callback_that_raises_costs_its_descriptor_and_not_the_loop(loop: Loop, pipe: tuple[int, int]) -> None:
    def bad(_ready: int) -> None:
        raise ZeroDivisionError

    ran: list[int] = []
    loop.watch(pipe[0], READ, bad)
    os.write(pipe[1], b"x")
    loop.call_later(0, lambda: ran.append(1))
    loop.turn(0)
    loop.turn(0)
    assert [type(error) for error in loop.errors] == [ZeroDivisionError]
    assert ran == [1]


def test_a_watch_that_an_earlier_callback_removed_is_not_called(loop: Loop) -> None:
    pipes = [os.pipe() for _ in range(2)]
    called: list[int] = []

    def first_come(mine: int, other: int) -> None:
        called.append(mine)
        loop.remove(other)

    for (read, write), (other, _) in zip(pipes, reversed(pipes)):
        loop.watch(read, READ, lambda _ready, read=read, other=other: first_come(read, other))  # type: ignore[misc]
        os.write(write, b"x")
    loop.turn(0)
    assert len(called) == 1
    for read, write in pipes:
        loop.remove(read)
        os.close(read)
        os.close(write)


def test_with_nothing_to_do_it_sleeps_without_a_time_out(loop: Loop) -> None:
    assert loop._sleep_s() is None
    loop.cancel(loop.call_later(5, lambda: None))
    assert loop._sleep_s() is None
    loop.call_soon(lambda: None)
    assert loop._sleep_s() == 0


def test_what_is_asked_for_soon_runs_at_the_end_of_the_turn_and_what_that_asks_for_in_the_next(loop: Loop) -> None:
    ran: list[str] = []

    def first() -> None:
        ran.append("first")
        loop.call_soon(lambda: ran.append("second"))

    loop.call_soon(first)
    loop.turn(0)
    assert ran == ["first"]
    loop.turn(0)
    assert ran == ["first", "second"]


def test_a_callback_that_settles_runs_those_that_were_to_follow_it_in_the_same_turn(loop: Loop) -> None:
    ran: list[str] = []

    def settling() -> None:
        assert loop.settle(3)
        ran.append("settled")

    loop.call_soon(settling)
    loop.call_soon(lambda: ran.append("one"))
    loop.call_soon(lambda: loop.call_soon(lambda: ran.append("one more")))
    loop.turn(0)
    assert ran == ["one", "one more", "settled"]


def test_removing_an_unknown_descriptor_is_no_error(loop: Loop, pipe: tuple[int, int]) -> None:
    loop.remove(pipe[0])
    called: list[int] = []
    loop.watch(pipe[0], READ, called.append)
    loop.remove(pipe[0])
    loop.remove(pipe[0])
    os.write(pipe[1], b"x")
    loop.turn(0)
    assert called == []


def test_a_loop_that_was_stopped_before_it_runs_does_not_begin_and_the_next_run_does(loop: Loop) -> None:
    ran: list[str] = []
    loop.stop()
    loop.call_soon(lambda: ran.append("soon"))
    loop.run()
    assert ran == []
    loop.call_soon(loop.stop)
    loop.run()
    assert ran == ["soon"]
