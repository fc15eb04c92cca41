"""A closed world of `step`: every state that a small set of policies can reach, and every step that leaves it.

Time is abstract: the walk looks at each state at moment 0, a running process ends 0 or 1 seconds later, and ages that make no
difference are cut off, so the world is finite.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from taskmaster_common.config import ALWAYS, NEVER, UNEXPECTED, Policy
from taskmaster_common.errors import BugError
from taskmaster_common.states import BACKOFF, DOWN_STATES, RUNNING, STARTING, STOPPING
from taskmasterd.core.process.events import (
    SPAWN,
    Arm,
    DeadlineReached,
    Due,
    Event,
    Executed,
    Exited,
    Failure,
    GroupEmpty,
    Kill,
    Restart,
    Signalled,
    Spawned,
    SpawnFailed,
    Start,
    Stop,
)
from taskmasterd.core.process.machine import step
from taskmasterd.core.process.state import KILL_ORDER, Process
from tests.support.model import LEFT, code, policy

FAILURE = Failure("exec", "cannot execute")
LASTING = Failure("user", "no such user", permanent=True)
EVENTS: dict[str, Event] = {
    "Start": Start(),
    "Stop": Stop(),
    "Restart": Restart(),
    "Kill": Kill(),
    "Spawned": Spawned(7),
    "SpawnFailed": SpawnFailed("x"),
    "Executed": Executed(),
    "Exited 0": Exited(code(0)),
    "Exited 1": Exited(code(1)),
    "Exited by signal": Exited(9),
    "Exited 0, left": Exited(code(0), None, LEFT),
    "Exited 1, left": Exited(code(1), None, LEFT),
    "Exited, failure": Exited(0, FAILURE),
    "Exited, lasting failure": Exited(0, LASTING),
    "GroupEmpty": GroupEmpty(),
    "Signalled": Signalled(),
    "Signalled, refused": Signalled(LEFT),
    "Signalled, some refused": Signalled(LEFT, others=True),
    "DeadlineReached": DeadlineReached(),
    "Due": Due("its schedule"),
    "Arm": Arm(),
}
WINDOW = 2
MOST_KILLS, MOST_SHORTAGES = 2, 1

POLICIES = [
    policy(
        autorestart=autorestart,
        exitcodes=exitcodes,
        startretries=startretries,
        starttime=starttime,
        restart_burst=burst,
        restart_window=window,
    )
    for (autorestart, exitcodes), (startretries, burst, window), starttime in itertools.product(
        ((ALWAYS, (0,)), (NEVER, (0,)), (UNEXPECTED, (0,)), (UNEXPECTED, (1,))),
        ((0, 0, WINDOW), (1, 0, WINDOW), (2, 0, WINDOW), (0, 1, WINDOW), (1, 1, WINDOW), (0, 2, WINDOW), (0, 1, 0)),
        (0, 1),
    )
]


def situation(process: Process) -> str:
    """Return the state, and what is alive in it."""
    state: str = process.state
    if process.phase:
        return f"{state}, {process.phase}"
    if process.hook:
        return f"{state}, {process.hook} {process.hook_stage}"
    if process.leaving:
        return f"{state}, leaving"
    if process.state == STARTING and process.pid is None:
        return f"{state}, asked for"
    if process.state == STOPPING and process.pid is None:
        return f"{state}, left behind"
    if process.state in (STARTING, STOPPING):
        return f"{state}, {'executed' if process.executed else 'set-up'}"
    return state


def canonical(process: Process, now: float) -> Process:
    """Return the process as it looks at moment 0, without what no later step can see."""
    return process.replace(
        since=0.0,
        spawned_at=0.0,
        deadline=None if process.deadline is None else 1.0,
        then_at=1.0 if process.then == BACKOFF else 0.0,
        shortages=min(process.shortages, MOST_SHORTAGES),
        recent=tuple(at - now for at in process.recent if at - now > -WINDOW),
        starts=0,
        killing=min(process.killing, MOST_KILLS) if process.state == STOPPING else 0,
        end=None,
        by="",
        reason="",
        refused=process.refused if process.deadline is None else (),
        judged_at=0.0,
        sick=min(process.sick, 1),
        hook_at=0.0,
        cause=process.cause if process.cause == KILL_ORDER else "",
    )


NEXT = {
    "BACKOFF": "DeadlineReached",
    "STARTING, asked for": "Spawned",
    "STARTING, set-up": "Executed",
    "STARTING, executed": "DeadlineReached",
    "STOPPING, set-up": "Executed",
    "STOPPING, executed": "Exited 0",
    "STOPPING, left behind": "GroupEmpty",
}
"""Next events of a kernel and a program that behave well."""


class Edge:
    """One step of the world: the canonical process before it, and the process as `step` gave it."""

    __slots__ = ("action", "after", "before", "event", "now", "policy", "to")

    def __init__(self, rules: Policy, before: Process, event: str, now: float, events: Mapping[str, Event]) -> None:
        self.policy, self.before, self.event, self.now = rules, before, event, now
        self.after, self.action = step(rules, before, events[event], now)
        self.to = canonical(self.after, now)

    def __repr__(self) -> str:
        return f"{self.before} -- {self.event} after {self.now} s --> {self.after}, {self.action} under {self.policy}"


class World:
    """All states and edges of one policy, under `events`."""

    def __init__(self, rules: Policy, events: Mapping[str, Event] = EVENTS) -> None:
        self.policy = rules
        self.events = events
        self.edges: dict[Process, list[Edge]] = {}
        self.refused: set[tuple[str, str]] = set()
        waiting = [canonical(Process(), 0.0)]
        while waiting:
            process = waiting.pop()
            if process not in self.edges:
                leaving = self.edges[process] = list(self._leave(process))
                waiting += [edge.to for edge in leaving]

    def _leave(self, process: Process) -> Iterator[Edge]:
        place = situation(process)
        for event in self.events:
            # a wait for the window ends at the time recorded for its restart
            now = max((0.0, *process.recent)) if event == "DeadlineReached" else 0.0
            try:
                yield Edge(self.policy, process, event, now, self.events)
            except BugError:
                self.refused.add((place, event))
            else:
                if process.state == RUNNING and process.recent:
                    yield Edge(self.policy, process, event, now + 1, self.events)

    def follow(self, process: Process, event: str) -> Process:
        """Return the state that an event leads to."""
        return next(edge.to for edge in self.edges[process] if edge.event == event)

    def reachable(self, starts: set[Process], without: tuple[str, ...]) -> set[Process]:
        """Return all states that can follow any of `starts` by events other than `without`."""
        found, waiting = set(starts), list(starts)
        while waiting:
            for edge in self.edges[waiting.pop()]:
                if edge.event not in without and edge.to not in found:
                    found.add(edge.to)
                    waiting.append(edge.to)
        return found

    def cooperate(self, process: Process) -> tuple[Process, int]:
        """Let a kernel and a program that behave well go on until RUNNING or down; return the process and the SPAWNs."""
        spawns = 0
        for _ in range(20):
            if process.state in DOWN_STATES or process.state == RUNNING:
                return process, spawns
            due = "Hook done" if process.hook else NEXT[situation(process)]
            edge = next(e for e in self.edges[process] if e.event == due)
            spawns += edge.action == SPAWN
            process = edge.to
        raise AssertionError(f"{process} does not settle")
