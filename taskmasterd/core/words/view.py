"""Processes as the objects of the wire. Pure."""

from __future__ import annotations

from taskmaster_common.config import for_instance
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPING
from taskmasterd.core.process.ends import dumped_core, exit_code, exit_signal
from taskmasterd.core.words.describe import detail, end_text, failed_start_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmasterd.core.process.ends import End
    from taskmasterd.core.process.machine import Process
    from taskmasterd.core.programs.table import Entry, Table


def as_wanted(process: Process) -> bool:
    """Return whether the process is in its wanted state: neither BACKOFF nor FATAL, nor EXITED unexpectedly."""
    if process.state == EXITED:
        return process.end is None or process.end.expected
    return process.state not in (BACKOFF, FATAL)


def process_view(table: Table, entry: Entry, now: float, signals: Mapping[int, str]) -> dict[str, Any]:
    """Return the PROCESS object of the wire."""
    process = entry.process
    alive = process.state == RUNNING or (process.state in (STARTING, STOPPING) and process.pid is not None)
    return {
        "name": table.name(entry),
        "program": entry.program,
        "instance": entry.index,
        "state": process.state,
        "pid": process.pid,
        "uptime_s": round(now - process.spawned_at, 3) if alive else None,
        "since_s": round(now - process.since, 3),
        "restarts": process.restarts,
        "tries": process.tries,
        "detail": detail(process, entry.policy, now, signals),
        "wanted": as_wanted(process),
        "description": for_instance(entry.wanted.description, entry.index),
        "exit": end_view(process.end, signals),
    }


def end_view(end: End | None, signals: Mapping[int, str]) -> dict[str, Any] | None:
    """Return the `exit` object of the wire."""
    if end is None:
        return None
    view: dict[str, Any] = {"after_s": round(end.after_s, 3), "expected": end.expected, "core": dumped_core(end.status)}
    number = exit_signal(end.status)
    if end.status is None:
        view["unknown"] = True
    elif end.failure is not None:
        view["failure"] = end.failure.text
    elif number is not None:
        view["signal"] = signals.get(number, str(number))
    else:
        view["code"] = exit_code(end.status)
    return view


def reason_text(entry: Entry, outcome: str, now: float, signals: Mapping[int, str]) -> str:
    """Return why an operation on the entry did not succeed."""
    process = entry.process
    if outcome == "overtaken":
        return f"stopped by {process.by} while starting" if process.by else "stopped while starting"
    if outcome == "removed":
        return "it is being removed from the configuration"
    if outcome == "stuck":
        return detail(process, entry.policy, now, signals)
    if process.state == FATAL:
        return failed_start_text(process, entry.policy, signals)
    return end_text(process.end, signals) if process.end else ""
