"""Schedules and their runs as text. Pure."""

from __future__ import annotations

from taskmaster_common.text.formats import format_seconds
from taskmasterctl.reply.render import columns
from taskmasterctl.usernames import with_names
from taskmasterctl.visible import clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from taskmasterctl.reply.render import Look

    Message = Mapping[str, Any]

HEAD = ("NAME", "NEXT", "LAST", "RESULT", "TOOK", "SKIPPED")
RUN_HEAD = ("NOMINAL", "BEGAN", "TOOK", "RESULT", "BY")
NOTHING = "no program has a schedule\n"


def runs_table(slots: Sequence[Message], look: Look) -> str:
    """Return a line for each slot: when it runs next, and what became of its last run."""
    if not slots:
        return NOTHING
    return _lines([HEAD, *(_row(slot, look) for slot in slots)], frozenset({4, 5}))


def _row(slot: Message, look: Look) -> tuple[str, ...]:
    last, following = slot.get("last") or {}, slot.get("next") or ()
    upcoming = "off" if slot.get("off") else clean(following[0]) if following else "-"
    result = "running" if slot.get("current") and slot.get("state") == "RUNNING" else last.get("result") or "-"
    return (
        clean(slot.get("name")),
        upcoming,
        clean(last.get("began") or last.get("nominal") or "-"),
        with_names(clean(result), look.user_name),
        _took(last),
        clean(slot.get("skipped") or 0),
    )


def runs_text(slots: Sequence[Message], look: Look) -> str:
    """Return the runs of each slot, the oldest first, and the next ones."""
    texts = [_slot(slot, look) for slot in slots]
    return "\n".join(dict.fromkeys(texts))  # of a program without a schedule the instances say the same


def _slot(slot: Message, look: Look) -> str:
    name = clean(slot.get("name"))
    if "history" not in slot:
        return f"{name.partition(':')[0]} has no schedule\n"
    runs = [*slot["history"], *([slot["current"]] if slot.get("current") else [])]
    rows = [_run(run, look) for run in runs]
    text = f"{name}\n" + (_lines([RUN_HEAD, *rows], frozenset({2})) if rows else "no run yet\n")
    jitter = slot.get("jitter_s")
    late = f" (each {format_seconds(jitter)} later: jitter)" if isinstance(jitter, (int, float)) and jitter >= 1 else ""
    if slot.get("off"):
        return (
            f"{text}next  its schedule is off\n"
            if slot.get("scheduled")
            else f"{text}next  it has no schedule any more\n"
        )
    first, *others = [clean(each) for each in slot.get("next") or ()] or [""]
    ahead = [f"{first}{late}" if first else "no more runs", *others]
    return text + "".join(f"next  {each}\n" for each in ahead)


def _run(run: Message, look: Look) -> tuple[str, ...]:
    result = clean(run.get("result") or "running")
    count = run.get("count")
    times = f" ({clean(count)} times)" if isinstance(count, int) and count > 1 and result.startswith("skipped") else ""
    return (
        clean(run.get("nominal") or "-"),
        clean(run.get("began") or "-"),
        _took(run),
        with_names(result, look.user_name) + times,
        with_names(clean(run.get("how") or "-"), look.user_name),
    )


def _took(run: Message) -> str:
    took = run.get("took_s")
    return format_seconds(took) if isinstance(took, (int, float)) else "-"


def _lines(rows: Sequence[tuple[str, ...]], right: frozenset[int]) -> str:
    return "".join(f"{line.rstrip()}\n" for line in columns(rows, right))
