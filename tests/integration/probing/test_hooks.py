"""What runs the hooks of all slots: it follows the process, and knows a shortage from a failure."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from taskmaster_common.config.hooks import HookCommand
from taskmaster_common.states import STARTING, STOPPING
from taskmasterd.core.process.events import HookEnded, SpawnFailed, Start
from taskmasterd.core.process.state import ENDS, LAST, POST_START, PRE_START, RUNS, Process
from taskmasterd.probing import hooks as module
from taskmasterd.probing.hook import HookContext
from taskmasterd.probing.hooks import Hooks
from taskmasterd.system.procfs import listing
from tests.support.probing import OURS, SIGNALS, ProbingStage, carrying, wait_for_file

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),
    pytest.mark.skipif(not listing("/proc/self"), reason="needs /proc"),
]


class Slot:
    """One slot whose hooks run a script; `events` are those that were delivered."""

    def __init__(self, home: Path, text: str) -> None:
        row = HookCommand((text,), shell=True).row()
        self.stage = stage = ProbingStage(home, pre_start=row, post_start=row)
        self.events: list[Any] = []
        self.remembered = 0
        self.hooks = self.new()
        stage.entry.process = Process(state=STARTING, hook=PRE_START, hook_stage=RUNS, by="alice", cause="start")

    def new(self) -> Hooks:
        """Return what a daemon makes that begins."""
        stage = self.stage
        context = HookContext(
            stage.reactor, stage.children, stage.outputs, SIGNALS, lambda *said: stage.said.append(said[1:]), print
        )
        return Hooks(context, lambda _entry, event: self.events.append(event), self._remember, lambda: False)

    def _remember(self, _entry: object) -> None:
        self.remembered += 1

    def change(self, **fields: object) -> None:
        """Let the process change."""
        before, self.stage.entry.process = self.stage.entry.process, self.stage.entry.process.replace(**fields)
        self.hooks.changed(self.stage.entry, before, Start(), self.stage.entry.process)

    def event(self) -> Any:
        """Return the one event once it is there, and forget it."""
        return self.stage.loop.take(self.events)


@pytest.fixture
def slot(tmp_path: Path) -> Iterator[Slot]:
    slot = Slot(tmp_path, f"echo $TASKMASTER_REASON > begun; sleep 4731.{OURS}")
    yield slot
    slot.stage.close()


def refuse() -> None:
    """Refuse a fork."""
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


def test_one_that_nobody_waits_for_any_more_is_ended_be_it_before_it_began(slot: Slot) -> None:
    slot.hooks.begin(slot.stage.entry)
    slot.change(state=STOPPING, hook_stage=LAST)
    assert slot.event() == HookEnded(None, "cancelled")
    assert slot.remembered == 0
    slot.stage.entry.process = slot.stage.entry.process.replace(state=STARTING, hook_stage=RUNS)
    slot.hooks.begin(slot.stage.entry)
    slot.stage.turn_until((slot.stage.home / "begun").exists)
    assert slot.hooks.row(slot.stage.entry)["hook"]["hook"] == PRE_START
    assert slot.remembered == 1
    slot.change(state=STOPPING, hook_stage=ENDS)
    assert slot.event() == HookEnded(None, "cancelled")
    assert slot.hooks.row(slot.stage.entry) == {}
    assert carrying(f"sleep\x004731.{OURS}") == []


def test_a_shortage_is_no_failure(slot: Slot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AGAIN_AFTER_S", 0.05)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fork", refuse)
        slot.hooks.begin(slot.stage.entry)
        event = slot.event()
        assert isinstance(event, SpawnFailed), "of a pre_start, the start is tried again"
        assert "the system refuses another process" in event.reason
        slot.change(hook=POST_START)
        slot.hooks.begin(slot.stage.entry)
        slot.stage.turn_until(lambda: slot.remembered >= 3)
    assert slot.events == [], "a post_start is tried again within its time"
    slot.stage.turn_until((slot.stage.home / "begun").exists)
    slot.change(state=STOPPING, hook_stage=ENDS)
    assert slot.event() == HookEnded(None, "cancelled")


def test_a_later_daemon_goes_on_with_one_that_runs_and_begins_one_that_never_did(slot: Slot) -> None:
    entry = slot.stage.entry
    slot.hooks.begin(entry)
    slot.stage.turn_until((slot.stage.home / "begun").exists)
    assert wait_for_file(slot.stage.home / "begun") == "start\n"
    row = slot.hooks.row(entry)["hook"]
    slot.stage.children = slot.stage.new_children()
    slot.hooks = slot.new()
    slot.hooks.resume(entry, row)
    assert [mark.pid for mark in slot.hooks.marks] == [row["pid"]]
    slot.change(state=STOPPING, hook_stage=LAST, killing=1)
    assert slot.event().ok is None
    (slot.stage.home / "begun").unlink()
    entry.process = entry.process.replace(state=STARTING, hook_stage=RUNS, killing=0, by="a reload (bob)")
    slot.hooks.resume(entry, None)
    slot.stage.turn_until((slot.stage.home / "begun").exists)
    assert wait_for_file(slot.stage.home / "begun") == "reload\n"
    slot.change(state=STOPPING, hook_stage=LAST)
    slot.event()
