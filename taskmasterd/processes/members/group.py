"""One program's process group: its leader, who belongs to it by the rule of its program, and who got which signal.

A pid is safe to signal while nobody but us can reap it (an own child); others are signalled by pidfd after their start
time was compared. Source: kill(2), setsid(2), credentials(7).
"""

from __future__ import annotations

import os

from taskmaster_common.records import Record
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.pidfds import ticks_now
from taskmasterd.system.procfs import Survivor, finished
from taskmasterd.system.signalling import forbids, has_ended, send, send_by_handle, signal_one

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from collections.abc import Set as AbstractSet

NOBODY: frozenset[tuple[int, int]] = frozenset()
NO_SESSIONS: frozenset[int] = frozenset()
"""One empty set for all: each other one is 216 bytes."""


class Heritage(Record):
    """What an instance of an earlier daemon is known by.

    `handle` is the pidfd of its leader, None where that has gone or is a child of ours; `sessions` are those whose members
    are its own, `ours_until` as in `Group`; `signalled` are (pid, signal) of those that got a signal, pid 0 for the group.
    """

    sessions: frozenset[int] = NO_SESSIONS
    handle: int | None = None
    ours_until: int = 0
    signalled: frozenset[tuple[int, int]] = NOBODY


OWN = Heritage()


class Group:
    """One live instance of a program: its leader's pid, which is session and group too, and who was told which signal.

    `pipes` are the inodes of its output pipes: whoever holds one of them descends from this instance. An adopted instance is no child
    of ours: `handle` is the pidfd of its leader, None where that has gone, and `sessions` are those whose members are its own.
    Their numbers were surely nobody else's up to `ours_until`, in clock ticks since boot: a leader that is alive or not reaped
    keeps the number, and so does each member (credentials(7)).
    """

    __slots__ = (
        "handle",
        "leader_alive",
        "leader_first",
        "ours_until",
        "pid",
        "pipes",
        "sessions",
        "signalled",
        "slot",
        "stop_group",
    )

    def __init__(
        self,
        pid: int,
        slot: tuple[str, int],
        *,
        stop_group: bool,
        pipes: tuple[int, ...] = (),
        heritage: Heritage = OWN,
    ) -> None:
        self.pid = pid
        self.slot = slot
        self.pipes = pipes
        self.stop_group = stop_group
        self.leader_first = False
        self.leader_alive = True
        self.handle = heritage.handle
        self.sessions = heritage.sessions
        self.ours_until = heritage.ours_until
        self.signalled: AbstractSet[tuple[int, int]] = heritage.signalled

    def follow(self, *, stop_group: bool, leader_first: bool) -> None:
        """Know what belongs to it: `stop_group`, all that its leader leaves; `leader_first`, no signal but KILL before that."""
        self.stop_group, self.leader_first = stop_group, leader_first

    def signal_leader(self, number: int) -> bool:
        """Signal the leader alone, which must be alive or unreaped; return whether that is allowed."""
        if self.handle is not None:
            return not forbids(send_by_handle(self.handle, self.pid, number))
        return not (self.leader_alive and forbids(send(os.kill, self.pid, number)))

    def signal_group(self, number: int) -> tuple[bool, bool]:
        """Signal the leader's group, followed by CONT so that a stopped process hears it. The leader must be unreaped.

        Returns whether the leader may be signalled, and whether any other one was.
        """
        if not self.keeps_number():
            return True, False
        others = False
        by_group = self.stop_group and (number == signal.SIGKILL or not self.leader_first)
        for each in (number, signal.SIGCONT):
            reached = by_group and send(os.killpg, self.pid, each) == 0
            others = others or (reached and each == number)
            if not reached:
                self.signal_leader(each)
        if number == signal.SIGKILL:
            self.signal_leader(number)  # before its setsid it is in no group of its own
        self._note((0 if by_group else self.pid, number))
        return self.signal_leader(0), others

    def signal_each(self, survivors: Iterable[Survivor], number: int) -> list[Survivor]:
        """Signal each survivor that was not told `number` before, alone or with its group; return who may not be signalled."""
        return finished(self.signalling(survivors, number))

    def signalling(self, survivors: Iterable[Survivor], number: int) -> Generator[None, None, list[Survivor]]:
        """Do `signal_each` in steps."""
        refused = []
        for survivor in survivors:
            if (survivor.pid, number) in self.signalled:
                continue
            by_group = (0, number) in self.signalled and survivor.group == self.pid and number != signal.SIGKILL
            if signal_one(survivor, 0 if by_group else number):
                self._note((survivor.pid, number))
            else:
                refused.append(survivor)
            yield
        return refused

    def _note(self, told: tuple[int, int]) -> None:
        """Remember who was told what."""
        if not isinstance(self.signalled, set):
            self.signalled = set(self.signalled)
        self.signalled.add(told)

    def forget_signalled(self) -> None:
        """Make the next `signal_each` speak to everybody again."""
        self.signalled = NOBODY

    def leader_has_ended(self) -> None:
        """Know that the leader was reaped: its pid may become anybody's."""
        self.leader_alive = False
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None

    def outlive_guardian(self) -> None:
        """Know that what it leaves is not below us any more."""
        self.keeps_number()
        self.sessions = self.sessions or frozenset({self.pid})

    def own_number_until(self, moment: int) -> None:
        """Know that the numbers of its sessions were nobody else's up to this moment, in clock ticks since boot."""
        self.ours_until = moment

    def keeps_number(self) -> bool:
        """Return whether the group's number cannot be anybody else's: its leader was not reaped."""
        now = ticks_now()
        if not self.leader_alive:
            return False
        if self.handle is not None:
            try:
                signal.pidfd_send_signal(self.handle, 0)
            except ProcessLookupError:
                return False
            except PermissionError:  # it is there
                pass
            except OSError:  # a system that refuses to ask like that
                if has_ended(self.handle):
                    return False
        self.ours_until = now
        return True
