"""Figures and trees for verbs that answer once."""

from __future__ import annotations

import time

from taskmasterctl.usage.proc import in_order, members
from taskmasterctl.usage.sampler import SHORT_S, Sampler, default_source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from taskmasterctl.usage.sampler import Figures

    Message = dict[str, Any]


def measure(processes: Iterable[Message], daemon: int = 0, *, more: bool = False) -> dict[int, Figures]:
    """Look twice, with a pause of SHORT_S, and add the figures to each PROCESS object; return them by pid.

    `daemon` is its pid, 0 if unknown.
    """
    processes = list(processes)
    leaders = [each["pid"] for each in processes if each.get("pid") is not None]
    sampler = Sampler()
    found = sampler.sample(leaders, daemon, more=more)
    if found:
        time.sleep(SHORT_S)
        found = sampler.sample(leaders, daemon, more=more)
    for each in processes:
        add_figures(each, found)
    return found


def add_figures(process: Message, found: dict[int, Figures]) -> None:
    """Add what is known to a PROCESS object: null for what is not."""
    figures = found.get(process.get("pid") or 0)
    percent = figures.cpu_percent if figures else None
    process["cpu_percent"] = None if percent is None else round(percent, 1)
    process["memory_bytes"] = figures.memory if figures else None


def tree_of(leaders: Iterable[int]) -> list[Message]:
    """Return all processes of some leaders, each followed by what is below it: pid, ppid and command.

    What has left its parent but not the session stands directly below the leader.
    """
    source = default_source()
    rows = source.everybody()
    trees = members(rows, dict.fromkeys(leaders)).items()
    pids = [pid for leader, found in trees for pid in in_order(leader, found, rows)]
    return [{"pid": pid, "ppid": rows[pid].parent, "command": source.command(pid)} for pid in pids]
