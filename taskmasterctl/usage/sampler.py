"""Figures of programs from two looks at all processes: processor, memory, and on request more.

A slot's processes are those below its leader and in its session, or in its control group. Processor time moves between them: a
process that has waited for a child has the child's time. So the sum over all of them is what grows, and what somebody else has
waited for (the daemon, which adopts orphans) is not missed.
"""

from __future__ import annotations

import os
import time

from taskmaster_common.records import Record
from taskmasterctl.usage.cgroups import Cgroups, exclusive
from taskmasterctl.usage.proc import PROC, ProcSource, in_order, members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Protocol

    from taskmasterctl.usage.proc import Row

    class ProcessFigures(Protocol):
        """Where processes are looked up."""

        least_s: float

        def everybody(self) -> dict[int, Row]:
            """Return every process."""
            ...

        def memory(self, pid: int, row: Row, /) -> int:
            """Return the bytes that a process uses."""
            ...

        def descriptors(self, pid: int, /) -> int | None:
            """Return the number of open descriptors."""
            ...

        def storage(self, pid: int, /) -> int | None:
            """Return the bytes read from and written to storage."""
            ...

        def command(self, pid: int, /) -> str:
            """Return the command line."""
            ...

        def cgroup(self, pid: int, /) -> str:
            """Return the path of its control group."""
            ...


SHORT_S = 0.3
"""Time between the two looks of a single sample, seconds."""
GROUPS_EVERY = 10
"""Samples between two looks at which control groups the leaders are in."""
COST_SHARE = 10
"""A pause between two samples is at least so many times as long as the processor time of one."""


class Figures(Record):
    """What the processes of one slot use. None: the kernel refuses it, or nobody has looked yet.

    `cpu_percent` is since the look before, 100 for one core. `cpu_s` is the processor time since the start, `memory` in bytes,
    `io` the bytes a second that are read from and written to storage.
    """

    cpu_percent: float | None = None
    cpu_s: float | None = None
    memory: int | None = None
    processes: int = 0
    threads: int | None = None
    descriptors: int | None = None
    io: float | None = None


class _Past:
    """A slot at the look before: when, what had which processor time, by pid, and what had been used in all. No Record: see Row."""

    __slots__ = ("at", "exact", "io", "rows", "used_s")

    def __init__(self, at: float, rows: Mapping[int, Row], used_s: float, *, exact: bool, io: int | None) -> None:
        self.at = at
        self.rows = rows
        self.used_s = used_s
        self.exact = exact
        self.io = io


