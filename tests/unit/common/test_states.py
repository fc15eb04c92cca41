"""The seven states: the words that users see, and which of them are alike."""

from __future__ import annotations

from taskmaster_common.states import DOWN_STATES, STATES


def test_the_states_are_supervisors_less_unknown() -> None:
    words = ["STOPPED", "STARTING", "RUNNING", "BACKOFF", "STOPPING", "EXITED", "FATAL"]
    assert list(STATES) == words


def test_nothing_is_alive_in_the_down_states() -> None:
    assert set(DOWN_STATES) == {"STOPPED", "EXITED", "FATAL"}
