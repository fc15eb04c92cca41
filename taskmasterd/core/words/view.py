"""Processes as the objects of the wire. Pure."""

from __future__ import annotations

from taskmaster_common.config import for_instance
from taskmaster_common.states import RUNNING, STARTING, STOPPED, STOPPING
from taskmasterd.core.process.ends import dumped_core, exit_code, exit_signal, shortage
from taskmasterd.core.process.state import AWAITED, RUNS, UNSURE
from taskmasterd.core.programs.table import is_as_wanted
from taskmasterd.core.words.describe import detail, often_text, seconds_text
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmasterd.core.process.ends import End
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.words import gates, health, overlays, schedules
else:
    overlays = on_demand("taskmasterd.core.words.overlays")
    health = on_demand("taskmasterd.core.words.health")
    gates = on_demand("taskmasterd.core.words.gates")
    schedules = on_demand("taskmasterd.core.words.schedules")


def process_view(table: Table, entry: Entry, now: float, signals: Mapping[int, str]) -> dict[str, Any]:
    """Return the PROCESS object of the wire."""
    process = entry.process
    alive = process.state == RUNNING or (process.state in (STARTING, STOPPING) and process.pid is not None)
    restarts = process.restarts
    return {
        "name": table.name(entry),
        "program": entry.program,
        "instance": entry.index,
        "state": process.state,
        "pid": process.pid,
        "uptime_s": round(now - process.spawned_at, 3) if alive else None,
        "since_s": round(now - process.since, 3),
        "restarts": restarts,
        "restarted_s": round(now - process.spawned_at, 3) if restarts else None,
        "tries": process.tries,
        "detail": slot_detail(table, entry, now, signals),
        "type": entry.policy.type,
        "phase": phase_of(process),
        "ready": ready_view(entry),
        "status_text": entry.said if "notify" in entry.present.ready else "",
        "outdated": bool(entry.outdated_keys()),
        "watch": (entry.watching or "on") if entry.wanted.watch else None,
        "health": health.health_view(entry, now) if entry.health else None,
        "limits": {"not_in_force": entry.lacks.split("; ")} if entry.lacks else None,
        **(gates.waiting_view(table, entry, now, signals) if process.phase else {"waiting": [], "waiting_more": 0}),
        "schedule": schedules.schedule_view(entry.planned) if entry.planned else None,
        "wanted": is_as_wanted(entry),
        "override": overlays.override_view(table, entry.program) if table.overlay else None,
        "description": for_instance(entry.wanted.description, entry.index),
        "exit": end_view(process.end, signals),
        "sockets": [],
    }


def phase_of(process: Process) -> str:
    """Return what a process waits for within its state: its gate, or the hook that runs; "" for neither."""
    return process.phase or (process.hook if process.hook_stage == RUNS else "")


def slot_detail(table: Table, entry: Entry, now: float, signals: Mapping[int, str]) -> str:
    """Return the DETAIL column of a slot: what its process is about, what its schedule says, and that it is disabled."""
    text = _process_detail(table, entry, now, signals)
    text = schedules.schedule_detail(entry, text, now) if entry.planned else text
    if entry.process.state != RUNNING:  # RUNNING has it further up, before what may last for ever
        text = "; ".join(filter(None, (text, _lacking_text(entry))))
    return text if entry.newest.enabled else overlays.disabled_detail(table, entry, text)


def besides(table: Table, entry: Entry, said: str, now: float, signals: Mapping[int, str]) -> str:
    """Return what DETAIL says and the sentence of `why` does not: everything for a RUNNING process, else what it lacks; or ""."""
    if entry.process.state != RUNNING:
        return _lacking_text(entry)
    text = slot_detail(table, entry, now, signals)
    return "" if text in said else text


def _process_detail(table: Table, entry: Entry, now: float, signals: Mapping[int, str]) -> str:
    """Return what a process waits for, or `describe.detail`."""
    process = entry.process
    if process.phase:
        return gates.waiting_text(table, entry, now, signals)
    if process.leaving:
        return gates.leaving_text(table, entry)
    if process.state == RUNNING:
        asking = f"{entry.asking}: running" if entry.asking else ""
        often = often_text(process, now, signals)
        limits = (entry.lacks, entry.losses)
        said = (
            _outdated_text(entry),
            asking,
            _running_text(entry),
            often,
            logger_text(entry),
            *limits,
            _watching_text(entry),
        )
        return "; ".join(filter(None, said))
    if entry.said and process.state == STARTING and process.readiness == AWAITED:
        left = f", {seconds_text(process.deadline - now)} left" if process.deadline is not None else ""
        return f"not ready: {entry.said}{left}"
    return detail(process, entry.policy, now, signals)


def _lacking_text(entry: Entry) -> str:
    """Return what is wrong with the loggers of what is not RUNNING, and, unless nothing would start it, with the watching of its files."""
    watching = _watching_text(entry) if entry.process.state != STOPPED else ""
    return "; ".join(filter(None, (logger_text(entry), watching)))


def _watching_text(entry: Entry) -> str:
    """Return why its files are not watched, or ""."""
    return f"watch {entry.watching}" if entry.watching else ""


def logger_text(entry: Entry) -> str:
    """Return what is wrong with the loggers of a slot, or ""."""
    return f"logger: {entry.logging}" if entry.logging else ""


def _running_text(entry: Entry) -> str:
    """Return what there is to say of an instance that runs."""
    if entry.process.unhealthy:
        return health.health_detail(entry)
    if entry.process.readiness and entry.said and "notify" in entry.present.ready:
        return entry.said  # its STATUS=
    return "ready: unknown, the daemon was away" if entry.process.readiness == UNSURE else ""


def _outdated_text(entry: Entry) -> str:
    keys = entry.outdated_keys()
    return f"outdated ({', '.join(keys)})" if keys else ""


def ready_view(entry: Entry) -> dict[str, Any] | None:
    """Return the `ready` object of the wire; None for an instance without a way to become ready."""
    process = entry.process
    if not process.readiness:
        return None
    way = next(iter(entry.present.ready), "")
    return {
        "way": way,
        "ready": process.readiness != AWAITED,
        "unsure": process.readiness == UNSURE,
        "text": entry.said,
        "after_s": None if process.readiness == AWAITED else round(process.ready_at - process.spawned_at, 3),
        "tries": entry.ready_tries or None,
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
    more = {"why": end.why, **shortage(end)}
    return {**view, **{name: text for name, text in more.items() if text}}


def reason_text(table: Table, entry: Entry, outcome: str, now: float, signals: Mapping[int, str]) -> str:
    """Return why an operation on the entry did not succeed."""
    process = entry.process
    if outcome == "blocked":
        return gates.blocked_reason(table, entry, now, signals)
    if outcome == "taken-back":
        return f"taken back by {process.by}" if process.by else "taken back"
    if outcome == "overtaken" and not process.going_down and process.state != STOPPED:
        return "the update was overtaken"
    if outcome == "overtaken":
        return f"stopped by {process.by} while starting" if process.by else "stopped while starting"
    if outcome == "unchecked":
        return "it has no health, so nobody knows whether it is healthy"
    if outcome == "untouched":
        return "the update stopped before"
    if outcome == "rolled-back":
        return "the update failed"
    if outcome == "removed":
        return "it is being removed from the configuration"
    if outcome == "no-job":
        return "it is a service, and only a oneshot is ever done"
    return slot_detail(table, entry, now, signals) or f"it is {process.state}"
