"""What `simulate` tells: the rules of `step` on a clock of its own, as if all went well but the program."""

from __future__ import annotations

import re
from typing import Any

import pytest

from taskmaster_common.config import ProgramConfig
from taskmasterd.core.simulation import MOST_EVENTS, Happening, asked_for, simulate
from taskmasterd.core.timed import WallClock
from tests.support.model import program

NUMBERS = {"TERM": 15, "KILL": 9, "SEGV": 11}
NAMES = {number: name for name, number in NUMBERS.items()}
HOOK = ("30", "", "", "./hook")
NOON = WallClock(1_795_867_200.0, lambda _zone, do: do(lambda _moment: 0), "host")
"""2026-11-28 12:00 UTC, and no other zone."""


def told(wanted: ProgramConfig, ends: str = "", lasts: str = "", seed: str = "") -> list[Happening]:
    endings, for_s, number = asked_for(ends, lasts, seed, NUMBERS)
    return [line for line in simulate(wanted, endings, for_s, number, NAMES, NOON) if line]


def texts(lines: list[Happening]) -> list[str]:
    return [line.text for line in lines]


def test_a_start_that_fails_is_tried_again_with_growing_delays_within_their_bounds() -> None:
    lines = told(program(startretries=2), "1@0.2")
    assert texts(lines) == [
        "start \u2192 STARTING",
        "exit 1 \u2192 BACKOFF, retry 1 of 2 in 0.45\u20130.55s",
        "try 2 \u2192 STARTING",
        "exit 1 \u2192 BACKOFF, retry 2 of 2 in 0.90\u20131.10s",
        "try 3 \u2192 STARTING",
        "exit 1 \u2192 FATAL, try 3 of 3",
        "nothing starts it by itself",
    ]
    for said, then in zip(lines[1::2], lines[2::2]):
        bounds = re.findall(r"([0-9.]+)\u2013([0-9.]+)s", said.text)
        assert not bounds or float(bounds[0][0]) - 0.001 <= then.at - said.at <= float(bounds[0][1]) + 0.001


def test_each_start_gets_the_next_ending_and_the_last_one_is_repeated() -> None:
    lines = told(program(autorestart="always"), "0@2,KILL@3,1@5", "20s")
    ends = [(line.at, line.text.partition(" \u2192")[0]) for line in lines if line.text.startswith(("exit", "killed"))]
    assert ends == [(2.0, "exit 0"), (5.0, "killed by SIGKILL"), (10.0, "exit 1"), (15.0, "exit 1"), (20.0, "exit 1")]


def test_the_same_seed_says_the_same_and_another_one_chooses_other_delays() -> None:
    web = program()
    assert told(web, "1@0.2") == told(web, "1@0.2", seed="0")
    assert [line.at for line in told(web, "1@0.2")] != [line.at for line in told(web, "1@0.2", seed="7")]
    assert texts(told(web, "1@0.2")) == texts(told(web, "1@0.2", seed="7"))


def test_a_job_is_done_and_one_that_takes_too_long_is_stopped() -> None:
    job = program(type="oneshot", starttime=0.0, startretries=0, start_timeout=5.0)
    assert texts(told(job, "0@2"))[-2:] == ["exit 0 \u2192 EXITED, done", "nothing starts it by itself"]
    assert texts(told(job, "0@20"))[2:4] == [
        "not done within 5s \u2192 STOPPING",
        "killed by SIGTERM \u2192 FATAL, try 1 of 1",
    ]


def test_restarts_beyond_the_burst_wait() -> None:
    lines = told(program(restart_burst=2, restart_window=60.0, autorestart="always"), "0@2", "5m")
    assert "exit 0 \u2192 BACKOFF, again in 56s: 2 restarts within 1m" in texts(lines)


def test_without_an_end_it_runs_until_the_time_is_over() -> None:
    assert told(program(), lasts="1m")[-1] == Happening(60.0, "still RUNNING", "RUNNING")


def test_hooks_probes_and_dependencies_are_in_nobodys_way() -> None:
    web = program(
        pre_start=HOOK, post_start=HOOK, post_stop=HOOK, ready={"tcp": "80"}, depends_on=("db",), starttime=0.0
    )
    lines = texts(told(web, "1@2", "5s"))
    assert lines[:2] == ["start \u2192 STARTING", "post_start ends \u2192 RUNNING"]
    assert lines[2:4] == ["exit 1 \u2192 STOPPING", "post_stop ends \u2192 STARTING, restart 1"]


