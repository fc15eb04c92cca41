"""Health in words and as an object of the wire. Pure; imported with the first program that has `health`."""

from __future__ import annotations

from taskmaster_common.config.health import RESTART, rules_of
from taskmaster_common.states import STOPPING
from taskmasterd.core.process.state import HEALTHY, UNHEALTHY
from taskmasterd.core.words.describe import UNKNOWN, seconds_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry


def health_detail(entry: Entry) -> str:
    """Return the DETAIL of an unhealthy process: "unhealthy: http 503 (3 of 3); not restarted: db is down"."""
    held_back = entry.checked.held_back if entry.checked else ""
    return entry.process.reason + (f"; not restarted: {held_back}" if held_back else "")


def health_view(entry: Entry, now: float) -> dict[str, Any]:
    """Return the `health` object of the wire."""
    process, checked = entry.process, entry.checked
    last = checked.last if checked else None
    return {
        "way": next((way for way in ("exec", "http", "tcp", "unix", "watchdog") if way in entry.health), ""),
        "verdict": process.health or UNKNOWN,
        "since_s": round(now - process.judged_at, 3) if process.health else None,
        "failures": checked.failures if checked else 0,
        "last": last.text if last else "",
        "at_s": round(now - last.at, 3) if last else None,
        "restarts": process.sick,
    }


def story_view(entry: Entry, now: float) -> dict[str, Any]:
    """Return what `show` tells besides: the last answer with its output, and the last changes of the verdict."""
    checked = entry.checked
    last = checked.last if checked else None
    return {
        "ok": last.ok if last else None,
        "output": list(last.output) if last else [],
        "took_s": round(last.took_s, 3) if last else None,
        "changes": [
            {"ago_s": round(now - at, 3), "verdict": verdict, "text": text}
            for at, verdict, text in (checked.changes if checked else ())
        ],
    }


def health_lines(entry: Entry, before: Process, now: float) -> Iterator[tuple[str, str]]:
    """Yield (level, text) for the event log where a verdict changes, or something is done about it."""
    after = entry.process
    last = entry.checked.last if entry.checked else None
    if after.health == UNHEALTHY and before.health != UNHEALTHY:
        yield "warning", after.reason
    elif after.health == HEALTHY and before.health != HEALTHY:
        took = f" after {seconds_text(now - before.judged_at)}" if before.health else ""
        yield "info", f"healthy{took}{f' ({last.text})' if last else ''}"
    if after.state == STOPPING and after.sick > before.sick:
        rules = rules_of(entry.health)
        patience = seconds_text(rules.patience_s(after.sick))
        yield "warning", f"{RESTART}ing: unhealthy ({_nth(after.sick)} in a row; patience {patience})"


def _nth(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