class Sampler:
    """Looks at all processes again and again. `now` returns monotonic seconds."""

    def __init__(
        self,
        source: ProcessFigures | None = None,
        cgroups: Cgroups | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.source = source or default_source()
        self._cgroups = cgroups or Cgroups()
        self._now = now
        self._past: dict[tuple[int, int], _Past] = {}
        self._groups: dict[int, str] = {}
        self._looks = 0
        self.trees: dict[int, list[int]] = {}
        self.rows: dict[int, Row] = {}
        self.cost_s = 0.0

    def pause_s(self, asked_s: float) -> float:
        """Return the pause until the next sample: what was asked for, or so long that all of them take a tenth of a core."""
        return max(asked_s, self.source.least_s, COST_SHARE * self.cost_s)

    def sample(self, leaders: Sequence[int], daemon: int = 0, *, more: bool = False) -> dict[int, Figures]:
        """Return the figures of each leader that is there, by its pid; `more`: descriptors and storage, too."""
        began = time.process_time()
        self.rows = rows = self.source.everybody()
        wanted = dict.fromkeys(leaders)
        self.trees = members(rows, wanted)
        groups = self._groups_of(daemon)
        past, self._past = self._past, {}
        found: dict[int, Figures] = {}
        for leader, tree in self.trees.items():
            group = groups.get(leader, "")
            pids = list(dict.fromkeys((*tree, *self._cgroups.pids(group)))) if group else tree
            there = {pid: rows[pid] for pid in pids if pid in rows}
            found[leader] = self._figures(leader, there, group, past, more=more)
        self.cost_s = time.process_time() - began
        return found

    def tree(self, leader: int) -> list[dict[str, object]]:
        """Return what the last look has found of a leader, each process followed by what is below it: pid, ppid and command."""
        pids = [pid for pid in in_order(leader, self.trees.get(leader, ()), self.rows) if pid in self.rows]
        return [{"pid": pid, "ppid": self.rows[pid].parent, "command": self.source.command(pid)} for pid in pids]

    def _groups_of(self, daemon: int) -> dict[int, str]:
        """Return the control groups that are of one leader alone, by its pid."""
        if not self._cgroups.present:
            return {}
        if self._looks % GROUPS_EVERY == 0 or self.trees.keys() != self._groups.keys():
            self._groups = {leader: self.source.cgroup(leader) for leader in self.trees}
        self._looks += 1
        return exclusive(self._groups, self.source.cgroup(daemon) if daemon else "")

    def _figures(
        self,
        leader: int,
        rows: Mapping[int, Row],
        group: str,
        pasts: Mapping[tuple[int, int], _Past],
        *,
        more: bool,
    ) -> Figures:
        now, key = self._now(), (leader, rows[leader].started)
        past = pasts.get(key)
        exact = self._cgroups.cpu_s(group) if group else None
        used = sum(row.cpu_s for row in rows.values()) if exact is None else exact
        memory = self._cgroups.memory(group) if group else None
        if memory is None:
            memory = sum(self.source.memory(pid, row) for pid, row in rows.items())
        io = _sum(self.source.storage(pid) for pid in rows) if more else None
        percent = rate = None
        if past is not None:
            if exact is None:
                used = past.used_s + (grown(past.rows, rows) if not past.exact else 0.0)
            span = now - past.at
            if span > 0:
                percent = 100 * max(0.0, used - past.used_s) / span
                rate = None if io is None or past.io is None else max(0, io - past.io) / span
        self._past[key] = _Past(now, rows, used, exact=exact is not None, io=io)
        return Figures(
            cpu_percent=percent,
            cpu_s=used,
            memory=memory,
            processes=len(rows),
            threads=sum(row.threads for row in rows.values()) or None,
            descriptors=_sum(self.source.descriptors(pid) for pid in rows) if more else None,
            io=rate,
        )


def grown(before: Mapping[int, Row], after: Mapping[int, Row]) -> float:
    """Return the processor time that the processes of a slot have used between two looks, seconds.

    Whoever has ended meanwhile gave its time to the parent that waited for it. If that was none of these processes, the time
    that it had at the first look has to be added to the second sum, or it would be missing there.
    """
    total = 0.0
    for row in after.values():
        total += row.cpu_s
    for pid, row in before.items():
        there = after.get(pid)
        if (there and there.started == row.started) or _heir(row, before, after):
            total -= row.cpu_s
    return max(0.0, total)


def _same(pid: int, before: Mapping[int, Row], after: Mapping[int, Row]) -> bool:
    """Return whether a process of the first look is there at the second one."""
    return pid in after and after[pid].started == before[pid].started


def _heir(row: Row, before: Mapping[int, Row], after: Mapping[int, Row]) -> bool:
    """Return whether a process that is still there can have waited for one that has ended: the nearest living one above it."""
    parent = row.parent
    while parent in before:
        if _same(parent, before, after):
            return True
        parent = before[parent].parent
    return False


def _sum(numbers: Iterable[int | None]) -> int | None:
    """Return the sum of some numbers, None if one of them is unknown."""
    total = 0
    for number in numbers:
        if number is None:
            return None
        total += number
    return total


def default_source() -> ProcessFigures:
    """Return /proc, or `ps` where it does not list processes."""
    if os.path.exists(f"{PROC}/self/stat"):
        return ProcSource()
    from taskmasterctl.usage.ps import PsSource  # noqa: PLC0415 - imports subprocess

    return PsSource()
