"""A table of processes that has to fit into a terminal: the worst first, and those that are alike in one row for each program. Pure.

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
    programs: dict[str, list[Message]] = {}
    for process in processes:
        programs.setdefault(process["program"], []).append(process)
    rows: list[Message] = []
    for instances in programs.values():
        alike: dict[object, list[Message]] = {}
        for at, each in enumerate(instances):
            alike.setdefault(_kind(each) or at, []).append(each)
        rows += [_summary(some, len(instances)) if len(some) > 1 else some[0] for some in alike.values()]
    return sorted(rows, key=_place)


def _kind(process: Message) -> object:
    """Return what instances of one row have in common; None for one that needs a row of its own."""
    if _well(process):
        return RUNNING
    if process.get("phase") or process.get("outdated"):
        return None
    if process.get("wanted", True):
        return process["state"] if process["state"] in (STOPPED, EXITED) else None
    return (FATAL, process.get("detail"), process.get("stderr")) if process["state"] == FATAL else None


def _well(process: Message) -> bool:
    """Return whether there is nothing to say of a process but that it runs."""
    verdict = (process.get("health") or {}).get("verdict", "")
    return bool(
        process["state"] == RUNNING
        and process.get("wanted", True)
        and verdict in ("", "healthy")
        and not (process.get("phase") or process.get("outdated"))
    )


def _summary(alike: Sequence[Message], total: int) -> Message:
    """Return the row that stands for several instances: the youngest one's uptime, the sum of the rest, a detail that all share."""
    first = alike[0]
    sums = {
        name: sum(each.get(name) or 0 for each in alike)
        for name in ("restarts", "cpu_percent", "memory_bytes")
        if any(each.get(name) is not None for each in alike)
    }
    uptimes, restarted = (
        [each[name] for each in alike if each.get(name) is not None] for name in ("uptime_s", "restarted_s")
    )
    same = all(each.get("detail") == first.get("detail") for each in alike)
    return {
        **first,
        **sums,
        "name": f"{first['program']} {len(alike)}/{total}",
        "pid": None,
        "uptime_s": min(uptimes, default=None),
        "restarted_s": min(restarted, default=None),
        "detail": (first.get("detail") or "") if same else "",
        "stderr": (first.get("stderr") or "") if same else "",
    }


def _place(process: Message) -> int:
    state = process["state"]
    if not process.get("wanted", True):
        return 0 if state == FATAL else 1
    if _well(process):
        return 3
    return 4 if state in (STOPPED, EXITED) else 2
