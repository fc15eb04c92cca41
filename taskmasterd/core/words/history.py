"""From a change of a process to records of the history. Pure."""

from __future__ import annotations

from taskmaster_common.config import ONESHOT
from taskmaster_common.states import BACKOFF, EXITED, FATAL, RUNNING, STOPPED, STOPPING
from taskmasterd.core.process.ends import shortage
from taskmasterd.core.process.events import SCHEDULE, Ready, Spawned
from taskmasterd.core.process.state import HEALTHY, KILL_ORDER, PLANNED, RECYCLE, UNHEALTHY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry

    Noted = tuple[str, dict[str, Any]]

ASKED = ("start", "stop", "restart", "dependency", KILL_ORDER, SCHEDULE)
"""The causes for which somebody has asked, its schedule, or what a process depends on: then `by` says who, or because of what."""


def happened(entry: Entry, before: Process, event: Event, now: float, signals: Mapping[int, str]) -> Iterator[Noted]:
    """Yield (event, fields) for one change; the entry holds the process after it. `now` is the monotonic clock, in seconds."""
    after = entry.process
    if isinstance(event, Spawned):
        tries = {"try": after.tries + 1, "of": entry.policy.startretries + 1} if after.tries else {}
        yield "started", {"pid": after.pid, **tries, **_why(after)}
    if isinstance(event, Ready) and after is not before:
        yield "ready", {"pid": after.pid, "after": _round(now - after.spawned_at), "reason": event.text or None}
    if after.end is not before.end:
        yield from _ended(before, after)
    if after.killing and not before.killing:
        by = {"by": by_of(after.by), "cause": KILL_ORDER} if after.cause == KILL_ORDER else {}
        yield "killed", {"pid": before.pid, "after": _round(now - after.since), **by}
    if after.stuck and not before.stuck:
        yield "stuck", {"pid": after.pid, "after": _round(now - after.since), "refused": list(after.refused) or None}
    if after.state != before.state:
        yield from _entered(entry, before, signals)
    elif after.shortages > before.shortages:
        yield "backoff", _backoff(entry)
    if after.health != before.health and after.health == UNHEALTHY:
        yield "unhealthy", {"pid": after.pid, "reason": after.reason.removeprefix(f"{UNHEALTHY}: ")}
    elif after.health != before.health and after.health == HEALTHY:
        yield "healthy", {"pid": after.pid, "after": _round(now - before.judged_at) if before.health else None}


def _ended(before: Process, after: Process) -> Iterator[Noted]:
    end = after.end
    if end is None:
        return
    fields = {
        "pid": before.pid,
        "status": end.status if end.failure is None else None,
        "after": _round(end.after_s) if end.failure is None else None,
        "expected": end.expected,
        "reason": end.failure.text if end.failure else end.why or None,
        "left": list(end.left) or None,
        "silent": end.silent or None,
        **shortage(end),
    }
    yield "exited" if end.started else "failed", fields


def _entered(entry: Entry, before: Process, signals: Mapping[int, str]) -> Iterator[Noted]:
    after, end = entry.process, entry.process.end
    if after.state == RUNNING:
        yield "running", {"pid": after.pid}
    elif after.state == BACKOFF and not after.phase:
        yield "backoff", _backoff(entry)
    elif after.state == FATAL:
        tries = {"try": after.tries, "of": entry.policy.startretries + 1} if after.tries else {}
        yield "fatal", {**_end_of(after), **tries, "cause": after.cause}
    elif after.state == EXITED and entry.policy.type == ONESHOT and end and end.expected:
        yield "done", {"status": end.status, "after": _round(end.after_s)}
    elif after.state == STOPPING:
        asked = {} if after.reason or after.pid is None else _why(after)
        left = list(end.left) if end and after.pid is None else None
        number = entry.wanted.stopsignal
        signal = signals.get(number, str(number)) if after.pid is not None else None
        if after.cause == RECYCLE and after.pid is not None and before.state == RUNNING:
            yield "recycled", {"pid": after.pid, "reason": after.by.partition(": ")[2]}
        fields = {"signal": signal, "deadline": after.deadline, "left": left, "reason": after.reason or None}
        yield "stopping", {"pid": after.pid, **asked, **fields}
    elif after.state == STOPPED:
        yield "stopped", {"by": by_of(after.by), "was": before.state, **_stop_of(before, after)}


def _end_of(process: Process) -> dict[str, Any]:
    """Return how the last instance ended, or why there was none."""
    end = process.end
    if process.reason or end is None:
        return {"reason": process.reason or None}
    if end.failure:
        return {"reason": end.failure.text}
    return {"status": end.status, "after": _round(end.after_s), "silent": end.silent or None}


def _stop_of(before: Process, after: Process) -> dict[str, Any]:
    if before.state != STOPPING:
        return {}
    status = after.end.status if after.end else None
    return {"status": status, "after": _round(after.since - before.since), "killed": bool(before.killing) or None}


def _backoff(entry: Entry) -> dict[str, Any]:
    process = entry.process
    tries = {"try": process.tries, "of": entry.policy.startretries} if process.tries else {}
    return {**tries, "deadline": process.deadline, "reason": process.reason or None, "cause": process.cause}


def _why(process: Process) -> dict[str, Any]:
    """Return what has led to a start or stop, and who asked for it."""
    if process.cause in PLANNED:
        return {"cause": process.cause, "reason": process.by}
    by = {"by": by_of(process.by)} if process.by and process.cause in ASKED else {}
    return {"cause": process.cause, **by}


def by_of(text: str) -> dict[str, Any]:
    """Return who asked, from the words of the event log, as an object: `uid` where a client did, `text` where that says more."""
    _, found, rest = text.partition("uid ")
    uid = rest.removesuffix(")")
    if not (found and uid.isdecimal()):
        return {"text": text}
    return {"uid": int(uid), **({} if text == f"uid {uid}" else {"text": text})}


def _round(seconds: float) -> float:
    return round(seconds, 3)
