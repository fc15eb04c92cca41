"""What a schedule asks for at a moment: late and missed runs, periods over boots, clocks that were set."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taskmaster_common.config.schedule import Schedule, jitter_of, schedule_of
from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.schedule import (
    RUN,
    Clocks,
    Found,
    Memory,
    Missed,
    armed_at,
    due,
    next_run,
    overlapping,
    taken_in,
)
from tests.support.clocks import seconds

MIDNIGHT = float(seconds("2026-11-28T00:00"))
MINUTE, HOUR = 60.0, 3600.0


def utc(_moment: int) -> int:
    return 0


class Clockwork:
    """One slot, on clocks that a test sets."""

    def __init__(self, jitter: float = 0.0, **value: Any) -> None:
        self.schedule: Schedule = schedule_of(value)
        self.jitter = jitter
        self.wall, self.since_boot, self.boot = MIDNIGHT, 1000.0, "one"
        self.memory: Memory = armed_at(self.schedule, self.moment)

    @property
    def moment(self) -> Clocks:
        return Clocks(self.wall, self.since_boot, self.boot)

    def wait(self, passed: float) -> Clockwork:
        self.wall += passed
        self.since_boot += passed
        return self

    def set_clock(self, step: float) -> Clockwork:
        self.wall += step
        return self

    def reboot(self, passed: float) -> Clockwork:
        self.wall += passed
        self.since_boot, self.boot = 5.0, self.boot + "+"
        return self

    def look(self) -> Found:
        found = due(self.schedule, self.jitter, self.memory, self.moment, utc)
        self.memory = found.memory
        return found

    @property
    def in_s(self) -> float | None:
        found = next_run(self.schedule, self.jitter, self.memory, self.moment, utc)
        return None if found is None else found.in_s


def test_nothing_is_due_from_before_a_schedule_is_armed() -> None:
    job = Clockwork(cron=["0 * * * *"])
    assert job.look() == Found(job.memory)
    assert job.in_s == HOUR


def test_a_run_is_due_at_its_time_and_once() -> None:
    job = Clockwork(cron=["0 * * * *"]).wait(HOUR + 0.01)
    found = job.look()
    assert (found.run, found.missed) == (MIDNIGHT + HOUR, None)
    assert found.late == pytest.approx(0.01)
    assert job.look().run is None
    assert job.in_s == pytest.approx(HOUR - 0.01)


def test_jitter_delays_each_run_by_the_same_time() -> None:
    job = Clockwork(jitter=90.0, cron=["0 * * * *"]).wait(HOUR + 89)
    assert job.look().run is None
    found = job.wait(1).look()
    assert (found.run, found.late) == (MIDNIGHT + HOUR, 0.0)
    assert job.in_s == HOUR


def test_of_several_missed_runs_the_latest_is_made_up_and_the_others_are_one_line() -> None:
    found = Clockwork(cron=["*/10 * * * *"]).wait(35 * MINUTE).look()
    assert (found.run, found.late) == (MIDNIGHT + 30 * MINUTE, 5 * MINUTE)
    assert found.missed == Missed(2, MIDNIGHT + 10 * MINUTE, MIDNIGHT + 20 * MINUTE)


def test_what_is_later_than_catch_up_is_missed() -> None:
    found = Clockwork(cron=["0 0 * * *"], catch_up=60.0).wait(24 * HOUR + 61).look()
    assert (found.run, found.missed) == (None, Missed(1, MIDNIGHT + 24 * HOUR, MIDNIGHT + 24 * HOUR))
    assert Clockwork(cron=["0 0 * * *"], catch_up=60.0).wait(24 * HOUR + 60).look().run is not None
    on_time = Clockwork(cron=["0 0 * * *"], catch_up=0.0).wait(24 * HOUR + 1)
    assert on_time.look().run is not None, "a busy daemon is no reason to leave out what is never made up"


def test_very_many_missed_runs_are_not_counted_one_by_one() -> None:
    found = Clockwork(cron=["* * * * *"]).wait(365 * 24 * HOUR).look()
    assert found.run == MIDNIGHT + 365 * 24 * HOUR
    assert found.missed is not None
    assert (found.missed.count, found.missed.more) == (100, True)


def test_moments_of_at_come_once_and_then_no_more() -> None:
    job = Clockwork(at=["2026-11-28T01:00", "2026-11-28T02:00+01:00"]).wait(2 * HOUR)
    assert job.look().run == MIDNIGHT + HOUR
    assert job.in_s is None


def test_a_clock_that_is_set_back_lets_nothing_run_twice() -> None:
    job = Clockwork(cron=["0 * * * *"]).wait(2 * HOUR)
    assert job.look().run is not None
    job.set_clock(-HOUR).wait(MINUTE)
    assert job.look() == Found(job.memory)
    assert job.in_s == 2 * HOUR - MINUTE
    assert job.wait(2 * HOUR - MINUTE).look().run == MIDNIGHT + 3 * HOUR


def test_a_clock_that_was_wrong_for_years_does_not_silence_a_job() -> None:
    job = Clockwork(cron=["* * * * *"]).set_clock(10 * 365 * 24 * HOUR).wait(MINUTE)
    assert job.look().run is not None
    found = job.set_clock(-10 * 365 * 24 * HOUR).look()
    assert (found.forgotten, found.run) == (True, None)
    assert job.wait(MINUTE).look().run is not None


def test_a_clock_that_is_set_forward_is_one_late_run() -> None:
    job = Clockwork(cron=["0 * * * *"]).set_clock(2 * HOUR + MINUTE)
    found = job.look()
    assert (found.run, found.late, found.missed) == (
        MIDNIGHT + 2 * HOUR,
        MINUTE,
        Missed(1, MIDNIGHT + HOUR, MIDNIGHT + HOUR),
    )


# -- periods


def test_a_period_counts_from_its_anchor_whatever_the_clock_of_the_day_says() -> None:
    job = Clockwork(every=10.0)
    assert job.in_s == 10
    assert job.wait(10.3).look().run == pytest.approx(job.wall - 0.3)
    assert job.in_s == pytest.approx(9.7)
    job.set_clock(-HOUR)
    assert job.in_s == pytest.approx(9.7)
    assert job.wait(9.8).look().run is not None


def test_a_period_that_is_longer_than_the_time_between_boots_still_ends() -> None:
    job = Clockwork(every=4.0)
    runs = 0
    for _ in range(8):
        job.reboot(2.0)
        runs += job.look().run is not None
    assert runs == 4


def test_missed_periods_are_one_run_and_one_line() -> None:
    found = Clockwork(every=1.0).wait(10.2).look()
    assert found.run == pytest.approx(MIDNIGHT + 10)
    assert found.missed is not None
    assert found.missed.count == 9
    assert (found.missed.first, found.missed.last) == pytest.approx((MIDNIGHT + 1, MIDNIGHT + 9))


def test_a_missed_period_may_be_too_late() -> None:
    found = Clockwork(every=HOUR, catch_up=60.0).wait(HOUR + 61).look()
    assert found.run is None
    assert found.missed is not None
    assert found.missed.count == 1


@given(
    st.sampled_from([{"cron": ["*/7 * * * *"]}, {"cron": ["0 3 * * *"]}, {"every": 61.0}, {"every": 3600.0}]),
    st.floats(0, 50),
    st.lists(st.tuples(st.sampled_from(("wait", "reboot")), st.floats(0.1, 40_000)), max_size=12),
)
def test_each_nominal_time_is_taken_once_as_a_run_or_as_missed(
    value: dict[str, Any], jitter: float, steps: list[tuple[str, float]]
) -> None:
    job, taken, last = Clockwork(jitter=jitter, **value), 0, MIDNIGHT
    for kind, passed in steps:
        job.wait(passed) if kind == "wait" else job.reboot(passed)
        before = job.memory.last
        found = job.look()
        taken += (found.run is not None) + (found.missed.count if found.missed else 0)
        assert job.memory.last >= before
        if found.run is not None:
            assert found.run > last
            last = found.run
        assert job.look().run is None, "nothing is due twice"
        following = job.in_s
        assert following is not None
        assert following > 0
        assert job.look() == Found(job.memory), "a look changes nothing"
    if "every" in value:
        period = value["every"]
        assert taken in (
            int((job.wall - MIDNIGHT - jitter) // period),
            int((job.wall - MIDNIGHT - jitter) // period) + 1,
        )


# -- overlap


@pytest.mark.parametrize(
    ("overlap", "memory", "after", "left_out"),
    [
        (RUN, Memory(skipped=2, waiting=5.0), Memory(), False),
        ("replace", Memory(skipped=2), Memory(), False),
        ("skip", Memory(skipped=2), Memory(skipped=3), True),
        ("queue", Memory(), Memory(waiting=9.0), False),
        ("queue", Memory(waiting=5.0), Memory(waiting=5.0, skipped=1), True),
    ],
)
def test_a_run_that_meets_another_one_is_left_out_waits_or_replaces_it(
    overlap: str, memory: Memory, after: Memory, left_out: bool
) -> None:
    assert taken_in(memory, overlap, 9.0) == (after, left_out)


def test_what_waits_for_a_retry_is_not_running() -> None:
    schedule = schedule_of({"every": 5.0, "overlap": "queue"})
    states = ("EXITED", "FATAL", "BACKOFF", "STARTING", "RUNNING", "STOPPING")
    found = [overlapping(schedule, Process(state=state)) for state in states]  # type: ignore[arg-type]
    assert found == [RUN, RUN, RUN, "queue", "queue", "queue"]


def test_jitter_is_that_of_the_slot_and_the_host_for_good_and_spread_over_all_of_it() -> None:
    schedule = schedule_of({"every": 500.0, "jitter": 100.0})
    found = [jitter_of(schedule, "host", f"web:{index}") for index in range(300)]
    assert found == [jitter_of(schedule, "host", f"web:{index}") for index in range(300)]
    assert found[0] != jitter_of(schedule, "other", "web:0")
    assert all(0 <= each <= 100 for each in found)
    assert all(any(low <= each < low + 10 for each in found) for low in range(0, 100, 10))
    assert jitter_of(schedule_of({"every": 500.0}), "host", "web:0") == 0.0
