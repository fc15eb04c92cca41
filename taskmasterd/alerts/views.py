"""What operators see of a rule: its row of `alert list`, its line of `status`."""

from __future__ import annotations

from taskmaster_common.config.alerts.words import shown_destination

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from taskmasterd.alerts.rule import RuleAtWork


def warning(rule: RuleAtWork) -> str:
    """Return the line of `status`, "" for none."""
    if not rule.trouble:
        return ""
    waits = f"{rule.waiting} wait{'s' if rule.waiting == 1 else ''}; " if rule.waiting else ""
    return f"alert {rule.rule.name}: {waits}{rule.trouble}"


def view(rule: RuleAtWork) -> dict[str, Any]:
    """Return the row of `alert list`; `last` is a time of the wall clock, in seconds."""
    return {
        "rule": rule.rule.name,
        "destination": shown_destination(rule.rule),
        "waiting": rule.waiting,
        "last": rule.last or None,
        "error": rule.trouble or None,
    }
