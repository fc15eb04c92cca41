"""Schedules in words: what has begun a run, what comes next, what was missed. Pure; loaded with the first schedule."""

from __future__ import annotations

from taskmaster_common.states import EXITED, FATAL, RUNNING, STOPPED
from taskmaster_common.text.calendar.times import DAY_S
from taskmaster_common.text.calendar.zone import stamp
from taskmaster_common.text.formats import format_seconds
from taskmasterd.core.process.state import ITS, STOP
from taskmasterd.core.words.describe import done_text, end_text, seconds_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.schedule import Missed, Planned, Run
    from taskmasterd.core.programs.table import Entry

UNKNOWN_END = "unknown"


def clock_text(moment: float, ahead: int, now: float) -> str:
    """Return a moment as the clock of its zone shows it: 03:00, or with its date if it is a day away; seconds only where there are any."""
    whole = stamp(int(moment), ahead)
    clock = whole[11:19].removesuffix(":00")
    return clock if abs(moment - now) < DAY_S else f"{whole[:10]} {clock}"


def begun_text(clock: str, jitter: float, late: float, why: str) -> str:
    """Return what has begun a run, as its `by`: "its schedule (nominal 03:00, jitter 4s)"."""
    parts = [f"nominal {clock}"]
    parts += [f"jitter {seconds_text(jitter).replace('.0s', 's')}"] if jitter else []
    parts += [f"late by {format_seconds(late)}" + (f": {why}" if why else "")] if late else []
    return f"{ITS}schedule ({', '.join(parts)})"


def missed_text(missed: Missed, first: str, last: str, why: str) -> str:
    """Return that runs were missed: "3 (02:00 to 02:10; the daemon was down)"."""
    count = f"more than {missed.count}" if missed.more else str(missed.count)
    return f"{count} ({first if first == last else f'{first} to {last}'}; {why})"


def result_of(process: Process, signals: Mapping[int, str]) -> tuple[str, bool | None]:
    """Return how a run has ended, and whether well."""
    end = process.end
    if process.state == STOPPED or process.cause == STOP:
        return f"stopped by {process.by}" if process.by else "stopped", None
    if end is None or end.status is None:
        return UNKNOWN_END, None
    if process.done:
        return done_text(process, signals), True
    return process.reason or end_text(end, signals), False


def schedule_detail(entry: Entry, text: str, now: float) -> str:
    """Return the DETAIL column of a slot with a schedule; `text` is what there is to say of its process."""
    process, planned = entry.process, entry.planned
    if planned is None:
        return text
    if planned.off:
        return f"{text}; schedule off" if process.state == STOPPED else text
    if process.state == RUNNING:
        ran = f"running {format_seconds(now - process.since)}"
        return "; ".join(filter(None, (text, f"{ran}, {planned.skipped} skipped" if planned.skipped else "")))
    if process.state == EXITED and process.end is None:
        text = planned.last.result if planned.last else "not run yet"
    elif process.state == EXITED and process.cause == STOP:
        text = f"stopped by {process.by}" if process.by else text
    return f"{text}; {next_text(planned, now)}" if process.state in (EXITED, FATAL) else text


def next_text(planned: Planned, now: float) -> str:
    """Return when the next run is: "next 03:00 (in 5h)"."""
    if planned.at is None:
        return "no more runs"
    return f"next {planned.clock} (in {format_seconds(planned.at - now)})"


def following_text(entry: Entry, text: str, now: float) -> str:
    """Return what happens by itself, for `why`; `text` is what does without the schedule."""
    planned, state = entry.planned, entry.process.state
    if planned is None or planned.off or planned.at is None or state not in (EXITED, FATAL):
        return text
    return f"it runs at {planned.clock} (in {format_seconds(planned.at - now)})"


def schedule_view(planned: Planned | None) -> dict[str, Any] | None:
    """Return the `schedule` object of the wire."""
    if planned is None:
        return None
    last = planned.last and {"time": planned.last_stamp, "result": planned.last.result, "ok": planned.last.ok}
    return {"next": planned.stamp or None, "last": last, "skipped": planned.skipped, "off": planned.off}


def run_view(run: Run, ahead: int) -> dict[str, Any]:
    """Return a run as an object of the wire; times are texts with the offset of the zone."""

    def text(moment: float | None) -> str | None:
        return None if moment is None else stamp(int(moment), ahead)

    took = None if run.began is None or run.ended is None else round(run.ended - run.began, 3)
    return {
        "nominal": text(run.nominal),
        "how": run.how,
        "began": text(run.began),
        "ended": text(run.ended),
        "took_s": took,
        "result": run.result,
        "ok": run.ok,
        "count": run.count,
    }
