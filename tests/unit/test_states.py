"""The seven states: the words that users see, and which of them are alike."""

from __future__ import annotations

from taskmaster_common.states import DOWN_STATES, UP_STATES, ProcessState


def test_the_states_are_supervisors_less_unknown() -> None:
    words = ["STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL"]
    assert [state.value for state in ProcessState] == words
    assert [state.name for state in ProcessState] == words


def test_every_state_but_stopping_is_up_or_down() -> None:
    assert not UP_STATES & DOWN_STATES
    assert {state.value for state in DOWN_STATES} == {"STOPPED", "EXITED", "FATAL"}
    assert {state for state in ProcessState if state not in UP_STATES | DOWN_STATES} == {ProcessState.STOPPING}
