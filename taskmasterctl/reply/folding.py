"""A table of processes that has to fit into a terminal: the worst first, and those that are well in one row for each program. Pure.

Loaded when a table has more rows than there is room. `--wide`, and names on the command line, show every row.
"""

from __future__ import annotations

from taskmaster_common.states import EXITED, FATAL, RUNNING, STOPPED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    Message = Mapping[str, Any]


def folded(processes: Sequence[Message]) -> list[Message]:
    """Return the rows: what needs a look, what is on its way, what is well, what is down because it should be."""
    members: dict[str, list[Message]] = {}
    for process in processes:
        members.setdefault(process["program"], []).append(process)
    rows: list[Message] = []
    for instances in members.values():
        well = [each for each in instances if _well(each)]
        if len(well) > 1:
            rows.append(_summary(well, len(instances)))
        rows += [each for each in instances if each not in well] if len(well) > 1 else instances
    return sorted(rows, key=_place)


def _well(process: Message) -> bool:
    """Return whether there is nothing to say of a process but that it runs."""
    verdict = (process.get("health") or {}).get("verdict", "")
    return bool(
        process["state"] == RUNNING
        and process.get("wanted", True)
        and verdict in ("", "healthy")
        and not (process.get("phase") or process.get("outdated"))
    )


def _summary(well: Sequence[Message], total: int) -> Message:
    """Return the row that stands for instances that are well: the youngest one's uptime, and the sum of the rest."""
    first = well[0]
    sums = {
        name: sum(each.get(name) or 0 for each in well)
        for name in ("restarts", "cpu_percent", "memory_bytes")
        if any(each.get(name) is not None for each in well)
    }
    uptimes, restarted = (
        [each[name] for each in well if each.get(name) is not None] for name in ("uptime_s", "restarted_s")
    )
    return {
        **first,
        **sums,
        "name": f"{first['program']} {len(well)}/{total}",
        "pid": None,
        "uptime_s": min(uptimes, default=None),
        "restarted_s": min(restarted, default=None),
        "detail": "",
        "stderr": "",
    }


def _place(process: Message) -> int:
    state = process["state"]
    if not process.get("wanted", True):
        return 0 if state == FATAL else 1
    if _well(process):
        return 3
    return 4 if state in (STOPPED, EXITED) else 2
