"""What is said of schedules and of what operators have laid over the file."""

from __future__ import annotations

import pytest

from taskmaster_common.states import EXITED, FATAL, RUNNING, STOPPED
from taskmasterd.core.process.ends import End
from taskmasterd.core.process.state import STOP, Process
from taskmasterd.core.programs.overlay import Overlay, Override, Scale
from taskmasterd.core.programs.schedule import Missed, Planned, Run
from taskmasterd.core.programs.table import Entry, Table
from taskmasterd.core.words import overlays
from taskmasterd.core.words.schedules import (
    begun_text,
    clock_text,
    following_text,
    missed_text,
    result_of,
    run_view,
    schedule_detail,
    schedule_view,
)
from tests.support.host import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

NOON = 43_200.0
NEXT = Planned(at=130.0, clock="03:00", stamp="1970-01-02T03:00:00+00:00")


def planned_entry(planned: Planned | None, **process: Any) -> Entry:
    entry = Entry(program("type: oneshot"), 0, Process(**process))
    entry.planned = planned
    return entry


def test_a_moment_is_a_time_of_day_and_has_its_date_if_it_is_a_day_away() -> None:
    assert clock_text(NOON, 0, NOON - 60) == "12:00"
    assert clock_text(NOON + 5, 3600, NOON) == "13:00:05"
    assert clock_text(NOON, 0, NOON + 86_400) == "1970-01-01 12:00"


def test_what_has_begun_a_run_names_its_nominal_time_and_why_it_is_late() -> None:
    assert begun_text("03:00", 0, 0, "") == "its schedule (nominal 03:00)"
    assert begun_text("03:00", 4.0, 120, "the daemon was down") == (
        "its schedule (nominal 03:00, jitter 4s, late by 2m: the daemon was down)"
    )


def test_missed_runs_are_counted_with_the_first_and_the_last() -> None:
    assert (
        missed_text(Missed(3, 0, 9), "02:00", "02:10", "the daemon was down")
        == "3 (02:00 to 02:10; the daemon was down)"
    )
    assert missed_text(Missed(1, 0, 0, more=True), "02:00", "02:00", "late") == "more than 1 (02:00; late)"


@pytest.mark.parametrize(
    ("process", "told"),
    [
        ({"state": STOPPED, "by": "uid 0"}, ("stopped by uid 0", None)),
        ({"state": EXITED, "cause": STOP}, ("stopped", None)),
        ({"state": EXITED}, ("unknown", None)),
        ({"state": FATAL, "reason": "exit 3", "end": End(768, None, 1.0, 0.0, expected=False, started=True)}, ("exit 3", False)),
    ],
)  # fmt: skip
def test_how_a_run_has_ended(process: dict[str, Any], told: tuple[str, bool | None]) -> None:
    assert result_of(Process(**process), {}) == told


@pytest.mark.parametrize(
    ("planned", "process", "text"),
    [
        (None, {"state": EXITED}, "x"),
        (Planned(off=True), {"state": STOPPED}, "x; schedule off"),
        (Planned(off=True), {"state": EXITED}, "x"),
        (Planned(skipped=12), {"state": RUNNING, "since": 40.0}, "x; running 1m, 12 skipped"),
        (Planned(), {"state": RUNNING}, "x"),
        (NEXT, {"state": EXITED}, "not run yet; next 03:00 (in 30s)"),
        (NEXT.replace(last=Run(1.0, "schedule", 1.0, result="unknown")), {"state": EXITED}, "unknown; next 03:00 (in 30s)"),
        (NEXT, {"state": FATAL}, "x; next 03:00 (in 30s)"),
        (Planned(), {"state": FATAL}, "x; no more runs"),
    ],
)  # fmt: skip
def test_detail_says_what_runs_and_what_comes_next(planned: Planned | None, process: dict[str, Any], text: str) -> None:
    assert schedule_detail(planned_entry(planned, **process), "x", 100.0) == text


def test_why_says_when_it_runs_by_itself() -> None:
    assert following_text(planned_entry(NEXT, state=EXITED), "nothing", 100.0) == "it runs at 03:00 (in 30s)"
    assert following_text(planned_entry(NEXT, state=RUNNING), "nothing", 100.0) == "nothing"


def test_schedules_and_runs_are_objects_of_the_wire() -> None:
    assert schedule_view(None) is None
    last = Run(NOON, "schedule", NOON, began=NOON, ended=NOON + 2, result="done (0)", ok=True)
    view = schedule_view(NEXT.replace(last=last, last_stamp="then", skipped=2))
    assert view == {
        "next": NEXT.stamp, "last": {"time": "then", "result": "done (0)", "ok": True}, "skipped": 2, "off": False,
    }  # fmt: skip
    shown = run_view(last, 3600)
    assert (shown["nominal"], shown["took_s"], shown["ok"]) == ("1970-01-01 13:00:00+01:00", 2.0, True)
    assert run_view(Run(None, "uid 0", NOON), 0)["began"] is None


def laid_over(**overlay: Any) -> Table:
    table = Table()
    table.add(Entry(program("numprocs: 2"), 0, Process()))
    table.lay_over(Overlay(**overlay))
    return table


def test_what_is_laid_over_the_file_is_said_with_who_and_why() -> None:
    name = program("").name
    off, scale = (
        Override(enabled=False, by="uid 0", at=1.0, since="28 Nov", reason="broken disk"),
        Scale(5, 2, "uid 0", 2.0),
    )
    table = laid_over(overrides={name: off, "gone": off}, scales={name: scale})
    assert overlays.disabled_text(table, name) == "disabled by uid 0 since 28 Nov: broken disk"
    assert overlays.kept_text(table, name).endswith("broken disk; scaled to 5 by uid 0 (file: 2)")
    assert list(overlays.scaled_texts(table)) == [f"{name}: scaled to 5 by uid 0 (file: 2)"]
    views = {view["name"]: view for view in overlays.overlay_views(table)}
    assert (views[name]["stale"], views["gone"]["stale"]) == (False, True)
    assert views[name]["scale"] == {"count": 5, "file": 2, "by": "uid 0", "at": 2.0}
    (entry,) = table.slots(name)
    assert overlays.disabled_detail(table, entry, "up") == overlays.disabled_text(table, name)


def test_where_nothing_is_laid_over_the_file_it_is_the_file_that_disables() -> None:
    table = laid_over()
    name = program("").name
    assert overlays.disabled_text(table, name) == overlays.BY_FILE
    assert (overlays.override_view(table, name), overlays.kept_text(table, name)) == (None, "")
