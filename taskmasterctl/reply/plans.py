"""Reloads as text: what a plan changes, and why the last reload was refused. Pure."""

from __future__ import annotations

from taskmaster_common.config import KIND
from taskmasterctl.reply.render import cells_of, columns
from taskmasterctl.reply.show import setting_text
from taskmasterctl.visible import clean, clean_lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmasterctl.reply.render import Look

    Message = Mapping[str, Any]

TRIED = "the file was tried at "
"""How the daemon's text about a reload begins that was rolled back."""
WHEN = {"live_keys": "applied without a restart", "daemon_keys": "waits for the next start of the daemon"}
"""When the keys of the daemon hold that a plan lists."""
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


def plan_text(plans: Sequence[Message], look: Look, *, wide: bool = False) -> str:
    """Return what the parts of a plan change: programs, groups, alert rules, the daemon's keys that hold at once or wait; and a sum.

    Below each program stand the old and the new values of its keys. What stays as it is is only counted, unless `wide`.
    """
    programs: list[Message] = [program for plan in plans for program in plan["programs"]]
    shown = [each for each in programs if wide or each["change"] != "kept" or not _unchanged(each)]
    rows = [(clean(each["name"]), clean(each["change"]), _keys(each), _why(each)) for each in shown]
    head, *found = columns([("PROGRAM", "CHANGE", "KEYS", "WHY"), *rows])
    lines = [head] if rows else []
    for program, line in zip(shown, found):
        lines += [line, *_value_lines(program.get("values") or {}, look)]
    if any(plan.get("groups_changed") for plan in plans):
        lines.append("groups changed")
    lines.extend(f"alert {clean(change)}" for plan in plans for change in plan.get("alerts") or ())
    for kind, when in WHEN.items():
        for plan in plans:
            values: Message = plan.get("daemon_values") or {}
            for key in plan.get(kind) or ():
                lines.append(f"taskmasterd.{clean(key)} {when}")
                lines += _value_lines({key: values[key]}, look) if key in values else []
    lines.append(_plan_sum([program["change"] for program in programs]))
    return "\n".join(lines) + "\n"


def _unchanged(program: Message) -> bool:
    return str(program.get("why")).startswith("unchanged")


def _value_lines(values: Mapping[str, Message], look: Look) -> list[str]:
    """Return a line for each key, `  cmd  old -> new`, or two where there is no room for both values in one."""
    lines: list[str] = []
    width = max((len(clean(key)) for key in values), default=0)
    for key, pair in values.items():
        name = f"    {clean(key):<{width}}  "
        if KIND.get(key) == "environment" and isinstance(pair["old"], list):
            lines.append(name + _variables(pair["old"], pair["new"]))
            continue
        old, new = (setting_text(key, pair[which]) or "-" for which in ("old", "new"))
        line = f"{name}{old} -> {new}"
        if look.width and cells_of(line) > look.width:
            lines += [f"{name}{old}", f"{'->':>{len(name) - 1}} {new}"]
        else:
            lines.append(line)
    return lines


def _variables(old: Sequence[str], new: Sequence[str]) -> str:
    """Return which variables are others, without their values: `+NEW -GONE TOKEN changed`."""
    both = [name for name in old if name in new]
    words = [f"+{clean(name)}" for name in new if name not in old]
    words += [f"-{clean(name)}" for name in old if name not in new]
    return ", ".join((*words, *(f"{clean(name)} has another value" for name in both)))


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
