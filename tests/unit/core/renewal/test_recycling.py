"""When an instance is to be recycled: looks at its memory, its age, and pauses that grow."""

from __future__ import annotations

import pytest

from taskmaster_common.config.recycle import RecycleRules, rules_of
from taskmasterd.core.process.recycling import (
    MemoryLooks,
    age_due,
    age_text,
    begun,
    cron_due,
    cron_text,
    measured,
    recycled,
    refused,
    size_text,
    spread,
)
from tests.support.model import policy

RULES = RecycleRules(memory=60_000_000, interval=15.0, samples=2)
BIG, SMALL = 100_000_000, 20_000_000


def test_one_look_above_the_limit_is_a_peak_and_the_second_in_a_row_is_enough() -> None:
    looks, why = measured(RULES, policy(), MemoryLooks(), BIG, 0.0)
    assert (looks.over, why) == (1, "")
    looks, why = measured(RULES, policy(), looks, BIG, 15.0)
    assert why == "memory 100MB over 60MB, twice in 15s"


def test_a_look_below_the_limit_begins_the_row_again() -> None:
    looks, _ = measured(RULES, policy(), MemoryLooks(), BIG, 0.0)
    looks, _ = measured(RULES, policy(), looks, RULES.memory, 15.0)
    looks, why = measured(RULES, policy(), looks, BIG, 30.0)
    assert (looks.over, why) == (1, "")


@pytest.mark.parametrize(
    ("samples", "text"),
    [
        (1, "memory 100MB over 60MB"),
        (2, "memory 100MB over 60MB, twice in 15s"),
        (3, "memory 100MB over 60MB, 3 times in 30s"),
    ],
)
def test_the_reason_says_how_much_it_was_and_how_often(samples: int, text: str) -> None:
    looks, why = MemoryLooks(), ""
    for _ in range(samples):
        assert why == ""
        looks, why = measured(RULES.replace(samples=samples), policy(), looks, BIG, 0.0)
    assert why == text


def test_the_pause_before_the_first_look_doubles_with_each_restart_in_a_row_up_to_ten_minutes() -> None:
    assert [RULES.pause_s(streak) for streak in (0, 1, 2, 3, 4, 7, 1000)] == [15, 15, 30, 60, 120, 600, 600]
    assert RULES.replace(interval=900.0).pause_s(9) == 900


def test_restarts_in_a_row_count_until_the_memory_has_been_below_the_limit_for_restart_window() -> None:
    looks = recycled(recycled(MemoryLooks(over=2)))
    assert (looks.over, looks.streak) == (0, 2)
    looks = begun(looks, 100.0)
    for now, streak in ((130.0, 2), (159.9, 2), (160.0, 0)):
        looks, _ = measured(RULES, policy(restart_window=60.0), looks, SMALL, now)
        assert looks.streak == streak, now


def test_a_look_above_the_limit_interrupts_the_calm() -> None:
    looks = begun(recycled(MemoryLooks()), 0.0)
    looks, _ = measured(RULES, policy(restart_window=60.0), looks, BIG, 30.0)
    looks, _ = measured(RULES, policy(restart_window=60.0), looks, SMALL, 70.0)
    assert looks.streak == 1
    looks, _ = measured(RULES, policy(restart_window=60.0), looks, SMALL, 130.0)
    assert looks.streak == 0


def test_without_restart_window_a_minute_of_calm_is_enough() -> None:
    looks = begun(recycled(MemoryLooks()), 0.0)
    assert [measured(RULES, policy(restart_window=0.0), looks, SMALL, now)[0].streak for now in (59.0, 60.0)] == [1, 0]


def test_who_may_not_be_recycled_is_looked_at_as_often_again() -> None:
    looks, _ = measured(RULES, policy(), MemoryLooks(over=1), BIG, 0.0)
    assert (refused(looks).over, refused(looks).streak) == (0, 0)


def test_what_is_known_goes_over_an_upgrade() -> None:
    looks = MemoryLooks(1, 3, None, BIG)
    assert MemoryLooks.from_data(looks.to_data()) == looks


def test_the_age_counts_from_running_and_comes_round_again() -> None:
    rules = RecycleRules(age=10.0)
    assert age_due(rules, "web", 0, 100.0, 100.0) == 110
    assert age_due(rules, "web", 0, 100.0, 110.0) == 120, "at its moment it is the next one"
    assert age_due(rules, "web", 0, 100.0, 137.0) == 140
    assert age_text(RecycleRules(age=43_200.0)) == "age 12h"


def test_each_slot_has_a_moment_of_its_own_within_the_jitter_and_always_the_same() -> None:
    rules = RecycleRules(age=100.0, jitter=20.0)
    moments = [age_due(rules, "web", index, 0.0, 0.0) for index in range(50)]
    assert moments == [age_due(rules, "web", index, 0.0, 0.0) for index in range(50)]
    assert all(80 <= each <= 120 for each in moments)
    assert len({round(each, 2) for each in moments}) > 40
    assert max(moments) - min(moments) > 20
    assert spread("web", 3) == pytest.approx(0.7763341994803118), "another daemon and another version compute the same"


@pytest.mark.parametrize(
    ("size", "text"), [(431_400_000, "431MB"), (10_000_000, "10MB"), (9_999_999, "10000KB"), (4_096, "4KB")]
)
def test_what_was_measured_is_told_in_whole_megabytes(size: int, text: str) -> None:
    assert size_text(size) == text


def test_rules_are_read_from_the_value_of_the_key() -> None:
    assert rules_of({"memory": 5, "interval": 1.0, "samples": 3, "jitter": 0.0}) == RecycleRules(5, 0.0, 1.0, 3, 0.0)


def test_the_nearest_line_of_cron_is_due_by_the_clocks_of_its_zone() -> None:
    rules = RecycleRules(cron=("0 4 * * *", "30 3 * * *"))
    assert cron_due(rules, "web", 0, 0.0, lambda _moment: 0) == (3.5 * 3600, "30 3 * * *")
    assert cron_due(rules, "web", 0, 3.5 * 3600, lambda _moment: 0) == (4 * 3600, "0 4 * * *")
    assert cron_due(rules, "web", 0, 0.0, lambda _moment: 3600) == (2.5 * 3600, "30 3 * * *")
    assert cron_due(RecycleRules(), "web", 0, 0.0, lambda _moment: 0) is None
    assert cron_text("0 4 * * *") == "cron 0 4 * * *"


def test_the_moment_of_cron_has_the_jitter_of_its_slot_and_comes_once() -> None:
    rules = RecycleRules(cron=("0 4 * * *",), jitter=600.0)
    moments = set()
    for index in range(20):
        found = cron_due(rules, "web", index, 0.0, lambda _moment: 0)
        assert found
        assert 4 * 3600 - 600 <= found[0] <= 4 * 3600 + 600
        again = cron_due(rules, "web", index, found[0], lambda _moment: 0)
        assert again
        assert again[0] == found[0] + 86_400
        moments.add(round(found[0]))
    assert len(moments) > 15
