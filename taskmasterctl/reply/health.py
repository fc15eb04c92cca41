"""Verdicts of health checks, and what one check has found, as text. Pure."""

from __future__ import annotations

from taskmasterctl.reply.render import columns, short_seconds
from taskmasterctl.usernames import with_names
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

    from taskmasterctl.reply.render import Look

    Message = Mapping[str, Any]


def health_text(processes: Sequence[Message], look: Look) -> str:
    """Return a line for each process: `web:0  healthy  for 3m  http: http 200`; the state where it has no verdict."""
    rows = [_row(process, look) for process in processes]
    return "".join(f"{line}\n" for line in columns(rows)) if rows else ""


def _row(process: Message, look: Look) -> tuple[str, ...]:
    health, state = process.get("health") or {}, clean(process["state"])
    detail = with_names(clean(process.get("detail") or ""), look.user_name)
    if state != "RUNNING" or not health:
        return clean(process["name"]), state, "", detail
    since_s = health.get("since_s")
    since = f"for {short_seconds(since_s)}" if since_s is not None else ""
    return clean(process["name"]), clean(health["verdict"]), since, detail or clean(health.get("last") or "")


def check_text(message: Message) -> str:
    """Return what one check has found: `web:0 is well: http 200 (0.004s)`, and its output."""
    ok = message.get("ok")
    said = "could not be asked" if ok is None else "is well" if ok else "is not well"
    took_s = message.get("took_s")
    took = f" ({took_s:.3f}s)" if took_s is not None else ""
    lines = [f"{clean(message['name'])} {said}: {clean(message['text'])}{took}"]
    lines += [f"  {clean(line)}" for line in message.get("output") or ()]
    return "".join(f"{line}\n" for line in lines)


def story_rows(processes: Iterable[Message], stories: Mapping[str, Message], look: Look) -> list[tuple[str, ...]]:
    """Return the rows of `show` about health: each verdict with its last answer, its output, and the changes before."""
    rows: list[tuple[str, ...]] = []
    for process in processes:
        if not process.get("health"):
            continue
        story = stories.get(process["name"]) or {}
        rows.append(_row({**process, "detail": ""}, look))
        rows += [("", "", "", clean(line)) for line in story.get("output") or ()]
        for change in story.get("changes") or ():
            when = look.wall(change["ago_s"]) if look.wall else f"{short_seconds(change['ago_s'])} ago"
            rows.append(("", clean(change["verdict"]), when, clean(change["text"])))
    return rows
