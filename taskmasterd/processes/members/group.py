"""One program's process group: its leader, the rule that decides who belongs to it, and the signals that were sent.

A pid is safe to signal while only the daemon can reap it (an own child). Other processes get signals by pidfd, after a
comparison of their start time. Source: kill(2), setsid(2), credentials(7).
"""

from __future__ import annotations

import os

from taskmaster_common.records import Record
from taskmasterd.ondemand import on_demand
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.procfs import Survivor, finished, ticks_now

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable
    from collections.abc import Set as AbstractSet

    from taskmasterd.system import cgroups, signalling
else:
    signalling = on_demand("taskmasterd.system.signalling")
    cgroups = on_demand("taskmasterd.system.cgroups")

NOBODY: frozenset[tuple[int, int]] = frozenset()
NO_SESSIONS: frozenset[int] = frozenset()
"""The one empty set of all groups: each further one would take 216 bytes."""


class Heritage(Record):
    """What identifies an instance of an earlier daemon.

    `handle` is the pidfd of its leader, None if the leader is gone or our child; `sessions` are those whose members belong to
    it, `ours_until` as in `Group`; `signalled` are the signals sent so far, as (pid, signal), with pid 0 for the group; `cgroup` is
    the path of its control group, "" for none.
    """

    sessions: frozenset[int] = NO_SESSIONS
    handle: int | None = None
    ours_until: int = 0
    signalled: frozenset[tuple[int, int]] = NOBODY
    cgroup: str = ""


OWN = Heritage()


class Group:
    """One live instance of a program: its leader's pid, which is its session and group too, and the signals sent so far.

    `pipes` are the inodes of its output pipes: a process that holds one of them descends from this instance. The leader of an
    adopted instance is not our child: `handle` is its pidfd, None once it is gone, and the members of `sessions` belong to
    the instance. No stranger can have had these session numbers before `ours_until`, in clock ticks since boot: a leader that
    is alive or unreaped keeps its number, and so does each member (credentials(7)).
    """

    __slots__ = (
        "cgroup",
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
        self.cgroup = heritage.cgroup
        self.signalled: AbstractSet[tuple[int, int]] = heritage.signalled

    def follow(self, *, stop_group: bool, leader_first: bool) -> None:
        """Set the program's rule.

        `stop_group`: stop what outlives the leader, too. `leader_first`: until the leader's end only KILL reaches the others.
        """
        self.stop_group, self.leader_first = stop_group, leader_first

    def signal_leader(self, number: int) -> bool:
        """Signal only the leader, which must be alive or unreaped; return whether that is allowed."""
        if self.handle is not None:
            return not signalling.forbids(signalling.send_by_handle(self.handle, self.pid, number))
        return not (self.leader_alive and signalling.forbids(signalling.send(os.kill, self.pid, number)))

    def signal_group(self, number: int) -> tuple[bool, bool]:
        """Signal the leader's group, then send CONT so that stopped processes handle the signal. The leader must be unreaped.

        Returns whether the leader may be signalled, and whether the signal went to the whole group.
        """
        if not self.keeps_number():
            return True, False
        others = self._kill_cgroup(number)
        by_group = self.stop_group and (number == signal.SIGKILL or not self.leader_first)
        for each in (number, signal.SIGCONT):
            reached = by_group and signalling.send(os.killpg, self.pid, each) == 0
            others = others or (reached and each == number)
            if not reached:
                self.signal_leader(each)
        if number == signal.SIGKILL:
            self.signal_leader(number)  # before its setsid it is in no group of its own
        self._note((0 if by_group else self.pid, number))
        return self.signal_leader(0), others

    def signal_each(self, survivors: Iterable[Survivor], number: int) -> list[Survivor]:
        """Send `number` to each survivor that has not got it yet, alone or with its group; return those we may not signal."""
        return finished(self.signalling(survivors, number))

    def signalling(self, survivors: Iterable[Survivor], number: int) -> Generator[None, None, list[Survivor]]:
        """Do `signal_each` in steps."""
        refused: list[Survivor] = []
        self._kill_cgroup(number)
        for survivor in survivors:
            if (survivor.pid, number) in self.signalled:
                continue
            by_group = (0, number) in self.signalled and survivor.group == self.pid and number != signal.SIGKILL
            if signalling.signal_one(survivor, 0 if by_group else number):
                self._note((survivor.pid, number))
            else:
                refused.append(survivor)
            yield
        return refused

    def _kill_cgroup(self, number: int) -> bool:
        """With KILL, end all in its control group at once, those too that fork meanwhile; return whether it has one."""
        if number != signal.SIGKILL or not self.cgroup or not self.stop_group:
            return False
        cgroups.kill(self.cgroup)
        return True

    def _note(self, told: tuple[int, int]) -> None:
        """Remember a signal that was sent, as (pid, signal)."""
        if not isinstance(self.signalled, set):
            self.signalled = set(self.signalled)
        self.signalled.add(told)

    @property
    def killed(self) -> bool:
        """Whether we have sent KILL."""
        return any(number == signal.SIGKILL for _pid, number in self.signalled)

    def forget_signalled(self) -> None:
        """Forget the signals sent so far, so that the next `signal_each` reaches every survivor again."""
        self.signalled = NOBODY

    def leader_has_ended(self) -> None:
        """Let go of the leader, which was reaped: the kernel may give its pid to any process."""
        self.leader_alive = False
        if self.handle is not None:
            os.close(self.handle)
            self.handle = None

    def outlive_guardian(self) -> None:
        """Recognize survivors by their session from now on: without the guardian they are not our descendants."""
        self.keeps_number()
        self.sessions = self.sessions or frozenset({self.pid})

    def own_number_until(self, moment: int) -> None:
        """Note that no stranger had one of its session numbers up to this moment, in clock ticks since boot."""
        self.ours_until = moment

    def keeps_number(self) -> bool:
        """Return whether the group still owns its number: its leader was not reaped."""
        now = ticks_now()
        if not self.leader_alive:
            return False
        if self.handle is not None:
            try:
                signal.pidfd_send_signal(self.handle, 0)
            except ProcessLookupError:
                return False
            except PermissionError:  # the process exists
                pass
            except OSError:  # the system refuses this call
                if signalling.has_ended(self.handle):
                    return False
        self.ours_until = now
        return True
