"""The gate before each start: whether what a process depends on is as its edges ask. Pure.

A condition is a level that is read from the present states, never an event: a later look gets the same answer. What is
not satisfied is *on its way*, or nothing will lead there by itself; only a required edge of the second kind blocks.
"""

from __future__ import annotations

from taskmaster_common.config import ONESHOT
from taskmaster_common.config.graph import DONE, ENDED, HEALTHY, STARTED
from taskmaster_common.records import Record
from taskmaster_common.states import BACKOFF, DOWN_STATES, EXITED, FATAL, RUNNING, STARTING, STOPPING
from taskmasterd.core.process.state import STOP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from taskmaster_common.config import Policy
    from taskmaster_common.config.graph import Need
    from taskmasterd.core.process.state import Process
    from taskmasterd.core.programs.table import Entry, Table

FIRST_TRY_S = 60.0
"""Longest wait for an edge that is not required, seconds: its dependency is somewhere in its first try."""

MOST_LINKS = 10
"""Most dependencies that a chain has."""


class Unmet(Record):
    """A dependency that is not as an edge asks. `blocked`: nothing will lead there by itself, and the edge is required."""

    entry: Entry
    condition: str
    required: bool
    blocked: bool


def unmet(table: Table, entry: Entry, now: float) -> Iterator[Unmet]:
    """Yield what keeps a process from being started, in the order of its edges."""
    for need, target in edges(table, entry):
        process = target.process
        if satisfied(target.policy, process, need.condition):
            continue
        if need.required:
            yield Unmet(target, need.condition, True, not on_its_way(process, need.condition))
        elif not tried(process) and entry.process.since + first_try_s(target) > now:
            yield Unmet(target, need.condition, False, False)


def chain(table: Table, entry: Entry, now: float) -> list[Unmet]:
    """Return what blocks a process, what blocks that, and so on, MOST_LINKS at most; nothing where its gate is not blocked."""
    found: list[Unmet] = []
    while len(found) < MOST_LINKS:
        first = blocking(table, entry, now)
        if first is None:
            break
        found.append(first)
        entry = first.entry
    return found


def blocking(table: Table, entry: Entry, now: float) -> Unmet | None:
    """Return the first of what nothing on the way leads to as an edge asks, None where there is no such dependency."""
    return next((each for each in unmet(table, entry, now) if each.blocked), None)


def first_try_s(target: Entry) -> float:
    """Return how long the first try of a dependency may take, as far as an edge waits for it that is not required."""
    limited = target.wanted.ready or target.policy.type == ONESHOT
    return (target.policy.start_timeout if limited else 0.0) or FIRST_TRY_S


def edges(table: Table, entry: Entry) -> Iterator[tuple[Need, Entry]]:
    """Yield each edge of a process with each instance that it is about; an instance that is being removed does not count."""
    for need in needs(table, entry.program):
        for target in instances(table, need):
            yield need, target


def needs(table: Table, program: str) -> tuple[Need, ...]:
    """Return the edges from a program."""
    return table.graph.needs.get(program, ()) if table.graph else ()


def dependents(table: Table, program: str) -> tuple[str, ...]:
    """Return the programs with an edge to this one."""
    return table.graph.dependents.get(program, ()) if table.graph else ()


def instances(table: Table, need: Need) -> Iterable[Entry]:
    """Return the instances that an edge is about."""
    if need.index is None:
        return [target for target in table.slots(need.program) if not target.removed]
    target = table.slot(need.program, need.index)
    return [target] if target is not None and not target.removed else []


def satisfied(policy: Policy, process: Process, condition: str) -> bool:
    """Return whether a process is as an edge asks. What is about to go down is not.

    A job that is done has been started: otherwise an edge on `started` would miss a job that is over before anybody looks.
    """
    if process.leaving:
        return False
    if condition == STARTED:
        over = policy.type == ONESHOT and process.done
        return over or (process.executed and process.state in (STARTING, RUNNING))
    if condition == DONE:
        return process.done
    if condition == ENDED:
        return process.state in (EXITED, FATAL)
    return process.state == RUNNING and (condition != HEALTHY or process.health == HEALTHY)


def on_its_way(process: Process, condition: str) -> bool:
    """Return whether a process may yet become what an edge asks, by itself."""
    if process.state == BACKOFF:
        return not process.phase
    if process.state == STOPPING and condition in (DONE, ENDED) and process.then in (EXITED, FATAL):
        good = process.then == EXITED and process.end is not None and process.end.expected
        return good or condition == ENDED
    return process.goal_is_up


def tried(process: Process) -> bool:
    """Return whether an edge that is not required waits for a process no longer.

    The process is down or will be, it is in BACKOFF, blocked or not, it is unhealthy, or it has failed to start since it was
    last up.
    """
    return not process.goal_is_up or process.state == BACKOFF or process.tries > 0 or process.unhealthy


def above(table: Table, entry: Entry) -> Iterator[Entry]:
    """Yield what a process has to wait for before it goes down: live processes that depend on it and are going down themselves.

    Where a dependent is down already, what depends on that counts. Who cannot be ended is waited for no longer.
    """
    seen = {entry.program}
    waiting: list[tuple[str, int | None]] = [(entry.program, entry.index)]
    while waiting:
        program, index = waiting.pop()
        for name in dependents(table, program):
            if name in seen or not any(
                need.program == program and (index is None or need.index in (None, index))
                for need in needs(table, name)
            ):
                continue
            seen.add(name)
            alive = [dependent for dependent in table.slots(name) if dependent.process.alive]
            yield from (each for each in alive if each.process.going_down and not each.process.stuck)
            if not alive:
                waiting.append((name, None))


def edges_to(table: Table, entry: Entry) -> Iterator[tuple[str, Need]]:
    """Yield each edge to a process, with the program that it is from."""
    for name in dependents(table, entry.program):
        for need in needs(table, name):
            if need.program == entry.program and need.index in (None, entry.index):
                yield name, need


def dependents_of(table: Table, entry: Entry) -> Iterator[tuple[Entry, Need]]:
    """Yield each instance that depends on a process directly, with its edge."""
    for name, need in edges_to(table, entry):
        for dependent in table.slots(name):
            yield dependent, need


def goes_along(dependent: Entry, need: Need) -> bool:
    """Return whether a process goes down with what it depends on over this edge."""
    process = dependent.process
    up = process.state in (STARTING, RUNNING) and not (process.phase or process.free or process.leaving)
    return need.restart and up


def is_queued(entry: Entry) -> bool:
    """Return whether a start has been asked for, at an open gate, and not carried out."""
    process = entry.process
    return process.state == STARTING and process.pid is None and not (process.phase or process.free)


def down_for_good(process: Process) -> bool:
    """Return whether a process is down, or will be, and nobody brings it up."""
    return (
        process.state in DOWN_STATES
        or (process.state == STOPPING and not process.goal_is_up)
        or (process.leaving == STOP)
    )
