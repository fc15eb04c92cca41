"""Tickets: each entry is answered once, the whole once, and what counts as an outcome."""

from __future__ import annotations

import pytest

from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPED, STOPPING, ProcessState
from taskmasterd.core.process.state import Process
from taskmasterd.core.programs.table import Entry
from taskmasterd.core.programs.ticket import DOWN, UP, Outcome, Ticket, reached
from tests.support.model import program


class Listener:
    """Writes down what a ticket says."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.ticket = Ticket(self._result, lambda: self.said.append("done"), self._tried)

    def _result(self, entry: Entry, outcome: Outcome) -> None:
        self.said.append(f"{entry.program} {outcome.outcome}")

    def _tried(self, entry: Entry) -> None:
        self.said.append(f"{entry.program} tried")


def entry(name: str, state: ProcessState, then: ProcessState | None = None) -> Entry:
    """Return an entry in a state."""
    return Entry(program(name), 0, Process(state=state, then=then))


@pytest.mark.parametrize(
    ("goal", "state", "then", "outcome"),
    [
        (DOWN, STOPPING, STOPPED, None),
        (DOWN, STOPPING, STARTING, None),
        (DOWN, STOPPED, None, "done"),
        (DOWN, STARTING, None, "done"),
        (DOWN, EXITED, None, "done"),
        (DOWN, FATAL, None, "done"),
        (UP, RUNNING, None, "done"),
        (UP, STARTING, None, None),
        (UP, BACKOFF, None, None),
        (UP, STOPPING, STARTING, None),
        (UP, STOPPING, BACKOFF, None),
        (UP, STOPPING, FATAL, None),
        (UP, STOPPING, EXITED, None),
        (UP, STOPPING, STOPPED, "overtaken"),
        (UP, STOPPED, None, "overtaken"),
        (UP, FATAL, None, "failed"),
        (UP, EXITED, None, "failed"),
    ],
)
def test_the_outcome_of_an_operation_is_in_the_state(
    goal: str, state: ProcessState, then: ProcessState | None, outcome: str | None
) -> None:
    found = reached(goal, Process(state=state, then=then), "done")
    assert (found and found.outcome) == outcome
    assert found is None or found.ok is (outcome == "done")


@pytest.mark.parametrize("goal", [UP, DOWN])
def test_what_is_stuck_ends_every_wait_badly(goal: str) -> None:
    assert reached(goal, Process(state=STOPPING, then=STARTING, killing=1), "done") is None
    assert reached(goal, Process(state=STOPPING, then=STARTING, killing=2), "done") == Outcome(
        ok=False, outcome="stuck"
    )


def test_a_ticket_is_not_done_before_it_is_sealed() -> None:
    listener = Listener()
    listener.ticket.wait_for(entry("a", RUNNING), UP, "started")
    assert listener.said == ["a started"]
    assert not listener.ticket.done
    listener.ticket.seal()
    assert listener.said == ["a started", "done"]
    assert listener.ticket.done


def test_a_ticket_is_done_once_with_its_last_entry() -> None:
    listener, one, two = Listener(), entry("a", STOPPING), entry("b", STOPPING)
    for each in (one, two):
        listener.ticket.wait_for(each, DOWN, "stopped")
    listener.ticket.seal()
    assert listener.ticket.waiting == (one, two)
    for each in (two, one):
        each.process = Process()
        listener.ticket.observe(each)
        listener.ticket.observe(each)
    assert listener.said == ["b stopped", "a stopped", "done"]
    assert (one.tickets, two.tickets) == ([], [])
    listener.ticket.seal()
    assert listener.said.count("done") == 1


def test_a_failed_try_is_told_to_those_who_wait_for_a_start() -> None:
    listener, one = Listener(), entry("a", STARTING)
    listener.ticket.wait_for(one, UP, "started")
    one.process = Process(state=BACKOFF)
    listener.ticket.observe(one)
    assert listener.said == ["a tried"]


def test_one_bad_result_makes_the_whole_failed() -> None:
    listener = Listener()
    listener.ticket.answer(entry("a", STOPPED), Outcome(ok=False, outcome="removed"))
    listener.ticket.wait_for(entry("b", RUNNING), UP, "started")
    assert listener.ticket.failed


def test_after_abandon_nothing_is_said_any_more() -> None:
    listener, one = Listener(), entry("a", STOPPING)
    listener.ticket.wait_for(one, DOWN, "stopped")
    listener.ticket.seal()
    listener.ticket.abandon()
    one.process = Process()
    listener.ticket.observe(one)
    assert (listener.said, one.tickets, listener.ticket.waiting) == ([], [], ())


def test_a_listener_that_goes_away_while_it_is_told_is_not_told_that_it_is_done() -> None:
    said: list[str] = []

    def result(_entry: Entry, outcome: Outcome) -> None:
        said.append(outcome.outcome)
        ticket.abandon()

    ticket = Ticket(result, lambda: said.append("done"), lambda _entry: None)
    one = entry("a", STOPPING)
    ticket.wait_for(one, DOWN, "stopped")
    ticket.seal()
    one.process = Process()
    ticket.observe(one)
    assert said == ["stopped"]
