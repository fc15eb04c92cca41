"""What is counted of a slot for `metrics`, from its first start on. Pure.

Counters only grow. The next daemon goes on with them after a crash or an upgrade, because they stand in the slot's line of the
state; an orderly stop removes that, so they begin at 0 again.
"""

from __future__ import annotations

from taskmaster_common.states import RUNNING
from taskmasterd.core.process.ends import exit_signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmasterd.core.process.ends import End
    from taskmasterd.core.process.state import Process

    Counts = tuple[float, ...]
    """One number for each of NAMES; of a job that has succeeded, also when it last ended and after how many seconds."""

RESULTS = ("expected", "unexpected", "signal", "failed")
NAMES = ("starts", "restarts", *RESULTS, "dropped")
"""What is counted: starts, those of them without an operator's order, ends by their result, bytes of output that were lost."""
NOTHING: Counts = (0,) * len(NAMES)
STARTS, RESTARTS, DROPPED = (NAMES.index(name) for name in ("starts", "restarts", "dropped"))


def counted(counts: Counts, before: Process, after: Process, *, job: bool) -> Counts:
    """Return the counters after a change of the process; `job`: it is a oneshot."""
    started = after.starts > before.starts
    end = after.end if after.end is not before.end else None
    if not started and end is None:
        return counts
    numbers = list(counts)
    if started:
        numbers[STARTS] += 1
        numbers[RESTARTS] += after.starts > 1
    if end is not None:
        numbers[NAMES.index(result_of(end))] += 1
        if job and end.expected and before.state == RUNNING and not before.leaving:
            numbers[len(NAMES) :] = (end.at, end.after_s)
    return tuple(numbers)


def result_of(end: End) -> str:
    """Return how an instance ended, a word of RESULTS; "failed" is a start that did not succeed."""
    if end.expected:
        return "expected"
    if not end.started:
        return "failed"
    return "signal" if exit_signal(end.status) is not None else "unexpected"


def with_dropped(counts: Counts, dropped: int) -> Counts:
    """Return the counters with another number of lost bytes."""
    return (*counts[:DROPPED], dropped, *counts[DROPPED + 1 :])


def counts_view(counts: Counts, now: float) -> dict[str, Any]:
    """Return the `counters` object of the wire."""
    view: dict[str, Any] = {"starts": counts[STARTS], "restarts": counts[RESTARTS], "dropped_bytes": counts[DROPPED]}
    view["exits"] = dict(zip(RESULTS, counts[NAMES.index(RESULTS[0]) :]))
    if len(counts) > len(NAMES):
        at, took_s = counts[len(NAMES) :]
        view["success"] = {"ago_s": round(now - at, 3), "took_s": round(took_s, 3)}
    return view


def counts_from_data(row: Mapping[str, Any]) -> Counts:
    """Return the counters in the data of a slot. Raises ValueError or TypeError for what cannot be counters."""
    numbers = tuple(row.get("counts", NOTHING))
    whole = numbers[: len(NAMES)]
    if len(numbers) not in (len(NAMES), len(NAMES) + 2) or not all(type(each) is int and each >= 0 for each in whole):
        raise ValueError(f"{numbers!r} are no counters")
    if not all(type(each) in (int, float) for each in numbers):
        raise TypeError(f"{numbers!r} are no counters")
    return numbers
