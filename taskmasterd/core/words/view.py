"""What the daemon says about its processes and programs on the wire: records to plain data. Pure."""

from __future__ import annotations

from taskmaster_common.config import INSTANCE, KIND
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STARTING, STOPPING
from taskmasterd.core.process.ends import dumped_core, exit_code, exit_signal
from taskmasterd.core.words.describe import detail, end_text, failure_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.config import ProgramConfig
    from taskmasterd.core.process.ends import End
    from taskmasterd.core.process.machine import Process
    from taskmasterd.core.programs.plan import ProgramPlan, ReloadPlan
    from taskmasterd.core.programs.table import Entry, Table
    from taskmasterd.core.steps import Steps


def as_wanted(process: Process) -> bool:
    """Return whether the process is what somebody wants it to be: not BACKOFF, FATAL, or EXITED unexpectedly."""
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
        "description": entry.wanted.description,
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
        return failure_text(process, entry.policy, signals)
    return end_text(process.end, signals) if process.end else ""


def plan_view(table: Table, plan: ReloadPlan) -> Steps[dict[str, Any]]:
    """Make the `plan` object of the wire, a program a step."""
    programs = []
    for program in plan.programs:
        programs.append(_program_plan_view(table, program))
        yield
    return {
        "type": "plan",
        "programs": programs,
        "daemon_keys": list(plan.daemon_keys),
        "live_keys": list(plan.live_keys),
        "changes": plan.changes,
    }


def _program_plan_view(table: Table, plan: ProgramPlan) -> dict[str, Any]:
    count = plan.wanted.numprocs if plan.wanted else len(table.slots(plan.name))

    def named(indices: tuple[int, ...]) -> list[str]:
        return [plan.name if count == 1 and index == 0 else f"{plan.name}:{index}" for index in indices]

    return {
        "name": plan.name,
        "change": plan.change,
        "keys": list(plan.keys),
        "why": plan.why,
        "create": named(plan.create),
        "start": named(plan.start),
        "stop": named(plan.stop),
        "restart": named(plan.restart),
    }


def settings_view(program: ProgramConfig, signals: Mapping[int, str], *, values: bool) -> dict[str, Any]:
    """Return every key of a program with its value as JSON has it; of `env` a list of names, unless `values`."""
    return {key: _setting(program, key, signals, values=values) for key in KIND}


def _setting(program: ProgramConfig, key: str, signals: Mapping[int, str], *, values: bool) -> Any:
    """Return seconds and sizes as numbers, a umask as octal text, and None for what is the daemon's own."""
    value = program.value(key)
    kind = KIND[key]
    if kind == "variables":
        names = sorted(value)
        return {name: _readable(value[name]) for name in names} if values else names
    if kind == "octal":
        return None if value is None else f"{value:03o}"
    if kind == "signal":
        return signals.get(value, str(value))
    if kind == "command":
        return _readable(value[0]) if program.shell else [_readable(word) for word in value]
    if isinstance(value, float) and value == int(value):
        return int(value)
    return list(value) if isinstance(value, tuple) else _readable(value)


def _readable(value: Any) -> Any:
    return value.replace(INSTANCE, "${TASKMASTER_INSTANCE}") if isinstance(value, str) else value
