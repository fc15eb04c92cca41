"""Schedules and their runs as text."""

from __future__ import annotations

from typing import Any

from taskmasterctl.reply.render import Look
from taskmasterctl.reply.runs import runs_text


def slot(*times: str) -> dict[str, Any]:
    """Return a slot without a past, whose next runs are at these times."""
    return {"name": "backup", "history": [], "jitter_s": 300.0, "next": times}


def test_the_jitter_of_the_next_runs_is_said_once() -> None:
    text = runs_text([slot("2026-11-30 03:00", "2026-12-01 03:00")], Look())
    assert text == "backup\nno run yet\nnext  2026-11-30 03:00 (each 5m later: jitter)\nnext  2026-12-01 03:00\n"


def test_where_nothing_comes_there_is_no_jitter() -> None:
    assert runs_text([slot()], Look()) == "backup\nno run yet\nnext  no more runs\n"


def test_a_program_without_a_schedule_is_said_once_for_all_its_instances() -> None:
    slots = [{"name": name} for name in ("web:0", "web:1", "db")]
    assert runs_text(slots, Look()) == "web has no schedule\n\ndb has no schedule\n"
