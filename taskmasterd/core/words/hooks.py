"""The lines of the event log about hooks. Pure."""

from __future__ import annotations

from taskmasterd.core.process.events import DeadlineReached, HookEnded, Kill
from taskmasterd.core.process.hooks import late_text
from taskmasterd.core.process.state import POST_START, POST_STOP, PRE_START, PRE_STOP, RUNS
from taskmasterd.core.words.describe import seconds_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from taskmasterd.core.process.events import Event
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry

TOLD_BY_THE_START = (PRE_START, POST_START)
"""Hooks whose failure is a failed start, which says why."""


def hook_lines(entry: Entry, before: Process, event: Event, now: float) -> Iterator[tuple[str, str]]:
    """Yield (level, text) for a change that is about a hook; the entry holds the process after it."""
    after, name = entry.process, before.hook
    if isinstance(event, Kill):
        skipped = [each for each in (PRE_STOP, POST_STOP) if getattr(entry.policy, each)]
        yield "warning", f"it has to end at once: no {' and no '.join(skipped)}" if skipped else f"ending {name}"
    elif before.hook_stage == RUNS and isinstance(event, HookEnded):
        yield from _ended(name, event, now - before.hook_at)
    elif before.hook_stage == RUNS and after.hook_stage not in ("", RUNS):
        late = isinstance(event, DeadlineReached)
        text = f"{name} {late_text(before)}; ending it" if late else f"ending {name}"
        yield "warning" if late else "info", text
    if after.hook_stage == RUNS and (after.hook, after.hook_at) != (name, before.hook_at):
        yield "info", f"running {after.hook}"


def _ended(name: str, event: HookEnded, after_s: float) -> Iterator[tuple[str, str]]:
    if event.ok:
        yield "info", f"{name} done after {seconds_text(after_s)}"
    elif event.ok is None:
        yield "warning", f"{name}: {event.text}"
    elif name not in TOLD_BY_THE_START:
        yield "warning", f"{name} failed: {event.text}"
