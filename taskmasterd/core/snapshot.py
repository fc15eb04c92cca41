"""The whole state of the process table to plain data and back: for the daemon's entry, a live upgrade and adoption.

Times stay as they are: the monotonic clock is the kernel's and outlives the daemon, not a boot.
"""

from __future__ import annotations

from taskmaster_common.config import ProgramConfig
from taskmaster_common.states import ProcessState
from taskmasterd.core.ends import End
from taskmasterd.core.events import Failure
from taskmasterd.core.process import Process
from taskmasterd.core.table import Entry, Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


def table_to_data(table: Table) -> list[dict[str, Any]]:
    """Return every entry as values that JSON can carry, in the order of the table.

    A program's configurations stand once where all its slots share them: `wanted` and `current` of the first slot serve
    the following ones that do not name their own.
    """
    rows: list[dict[str, Any]] = []
    wanted: ProgramConfig | None = None
    current: ProgramConfig | None = None
    for entry in table:
        row: dict[str, Any] = {
            "index": entry.index,
            "process": process_to_data(entry.process),
            "removed": entry.removed,
        }
        if entry.wanted is not wanted:
            wanted, current = entry.wanted, None
            row["wanted"] = wanted.to_data()
        if entry.current is not current:
            current = entry.current
            row["current"] = current.to_data() if current else None
        rows.append(row)
    return rows


def fill_table(table: Table, rows: Iterable[Mapping[str, Any]]) -> None:
    """Put the entries that `table_to_data` wrote into an empty table. Raises ValueError or TypeError for anything else."""
    wanted: ProgramConfig | None = None
    current: ProgramConfig | None = None
    for row in rows:
        missing = {"index", "process", "removed"} - set(row)
        if missing:
            raise ValueError(f"an entry of a snapshot lacks {', '.join(sorted(missing))}")
        if "wanted" in row:
            wanted, current = ProgramConfig.from_data(row["wanted"]), None
        if "current" in row:
            current = _same(ProgramConfig.from_data(row["current"]), wanted) if row["current"] else None
        if wanted is None:
            raise ValueError("the first entry of a snapshot lacks its configuration")
        entry = Entry(wanted, row["index"], process_from_data(row["process"]))
        entry.current = current
        entry.removed = row["removed"]
        table.add(entry)


def _same(one: ProgramConfig, other: ProgramConfig | None) -> ProgramConfig:
    """Return `other` where it is equal, so that a program's slots share one record."""
    return other if other is not None and one == other else one


def process_to_data(process: Process) -> dict[str, Any]:
    """Return a process as plain data; fields at their default are left out."""
    fields = process.to_data()
    for name in ("state", "then"):
        if name in fields:
            fields[name] = fields[name].value
    if process.end is not None:
        end = process.end.to_data()
        if process.end.failure is not None:
            end["failure"] = process.end.failure.to_data()
        fields["end"] = end
    return fields


def process_from_data(fields: Mapping[str, Any]) -> Process:
    """Return the process that `process_to_data` was made from. Raises ValueError or TypeError for anything else."""
    values = dict(fields)
    for name in ("state", "then"):
        if values.get(name) is not None:
            values[name] = ProcessState(values[name])
    if values.get("end") is not None:
        end = dict(values["end"])
        if end.get("failure") is not None:
            end["failure"] = Failure.from_data(end["failure"])
        values["end"] = End.from_data(end)
    return Process.from_data(values)
