"""When how much was written: nothing of the time asked for is missing, and what is too much is little."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmasterd.output.ledger.timeline import MOST_PERIODS, PERIOD_S, LogMarks


def test_nothing_written_is_nothing() -> None:
    assert LogMarks().since(-1e9) == 0


def test_a_quiet_hour_does_not_bring_back_what_was_before_it() -> None:
    marks = LogMarks()
    marks.add(1000, 0.0)
    marks.add(10, 3600.0)
    assert marks.since(3300.0) == 10
    assert marks.since(0.0) == 1010
    assert marks.since(3601.0) == 0


def test_within_a_second_it_cannot_tell_and_gives_all_of_it() -> None:
    marks = LogMarks()
    for tick in range(10):
        marks.add(1, tick / 10)
    assert marks.since(0.85) == 10
    assert marks.since(0.95) == 0


@given(st.lists(st.tuples(st.floats(0.01, 5000), st.integers(1, 1000)), min_size=1, max_size=300), st.floats(0, 1))
def test_what_was_written_since_is_never_less_than_it_is(chunks: list[tuple[float, int]], part: float) -> None:
    marks, now, written = LogMarks(), 0.0, []
    for pause, amount in chunks:
        now += pause
        marks.add(amount, now)
        written.append((now, amount))
    moment = now * part
    assert sum(amount for at, amount in written if at >= moment) <= marks.since(moment)
    assert marks.since(moment) <= sum(amount for _at, amount in written)
    assert marks.since(0.0) == sum(amount for _at, amount in written)


@pytest.mark.sweep
def test_a_log_that_never_rests_is_known_to_a_third_of_the_age() -> None:
    marks, now, written = LogMarks(), 0.0, []
    rate = random.Random(1)
    while now < 200_000:
        marks.add(1, now)
        written.append(now)
        now += rate.uniform(0.5, 20)
    for age in (30.0, 300.0, 3600.0, 86_400.0):
        wanted = sum(1 for at in written if at >= now - age)
        reached = sum(1 for at in written if at >= now - age - age / 3 - PERIOD_S)
        assert wanted <= marks.since(now - age) <= reached, age


def test_it_stays_small() -> None:
    marks = LogMarks()
    for tick in range(10_000):
        marks.add(1, tick * 2 * PERIOD_S)
    assert len(marks.to_data()) == MOST_PERIODS


def test_stretches_say_when_which_bytes_were_written_and_where_nobody_knows() -> None:
    marks = LogMarks()
    for at, amount in ((10.0, 3), (20.0, 4), (30.0, 5)):
        marks.add(amount, at)
    assert marks.stretches(12, 0) == [(3, 10.0), (4, 20.0), (5, 30.0)]
    assert marks.stretches(20, 0) == [(8, None), (3, 10.0), (4, 20.0), (5, 30.0)]
    assert marks.stretches(2, 7) == [(2, 20.0)]
    assert marks.stretches(6, 0) == [(1, 20.0), (5, 30.0)]
    assert LogMarks().stretches(6, 0) == [(6, None)]
    assert marks.stretches(0, 0) == []
