"""The drawing of the seven states, made by asking `step` for every event in every state that can be reached.

It is a Mermaid diagram in ARCHITECTURE.md, between the two lines of MARKS.
"""

from __future__ import annotations

import itertools

from taskmaster_common.config import ALWAYS, NEVER, ONESHOT, UNEXPECTED, Policy
from taskmaster_common.config.hooks import HookCommand
from taskmaster_common.errors import BugError
from taskmaster_common.states import STATES
from taskmasterd.core.process.events import (
    Arm,
    DeadlineReached,
    Due,
    Event,
    Executed,
    Exited,
    GroupEmpty,
    HookEnded,
    Kill,
    Restart,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
)
from taskmasterd.core.process.machine import step
from taskmasterd.core.process.state import KILL_ORDER, Process

MARKS = ("<!-- the seven states: made by scripts/states.py -->\n", "<!-- end of the seven states -->\n")
EVENTS: tuple[tuple[Event, str], ...] = (
    (Start(), "start"),
    (Restart(), "restart"),
    (Stop(), "stop"),
    (Kill(), "kill"),
    (Due("its schedule"), "due"),
    (Arm(), "armed"),
    (Spawned(1), "spawned"),
    (Executed(), "executed"),
    (DeadlineReached(), "deadline"),
    (SpawnFailed("no memory"), "fork refused"),
    (Exited(0), "end"),
    (Exited(256), "end"),
    (Exited(0, None, ("1",)), "end with leftovers"),
    (Exited(256, None, ("1",)), "end with leftovers"),
    (GroupEmpty(), "nothing left"),
    (HookEnded(ok=True), "hook done"),
    (HookEnded(ok=False), "hook failed"),
)
"""Each event, and its name in the drawing. 256 is the wait status of exit code 1."""
A_HOOK = HookCommand(("hook",)).row()
POLICIES = (
    Policy(type=ONESHOT, startretries=0, starttime=0.0, start_timeout=1.0),
    *(
        Policy(startretries=1, starttime=0.0, pre_start=A_HOOK, pre_stop=A_HOOK, post_start=after, post_stop=after)
        for after in ((), A_HOOK)
    ),
    *(
        Policy(autorestart=autorestart, startretries=retries, starttime=starttime, restart_burst=burst)
        for autorestart, retries, starttime, burst in itertools.product(
            (ALWAYS, NEVER, UNEXPECTED), (0, 1), (0.0, 1.0), (0, 1)
        )
    ),
)


def edges() -> dict[tuple[str, str], list[str]]:
    """Return the names of the events that lead from one state to another one, by both states."""
    found: dict[tuple[str, str], list[str]] = {}
    for policy in POLICIES:
        seen: set[Process] = set()
        waiting = [Process()]
        while waiting:
            process = waiting.pop()
            if process in seen:
                continue
            seen.add(process)
            for event, name in EVENTS:
                try:
                    after, _ = step(policy, process, event, 0.0)
                except BugError:
                    continue
                names = found.setdefault((process.state, after.state), [])
                if name not in names:
                    names.append(name)
                waiting.append(_without_counts(after))
    return {states: names for states, names in found.items() if states[0] != states[1]}


def _without_counts(process: Process) -> Process:
    """Return the process with counters and times that stop growing, so that the number of processes is finite."""
    return process.replace(
        deadline=None if process.deadline is None else 1.0,
        then_at=0.0,
        recent=(0.0,) * min(len(process.recent), 1),
        starts=0,
        shortages=0,
        tries=min(process.tries, 1),
        killing=min(process.killing, 1),
        end=None,
        reason="",
        cause=process.cause if process.cause == KILL_ORDER else "",
    )


def drawing() -> str:
    """Return the diagram in Mermaid's language."""
    order: list[str] = list(STATES)
    events = [name for _, name in EVENTS]
    lines = ["stateDiagram-v2", f"    [*] --> {Process().state}"]
    for (before, after), names in sorted(edges().items(), key=lambda each: tuple(map(order.index, each[0]))):
        lines.append(f"    {before} --> {after}: {', '.join(sorted(names, key=events.index))}")
    return "\n".join(lines) + "\n"


def architecture(page: str) -> str:
    """Return the page with the drawing of now; a page without the marks stays as it is."""
    before, mark, rest = page.partition(MARKS[0])
    _, end, after = rest.partition(MARKS[1])
    return f"{before}{mark}```mermaid\n{drawing()}```\n{end}{after}" if mark and end else page
