"""From the answers of health checks to a verdict: what counts, and when something is due."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from taskmaster_common.config.health import LONGEST_PATIENCE_S, Rules, rules_of
from taskmaster_common.states import RUNNING
from taskmasterd.core.process.health import Answer, Health, answered, begun, counts, health_of, is_due
from taskmasterd.core.process.state import HEALTHY, UNHEALTHY, Process
from tests.support.model import policy

RULES = Rules()


def after(answers: str, health: Health | None = None, rules: Rules = RULES, *, counting: bool = True) -> Health:
    """Return the health after these answers: "+" is well, "-" is not, "?" is none."""
    health = health or begun("")
    for number, each in enumerate(answers):
        answer = Answer({"+": True, "-": False, "?": None}[each], f"exit {each}", float(number))
        health = answered(rules, health, answer, counting=counting)
    return health


@pytest.mark.parametrize(
    ("answers", "verdict"),
    [
        ("", ""),
        ("+", HEALTHY),
        ("--", ""),
        ("---", UNHEALTHY),
        ("+--+--+--+", HEALTHY),
        ("+---", UNHEALTHY),
        ("+---+", UNHEALTHY),
        ("+---+-+", UNHEALTHY),
        ("+---++", HEALTHY),
        ("+-?-?+", HEALTHY),
        ("+-?-?-", UNHEALTHY),
        ("+---+?+", HEALTHY),
    ],
)
def test_the_verdict_changes_after_so_many_answers_in_a_row(answers: str, verdict: str) -> None:
    assert after(answers).verdict == verdict


def test_an_answer_of_nobody_changes_no_counter() -> None:
    before = after("+--")
    assert after("??", before).replace(last=before.last) == before


def test_failures_that_do_not_count_lead_to_nothing() -> None:
    assert after("-" * 20, counting=False).verdict == ""


def test_the_reason_of_a_verdict_says_how_often() -> None:
    assert after("+---").changes == ((0.0, HEALTHY, "exit +"), (3.0, UNHEALTHY, "exit - (3 of 3)"))
    assert len(after("+---++---++---++").changes) == 5


def test_one_silence_of_a_watchdog_is_enough() -> None:
    rules = rules_of({"watchdog": 30.0, "action": "signal HUP"})
    assert (rules.retries, rules.interval, rules.action, rules.signal) == (1, 30.0, "signal", "HUP")
    health = after("+-", rules=rules)
    assert (health.verdict, health.changes[-1][2]) == (UNHEALTHY, "exit -")


def test_something_is_due_at_the_verdict_and_once() -> None:
    assert not is_due(RULES, after("+--"))
    due = after("+---")
    assert is_due(RULES, due)
    done = due.replace(acted=True)
    assert not is_due(RULES, after("-----", done))
    assert is_due(RULES, after("++---", done))


def test_a_verdict_of_an_earlier_daemon_takes_one_more_round_of_failures_before_something_is_due() -> None:
    kept = begun(UNHEALTHY)
    assert not is_due(RULES, after("--", kept))
    assert is_due(RULES, after("---", kept))
    assert not is_due(RULES, after("-----", begun(UNHEALTHY, acted=True)))
    assert after("++", kept).verdict == HEALTHY


def process(**fields: object) -> Process:
    """Return a process that has been RUNNING since moment 100."""
    return Process(state=RUNNING, since=100.0, pid=7, executed=True, **fields)  # type: ignore[arg-type]


def test_failures_count_after_start_period_or_once_it_was_well() -> None:
    usual = policy()
    assert not counts(RULES, usual, process(), begun(""), 129.0)
    assert counts(RULES, usual, process(), begun(""), 130.0)
    assert counts(RULES, usual, process(), after("+"), 101.0)


def test_after_restarts_for_health_failures_count_later_and_later_and_being_well_for_a_moment_is_no_excuse() -> None:
    usual = policy(restart_window=60.0)
    for sick, patience_s in ((1, 30.0), (2, 60.0), (3, 120.0), (5, 480.0), (6, LONGEST_PATIENCE_S), (900, 600.0)):
        unfit = process(sick=sick)
        assert not counts(RULES, usual, unfit, after("+"), 100.0 + patience_s - 1)
        assert counts(RULES, usual, unfit, after("+"), 100.0 + patience_s)


def test_being_well_for_restart_window_ends_the_row() -> None:
    usual = policy(restart_window=60.0)
    well = process(sick=4, health=HEALTHY, judged_at=105.0)
    assert not counts(RULES, usual, well, after("+"), 164.0)
    assert counts(RULES, usual, well, after("+"), 165.0)
    assert not counts(RULES, policy(restart_window=0.0), well, after("+"), 106.0)


@given(
    some.text("+-?", max_size=40),
    some.integers(1, 5),
    some.integers(1, 5),
    some.sampled_from(("", HEALTHY, UNHEALTHY)),
)
def test_the_verdict_is_what_the_last_run_of_equal_answers_says(
    answers: str, retries: int, successes: int, verdict: str
) -> None:
    rules = Rules(retries=retries, successes=successes)
    health, run, expected = begun(verdict), "", verdict
    for each in answers:
        health = after(each, health, rules)
        run = run if each == "?" else run + each if run.endswith(each) else each
        if run == "+" * len(run) and run and len(run) >= (successes if expected == UNHEALTHY else 1):
            expected = HEALTHY
        elif run == "-" * len(run) and len(run) >= retries:
            expected = UNHEALTHY
        assert health.verdict == expected
        assert health.failures == run.count("-")
        assert not (is_due(rules, health) and health.verdict != UNHEALTHY)
    assert health_of(json.loads(json.dumps(health.to_data()))) == health
