"""What a change of watched files does in each state, and when it is the program itself that changes them."""

from __future__ import annotations

import pytest

from taskmaster_common.states import STOPPED
from taskmasterd.core.process.events import Due, Executed, Leave, Restart, Spawned, Start, Stop
from taskmasterd.core.process.state import HELD, WATCH, Process
from taskmasterd.core.process.watching import (
    ACT,
    MARK,
    MOST_IN_A_ROW,
    NOTHING,
    START,
    OwnChanges,
    after_mark,
    answer,
    counted,
)
from tests.support.model import Life


def life(**fields: object) -> Life:
    """Return a process with few retries."""
    return Life(startretries=1, **fields)


STATES: dict[str, tuple[Process, str]] = {
    "never started": (Process(), NOTHING),
    "stopped": (life().running()(Stop("bob")).exit(0).process, NOTHING),
    "being stopped": (life().running()(Stop("bob")).process, NOTHING),
    "to be stopped later": (life().running()(Leave(Stop("bob"))).process, NOTHING),
    "running": (life().running().process, ACT),
    "to be restarted later": (life().running()(Leave(Restart("bob"))).process, MARK),
    "being restarted": (life().running()(Restart("bob")).process, MARK),
    "asked for": (life()(Start("bob")).process, MARK),
    "starting": (life().executed().process, MARK),
    "held": (Process(state="STARTING", phase=HELD), NOTHING),
    "waiting for a retry": (life().executed().exit(1).process, START),
    "given up": (Life(startretries=0).executed().exit(1).process, START),
    "ended": (life().running().exit(0).process, START),
    "ended, with something left": (life(autorestart="never").running().exit(0, "sleep (99)").process, MARK),
}


@pytest.mark.parametrize("name", STATES)
def test_each_state_has_its_answer(name: str) -> None:
    process, word = STATES[name]
    assert answer(process) == word


@pytest.mark.parametrize("name", STATES)
def test_a_remembered_change_is_answered_once_it_is_known_what_became_of_the_instance(name: str) -> None:
    process, word = STATES[name]
    assert after_mark(process) == word, "as a change that comes now; MARK is: later"


def test_a_change_during_a_restart_is_one_restart_more() -> None:
    one = life(starttime=1.0).running()(Restart("bob"))
    for events in ((), (Spawned(8),), (Executed(),)):
        if not events:
            one.exit(0)
        one(*events)
        assert after_mark(one.process) == MARK
    assert after_mark(one.deadline().process) == ACT


def test_what_has_failed_starts_with_a_new_budget_and_what_was_stopped_does_not() -> None:
    failed = Life(startretries=0).executed().exit(1)
    failed(Due("started: app.py changed", WATCH))
    assert (failed.state, failed.process.tries, failed.process.by) == ("STARTING", 0, "started: app.py changed")
    assert life().running()(Stop("bob")).exit(0)(Due("x", WATCH)).state == STOPPED


@pytest.mark.parametrize("later", [0.9, -0.02])
def test_five_changes_in_a_row_with_a_start_pause_the_watch_and_name_the_file(later: float) -> None:
    row = OwnChanges()
    for number in range(1, MOST_IN_A_ROW + 1):
        row = counted(row, "data/cache.db", 10.0 * number + later, 10.0 * number)  # noted late, it is before its start
        assert bool(row.paused) == (number == MOST_IN_A_ROW)
    assert row.paused == "data/cache.db"
    assert counted(row, "other", 99.0, 0.0) is row


@pytest.mark.parametrize(("changed_at", "started_at"), [(11.1, 10.0), (8.9, 10.0), (10.5, None)])
def test_a_change_at_another_time_ends_the_row(changed_at: float, started_at: float | None) -> None:
    assert counted(OwnChanges(MOST_IN_A_ROW - 1), "x", changed_at, started_at) == OwnChanges()
