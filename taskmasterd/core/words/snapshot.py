"""Converts slots to plain data and back, for the state file, adoption and the live upgrade.

Times are seconds of the monotonic clock, which the kernel keeps: they hold for the next daemon, but not after a boot.
"""

from __future__ import annotations

from taskmaster_common.config import ProgramConfig
from taskmaster_common.states import BACKOFF, DOWN_STATES, RUNNING, STARTING, STATES, STOPPING
from taskmasterd.core.process.counts import NOTHING, counts_from_data
from taskmasterd.core.process.ends import End
from taskmasterd.core.process.events import Failure
from taskmasterd.core.process.state import (
    CAUSES,
    HELD,
    HOOK_STAGES,
    HOOKS,
    LEAVING,
    PHASES,
    READINESS,
    VERDICTS,
    Process,
)
from taskmasterd.core.programs.table import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.states import ProcessState

NUMBERS = frozenset({"since", "spawned_at", "deadline", "then_at", "judged_at", "hook_at", "ready_at"})
COUNTS = frozenset({"pid", "tries", "shortages", "starts", "killing", "sick"})
TEXTS = frozenset({"by", "reason"})
NOTIFY = "notify"
"""The way to become ready of what says how it is, by STATUS= of sd_notify(3)."""


def entry_to_data(entry: Entry) -> dict[str, Any]:
    """Return a slot as values that JSON can carry.

    `wanted` is left out where it is the configuration's entry of that name, which is what is pending if the two differ; `current`
    where it is the same as `wanted`.
    """
    row: dict[str, Any] = {
        "program": entry.program,
        "index": entry.index,
        "process": process_to_data(entry.process),
    }
    counts = entry.all_counts
    if counts != NOTHING:
        row["counts"] = counts
    if entry.said and entry.process.pid is not None and NOTIFY in entry.present.ready:
        row["said"] = entry.said  # nobody can ask for it again
    if entry.removed:
        row["removed"] = True
    if entry.removed or entry.pending:
        row["wanted"] = entry.wanted.to_data()
    if entry.current is None:
        row["current"] = None
    elif entry.current is not entry.wanted and entry.current != entry.wanted:
        row["current"] = entry.current.to_data()
    return row


def entry_from_data(row: Mapping[str, Any], programs: Mapping[str, ProgramConfig]) -> Entry:
    """Return the slot that `entry_to_data` wrote; `programs` is the configuration of that moment.

    Raises ValueError, TypeError or KeyError for anything else.
    """
    name, index = row["program"], row["index"]
    if not isinstance(index, int) or index < 0:
        raise ValueError(f"{index!r} is no number of a slot")
    wanted = ProgramConfig.from_data(row["wanted"]) if "wanted" in row else programs[name]
    if wanted.name != name:
        raise ValueError(f"a slot of {name!r} has the configuration of {wanted.name!r}")
    entry = Entry(wanted, index, process_from_data(row["process"]))
    entry.count(counts_from_data(row))
    said = row.get("said")
    entry.say(said if isinstance(said, str) else "")
    entry.removed = bool(row.get("removed"))
    if "wanted" in row and not entry.removed and name in programs:
        entry.pend(ProgramConfig.from_data(row["newest"]) if "newest" in row else programs[name])
    current = row.get("current", wanted)
    if current is not None:
        entry.current = current if isinstance(current, ProgramConfig) else ProgramConfig.from_data(current)
    return entry


def process_to_data(process: Process) -> dict[str, Any]:
    """Return a process as plain data; fields at their default are left out."""
    fields = process.to_data()
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
            values[name] = _state(values[name])
    if values.get("end") is not None:
        end = dict(values["end"])
        if end.get("failure") is not None:
            end["failure"] = Failure.from_data(end["failure"])
        values["end"] = End.from_data(end)
    if "restarts" in values:
        values["starts"] = _starts_of(values)
    process = Process.from_data(values)
    wrong = _what_is_wrong(process)
    if wrong:
        raise ValueError(f"{wrong} in {process}")
    return process


def _starts_of(values: dict[str, Any]) -> int:
    """Return the number of starts, for a state of an earlier version: its `restarts` include the start that is due."""
    restarts = values.pop("restarts")
    is_due = not values.get("shortages") and (
        values.get("state") == BACKOFF or (values.get("state") == STARTING and values.get("pid") is None)
    )
    return int(restarts if is_due else restarts + 1)


def _state(word: object) -> ProcessState:
    for state in STATES:
        if state == word:
            return state
    raise ValueError(f"{word!r} is no state")


def _what_is_wrong(process: Process) -> str:
    """Return the rule of the theory of states (see ARCHITECTURE.md) that these values break, or ""."""
    for name in NUMBERS | COUNTS:
        value = getattr(process, name)
        kinds = int if name in COUNTS else (int, float)
        if not (isinstance(value, kinds) or (value is None and name in ("pid", "deadline"))):
            return f"{name} is no number"
    if process.pid is not None and process.pid <= 1:
        return "nobody has that pid"
    if not all(isinstance(getattr(process, name), str) for name in TEXTS):
        return "a text has another type"
    words = (
        (process.phase, PHASES),
        (process.leaving, LEAVING),
        (process.readiness, READINESS),
        (process.health, VERDICTS),
        (process.hook_stage, HOOK_STAGES),
        (process.cause, CAUSES),
    )
    if any(word not in known for word, known in words) or not _hook_may_be(process):
        return "an unknown word"
    if process.phase:
        wrong = process.pid is not None or process.state != (STARTING if process.phase == HELD else BACKOFF)
    elif process.state in DOWN_STATES or process.state == BACKOFF:
        wrong = process.pid is not None or (process.deadline is None) is (process.state == BACKOFF)
    elif process.state == RUNNING:
        wrong = process.pid is None or not process.executed
    elif process.state == STARTING:
        wrong = process.pid is None and process.executed
    else:
        nothing = process.pid is None and process.end is None
        wrong = process.then is None or (nothing and not process.hook)
    wrong = wrong or (bool(process.leaving) and (process.pid is None or process.state == STOPPING))
    return "an impossible process" if wrong else ""


def _hook_may_be(process: Process) -> bool:
    """Return whether the hook is one of the process's state."""
    if not process.hook:
        return not process.hook_stage
    return process.hook in HOOKS and bool(process.hook_stage) and process.state in (STARTING, STOPPING)