def test_what_goes_on_for_ever_ends_after_so_many_events() -> None:
    endings, _, _ = asked_for("1@2", "", "", NUMBERS)
    every = list(simulate(program(autorestart="always", restart_burst=0), endings, 1e9, 0, NAMES, NOON))
    assert len(every) == MOST_EVENTS + 1
    assert every[-1] == Happening(4999.0, f"{MOST_EVENTS} events, and no end", "RUNNING")


@pytest.mark.parametrize("word", ["1", "256@1", "@1", "WHAT@1", "1@soon", "1@-1", "-1@1"])
def test_an_end_that_makes_no_sense_is_refused(word: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        asked_for(word, "", "", NUMBERS)


def test_nobody_looks_further_than_ten_years() -> None:
    with pytest.raises(ValueError, match="ten years"):
        asked_for("", "99999d", "", NUMBERS)


@pytest.mark.parametrize("word", ["STOP@1", "sigcont@1", "CHLD@2s"])
def test_a_signal_that_ends_no_process_is_no_ending(word: str) -> None:
    numbers = {**NUMBERS, "STOP": 19, "CONT": 18, "CHLD": 17}
    with pytest.raises(ValueError, match="ends no process: write a signal that does, such as KILL@"):
        asked_for(word, "", "", numbers)


# -- by the clock


def job(schedule: dict[str, Any], **more: Any) -> ProgramConfig:
    return program(type="oneshot", starttime=0.0, startretries=0, start_timeout=0.0, **more).replace(
        schedule={"jitter": 0.0, "timezone": "", **schedule}
    )


def happened(wanted: ProgramConfig, ends: str, lasts: str) -> list[tuple[int, str]]:
    """Return (minutes, text), without what follows each start at once."""
    lines = told(wanted, ends, lasts)
    return [(round(line.at / 60), line.text) for line in lines if not line.text.startswith("executed")]


def test_a_schedule_starts_it_at_its_times_and_a_failed_run_waits_for_the_next_one() -> None:
    nightly = job({"cron": ["0 3 * * *"]})
    assert happened(nightly, "0@2m,3@1m", "2d") == [
        (0, "armed \u2192 EXITED, next 03:00"),
        (900, "its schedule (nominal 03:00) \u2192 STARTING"),
        (902, "exit 0 \u2192 EXITED, done; next 03:00"),
        (2340, "its schedule (nominal 03:00) \u2192 STARTING"),
        (2341, "exit 3 \u2192 FATAL, try 1 of 1; next 03:00"),
        (2880, "still FATAL"),
    ]
    assert happened(job({"every": 3600.0, "at_start": True}), "0@1m", "30m")[1] == (
        0,
        "its schedule (nominal 12:00) \u2192 STARTING",
    )


@pytest.mark.parametrize(
    ("overlap", "then"),
    [
        ("skip", ["the run of 12:20 is skipped: the run before is not over (1 in a row)", "exit 0 \u2192 EXITED, done; next 12:30"]),
        ("queue", ["the run of 12:20 waits: the run before is not over", "exit 0 \u2192 EXITED, done; next 12:30", "its schedule (nominal 12:20) \u2192 STARTING"]),
        ("replace", ["its schedule (nominal 12:20) \u2192 STOPPING", "killed by SIGTERM \u2192 STARTING"]),
    ],
)  # fmt: skip
def test_a_run_that_is_due_before_the_last_one_is_over_does_what_overlap_says(overlap: str, then: list[str]) -> None:
    lines = [text for _at, text in happened(job({"every": 600.0, "overlap": overlap}), "0@15m", "29m")]
    assert lines[2 : 2 + len(then)] == then


def test_an_instance_is_recycled_by_age_and_by_the_clock() -> None:
    old = program(starttime=1.0).replace(recycle={"age": 3600.0, "cron": ["30 14 * * *"]})
    lines = [(at, text.partition(" \u2192")[0]) for at, text in happened(old, "", "3h") if "recycled" in text]
    assert lines == [
        (60, "recycled: age 1h"),
        (120, "recycled: age 1h"),
        (150, "recycled: cron 30 14 * * *"),
    ]
