"""What the kernel's news mean: whose leader has ended, was executed or could not be, and which ends are nobody's."""

from __future__ import annotations

from taskmasterd.core.process.ends import exit_signal
from taskmasterd.core.process.events import LIMITS, Failure
from taskmasterd.core.process.marks import EXECUTED, LEADER_ENDED, NOT_EXECUTED
from taskmasterd.ondemand import Made, on_demand
from taskmasterd.system.loop.cmodules import signal
from taskmasterd.system.procfs import oom_kills

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from taskmasterd.core.process.marks import News
    from taskmasterd.processes.instance import Instance, Instances
    from taskmasterd.processes.limits import spent
    from taskmasterd.processes.limits.cgroups import ControlGroups
    from taskmasterd.processes.survivors import Survivors
    from taskmasterd.system import pidfds
    from taskmasterd.system.loop.reactor import Reactor
else:
    spent = on_demand("taskmasterd.processes.limits.spent")
    pidfds = on_demand("taskmasterd.system.pidfds")


STARVED = "the kernel ran out of memory at that time"


class Ends:
    """Turns pids and statuses into news of instances: `happen(instance, news)`. `adopted` are the leaders that are no children of ours."""

    def __init__(
        self,
        reactor: Reactor,
        instances: Instances,
        survivors: Survivors,
        cgroups: Made[ControlGroups],
        happen: Callable[[Instance, News], object],
    ) -> None:
        self._reactor = reactor
        self._instances = instances
        self._survivors = survivors
        self._cgroups = cgroups
        self._happen = happen
        self._look_due = False
        self.adopted = Made(lambda: pidfds.Adopted(reactor, self._adopted_ended))
        self._oom_kills = oom_kills()

    def reported(self, pid: int, failed: tuple[str, str] | None) -> None:
        """Take the report of a forked child: it was executed, or the step (name, text) of its set-up failed."""
        instance = self._instances.led_by(pid)
        if instance is None:
            return
        if failed:
            instance.fail(Failure(*failed, permanent=failed[0] in LIMITS))
        self._happen(instance, NOT_EXECUTED if failed else EXECUTED)

    def children_ended(self, ended: Iterable[tuple[int, int]]) -> None:
        """Take the (pid, wait status) of children. Each may be reaped as the next is taken; one look serves them all."""
        strangers = False
        for pid, status in ended:
            if not self._leader_ended(pid, status):
                strangers = True
                self._instances.groups.reaped(pid)
        self._survivors.look(strangers=strangers)

    def orphans_ended(self, ended: Iterable[tuple[int, int]]) -> None:
        """Take what the guardian has reaped: adopted leaders, and what is left of their groups."""
        adopted = self.adopted.made
        strangers = [pid for pid, status in ended if not (adopted and adopted.told(pid, status))]
        for pid in strangers:
            self._instances.groups.reaped(pid)
        if strangers:
            self._survivors.look(strangers=True)

    def _adopted_ended(self, pid: int, status: int | None) -> None:
        """Take the end of a leader that is no child of ours; one look serves all that end in one turn."""
        self._leader_ended(pid, status)
        if not self._look_due:
            self._look_due = True
            self._reactor.call_soon(self._look)

    def _look(self) -> None:
        self._look_due = False
        self._survivors.look(strangers=False)

    def _leader_ended(self, pid: int, status: int | None) -> bool:
        """Take the end of a leader; return False where the pid is no leader's."""
        instance = self._instances.led_by(pid)
        if instance is None:
            return False
        instance.end(status, self._starved(instance, status))
        self._happen(instance, LEADER_ENDED)
        return True

    def _starved(self, instance: Instance, status: int | None) -> str:
        """Return what was short at the end of a leader that somebody else has killed; only that has a look cost."""
        if exit_signal(status) != signal.SIGKILL or instance.group.killed:
            return ""
        if instance.group.cgroup and (
            starved := self._cgroups().starved(instance.group.cgroup, instance.entry.present.may_use)
        ):
            return starved
        rlimits = instance.entry.present.may_use.rlimits
        if rlimits and (used_up := spent.spent(instance.group.pid, rlimits)):
            return used_up
        before, self._oom_kills = self._oom_kills, oom_kills()
        return STARVED if self._oom_kills > before else ""
