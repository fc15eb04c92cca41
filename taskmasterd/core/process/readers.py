"""Who may read on before it gets the stop signal, because it reads what others of its program say last. Pure.

A *reader* has the read end of a pipe as its standard input: the `tool` of `prog | tool`, and of `prog > >(tool)`. It ends by
itself when all who write into that pipe have ended and it has read what they wrote. A stop signal before that would cost
their last words. What a reader has started belongs to its work (the `logger` that a loop runs for each line), and is treated as a
reader of the same pipe.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GRACE_S = 1.0
"""Time for a reader to reach the end of its input once nobody writes any more, seconds; within stoptime."""


class Member(Record):
    """A live process of an instance: the pipes that it reads as its standard input, and those that it writes its output into."""

    pid: int
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    parent: int = 0


def waiting(
    members: Sequence[Member], due: Mapping[int, float], now: float, leader: int = 0
) -> tuple[frozenset[int], dict[int, float]]:
    """Return the pids that get no stop signal yet, and until when those of them wait into whose pipe nobody writes.

    `due` is what an earlier call has returned. A reader is fed for as long as somebody who is none, or the `leader`, writes
    into its pipe, be it by way of other readers: readers that feed each other wait for nobody.
    """
    reading = _with_helpers([member for member in members if member.pid != leader])
    fed: set[Member] = set()
    readers = {reader.pid for reader in reading}
    full = {pipe for member in members if member.pid not in readers for pipe in member.writes}
    while more := {reader for reader in reading - fed if not full.isdisjoint(reader.reads)}:
        fed |= more
        full |= {pipe for reader in more for pipe in reader.writes}
    until = {reader.pid: due.get(reader.pid, now + GRACE_S) for reader in reading - fed}
    still = {pid for pid, end in until.items() if end > now}
    return frozenset({reader.pid for reader in fed} | still), until


def _with_helpers(members: Sequence[Member]) -> set[Member]:
    """Return the readers, and those below them as readers of the same pipes."""
    reading = {member.pid: member for member in members if member.reads}
    while more := [each for each in members if each.pid not in reading and each.parent in reading]:
        reading.update((each.pid, each.replace(reads=reading[each.parent].reads)) for each in more)
    return set(reading.values())
