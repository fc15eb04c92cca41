"""Alert rules as text. Pure."""

from __future__ import annotations

from taskmasterctl.reply.render import columns, short_seconds
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmasterctl.reply.render import Look

    Message = Mapping[str, Any]

LEAST = (16, 40, 7, 19)
"""Widths of the columns but the last one: the rules come one by one."""
HEAD = ("RULE", "DESTINATION", "WAITING", "LAST", "ERROR")


def alert_text(message: Message, request: Request, look: Look) -> str:
    """Return a line about a rule, what a test or flush has led to, or what was said during a test."""
    if message["type"] == "said":
        return f"{clean(message['text'])}\n"
    action, name = request.targets[0] if request.targets else "list", clean(message["rule"])
    if action == "test":
        return f"alert {name}: delivered\n"
    if action == "flush":
        return f"alert {name}: {clean(message['waiting'])} wait\n"
    rows = [HEAD] if message.get("first") else []
    return "".join(f"{line}\n" for line in columns([*rows, _row(message, look)], frozenset({2}), LEAST))


def _row(rule: Message, look: Look) -> tuple[str, ...]:
    ago = rule.get("last_ago_s")
    last = "-" if ago is None else look.wall(ago) if look.wall else f"{short_seconds(ago)} ago"
    name, place = clean(rule["rule"]), clean(rule["destination"])
    return name, place, clean(rule["waiting"]), last, clean(rule.get("error") or "")
