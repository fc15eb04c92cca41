"""What has to be so whenever a daemon answers: one process for each slot that is to be up, and status says which.

A process that is alive before and after an answer was alive at its time. Where programs come and go the two must agree
within `AGREE_WITHIN_S`; two live leaders of one slot are wrong at any time.
"""

from __future__ import annotations

import os
from typing import Any

from tests.outlive.cohort import STEADY, kind_of
from tests.soak import kernel
from tests.soak.wire import processes
from tests.support.wait import wait_until

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tests.outlive.cohort import Cohort, Slot
    from tests.soak.stage import Stage

AGREE_WITHIN_S = 15.0
FDS_OVER = 60
"""Clients, the daemon's own things, a configuration being read: all that is not for a slot."""
GUARDIAN_FDS = 14
FDS_PER_SLOT = 3
"""A pipe, a log, a pidfd."""
FDS_MORE = {"shown": 1, "dated": 3, "objects": 3, "logged": 1, "served": 1}
"""Besides: a terminal, the second stream's pipe and two spools, a logger's pidfd, a socket."""
ALIVE = ("STARTING", "RUNNING", "STOPPING")


class Looks:
    """Looks at one run. `pids` are those of slots that nobody touches."""

    def __init__(self, stage: Stage, cohort: Cohort) -> None:
        self.stage = stage
        self.slots = set(cohort.slots())
        self.steady = set(cohort.slots(*STEADY))
        self.pids: dict[Slot, int] = {}
        self.most_fds = self.most_fds_of_guardian = 0

    def look(self, when: str, daemon: int, guardian: int | None) -> None:
        """Look at processes, status, zombies and descriptors."""
        disagreeing: dict[Slot, str] = dict.fromkeys(self.slots, "never compared")

        def agree() -> bool:
            before = self._leaders(when)
            with self.stage.connect() as wire:
                told = processes(wire.ask("status"))
            named = {slot: told[slot]["pid"] for slot in disagreeing if slot in told and told[slot]["pid"]}
            seen = {slot: pid for slot, pid in named.items() if kernel.slot_of(pid, self.stage.daemon.socket) == slot}
            after = self._leaders(when)
            for slot in tuple(disagreeing):
                problem = self._problem(slot, before.get(slot), told.get(slot), after.get(slot), seen.get(slot))
                if problem:
                    disagreeing[slot] = problem
                else:
                    del disagreeing[slot]
            return not disagreeing

        try:
            wait_until(agree, within_s=AGREE_WITHIN_S)
        except AssertionError:
            for slot, problem in list(disagreeing.items())[:5]:
                self.stage.found(f"{when}: {slot}: {problem}")
        for pid in (daemon, guardian) if guardian else (daemon,):
            self._zombies(when, pid)
        self._descriptors(when, daemon, guardian)

    def _leaders(self, when: str) -> dict[Slot, int]:
        found: dict[Slot, kernel.Seen] = {}
        for seen, slot in kernel.marked(self.stage.daemon.socket).items():
            if kernel.variables_of(seen.pid).get(b"TASKMASTER_ROLE"):
                continue  # a probe or a hook, which leads a session of its own
            if not _leads_its_session(seen.pid):
                if kernel.still_alive(seen):
                    self.stage.found(f"{when}: {seen} of {slot} leads no session")
                continue
            other = found.setdefault(slot, seen)
            if other is not seen and kernel.still_alive(seen) and kernel.still_alive(other):
                self.stage.found(f"{when}: two copies of {slot}: {seen} and {other}")
        return {slot: seen.pid for slot, seen in found.items()}

    def _problem(
        self, slot: Slot, before: int | None, told: dict[str, Any] | None, after: int | None, named: int | None
    ) -> str:
        """Return what is wrong with a slot. `named`: the process that the daemon named, if it was there then; a look takes long."""
        if told is None:
            return "not in status"
        if slot in self.steady:
            first = self.pids.setdefault(slot, told["pid"] or 0)
            if told["state"] not in ("STARTING", "RUNNING") or {first, before, after, told["pid"]} != {first}:
                return f"nobody touches it; it had pid {first}, now {before} and {after} in /proc, and {told} in status"
            return ""
        seen = {before, after, named} if named else {before, after}
        if told["pid"] in seen and (told["pid"] is None or told["state"] in ALIVE):
            return ""
        return f"{before} and {after} in /proc, {told} in status"

    def _zombies(self, when: str, pid: int) -> None:
        there = {(each.pid, each.started) for each in kernel.children(pid) if not each.alive}

        def gone() -> bool:
            now = {(each.pid, each.started) for each in kernel.children(pid) if not each.alive}
            there.intersection_update(now)
            return not there

        try:
            wait_until(gone, within_s=5)
        except AssertionError:
            self.stage.found(f"{when}: zombies below {pid}: {sorted(there)[:5]}")

    def _descriptors(self, when: str, daemon: int, guardian: int | None) -> None:
        more = sum(FDS_MORE.get(kind_of(name), 0) for name, _index in self.slots)
        fds = self._fds(when, "daemon", daemon, FDS_PER_SLOT * len(self.slots) + more + FDS_OVER)
        self.most_fds = max(self.most_fds, fds)
        if guardian:
            most = len(self.slots) + more + GUARDIAN_FDS + len(self.slots) // 10
            self.most_fds_of_guardian = max(self.most_fds_of_guardian, self._fds(when, "guardian", guardian, most))

    def _fds(self, when: str, what: str, pid: int, most: int) -> int:
        """Return how many descriptors it has; one that has got no processor for a while may have many more for a moment."""
        fds: list[int] = []

        def few() -> bool:
            fds.append(len(os.listdir(f"/proc/{pid}/fd")))
            return fds[-1] <= most

        try:
            wait_until(few, within_s=10)
        except AssertionError:
            self.stage.found(f"{when}: the {what} has {fds[-1]} descriptors for {len(self.slots)} slots")
        return fds[-1]


def _leads_its_session(pid: int) -> bool:
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return True
