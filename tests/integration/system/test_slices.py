"""Work whose amount programs decide: in steps, in bursts, and with rests, so that nobody waits for it."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator

import pytest

from taskmasterd.system.loop.reactor import Reactor
from taskmasterd.system.loop.slices import BURST, LONG_S, Looks, in_bursts


@pytest.fixture
def reactor() -> Iterator[Reactor]:
    made = Reactor(lambda error: pytest.fail(repr(error)))
    yield made
    made.close()


def turn_until(reactor: Reactor, list_: list[object], length: int) -> None:
    """Turn the loop until a list has grown to a length."""
    while len(list_) < length:
        reactor.turn(0.001)


def counting(steps: int, done: list[int], step_s: float = 0.0) -> Generator[None, None, int]:
    """Do so many steps, of this length; returns their number."""
    for number in range(steps):
        until = time.monotonic() + step_s
        while time.monotonic() < until:
            pass
        done.append(number)
        yield
    return steps


class Unhurried(Reactor):
    """A loop by whose clock no step takes any time, however busy the machine is."""

    @staticmethod
    def now() -> float:
        return 0.0


def test_a_short_look_is_done_at_once() -> None:
    reactor = Unhurried(lambda error: pytest.fail(repr(error)))
    found: list[object] = []
    looks = Looks(reactor, lambda: counting(1, []), found.append, lambda error: pytest.fail(repr(error)))
    looks.ask()
    assert found == [1]
    assert not looks.under_way
    reactor.close()


def test_a_long_look_leaves_the_turn_to_others_and_one_more_serves_all_who_asked_meanwhile(reactor: Reactor) -> None:
    found: list[object] = []
    done: list[int] = []
    looks = Looks(
        reactor, lambda: counting(100, done, LONG_S / 10), found.append, lambda error: pytest.fail(repr(error))
    )
    looks.ask()
    assert len(done) < 100
    assert looks.under_way
    turns = reactor.turns
    looks.ask()
    looks.ask()
    turn_until(reactor, found, 2)
    assert reactor.turns - turns > 4
    reactor.settle(100)
    assert found == [100, 100]
    assert not looks.under_way


def test_the_work_of_others_between_its_steps_makes_no_rest_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(Unhurried, "now", staticmethod(lambda: clock[0]))
    reactor = Unhurried(lambda error: pytest.fail(repr(error)))
    found: list[object] = []

    def look() -> Generator[None, None, int]:
        for _ in range(3):
            clock[0] += LONG_S / 4
            yield
        return 3

    looks = Looks(reactor, look, found.append, lambda error: pytest.fail(repr(error)))
    for number in (1, 2):
        looks.ask()
        for _ in range(10):
            clock[0] += 60
            reactor.settle(1)
        assert found == [3] * number
    reactor.close()


def test_a_look_that_was_asked_for_by_what_came_of_another_is_done_afterwards(reactor: Reactor) -> None:
    found: list[object] = []

    def done(result: int) -> None:
        if not found:
            looks.ask()
            assert found == [], "not within it"
        found.append(result)

    looks = Looks(reactor, lambda: counting(1, []), done, lambda error: pytest.fail(repr(error)))
    looks.ask()
    turn_until(reactor, found, 2)
    assert found == [1, 1]


def test_a_look_that_fails_is_told_and_repeated(reactor: Reactor) -> None:
    errors: list[OSError] = []
    found: list[object] = []

    def begin() -> Generator[None, None, int]:
        if not errors:
            raise OSError(24, "too many open files")
        return (yield from counting(1, []))

    looks = Looks(reactor, begin, found.append, errors.append)
    looks.ask()
    assert looks.under_way
    turn_until(reactor, found, 1)
    assert [error.errno for error in errors] == [24]


def test_signals_to_many_go_out_in_bursts_and_all_arrive(reactor: Reactor) -> None:
    done: list[int] = []
    result: list[object] = []
    in_bursts(reactor, counting(3 * BURST + 1, done), result.append)
    assert len(done) == BURST
    assert result == []
    turn_until(reactor, result, 1)
    assert (len(done), result) == (3 * BURST + 1, [3 * BURST + 1])
