"""Who may read on before it gets the stop signal, because it reads what others of its program say last. Pure.

A *reader* has the read end of a pipe as its standard input: the `tool` of `prog | tool`, and of `prog > >(tool)`. It ends by
itself when all who write into that pipe have ended and it has read what they wrote. A stop signal before that would cost
their last words.
"""

from __future__ import annotations

from taskmaster_common.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GRACE_S = 1.0
"""Time for a reader to reach the end of its input once nobody writes any more, seconds; within stoptime."""


class Member(Record):
    """A live process of a copy: the pipes that it reads as its standard input, and those that it writes its output into."""

    pid: int
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


def waiting(
    members: Sequence[Member], due: Mapping[int, float], now: float, leader: int = 0
) -> tuple[frozenset[int], dict[int, float]]:
    """Return the pids that get no stop signal yet, and until when those of them wait into whose pipe nobody writes.

    `due` is what an earlier call has returned. A reader is fed for as long as somebody who is none, or the `leader`, writes
    into its pipe, be it by way of other readers: readers that feed each other wait for nobody.
    """
    reading = {member for member in members if member.reads and member.pid != leader}
    fed: set[Member] = set()
    full = {pipe for member in members if member not in reading for pipe in member.writes}
    while more := {reader for reader in reading - fed if not full.isdisjoint(reader.reads)}:
        fed |= more
        full |= {pipe for reader in more for pipe in reader.writes}
    until = {reader.pid: due.get(reader.pid, now + GRACE_S) for reader in reading - fed}
    still = {pid for pid, end in until.items() if end > now}
    return frozenset({reader.pid for reader in fed} | still), until
