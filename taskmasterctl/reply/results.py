"""Results of actions as text: what was started, stopped or signalled, what failed, an upgrade, a shutdown. Pure."""

from __future__ import annotations

from taskmasterctl.reply.render import short_seconds
from taskmasterctl.usernames import with_names
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmasterctl.reply.render import Look

    Message = Mapping[str, Any]


def success_text(result: Message, verb: str) -> str:
    """Return the line of a success: `web:0 started (pid 2001, ready in 1.2s)`."""
    outcome, pid, seconds = str(result.get("outcome", "done")), result.get("pid"), result.get("seconds")
    notes: list[str] = []
    if outcome == "requested":
        outcome = f"{verb} requested"
    elif "stopped" in outcome or outcome in ("skipped", "sent"):
        pid = None
    if pid is not None:
        notes.append(f"pid {clean(pid)}")
    if seconds is not None and outcome in ("started", "restarted"):
        notes.append(f"ready in {short_seconds(seconds)}")
    elif seconds is not None and outcome == "stopped":
        notes.append(f"{'killed after' if result.get('killed') else 'in'} {short_seconds(seconds)}")
    if outcome == "sent":
        amount = result.get("bytes", 0)
        notes.append(f"{clean(amount)} {'byte' if amount == 1 else 'bytes'}")
    if result.get("reason"):
        notes.append(clean(result["reason"]))
    details = f" ({', '.join(notes)})" if notes else ""
    return f"{clean(result['name'])} {clean(outcome.replace('-', ' '))}{details}\n"


def upgraded_text(message: Message) -> str:
    """Return the line of an upgrade: `taskmasterd 0.1.0 is now 0.2.0 (pid 4711, away for 25ms)`."""
    away = f"{message['seconds'] * 1000:.0f}ms"
    versions = f"{clean(message['before'])} is now {clean(message['version'])}"
    return f"taskmasterd {versions} (pid {clean(message['pid'])}, away for {away})\n"


def shutdown_text(message: Message) -> str:
    """Return the line of a shutdown: `3 processes stopped, taskmasterd (pid 4711) has ended`."""
    count = message.get("stopped")
    stopped = f"{clean(count)} process{'' if count == 1 else 'es'} stopped"
    return f"{stopped}, taskmasterd (pid {clean(message.get('pid'))}) has ended\n"


def failed_text(result: Message, verb: str, look: Look, goal: str = "up") -> str:
    """Return the lines of a failure: what failed, why, its last lines of stderr, and where to read more.

    `goal` is what a `wait` waits for.
    """
    name = clean(result["name"])
    reason = with_names(clean(result.get("reason") or "no reason is known"), look.user_name)
    failed = (
        "" if result.get("outcome") == "taken-back" else f" {failed_words(result, verb, goal)}"
    )  # the reason says it all
    lines = [f"taskmasterctl: {name}{failed}: {reason}"]
    if result.get("state") == "FATAL":
        lines[0] += ", now FATAL"
    lines.extend(f"  stderr: {clean(line)}" for line in result.get("stderr") or ())
    log = str(result.get("log") or "")
    if log.startswith("/"):
        lines.append(f"  Log:    {clean(log)}")
    if result.get("stderr"):
        lines.append(f"  More:   {look.command} logs --stderr {name}      {look.command} show {name}")
    elif verb not in ("signal", "send"):
        lines.append(f"  More:   {look.command} show {name}")
    return "\n".join(lines) + "\n"


NOT_RESTARTED = {
    "untouched": "was not restarted",
    "refused": "was not restarted",
    "rolled-back": "was restarted as it was before",
}
"""Outcomes of restarts that say themselves what has become of the process."""


def failed_words(result: Message, verb: str, goal: str) -> str:
    """Return what has become of a process that is not as it was to be: `did not start`."""
    if verb == "signal":
        return "was not signalled"
    if verb == "send":
        got = clean(result.get("bytes", 0))
        return f"got only {got} bytes" if result.get("bytes") else "got nothing"
    if verb == "wait":
        return "is not as wanted" if goal == "settled" else f"is not {goal}"
    if result.get("outcome") in NOT_RESTARTED:
        return NOT_RESTARTED[result["outcome"]]
    if result.get("outcome") == "overtaken" and result.get("state") == "RUNNING":
        return "was not restarted"  # by an update that another request has ended
    if verb in ("stop", "shutdown") or result.get("outcome") == "stuck":
        return "did not stop"
    return "did not start"
