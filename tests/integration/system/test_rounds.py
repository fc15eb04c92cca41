"""How the loop shares its time among all that takes longer than a moment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from taskmasterd.system.loop.lanes import Lane
from taskmasterd.system.loop.reactor import Reactor


class Loop(Reactor):
    """A reactor that keeps the errors of its callbacks; its time goes on with what is done, however busy the machine is."""

    def __init__(self) -> None:
        self.errors: list[BaseException] = []
        self.seconds = 0.0
        super().__init__(self.errors.append)

    def now(self) -> float:  # type: ignore[override]
        return self.seconds

    def finish(self, lane: Lane) -> None:
        while not lane.idle:
            self.turn(0)

    def busy(self, done: list[str], name: str, steps: int) -> Iterator[None]:
        """Work for a millisecond a step, and write down its end."""
        for _ in range(steps):
            self.seconds += 0.001
            yield
        done.append(name)


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


def test_what_is_quickly_done_is_done_at_once_and_overtakes_what_is_not(loop: Loop) -> None:
    done: list[str] = []
    loop.rounds.begin(loop.busy(done, "quick", 1))
    assert done == ["quick"]
    loop.rounds.begin(loop.busy(done, "long", 60))
    loop.turn(0)
    loop.rounds.begin(loop.busy(done, "next", 1))
    assert done == ["quick", "next"]
    while len(done) < 3:
        loop.turn(0)
    assert done == ["quick", "next", "long"]


def test_a_crowd_of_long_work_leaves_every_turn_to_others_and_is_served_in_turn(loop: Loop) -> None:
    done: list[str] = []
    for number in range(20):
        loop.rounds.begin(loop.busy(done, str(number), 30))
    turns = 0
    while len(done) < 20:
        loop.turn(0)
        turns += 1
    assert turns > 10, "600 ms of work are no single turn"
    assert sorted(done, key=int) == [str(number) for number in range(20)]


def test_what_one_user_wants_of_many_connections_takes_no_more_time_from_another_than_one(loop: Loop) -> None:
    done: list[str] = []
    lane = Lane(loop)
    for number in range(16):
        lane.begin(loop.busy(done, str(number), 100))
    for _ in range(3):
        loop.turn(0)
    since = loop.now()
    loop.rounds.begin(loop.busy(done, "other", 20))
    while "other" not in done:
        loop.turn(0)
    assert done == ["other"]
    assert loop.now() - since < 0.06, "it has at least every second piece"
    loop.finish(lane)
    assert done[1:] == [str(number) for number in range(16)], "those of the user are served in turn"
    assert not loop.errors


def test_an_error_in_a_lane_costs_that_work_alone_and_the_lane_goes_on_later(loop: Loop) -> None:
    done: list[str] = []
    lane = Lane(loop)

    def fails() -> Iterator[None]:
        yield from loop.busy([], "", 10)
        raise ValueError("of ours")

    lane.begin(fails(), lambda: done.append("dropped"))
    lane.begin(loop.busy(done, "other", 20))
    loop.finish(lane)
    assert done == ["dropped", "other"]
    lane.begin(loop.busy(done, "next", 1))
    loop.finish(lane)
    assert (done[2:], [str(error) for error in loop.errors]) == (["next"], ["of ours"])


def test_an_error_in_a_later_step_costs_that_work_alone(loop: Loop) -> None:
    done: list[str] = []

    def fails() -> Iterator[None]:
        yield from loop.busy([], "", 10)
        raise ValueError("of ours")

    loop.rounds.begin(fails(), lambda: done.append("dropped"))
    loop.rounds.begin(loop.busy(done, "other", 20))
    while len(done) < 2:
        loop.turn(0)
    assert done == ["dropped", "other"]
    assert [str(error) for error in loop.errors] == ["of ours"]


def test_an_upgrade_finds_no_quiet_moment_while_work_is_under_way(loop: Loop) -> None:
    loop.rounds.begin(loop.busy([], "", 200))
    assert not loop.settle(3)


def test_what_is_new_overtakes_a_crowd_that_is_at_work(loop: Loop) -> None:
    done: list[str] = []
    for number in range(60):
        loop.rounds.begin(loop.busy([], str(number), 40))
    for _ in range(3):
        loop.turn(0)
    loop.rounds.begin(loop.busy(done, "new", 1))  # there is no time for more than its first step in this turn
    loop.turn(0)
    assert done == ["new"]
