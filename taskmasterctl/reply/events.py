"""Events of the history as lines: local time, name, word, text. Pure."""

from __future__ import annotations

from taskmaster_common.text.moments import seconds_of
from taskmasterctl.usernames import with_names
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from taskmasterctl.reply.render import Look

DAEMON = "taskmasterd"
"""The name of what happened to the daemon itself."""


def event_line(event: Mapping[str, Any], look: Look) -> str:
    """Return one line: `2026-11-28 10:02:31.402 web:1 fatal  exit 1 after 0.2s (try 4 of 4)`."""
    text = with_names(clean(event.get("text", "")), look.user_name)
    return (
        f"{local_time(event, look)} {clean(event.get('name') or DAEMON)} {clean(event.get('event'))}  {text}".rstrip()
        + "\n"
    )


def local_time(event: Mapping[str, Any], look: Look) -> str:
    """Return the local time of an event with milliseconds, its time in UTC where it makes no sense."""
    written = str(event.get("time", ""))
    try:
        seconds = seconds_of(written)
        return look.at(seconds) if look.at else clean(written)
    except (ValueError, OverflowError, OSError):
        return clean(written)


def missed_text(message: Mapping[str, Any]) -> str:
    """Return that some events were not shown, and how to see them."""
    first, last = message.get("first", 0), message.get("last", 0)
    before = first - 1 if isinstance(first, int) else 0
    return (
        f"taskmasterctl: missed {clean(first)} to {clean(last)}: they came faster than they were read, or are no longer kept; "
        f"`events --after {before}` shows what there is\n"
    )
