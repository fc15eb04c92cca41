"""Which changes the shell tells, and how many of them."""

from __future__ import annotations

from taskmasterctl.shell.news import MOST_A_SECOND, Notices


def test_the_first_lines_go_through_and_the_others_are_counted_with_the_last_one_told() -> None:
    notices = Notices()
    for number in range(200):
        notices.add(f"{number}\n", 10.0)
    assert notices.take(10.0) == ["0\n", "1\n", "2\n", "3\n", "4\n"]
    assert notices.take(10.5) == []
    assert notices.wait_s(10.5) == 0.5
    assert notices.take(11.0) == ["... 194 more changes; `status` shows how it stands\n", "199\n"]
    assert notices.wait_s(11.0) is None


def test_a_storm_names_the_programs_that_change_most() -> None:
    notices = Notices()
    for number in range(100):
        notices.add(f"{number}\n", 10.0, "a" if number % 2 else f"p{number}")
    notices.add("last\n", 10.0, "a")
    assert notices.take(11.0)[MOST_A_SECOND:] == [
        "... 95 more changes (a 48, p6 1, p8 1, p10 1, others 44); `status` shows how it stands\n",
        "last\n",
    ]
    for number in range(7):
        notices.add(f"{number}\n", 20.0, "web")
    assert notices.take(21.0)[MOST_A_SECOND:] == ["... 1 more change (web 1); `status` shows how it stands\n", "6\n"]


def test_a_storm_never_gives_more_than_its_lines_a_second() -> None:
    notices = Notices()
    shown: list[tuple[float, str]] = []
    for tick in range(1000):
        now = tick / 100
        notices.add(f"{tick}\n", now)
        shown += [(now, line) for line in notices.take(now)]
    for second in range(9):
        within = [line for now, line in shown if second <= now < second + 1]
        assert 0 < len(within) <= MOST_A_SECOND + 2
    counted = sum(int(line.split()[1]) for _now, line in shown if line.startswith("..."))
    told = sum(not line.startswith("...") for _now, line in shown)
    assert 1000 - (counted + told) <= 100  # those of the window that is still open


def test_slow_changes_are_all_told() -> None:
    notices = Notices()
    for now in range(20):
        notices.add(f"{now}\n", now / 2)
        assert notices.take(now / 2) == [f"{now}\n"]


def test_one_line_too_many_is_told_instead_of_counted() -> None:
    notices = Notices()
    for number in range(MOST_A_SECOND + 1):
        notices.add(f"{number}\n", 0.0)
    notices.take(0.0)
    assert notices.take(1.0) == [f"{MOST_A_SECOND}\n"]


def test_changes_of_which_nothing_is_known_are_counted() -> None:
    notices = Notices()
    notices.skip(1)
    assert notices.take(0.0) == ["... 1 more change; `status` shows how it stands\n"]
    assert notices.wait_s(0.0) is None
