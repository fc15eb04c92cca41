"""Alert rules as text. Pure."""

from __future__ import annotations

from taskmasterctl.reply.render import columns, short_seconds
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmaster_common.commands.table import Request
    from taskmasterctl.reply.render import Look

    Message = Mapping[str, Any]

HEAD = ("RULE", "DESTINATION", "WAITING", "LAST", "ERROR")


def alert_text(message: Message, request: Request) -> str:
    """Return what a test or flush has led to, or what was said during a test."""
    if message["type"] == "said":
        return f"{clean(message['text'])}\n"
    name = clean(message["rule"])
    if request.targets[0] == "test":
        return f"alert {name}: delivered\n"
    return f"alert {name}: {clean(message['waiting'])} wait\n"


def rules_table(rules: Sequence[Message], look: Look) -> str:
    """Return a line for each rule, below a head."""
    return "".join(f"{line}\n" for line in columns([HEAD, *(_row(rule, look) for rule in rules)], frozenset({2})))


def _row(rule: Message, look: Look) -> tuple[str, ...]:
    ago = rule.get("last_ago_s")
    last = "-" if ago is None else look.wall(ago) if look.wall else f"{short_seconds(ago)} ago"
    name, place = clean(rule["rule"]), clean(rule["destination"])
    return name, place, clean(rule["waiting"]), last, clean(rule.get("error") or "")
