"""Reloads as text: what a plan changes, and why the last reload was refused. Pure."""

from __future__ import annotations

from taskmasterctl.reply.render import columns
from taskmasterctl.visible import clean, clean_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmasterctl.reply.render import Look

    Message = Mapping[str, Any]

TRIED = "the file was tried at "
"""How the daemon's text about a reload begins that was rolled back."""
MOST_NAMED = 5
"""Most processes of a program that a plan names; more are counted."""


def refused_text(daemon: Message, look: Look) -> str:
    """Return that the last reload was refused, with its first problem and where to see the others."""
    problems = [clean_lines(problem)[0] for problem in daemon["reload_problems"]]
    became = "rolled back" if problems[:1] and problems[0].startswith(TRIED) else "refused"
    more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
    lines = [
        f"taskmasterctl: the last reload was {became}; the configuration before it is in use{':' if problems else ''}"
    ]
    lines += [f"  {problem}{more}" for problem in problems[:1]]
    if daemon.get("config_changed"):
        lines.append(f"  The file has changed since:  {look.command} reload --dry-run, then {look.command} reload")
    else:
        lines.append(f"  Check it again:  {look.command} reload --dry-run")
    return "\n".join(lines) + "\n"


def plan_text(
    programs: Sequence[Message],
    daemon_keys: Sequence[str],
    live_keys: Sequence[str] = (),
    *,
    groups_changed: bool = False,
    alerts: Sequence[str] = (),
) -> str:
    """Return what a plan changes: programs, groups, alert rules, the daemon's keys that hold at once or wait; and a summary."""
    shown = [each for each in programs if each["change"] != "kept" or not str(each.get("why")).startswith("unchanged")]
    rows = [(clean(each["name"]), clean(each["change"]), _keys(each), _why(each)) for each in shown]
    lines = columns([("PROGRAM", "CHANGE", "KEYS", "WHY"), *rows]) if rows else []
    if groups_changed:
        lines.append("groups changed")
    lines.extend(f"alert {clean(change)}" for change in alerts)
    lines.extend(f"taskmasterd.{clean(key)} applied without a restart" for key in live_keys)
    lines.extend(f"taskmasterd.{clean(key)} waits for the next start of the daemon" for key in daemon_keys)
    lines.append(_plan_sum([program["change"] for program in programs]))
    return "\n".join(lines) + "\n"


def _plan_sum(changes: Sequence[str]) -> str:
    """Return the summary of a plan: `97 unchanged; 1 restart, 1 updated, 0 new, 0 removed`."""
    words = (
        ("restarted", "restart"),
        ("updated", "updated"),
        ("scaled", "scaled"),
        ("added", "new"),
        ("removed", "removed"),
    )
    named = ("kept", *(change for change, _ in words))
    counts = [(changes.count(change), word) for change, word in words]
    others = sum(change not in named for change in changes)
    parts = [f"{count} {word}" for count, word in counts if count or word in ("restart", "new", "removed")]
    return f"{changes.count('kept')} unchanged; {', '.join((*parts, *((f'{others} changed',) if others else ())))}"


def _keys(program: Message) -> str:
    return clean(",".join(program.get("keys") or ()) or "-")


def _why(program: Message) -> str:
    effects = [
        f"{verb}s {', '.join(program[verb]) if len(program[verb]) <= MOST_NAMED else f'{len(program[verb])} processes'}"
        for verb in ("start", "stop", "restart")
        if program.get(verb)
    ]
    effects += ["one after the other"] if program.get("rolls") else []
    return clean("; ".join((str(program.get("why") or "-"), *effects)))
