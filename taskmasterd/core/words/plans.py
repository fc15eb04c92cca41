"""The plan of a reload as an object of the wire, and as lines of the event log. Pure."""

from __future__ import annotations

from taskmaster_common.config import NEXT
from taskmasterd.core.programs.plan import KEPT
from taskmasterd.core.programs.table import of_class
from taskmasterd.core.words.history import by_of
from taskmasterd.ondemand import on_demand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from taskmaster_common.config import DaemonConfig
    from taskmasterd.core.programs.plan import ProgramPlan, ReloadPlan
    from taskmasterd.core.programs.table import Table
    from taskmasterd.core.steps import Steps
    from taskmasterd.core.words import changes, overlays
else:
    changes = on_demand("taskmasterd.core.words.changes")
    overlays = on_demand("taskmasterd.core.words.overlays")


def plan_view(
    table: Table, plan: ReloadPlan, running: DaemonConfig, signals: Mapping[int, str], *, values: bool = False
) -> Steps[dict[str, Any]]:
    """Return the `plan` object of the wire, after one step for each program; `running` is what the daemon has now.

    `values`: those of env may be seen.
    """
    programs: list[dict[str, Any]] = []
    differences = changes.Changes(signals, values=values)
    for program in plan.programs:
        view = _program_plan_view(table, program)
        if program.wanted and program.keys:
            view["values"] = differences.of_program(table.slots(program.name), program.wanted, program.keys)
        programs.append(view)
        yield
    return {
        "type": "plan",
        "programs": programs,
        "daemon_keys": list(plan.daemon_keys),
        "live_keys": list(plan.live_keys),
        "daemon_values": changes.of_daemon(running, plan.config.daemon, (*plan.live_keys, *plan.daemon_keys)),
        "groups_changed": plan.groups_changed,
        "alerts": list(plan.alerts),
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
        "next": [*of_class(plan.keys, NEXT), *plan.late],
        "why": overlays.kept_text(table, plan.name) or plan.why if plan.change == KEPT and table.overlay else plan.why,
        "create": named(plan.create),
        "start": named(plan.start),
        "stop": named(plan.stop),
        "restart": named(plan.restart),
        "rolls": plan.rolls,
        "values": {},
    }


def plan_records(plan: ReloadPlan, by: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (name, fields) of the history's records: one of the whole plan, and one of each program that it changes."""
    who, changed = by_of(by), [each for each in plan.programs if each.change != KEPT]
    yield "", {"by": who, "changed": len(changed), "keys": [*plan.live_keys, *plan.daemon_keys] or None}
    for each in changed:
        yield each.name, {"by": who, "change": each.change, "keys": list(each.keys) or None}


def plan_lines(plan: ReloadPlan) -> list[str]:
    """Return the lines that describe a plan: one for each program that changes, one for the rest."""
    lines = [f"{each.name} {each.change}: {each.why}" for each in plan.programs if each.change != KEPT]
    kept = len(plan.programs) - len(lines)
    lines.append(f"{kept} program{'s' if kept != 1 else ''} untouched")
    if plan.groups_changed:
        lines.append("groups changed")
    lines.extend(f"alert {change}" for change in plan.alerts)
    lines.extend(f"taskmasterd.{key} applied" for key in plan.live_keys)
    lines.extend(f"taskmasterd.{key} waits for the next start of the daemon" for key in plan.daemon_keys)
    return lines
