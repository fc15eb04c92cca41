"""The next move of a rolling restart: by example, and for instances that come up, fail and fall at random."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmasterd.core.programs.roll import (
    COMING,
    DOWN,
    FAILED,
    ROLLBACK,
    SICK,
    UP,
    Done,
    GoesBack,
    Holds,
    Restarts,
    RollPolicy,
    Standing,
    Stops,
    backwards,
    begun,
    roll,
)

AT_ONCE = RollPolicy(monitor=0.0)


class Fleet:
    """The instances of a program under one roll; a move of the roll is carried out at once."""

    def __init__(self, count: int, policy: RollPolicy = AT_ONCE, **levels: str) -> None:
        self.policy = policy
        self.now = 100.0
        self.away_before: list[int] = []
        self.slots = {index: Standing(index, levels.get(f"s{index}", UP), 1.0) for index in range(count)}
        self.state = begun(tuple(self.slots.values()), tuple(self.slots))

    def move(self) -> object:
        """Ask for a move; an instance whose turn it is goes down and is on its way up."""
        self.away_before = [index for index, slot in self.slots.items() if slot.level != UP]
        self.state, move = roll(self.policy, tuple(self.slots.values()), self.state, self.now)
        if isinstance(move, Restarts):
            self.put(move.index, COMING)
        return move

    def moves(self) -> list[object]:
        """Ask until there is nothing to do; return all moves."""
        found = [self.move()]
        while isinstance(found[-1], Restarts):
            found.append(self.move())
        return found

    def put(self, index: int, level: str) -> None:
        """Let an instance be at a level; one that comes up is new."""
        born = self.now if level == UP else self.slots[index].born
        self.slots[index] = Standing(index, level, born)

    def wait(self, seconds: float) -> Fleet:
        """Let time pass."""
        self.now += seconds
        return self


def test_one_after_the_other_and_each_when_the_one_before_is_up() -> None:
    fleet = Fleet(2)
    assert fleet.moves() == [Restarts(0), Holds()]
    fleet.put(0, UP)
    assert fleet.moves() == [Restarts(1), Holds()]
    fleet.put(1, UP)
    assert fleet.moves() == [Done()]


def test_an_instance_has_to_stay_up_and_then_a_pause_passes() -> None:
    fleet = Fleet(2, RollPolicy(monitor=5.0, pause=2.0))
    fleet.move()
    fleet.put(0, UP)
    assert fleet.moves() == [Holds(until=105.0)]
    assert fleet.wait(5).moves() == [Holds(until=107.0)]
    assert fleet.wait(2).moves() == [Restarts(1), Holds()]


def test_those_that_are_down_come_first() -> None:
    fleet = Fleet(4, AT_ONCE, s1=FAILED, s3=DOWN)
    assert fleet.state.todo == (1, 3, 0, 2)
    assert fleet.moves() == [Restarts(1), Holds()]
    fleet.put(1, UP)
    assert fleet.moves() == [Restarts(3), Holds()]


def test_max_unavailable_is_how_many_are_under_way_at_a_time() -> None:
    fleet = Fleet(3, RollPolicy(max_unavailable=2, monitor=0.0))
    assert fleet.moves() == [Restarts(0), Restarts(1), Holds()]
    fleet.put(1, UP)
    assert fleet.moves() == [Restarts(2), Holds()]


def test_one_that_is_away_by_itself_counts() -> None:
    fleet = Fleet(3)
    fleet.moves()
    fleet.put(0, UP)
    fleet.moves()
    fleet.put(0, COMING)
    fleet.put(1, UP)
    assert fleet.moves() == [Holds()], "0 has crashed and is on its way: nobody else may be away"


def test_an_unhealthy_one_counts_as_away_and_is_restarted_first() -> None:
    fleet = Fleet(3, s1=SICK)
    assert fleet.moves() == [Restarts(1), Holds()]
    fleet = Fleet(3)
    fleet.moves()
    fleet.put(0, UP)
    fleet.put(2, SICK)
    assert fleet.moves() == [Restarts(2), Holds()]


def test_what_somebody_has_stopped_and_is_not_to_be_restarted_does_not_count() -> None:
    fleet = Fleet(2, s1=DOWN)
    fleet.state = begun(tuple(fleet.slots.values()), [0])
    assert fleet.moves() == [Restarts(0), Holds()]


@pytest.mark.parametrize("level", [FAILED, DOWN, SICK])
def test_a_restarted_one_that_does_not_come_up_ends_it(level: str) -> None:
    fleet = Fleet(2)
    fleet.moves()
    fleet.put(0, level)
    assert fleet.moves() == [Stops(0)]
    assert fleet.state.todo == (1,)


def test_one_that_falls_while_it_is_watched_ends_it_even_if_it_is_up_again() -> None:
    fleet = Fleet(2, RollPolicy(monitor=5.0))
    fleet.moves()
    fleet.put(0, UP)
    fleet.moves()
    fleet.wait(1).put(0, UP)
    assert fleet.moves() == [Stops(0)]


def test_another_one_that_fails_for_good_ends_it() -> None:
    fleet = Fleet(3)
    fleet.moves()
    fleet.put(2, FAILED)
    assert fleet.moves() == [Stops(2)]


def test_a_rollback_takes_back_what_was_restarted_the_broken_ones_at_once() -> None:
    fleet = Fleet(5, RollPolicy(max_unavailable=2, monitor=0.0, on_failure=ROLLBACK))
    fleet.moves()
    fleet.put(0, UP)
    fleet.put(1, UP)
    fleet.moves()
    fleet.put(2, FAILED)
    assert fleet.moves() == [GoesBack(2)]
    fleet.state = backwards(fleet.state, tuple(fleet.slots.values()))
    assert fleet.state.todo == (2, 3, 0, 1)
    assert fleet.moves() == [Restarts(2), Restarts(3), Holds()], "both that are down, then nobody until they are up"
    fleet.put(2, FAILED)
    assert fleet.moves() == [Stops(2)], "a rollback is not rolled back"


def test_a_rollback_restarts_all_that_are_away_at_once_whatever_is_allowed() -> None:
    fleet = Fleet(3, RollPolicy(monitor=0.0, on_failure=ROLLBACK))
    fleet.moves()
    fleet.put(0, UP)
    fleet.moves()
    fleet.put(0, COMING)
    fleet.put(1, FAILED)
    assert fleet.moves() == [GoesBack(1)]
    fleet.state = backwards(fleet.state, tuple(fleet.slots.values()))
    assert fleet.moves() == [Restarts(0), Restarts(1), Holds()]


def run_on(fleet: Fleet) -> bool:
    """Carry out moves until the roll holds, or is over; return whether it is."""
    while True:
        move = fleet.move()
        assert {*fleet.state.touched, *fleet.state.todo} == {*fleet.slots} or fleet.state.back
        if isinstance(move, GoesBack):
            assert not fleet.state.back, "a rollback is never rolled back"
            fleet.state = backwards(fleet.state, tuple(fleet.slots.values()))
        elif isinstance(move, Restarts) and not fleet.state.back:
            under_way = fleet.state.under_way
            others = [
                each.index
                for each in fleet.slots.values()
                if each.level in (COMING, SICK) and each.index not in under_way
            ]
            assert len(under_way) <= fleet.policy.max_unavailable
            assert len(under_way) + len(others) <= fleet.policy.max_unavailable or move.index in fleet.away_before
        elif not isinstance(move, Restarts):
            return not isinstance(move, Holds)


@given(
    st.integers(1, 6),
    st.builds(
        RollPolicy,
        max_unavailable=st.integers(1, 4),
        pause=st.sampled_from([0.0, 1.0]),
        monitor=st.sampled_from([0.0, 2.0]),
        on_failure=st.sampled_from(["stop", ROLLBACK]),
    ),
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([UP, COMING, SICK, FAILED]), st.integers(0, 3)), max_size=40),
)
def test_never_more_are_away_than_the_roll_allows_and_it_always_ends(
    count: int, policy: RollPolicy, happens: list[tuple[int, str, int]]
) -> None:
    fleet = Fleet(count, policy)
    for index, level, seconds in happens:
        if run_on(fleet):
            return
        fleet.wait(seconds)
        if index < count and fleet.slots[index].level != FAILED:
            fleet.put(index, level)
    for _ in range(4 * count + 4):  # from now on all goes well
        if run_on(fleet):
            return
        for index in range(count):
            if fleet.slots[index].level in (COMING, SICK):
                fleet.put(index, UP)
        fleet.wait(3)
    raise AssertionError(f"it holds for ever: {fleet.state}")
