"""What follows when the guardian has died: it depends on whether systemd starts another one."""

from __future__ import annotations

from typing import Any

import pytest

from taskmasterd.survival.guardian_loss import GuardianLoss


class House:
    """All that the loss of a guardian touches, in one; `happened` is what was asked of it, in order."""

    def __init__(self, *, wanted: bool = False, stopping: bool = False, disk_full: bool = False) -> None:
        self.wanted = wanted
        self.stopping = stopping
        self.happened: list[str] = []
        self.pidfile = "/run/pid"
        self._disk_full = disk_full
        self.log = self.state = self.supervisor = self.performer = self.survivors = self

    def write(self, level: str, text: str) -> None:
        self.happened.append(f"{level}: {text}")

    def flush(self) -> None:
        self.happened.append("state written")

    def rewrite_pid(self) -> None:
        if self._disk_full:
            raise OSError(28, "No space left on device")
        self.happened.append("pid written")

    def guardian_died(self) -> None:
        self.happened.append("orphans looked for")

    def leave(self, code: int) -> None:
        self.happened.append(f"left with {code}")

    def lose_the_guardian(self) -> list[str]:
        """Let the guardian die; returns what happened."""
        this: Any = self
        GuardianLoss(this, this, this, self.leave, lambda: self.happened.append("reaper of orphans"))()
        return self.happened


ALONE = ["error: the guardian has died; going on without", "pid written", "reaper of orphans", "orphans looked for"]


def test_without_systemd_the_daemon_goes_on_and_the_pid_file_names_it() -> None:
    assert House().lose_the_guardian() == ALONE


def test_under_systemd_the_daemon_ends_at_once_with_everything_written_for_the_next_one() -> None:
    said = "error: the guardian has died; ending, to be started again with another one"
    assert House(wanted=True).lose_the_guardian() == [said, "state written", "left with 1"]


def test_a_daemon_that_is_being_stopped_is_stopped_to_the_end_under_systemd_too() -> None:
    assert House(wanted=True, stopping=True).lose_the_guardian() == ALONE


@pytest.mark.parametrize("wanted", [True, False])
def test_a_pid_file_that_cannot_be_written_is_a_warning(wanted: bool) -> None:
    happened = House(wanted=wanted, stopping=True, disk_full=True).lose_the_guardian()
    assert happened[1:] == [
        "warning: cannot write /run/pid: no space left on device",
        "reaper of orphans",
        "orphans looked for",
    ]
