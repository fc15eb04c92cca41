"""The grammar of cron, and what is said about texts of other tools."""

from __future__ import annotations

import pytest

from taskmaster_common.text.calendar.cron import Cron, parse_cron


def numbers(mask: int) -> list[int]:
    return [bit for bit in range(64) if mask >> bit & 1]


def test_each_field_is_a_list_of_numbers_ranges_and_steps() -> None:
    cron = parse_cron("0,30-32,*/20 3 1-10/4 feb,6-8 MON-wed,7")
    assert numbers(cron.minutes) == [0, 20, 30, 31, 32, 40]
    assert numbers(cron.hours) == [3]
    assert numbers(cron.days) == [1, 5, 9]
    assert numbers(cron.months) == [2, 6, 7, 8]
    assert numbers(cron.weekdays) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("text", "weekdays"),
    [("0 0 * * 7", [0]), ("0 0 * * 5-7", [0, 5, 6]), ("0 0 * * fri-sun", [0, 5, 6]), ("0 0 * * */2", [0, 2, 4, 6])],
)
def test_sunday_has_two_numbers(text: str, weekdays: list[int]) -> None:
    assert numbers(parse_cron(text).weekdays) == weekdays


def test_a_step_begins_at_the_first_number_of_its_range() -> None:
    assert numbers(parse_cron("0 0 */3 * *").days)[:3] == [1, 4, 7]
    assert numbers(parse_cron("5-59/15 * * * *").minutes) == [5, 20, 35, 50]


@pytest.mark.parametrize(
    ("word", "fields"),
    [
        ("@hourly", "0 * * * *"),
        ("@Daily", "0 0 * * *"),
        ("@midnight", "0 0 * * *"),
        ("@weekly", "0 0 * * 0"),
        ("@monthly", "0 0 1 * *"),
        ("@yearly", "0 0 1 1 *"),
        ("@annually", "0 0 1 1 *"),
    ],
)
def test_a_word_stands_for_five_fields(word: str, fields: str) -> None:
    assert parse_cron(word) == parse_cron(fields).replace(text=word)


@pytest.mark.parametrize(
    ("text", "both", "flowing"),
    [
        ("0 0 13 * 5", False, False),
        ("0 0 */2 * 1", True, False),
        ("0 0 13 * *", True, False),
        ("0 0 1,* * 5", False, False),
        ("*/5 3 * * *", True, True),
        ("0 */2 * * *", True, True),
        ("0,* 3 * * *", True, False),
    ],
)
def test_a_field_that_begins_with_a_star_says_how_it_is_meant(text: str, both: bool, flowing: bool) -> None:
    cron = parse_cron(text)
    assert (cron.both, cron.flowing) == (both, flowing)


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("0 0 3 * * *", "no seconds: use every: 10s"),
        ("5/15 * * * *", "write 5-59/15"),
        ("0 0 * * fri-mon", "write fri-sat,sun-mon"),
        ("0 22-2 * * *", "write 22-23,0-2"),
        ("0 0 * * 5/2", "write 5-6/2"),
        ("@reboot", "at_start: true"),
        ("@always", "not one of @hourly"),
        ("CRON_TZ=UTC 0 3 * * *", "timezone:"),
        ("TZ=UTC 0 3 * * *", "timezone:"),
        ("0 0 31 2 *", "never happens"),
        ("0 0 31 4,6,9,11 *", "never happens"),
        ("0 0 30 2 */2", "never happens"),
        ("0 0 L * *", "not known here"),
        ("0 0 LW * *", "not known here"),
        ("0 0 * * fri#2", "write days 1-7"),
        ("0 0 ? * *", "write *"),
        ("H 3 * * *", "jitter:"),
        ("60 * * * *", "not between 0 and 59"),
        ("0 24 * * *", "not between 0 and 23"),
        ("0 0 0 * *", "not between 1 and 31"),
        ("0 0 * 13 *", "not between 1 and 12"),
        ("0 0 * * 8", "not between 0 and 7"),
        ("*/0 * * * *", "not a step"),
        ("*/x * * * *", "not a step"),
        ("0 0 * * mo", "sun to sat"),
        ("0 0 * january *", "jan to dec"),
        ("-5 * * * *", "not a number from 0 to 59"),
        ("1-2-3 * * * *", "not a number"),
        ("1, * * * *", "not a number"),
        ("0 3 * *", "has 4 fields"),
        ("", "has 0 fields"),
        ("* " * 600, "characters"),
        ("² * * * *", "not a number"),
    ],
)
def test_what_is_no_cron_is_refused_with_what_to_write_instead(text: str, hint: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        parse_cron(text)
    assert hint in str(refused.value)


def test_either_day_makes_an_impossible_date_possible() -> None:
    assert isinstance(parse_cron("0 0 31 2 5"), Cron), "each Friday of February"


def test_two_days_are_known_for_the_warning() -> None:
    assert parse_cron("0 0 13 * 5").two_days
    assert parse_cron("0 0 */2 * 1").two_days
    assert not parse_cron("0 0 13 * *").two_days
    assert not parse_cron("0 0 1-31 * 5").two_days
    assert not parse_cron("0 0 13 * 0-6").two_days
