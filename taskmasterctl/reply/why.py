"""Stories of processes as text: why each is in its state. Pure."""

from __future__ import annotations

from taskmaster_common.text.formats import format_seconds
from taskmasterctl.reply.events import local_time
from taskmasterctl.usernames import with_names
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmasterctl.reply.render import Look

    Message = Mapping[str, Any]

ALL_WELL = "all is as wanted\n"
DATE = len("2026-11-28 ")
SECONDS = len("10:02:31")
WIDTH = 10


def stories_text(stories: Sequence[Message], look: Look, *, brief: bool) -> str:
    """Return the lines of some stories; `brief`: of each its sentence."""
    if not stories:
        return ALL_WELL
    if brief:
        return "".join(f"{_sentence(story, look)}\n" for story in stories)
    return "\n".join(_story(story, look) for story in stories)


def _sentence(story: Message, look: Look) -> str:
    """Return `web:1 is FATAL since 10:02:31 (3m): gave up: ...`."""
    since, ago = "", story.get("since_s")
    if story.get("since") and isinstance(ago, (int, float)):
        since = f" since {_clock(story['since'], look, ago)} ({format_seconds(ago)})"
    text = with_names(clean(story.get("sentence", "")), look.user_name)
    return f"{clean(story.get('name'))} is {clean(story.get('state'))}{since}: {text}."


def _clock(written: object, look: Look, ago_s: float) -> str:
    """Return a local time without fractions, with the date where it was not today."""
    local = local_time({"time": written}, look).partition(".")[0]
    today = look.wall(0.0)[: DATE - 1] if look.wall else ""
    return local[DATE:] if ago_s < 86_400 and local.startswith(today) and len(local) > DATE else local


def _story(story: Message, look: Look) -> str:
    rows = [_sentence(story, look)]
    today = look.wall(0.0)[: DATE - 1] if look.wall else ""
    for event in story.get("events") or ():
        local = local_time(event, look).partition(".")[0]
        clock = local[DATE:] if today and local.startswith(today) else local
        more = f"      ({clean(event['more'])} more like this)" if event.get("more") else ""
        rows.append(f"{clock}  {with_names(clean(event.get('text', '')), look.user_name)}{more}")
    if story.get("detail"):
        rows.append(f"{'detail':<8}  {with_names(clean(story['detail']), look.user_name)}")
    for label in ("said", "kernel"):
        rows += [f"{label:<8}  {clean(line)}" for line in story.get(label) or ()]
    if story.get("next"):
        rows.append(f"{'next':<8}  {with_names(clean(story['next']), look.user_name)}")
    todo = [clean(words).replace("taskmasterctl", look.command, 1) for words in story.get("do") or ()]
    if todo:
        rows.append(f"{'do':<8}  {'   then   '.join(todo)}")
    first, *others = rows
    return "\n".join([first, *(f"  {row}" for row in others)]) + "\n"
